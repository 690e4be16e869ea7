# %% [markdown]
# # Looking for a law
#
# When the law itself is wanted, and not only a good prediction, `kanx.SymbolicRegressor` searches
# for it: short formulas, with standard errors on their constants.

# %%
import numpy as np

import kanx

# %% [markdown]
# ## Coulomb's law from noisy measurements
#
# Noise leaves room for doubt, so the search uses all of the time that it may. Its best formula is
# usually there long before.

# %%
rng = np.random.default_rng(0)
n = 150
X = {
    "q1": rng.uniform(1, 5, n),
    "q2": rng.uniform(1, 5, n),
    "r": rng.uniform(1, 5, n),
}
force = 8.99 * X["q1"] * X["q2"] / X["r"] ** 2
y = force + rng.normal(0, 0.2, n)

# %%
import pandas as pd

table = pd.DataFrame(X)
search = kanx.SymbolicRegressor(max_time=10, random_state=0).fit(table, y)
print(search.formula_)

# %% [markdown]
# ## A law of the Feynman lectures, by number

# %%
data = kanx.datasets.make_feynman("I.24.6", 200, random_state=0)
print(data.description)
search = kanx.SymbolicRegressor(max_time=60, random_state=0).fit(data.X, data.y)
search.formula_.expr

# %% [markdown]
# The front holds every formula that no simpler one beats.

# %%
search.front_[["complexity", "r2", "formula"]]

# %%
from kanx.explain import plots

ax = plots.plot_front(search.formula_.front, search.formula_)

# %% [markdown]
# ## When there is no law
#
# Noise alone gives no formula: the search says so.

# %%
noise = kanx.SymbolicRegressor(max_time=3, random_state=0).fit(table, rng.normal(size=n))
print(noise.formula_)

# %% [markdown]
# ## Symmetries first
#
# Before looking for a law, ask what it may depend on. `kanx.explain.structure` tests a function, or
# a fitted model, for separability and for pairs of inputs that act through one combination. A model
# follows the law only to its own error, so say how much that is.

# %%
model = kanx.KANRegressor(hidden=(2,), n_estimators=1, random_state=0).fit(
    np.log(table), np.log(force)
)
unexplained = 1 - model.score(np.log(table), np.log(force))
print(kanx.explain.structure(model, np.log(table), tolerance=max(1e-3, 5 * unexplained)))

# %% [markdown]
# The logarithm of the force is a sum of functions of single inputs, so the force is a product: the
# model has learned a power law. The truth itself shows its symmetries without any error:


# %%
def coulomb(x):
    """Return the force on two charges at a distance."""
    return 8.99 * x[:, 0] * x[:, 1] / x[:, 2] ** 2


print(kanx.explain.structure(coulomb, table.to_numpy(), tolerance=1e-8))
