# %% [markdown]
# # Saving, export and serving
#
# Ways to take a model elsewhere: a file for kanx, a formula for anything, the model as plain code.

# %%
import tempfile
from pathlib import Path

import numpy as np

import kanx

folder = Path(tempfile.mkdtemp())
data = kanx.datasets.load_breast_cancer()
X = data.X[["worst area", "worst texture", "worst concave points", "area error"]]
y = data.y
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
# ## The whole model, without kanx
#
# `kanx.export` writes the model itself: as a Python module that needs only numpy, as C, JavaScript
# or SQL, as ONNX or as a torch program. Each says how far it is from the original.

# %%
import importlib.util

from kanx import export

(folder / "plain.py").write_text(export.to_numpy(model), encoding="utf-8")
spec = importlib.util.spec_from_file_location("plain", folder / "plain.py")
plain = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plain)
print(plain.__doc__)
difference = plain.predict_columns(X.to_dict("list")) - model.predict_proba(X)
print(f"largest difference here: {abs(difference).max():.1e}")

# %%
for name, text in {"C": export.to_c(model), "SQL": export.to_sql(model, "patients")}.items():
    print(f"{name}: {len(text) / 1e3:.0f} kB")

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
