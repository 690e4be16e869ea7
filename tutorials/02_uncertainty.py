# %% [markdown]
# # Gaussian-process edges and their uncertainty
#
# A Gaussian-process edge is a curve through control points, with a variance (Sun et al. 2020). What
# it is good for: it says where it does not know.

# %%
import matplotlib.pyplot as plt
import numpy as np

import kanx
from kanx.explain import plots

rng = np.random.default_rng(0)

# %% [markdown]
# ## Where there are no data
#
# A measurement with a gap: nothing was recorded between 0.4 and 0.7.

# %%
time = np.concatenate([rng.uniform(0, 0.4, 60), rng.uniform(0.7, 1, 40)])
signal = np.sin(7 * time) + rng.normal(0, 0.15, len(time))
even = {"adaptive": False, "control_points": 12}  # control points in the gap, too
model = kanx.KANRegressor(edge="gp", edge_options=even, random_state=0).fit({"time": time}, signal)

grid = np.linspace(time.min(), time.max(), 300)
mean, std = model.predict({"time": grid}, return_std=True)

# %%
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.fill_between(grid, mean - 1.96 * std, mean + 1.96 * std, alpha=0.25, label="95 % interval")
ax.plot(grid, mean, label="prediction")
ax.plot(grid, np.sin(7 * grid), "--", color="0.5", label="truth")
ax.plot(time, signal, ".", color="black", markersize=3)
ax.set(xlabel="time", ylabel="signal")
legend = ax.legend(frameon=False)

# %% [markdown]
# The band is wider in the gap. By default, control points follow the data, which is better where
# the data are dense and worse in a gap; `adaptive=False` spreads them evenly.
#
# Beyond the data a curve continues as a straight line. Such rows are flagged, and `predict` warns
# of them, since no band can promise anything there.

# %%
view = kanx.explain(model, {"time": time})
view.out_of_range({"time": [0.5, 1.1]})

# %% [markdown]
# ## The band of every curve
#
# With several inputs each curve has a band of its own. Here the second input has few values above
# 0.7.

# %%
n = 250
X = {"dose": rng.uniform(0, 1, n), "age": rng.beta(1.2, 4, n)}
y = np.exp(X["dose"]) + 2 * X["age"] ** 2 + rng.normal(0, 0.15, n)
model = kanx.KANRegressor(random_state=0).fit(X, y)
view = kanx.explain(model, X)
figure = view.plot()

# %% [markdown]
# Curves are data: a grid, values, standard deviations and where the rows are.

# %%
curve = view.effects.select(source="age")[0]
curve.to_frame().iloc[::30].round(3)

# %% [markdown]
# ## Do the intervals hold what they promise?
#
# Ask rows that the model has not seen. Inside the grey zone, the difference from the diagonal is
# what chance allows.

# %%
X_new = {"dose": rng.uniform(0, 1, 400), "age": rng.beta(1.2, 4, 400)}
y_new = np.exp(X_new["dose"]) + 2 * X_new["age"] ** 2 + rng.normal(0, 0.15, 400)
ax = plots.plot_coverage(model, X_new, y_new)

# %% [markdown]
# ## Another kernel
#
# Any one-dimensional kernel of gpytorch can be the covariance of the edges, on the normalised input
# in [-1, 1]. A Matérn kernel draws rougher curves than the default squared exponential.

# %%
import gpytorch

kernel = gpytorch.kernels.MaternKernel(nu=1.5)
kernel.lengthscale = 0.5
rough = kanx.KANRegressor(edge_options={**even, "kernel": kernel}, random_state=0).fit(
    {"time": time}, signal
)
print(f"log evidence: {rough.model_.members[0].evidence:.1f} with the Matérn kernel")
ax = kanx.explain(rough, {"time": time}).plot().axes[0]

# %% [markdown]
# ## A Gaussian-process layer in your own network
#
# `conditional_variance` is the variance that the control points leave between them, in units of the
# kernel's variance: zero at the points, as in the paper.

# %%
import torch

layer = kanx.layers.GaussianProcess(1, 1, control_points=5, length_scale=0.7)
t = torch.linspace(-1, 1, 200)
with torch.no_grad():
    layer.load_stacked(torch.tensor([0.0, 1.0, 0.2, -0.7, 0.4])[:, None, None])
    value = layer.curves(t[:, None])[:, 0, 0]
    spread = layer.conditional_variance(t[:, None])[:, 0].sqrt()

fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.fill_between(t, value - 2 * spread, value + 2 * spread, alpha=0.25)
ax.plot(t, value)
labels = ax.set(xlabel="normalised input t", ylabel="curve")
dots = ax.plot(layer.control_positions[0], layer.stacked_parameters()[:, 0, 0].detach(), "o")
