# %% [markdown]
# # Your own edge family
#
# A family that is linear in its coefficients is one small class: a basis on the normalised input
# $t \in [-1, 1]$, its derivative, and a prior that says what a simple curve is. Everything else
# comes with the base class: extrapolation, missing values, masks, the closed-form derivatives that
# training needs, error bands, saving.
#
# As an example, a decay: $f(t) = c_0 + c_1 t + \sum_k c_k e^{-k (t + 1)}$.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

import kanx
from kanx.layers import FAMILIES, LinearFamily


class Decay(LinearFamily):
    """Draw every edge as a straight line and a sum of decays at fixed rates."""

    name = "decay"

    def __init__(self, in_features, out_features, *, rates=(1.0, 3.0, 9.0), **options):
        super().__init__(in_features, out_features, 2 + len(rates), **options)
        self.rates = tuple(rates)

    def basis(self, t):
        """Evaluate the basis: ``(..., in) -> (..., n_basis, in)``."""
        decays = [torch.exp(-rate * (t + 1)) for rate in self.rates]
        return torch.stack([torch.ones_like(t), t, *decays], dim=-2)

    def basis_derivative(self, t):
        """Differentiate the basis by ``t``."""
        decays = [-rate * torch.exp(-rate * (t + 1)) for rate in self.rates]
        return torch.stack([torch.zeros_like(t), torch.ones_like(t), *decays], dim=-2)

    def basis_prior(self):
        """Return the precision of the coefficients: all alike."""
        return torch.eye(self.n_basis, dtype=torch.float64).repeat(self.in_features, 1, 1)

    def basis_sympy(self, coefficients, index, symbol):
        """Return the formula of a curve, which makes it exact for `explain`."""
        import sympy as sp

        terms = [sp.Integer(1), symbol, *(sp.exp(-rate * (symbol + 1)) for rate in self.rates)]
        return sum(sp.Float(c, 17) * term for c, term in zip(coefficients, terms))

    def config(self):
        """Return the options, so that the family can be saved and loaded."""
        return {**super().config(), "rates": list(self.rates)}


# %% [markdown]
# ## Register and use it
#
# One line, and the name works everywhere: in `KANRegressor`, `KAN`, `KANLayer`, `save` and `load`.

# %%
FAMILIES["decay"] = Decay

rng = np.random.default_rng(0)
hours = rng.uniform(0, 10, 80)
activity = 3 * np.exp(-0.9 * hours) + 0.2 * np.exp(-0.1 * hours) + rng.normal(0, 0.03, 80)
model = kanx.KANRegressor(edge="decay", random_state=0).fit({"hours": hours}, activity)
view = kanx.explain(model, {"hours": hours}, units={"hours": "h"})
ax = view.plot().axes[0]

# %% [markdown]
# Its formula is exact.

# %%
print(view.formula.latex(digits=3))

# %% [markdown]
# ## Check it
#
# Three checks catch nearly all mistakes: the derivative against autograd, the sum over inputs
# against the single curves, and a network that survives saving.

# %%
import tempfile
from pathlib import Path

layer = Decay(2, 3).double()
x = torch.rand(20, 2, dtype=torch.float64) * 3 - 1.5  # also outside the domain
torch.testing.assert_close(layer(x), layer.curves(x).sum(1))
x.requires_grad_()
for output in range(3):
    (slope,) = torch.autograd.grad(layer(x)[:, output].sum(), x, retain_graph=True)
    torch.testing.assert_close(slope, layer.slopes(x)[:, :, output])
path = Path(tempfile.mkdtemp()) / "decay.kanx"
kanx.save(model, path)
print(np.array_equal(kanx.load(path).predict({"hours": hours}), model.predict({"hours": hours})))

# %% [markdown]
# ## Beside the others
#
# Which family fits best is a question for the evidence.

# %%
for family in ("decay", "gp", "spline", "slaf"):
    fit = kanx.KANRegressor(edge=family, random_state=0).fit({"hours": hours}, activity)
    print(f"{family}: log evidence {fit.model_.members[0].evidence:.1f}")

# %%
grid = torch.linspace(-1, 1, 200)
plt.figure(figsize=(5, 3), layout="constrained")
lines = plt.plot(grid, Decay(1, 1).basis(grid[:, None])[:, :, 0])
text = plt.xlabel("normalised input t")
