# %% [markdown]
# # Pipelines, search and cross-validation
#
# The estimators follow scikit-learn's rules without exceptions, so its tools work as they are.

# %%
import warnings

import kanx

data = kanx.datasets.load_diabetes()
X = data.X[["age", "body mass index", "mean blood pressure", "log triglycerides"]]
y = data.y
X.head(3)

# %% [markdown]
# ## Cross-validation
#
# Fits choose their smoothness by the evidence, so there is nothing to tune inside the folds. The
# additive model is the fastest.

# %%
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_score

model = kanx.KANRegressor(hidden="additive", random_state=0)
for name, estimator in {"kanx": model, "ridge": RidgeCV()}.items():
    scores = cross_val_score(estimator, X, y, cv=3)
    print(f"{name}: R² {scores.mean():.3f} ± {scores.std():.3f}")

# %% [markdown]
# ## A pipeline
#
# Scaling is not needed; a pipeline is useful for what happens before the model, such as choosing or
# making columns. With `set_output` the columns keep their names, and so do the curves.

# %%
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.pipeline import make_pipeline

pipeline = make_pipeline(SelectKBest(f_regression, k=3), model).set_output(transform="pandas")
pipeline.fit(X, y)
view = kanx.explain(pipeline[-1], pipeline[:-1].transform(X))
figure = view.plot()

# %% [markdown]
# ## Search
#
# What can be worth a search is the shape of the network and the family of its curves.

# %%
from sklearn.model_selection import GridSearchCV

grid = {"hidden": ["additive", (1,)], "edge": ["gp", "slaf"]}
search = GridSearchCV(model, grid, cv=3).fit(X, y)
print(search.best_params_, f"{search.best_score_:.3f}")

# %% [markdown]
# The evidence answers such questions from a single fit of each, without folds. Where the scores of
# the folds differ by less than they spread, as here, the two need not agree: the evidence then
# prefers what is simpler.

# %%
for hidden in ("additive", (1,)):
    fit = kanx.KANRegressor(hidden=hidden, n_estimators=1, random_state=0).fit(X, y)
    print(hidden, f"log evidence {fit.model_.members[0].evidence:.1f}")

# %% [markdown]
# ## Other people's explanations
#
# Anything that takes a scikit-learn model takes ours. Permutation importance asks a different
# question (how much does the score drop) than the variance shares of `kanx.explain`.

# %%
import pandas as pd
from sklearn.inspection import permutation_importance

model.fit(X, y)
shares = kanx.explain(model, X).importances
drop = permutation_importance(model, X, y, n_repeats=3, random_state=0).importances_mean
pd.DataFrame({"share of variance": shares.features[:, 0], "drop of R²": drop}, X.columns).round(3)

# %% [markdown]
# ## Watch the fit
#
# scikit-learn's callbacks see every round, and a callback that returns True ends the fit. A class
# with four methods is enough.


# %%
class Patience:
    """End the fit after some rounds."""

    def __init__(self, rounds):
        self.rounds, self.seen = rounds, []

    def setup(self, estimator, context):
        """Start with nothing seen."""
        self.seen = []

    def on_fit_task_begin(self, estimator, context):
        """Do nothing at the start of a round."""

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        """Note the evidence; ask for the end after enough rounds."""
        if context.task_name == "round":
            self.seen.append(metadata["log_evidence"])
        return len(self.seen) >= self.rounds

    def teardown(self, estimator, context):
        """Nothing to clean up."""


patience = Patience(rounds=4)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a fit that is cut short warns that it has not converged
    kanx.KANRegressor(hidden="additive", random_state=0).set_callbacks(patience).fit(X, y)
print([round(value, 1) for value in patience.seen])
