"""Changes to a network's structure; each returns a new network and leaves the old one alone."""

from kanx.edits.compacting import compact
from kanx.edits.connections import is_connected, live_edges, live_inputs
from kanx.edits.constraining import constrain
from kanx.edits.editing import edit
from kanx.edits.editor import Editor
from kanx.edits.families import change_family
from kanx.edits.formulas import set_curve, set_formula
from kanx.edits.grids import coarsen, refine
from kanx.edits.growing import deepen, widen
from kanx.edits.guarded import GuardedPruning, prune_guarded
from kanx.edits.moving import move_grids
from kanx.edits.pruning import prune_edges, prune_inputs, prune_nodes
from kanx.edits.records import Edit
from kanx.edits.result import Edited, largest_change, probe
from kanx.edits.scaling import damp
from kanx.edits.smoothing import smooth
from kanx.edits.swapping import swap_nodes

__all__ = [
    "Edit",
    "Edited",
    "Editor",
    "GuardedPruning",
    "change_family",
    "coarsen",
    "compact",
    "constrain",
    "damp",
    "deepen",
    "edit",
    "is_connected",
    "largest_change",
    "live_edges",
    "live_inputs",
    "move_grids",
    "probe",
    "prune_edges",
    "prune_guarded",
    "prune_inputs",
    "prune_nodes",
    "refine",
    "set_curve",
    "set_formula",
    "smooth",
    "swap_nodes",
    "widen",
]
