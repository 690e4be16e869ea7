# %% [markdown]
# # Quick start
#
# Fit a table, look at every curve, explain one prediction, keep the model. The data are Friedman's
# first problem: ten columns, of which five matter, and a law that we know,
#
# $$y = 10 \sin(\pi x_1 x_2) + 20 (x_3 - \tfrac12)^2 + 10 x_4 + 5 x_5 + \text{noise}.$$

# %%
import kanx

data = kanx.datasets.make_friedman1(600, noise=1.0, random_state=0)
X_train, X_test, y_train, y_test = data.split(random_state=0)
X_train.head(3)

# %% [markdown]
# ## Fit
#
# Nothing needs to be set: the smoothness of every curve, the noise and the number of hidden nodes
# are chosen by the evidence, without a validation set. `n_estimators=1` asks for one network, which
# is easiest to read, instead of the average of several.

# %%
model = kanx.KANRegressor(n_estimators=1, random_state=0).fit(X_train, y_train)
print(f"R² on held-out rows: {model.score(X_test, y_test):.3f}")

# %% [markdown]
# ## Look
#
# `kanx.explain` reads the model over the rows you give it. The bands hold 95 % of what the data
# leave open; the bars below the curves show where there are data.

# %%
view = kanx.explain(model, X_train)
figure = view.plot()

# %% [markdown]
# Inputs that do not matter are missing above, and pale in the drawing of the network. The width of
# a line is its share of the output's variance; inputs that act together meet in a hidden node.

# %%
ax = view.plot_network()

# %% [markdown]
# All numbers behind the pictures are tables. The analysis of variance says how much of the output's
# variance is due to each input by itself and to pairs of inputs together.

# %%
view.interactions.to_frame().round(3).head(8)

# %% [markdown]
# The widths in the drawing are shares along the paths. Where curves of one input cancel each other
# on their way, the two differ, and the explanation says so.

# %%
view.importances.to_frame().round(3).head(6)

# %%
view.notes

# %% [markdown]
# ## Explain one prediction
#
# The contributions add up to the prediction. `method` and `note` say what they are.

# %%
contributions = view.local(X_test)
print(contributions.method, "-", contributions.note)
ax = view.plot_local(X_test, row=0)

# %% [markdown]
# ## How sure is the model?
#
# `return_std` is the standard deviation of a new observation: noise and uncertainty of the curves.

# %%
mean, std = model.predict(X_test, return_std=True)
inside = abs(mean - y_test) < 1.96 * std
print(f"{100 * inside.mean():.0f} % of held-out rows lie inside their 95 % interval")

# %% [markdown]
# ## Keep it
#
# One file, no pickle. The report is one HTML page that needs nothing but itself: send it to a
# colleague.

# %%
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
kanx.save(model, folder / "model.kanx")
view.to_html(folder / "report.html", y=y_train)
again = kanx.load(folder / "model.kanx")
print((again.predict(X_test) == model.predict(X_test)).all())
print({path.name: f"{path.stat().st_size / 1e3:.0f} kB" for path in folder.iterdir()})
