"""Pictures of what a model has learned: matplotlib, axes in, axes out.

Nothing here is shown or saved by itself: ``plot_curve(curve, ax).figure.savefig("curve.svg")``.
On a dark page: ``with theme("dark"): view.plot()``.
"""

from kanx.explain.plots.beeswarm import plot_beeswarm, plot_importances
from kanx.explain.plots.calibration import coverage, plot_calibration, plot_coverage
from kanx.explain.plots.curves import plot_curve, plot_curves, plot_effects_together
from kanx.explain.plots.film import Film, animate_training
from kanx.explain.plots.front import plot_front
from kanx.explain.plots.network import plot_network
from kanx.explain.plots.style import theme
from kanx.explain.plots.surface import plot_interactions, plot_surface
from kanx.explain.plots.trace import plot_trace
from kanx.explain.plots.waterfall import plot_waterfall

__all__ = [
    "Film",
    "animate_training",
    "coverage",
    "plot_beeswarm",
    "plot_calibration",
    "plot_coverage",
    "plot_curve",
    "plot_curves",
    "plot_effects_together",
    "plot_front",
    "plot_importances",
    "plot_interactions",
    "plot_network",
    "plot_surface",
    "plot_trace",
    "plot_waterfall",
    "theme",
]
