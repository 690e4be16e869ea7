# %% [markdown]
# # From a network to a formula
#
# A fitted network is a set of curves. Where the curves are elementary functions, the network is a
# formula; `kanx.symbolify` finds it, fits its constants again and says how far to trust it.

# %%
import numpy as np

import kanx

data = kanx.datasets.make_toy_law("exp_sine", 400, random_state=0)
X_train, X_test, y_train, y_test = data.split(random_state=0)
print(data.truth)

# %% [markdown]
# ## One outer function, read first
#
# The network with one hidden node reads: a curve of each input, added, and one curve of the sum.
# The model is the average of the better ones of three such networks, which stand side by side.

# %%
model = kanx.KANRegressor(hidden=("kst", 1), n_estimators=3, random_state=0).fit(X_train, y_train)
view = kanx.explain(model, X_train)
print(f"R² on held-out rows: {model.score(X_test, y_test):.5f}")
ax = view.plot_network()

# %% [markdown]
# ## The formula and its small print
#
# Printed, a formula carries its accuracy beside that of the network, the standard errors of its
# constants, the box of inputs it was checked on, and the formulas that the data cannot exclude.

# %%
law = kanx.symbolify(model, X_train, y_train)
print(law)

# %% [markdown]
# The scores on rows that neither the network nor the formula has seen:

# %%
print(f"network {model.score(X_test, y_test):.5f}, formula {law.score(X_test, y_test):.5f}")

# %% [markdown]
# ## Accuracy against complexity
#
# Every formula on the front is there, not only the chosen one.

# %%
law.to_frame()[["complexity", "bits", "r2_train", "formula"]].round(5)

# %%
from kanx.explain import plots

ax = plots.plot_front(law.front, law)

# %% [markdown]
# ## Use it elsewhere
#
# The formula is a sympy expression, LaTeX, and source code; none of it needs kanx.

# %%
print(law.latex(digits=3))
print(law.to_python("response"))
print(law.to_sql())
print(law.to_excel())

# %% [markdown]
# A formula is also a torch module with trainable constants, and is stored as JSON.

# %%
again = type(law).from_json(law.to_json())
print(np.array_equal(again.predict(X_test), law.predict(X_test)))
print(law.to_torch())

# %% [markdown]
# ## Exact curves
#
# Splines, polynomials and quotients of polynomials have an exact expression, however ugly: then
# the network itself can be written out without any loss.

# %%
exact = kanx.KANRegressor(edge={"family": "slaf", "degree": 4}, hidden="additive", random_state=0)
exact.fit(X_train, y_train)
written = kanx.explain(exact, X_train).formula
print(written)
print(f"largest difference: {abs(written.predict(X_test) - exact.predict(X_test)).max():.1e}")
