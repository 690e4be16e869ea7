# %% [markdown]
# # Saving, export and serving
#
# Ways to take a model elsewhere: a file for kanx, a formula for anything, a plain torch module.

# %%
import tempfile
from pathlib import Path

import numpy as np

import kanx

folder = Path(tempfile.mkdtemp())
data = kanx.datasets.load_breast_cancer()
X, y = data.X, data.y
model = kanx.KANClassifier(hidden="additive", random_state=0).fit(X, y)

# %% [markdown]
# ## A file
#
# safetensors with a JSON header: nothing in it is ever executed, and a model read back predicts bit
# for bit the same. The write is all or nothing; what was there before stays if it fails.

# %%
path = folder / "model.kanx"
kanx.save(model, path)
again = kanx.load(path)
print(
    f"{path.stat().st_size / 1e3:.0f} kB,",
    np.array_equal(again.predict_proba(X), model.predict_proba(X)),
)

# %% [markdown]
# `pickle` and `joblib` work too, where the file is your own.

# %%
import joblib

joblib.dump(model, folder / "model.joblib")
print(np.array_equal(joblib.load(folder / "model.joblib").predict(X), model.predict(X)))

# %% [markdown]
# ## A formula
#
# The formula needs no library at all: plain Python, C, SQL or a spreadsheet. It is not the network:
# it says how close it comes.

# %%
law = kanx.symbolify(model, X, y)
print({name: round(value, 4) for name, value in law.scores.items()})

# %%
print(law.to_python("log_odds"))

# %%
print(law.to_sql())

# %% [markdown]
# ## A torch module
#
# The network alone, for your own serving code: `torch.export` and `torch.compile` take it as they
# take any module. Its inputs are the encoded columns, in order.

# %%
import torch

network = model.network_
example = torch.tensor(X.to_numpy()[:8])
program = torch.export.export(
    network, (example,), dynamic_shapes=({0: torch.export.Dim("rows", min=2)},)
)
torch.export.save(program, folder / "network.pt2")
served = torch.export.load(folder / "network.pt2").module()
with torch.no_grad():
    probability = torch.sigmoid(served(torch.tensor(X.to_numpy()))[:, 0]).numpy()
print(f"largest difference: {np.abs(probability - model.predict_proba(X)[:, 1]).max():.1e}")

# %% [markdown]
# ## Behind a web server
#
# A prediction service is a few lines around `kanx.load`. It answers with the probability, its
# reasons, and a warning where a value is outside of what the model has seen.

# %%
import pandas as pd


class Service:
    """Answer requests: one row in, a prediction with its reasons out."""

    def __init__(self, path, background):
        self.model = kanx.load(path)
        self.view = kanx.explain(self.model, background)

    def answer(self, row):
        """Return the answer to one row, a mapping from column to value."""
        table = pd.DataFrame([row])[list(self.model.feature_names_in_)]
        reasons = self.view.local(table)
        order = np.argsort(-np.abs(reasons.values[0, :, 0]))[:3]
        return {
            "class": str(self.model.predict(table)[0]),
            "probability": float(self.model.predict_proba(table)[0, 1].round(4)),
            "reasons": {reasons.names[j]: float(reasons.values[0, j, 0].round(2)) for j in order},
            "out of range": [reasons.names[j] for j in np.flatnonzero(reasons.outside[0])],
        }


service = Service(path, X)
service.answer(X.iloc[0].to_dict())

# %% [markdown]
# ## The command line
#
# The same without Python: `kanx fit data.csv --target diagnosis --out report`, then
# `kanx predict report/model.kanx new.csv` and `kanx formula report/model.kanx`.
