"""Edge families and the layer built from them."""

from kanx.layers.base import EdgeFamily as EdgeFamily
from kanx.layers.gp import GaussianProcess as GaussianProcess
from kanx.layers.layer import KANLayer as KANLayer
from kanx.layers.linear import LinearFamily as LinearFamily
from kanx.layers.lookup import Lookup as Lookup
from kanx.layers.pade import Pade as Pade
from kanx.layers.registry import FAMILIES as FAMILIES
from kanx.layers.slaf import SLAF as SLAF
from kanx.layers.spline import BSpline as BSpline
