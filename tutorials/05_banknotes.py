# %% [markdown]
# # Banknotes: the classification of the GP-KST paper
#
# Sun et al. (2020, arXiv:2006.06057) told genuine banknotes from forged ones by a Kolmogorov
# superposition with Gaussian-process edges, and read the decision from its curves. Here is their
# experiment in a few lines.
#
# The data (UCI 267) are not part of kanx. Point the environment variable `KANX_DATA` to a folder
# that holds `csv/banknote_authentication.csv`; the error message below says where to get it.

# %%
import os

import numpy as np

import kanx

if not os.environ.get("KANX_DATA"):
    raise SystemExit(
        "This tutorial needs the banknote table: set KANX_DATA to a folder that holds "
        "csv/banknote_authentication.csv (see kanx.datasets.load_banknote)."
    )
data = kanx.datasets.load_banknote()
print(data.description)
# 24 photographs occur twice: the split keeps the copies together
X_train, X_test, y_train, y_test = data.split(random_state=0)
y_train, y_test = (np.array(data.classes)[codes] for codes in (y_train, y_test))

# %% [markdown]
# ## The superposition
#
# $$f(x) = \sum_{q=1}^{Q} \Phi_q\Big(\sum_{p=1}^{4} \psi_{qp}(x_p)\Big)$$
#
# with a logistic link. Kolmogorov's theorem needs $Q = 2 \cdot 4 + 1 = 9$ outer functions and
# $9 \cdot 5 = 45$ curves to read. Fewer may do.

# %%
for q in (1, 3, 9):
    model = kanx.KANClassifier(hidden=("kst", q), n_estimators=1, random_state=0)
    model.fit(X_train, y_train)
    print(
        f"Q = {q}: accuracy {model.score(X_test, y_test):.4f}, "
        f"{model.network_.n_edges} of {q * 5} curves left"
    )

# %% [markdown]
# ## No hidden nodes at all
#
# Left to itself, the classifier asks the evidence how many hidden nodes the data call for.

# %%
model = kanx.KANClassifier(random_state=0).fit(X_train, y_train)
print(f"accuracy {model.score(X_test, y_test):.4f}, {model.network_.n_edges} curves")
view = kanx.explain(model, X_train)
ax = view.plot_network()

# %% [markdown]
# What is left can be read curve by curve: positive values speak for a genuine note.

# %%
figure = view.plot()

# %% [markdown]
# ## Are the probabilities right?

# %%
from kanx.explain import plots

ax = plots.plot_calibration(model, X_test, y_test, bins=5)

# %% [markdown]
# ## One banknote
#
# Why it was taken for what it is, and the smallest change that would flip the decision.

# %%
note = X_test.iloc[[0]]
ax = view.plot_local(note)

# %%
view.counterfactuals(note).to_frame()

# %% [markdown]
# ## As a formula
#
# The classes are separated without a mistake, so constants fitted to the labels would run away.
# Without labels they follow the network.

# %%
law = kanx.symbolify(model, X_train)
print(law)
