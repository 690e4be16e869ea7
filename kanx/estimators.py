"""The scikit-learn face: `KANRegressor` and `KANClassifier`."""

from __future__ import annotations

from kanx.classifier import KANClassifier
from kanx.regressor import KANRegressor

__all__ = ["KANClassifier", "KANRegressor"]
