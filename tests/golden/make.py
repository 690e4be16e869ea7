"""Write the golden files of the present version: models, and what they predict.

Run ``python tests/golden/make.py`` once per release and commit what it adds; files of older
versions are never touched, since the tests show that they still load.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import kanx
from kanx import KAN, KANClassifier, KANRegressor

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from contract import EXAMPLES  # noqa: E402


def table(count: int = 60) -> dict[str, list[Any]]:
    """Return a table with a text column and missing values, JSON-compatible."""
    rng = np.random.default_rng(5)
    size = rng.uniform(0, 2, count).round(4).tolist()
    kind = rng.choice(["u", "v", "größe"], count).tolist()
    return {
        "size": [None if k % 9 == 4 else v for k, v in enumerate(size)],
        "kind": [None if k % 11 == 7 else v for k, v in enumerate(kind)],
    }


def models() -> dict[str, Any]:
    """Fit the models, smallest possible."""
    X = table()
    size = np.array([1.0 if v is None else v for v in X["size"]])
    y = np.sin(2 * size) + (np.array(X["kind"], dtype=object) == "u")
    shared: dict[str, Any] = {"max_iter": 4, "n_estimators": 1, "random_state": 0}
    found: dict[str, Any] = {
        "hidden": KANRegressor(hidden=(1,), edge="spline", **shared).fit(X, y),
        "targets": KANRegressor(hidden="additive", **shared).fit(X, np.stack([y, -y], axis=1)),
        "binary": KANClassifier(hidden="additive", edge="slaf", **shared).fit(X, y > 1),
        "classes": KANClassifier(hidden="additive", **shared).fit(X, np.digitize(y, [0.6, 1.2])),
    }
    for family in sorted(kanx.layers.FAMILIES):
        if EXAMPLES.get(family):
            spec = {"family": family, **EXAMPLES[family][0].options}
            found[f"network_{family}"] = KAN([2, 1], spec, random_state=0).double()
    return found


def predictions(model: Any) -> list[Any]:
    """Return what a model predicts of the table, or a network of a grid."""
    if isinstance(model, KAN):
        import torch

        x = torch.linspace(-1.5, 1.5, 16, dtype=torch.float64).reshape(8, 2)
        return model(x).tolist()
    X = table()
    return (model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)).tolist()


def main() -> None:
    """Write what is not there yet."""
    folder = HERE / kanx.__version__
    folder.mkdir(exist_ok=True)
    for name, model in models().items():
        if not (folder / f"{name}.kanx").exists():
            kanx.save(model, folder / f"{name}.kanx")
            (folder / f"{name}.json").write_text(json.dumps(predictions(model)))


if __name__ == "__main__":
    main()
