# %% [markdown]
# # Speed
#
# What a fit costs, and what to do when it is too slow. Timings are of the machine that ran this
# notebook (two cores, no GPU), so look at ratios.

# %%
import time

import kanx


def seconds(call):
    """Return the processor time of a call in seconds."""
    start = time.process_time()
    call()
    return time.process_time() - start


# %% [markdown]
# ## Fewer starts
#
# A network with hidden nodes is fitted from several random starts, and those whose evidence comes
# near the best are averaged. While you explore, one start is enough.

# %%
data = kanx.datasets.make_friedman1(300, noise=1.0, random_state=0)
X_train, X_test, y_train, y_test = data.split(random_state=0)
for starts in (1, 3):
    model = kanx.KANRegressor(hidden=(3,), n_estimators=starts, random_state=0)
    spent = seconds(lambda: model.fit(X_train, y_train))
    print(f"{starts} starts: {spent:.1f} s, R² {model.score(X_test, y_test):.3f}")

# %% [markdown]
# ## The shape of the network
#
# The cost of a Levenberg-Marquardt round is rows times the square of the number of parameters:
# hidden nodes and control points cost far more than rows.

# %%
for hidden in ("additive", (2,), (5,)):
    model = kanx.KANRegressor(hidden=hidden, n_estimators=1, random_state=0)
    spent = seconds(lambda: model.fit(X_train, y_train))
    print(f"hidden={hidden}: {spent:.1f} s, R² {model.score(X_test, y_test):.3f}")

# %% [markdown]
# ## Prediction
#
# Predicting is a basis expansion and a matrix product per layer. Error bars need the derivative by
# every parameter and cost more.

# %%
rows = kanx.datasets.make_friedman1(5000, random_state=1).X
mean_only = seconds(lambda: model.predict(rows))
with_bars = seconds(lambda: model.predict(rows, return_std=True))
print(f"5000 rows: {mean_only:.2f} s, with error bars {with_bars:.2f} s")

# %% [markdown]
# ## The family of the edges
#
# The families differ in cost by a factor of ten and more: polynomials and piecewise curves are
# cheap, quotients are not. The table under "Which edge should I pick?" in the docs has the numbers.

# %% [markdown]
# ## Single precision, GPU, compile
#
# Layers are ordinary modules: `.float()`, `.to("cuda")`, `torch.compile(net)` and automatic mixed
# precision work as for any other. The estimators fit in double precision, since second-order
# training needs it.
