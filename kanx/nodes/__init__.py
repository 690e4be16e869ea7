"""What happens at the nodes of a network: most add, some multiply or divide."""

from kanx.nodes.kinds import Product
from kanx.nodes.nodes import Nodes
from kanx.nodes.ratio import Ratio

__all__ = ["Nodes", "Product", "Ratio"]
