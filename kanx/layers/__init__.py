"""Edge families and the layer built from them."""

from kanx.layers.activation import ActivationEdge as ActivationEdge
from kanx.layers.base import EdgeFamily as EdgeFamily
from kanx.layers.cauchy import Cauchy as Cauchy
from kanx.layers.composite import Composite as Composite
from kanx.layers.constraints import Constraint as Constraint
from kanx.layers.conv import KANConv2d as KANConv2d
from kanx.layers.fourier import Fourier as Fourier
from kanx.layers.gp import GaussianProcess as GaussianProcess
from kanx.layers.layer import KANLayer as KANLayer
from kanx.layers.linear import LinearFamily as LinearFamily
from kanx.layers.lookup import Lookup as Lookup
from kanx.layers.nonlinear import NonlinearFamily as NonlinearFamily
from kanx.layers.pade import Pade as Pade
from kanx.layers.piecewise_linear import PiecewiseLinear as PiecewiseLinear
from kanx.layers.projection import project as project
from kanx.layers.rbf import RadialBasis as RadialBasis
from kanx.layers.registry import FAMILIES as FAMILIES
from kanx.layers.shared_pade import SharedPade as SharedPade
from kanx.layers.slaf import SLAF as SLAF
from kanx.layers.spline import BSpline as BSpline
from kanx.layers.symbolic import Symbolic as Symbolic
from kanx.layers.trainable_gp import TrainableGaussianProcess as TrainableGaussianProcess
from kanx.layers.wavelet import Wavelet as Wavelet
