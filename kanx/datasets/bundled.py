"""scikit-learn's bundled tables, which need no download, with full names and units."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kanx.datasets.dataset import Dataset
from kanx.datasets.frame import make_frame

_UCI = "UCI Machine Learning Repository, as bundled with scikit-learn"

# scikit-learn's names are s1 to s6; the meaning is from Efron et al. (2004)
_DIABETES_COLUMNS = {
    "age": "years",
    "sex": "",
    "body mass index": "kg/m²",
    "mean blood pressure": "mmHg",
    "total cholesterol": "mg/dL",
    "LDL cholesterol": "mg/dL",
    "HDL cholesterol": "mg/dL",
    "total/HDL cholesterol": "",
    "log triglycerides": "",
    "blood glucose": "mg/dL",
}


def load_breast_cancer() -> Dataset:
    """Load breast cancer: benign or malignant, from thirty measurements of cell nuclei."""
    from sklearn.datasets import load_breast_cancer as load

    return _classification(
        "breast_cancer",
        load(),
        "diagnosis",
        "569 fine-needle aspirates of breast masses: the mean, the standard error and the worst "
        "value of ten measurements of the cell nuclei in an image.",
        "UCI 17, Wolberg, Street and Mangasarian, Breast Cancer Wisconsin (1995)",
    )


def load_wine() -> Dataset:
    """Load wine: one of three cultivars, from thirteen chemical measurements."""
    from sklearn.datasets import load_wine as load

    return _classification(
        "wine",
        load(),
        "cultivar",
        "178 wines of three cultivars from one region of Italy: thirteen chemical measurements.",
        "UCI 109, Forina et al., Wine recognition (1991)",
        {"alcohol": "% vol"},
    )


def load_iris() -> Dataset:
    """Load iris: one of three species, from the lengths and widths of sepals and petals."""
    from sklearn.datasets import load_iris as load

    bunch = load()
    names = [name.removesuffix(" (cm)") for name in bunch.feature_names]
    return _classification(
        "iris",
        bunch | {"feature_names": names},
        "species",
        "150 irises, 50 of each of three species, measured in centimetres.",
        "R. A. Fisher, Annals of Eugenics 7 (1936)",
        dict.fromkeys(names, "cm"),
    )


def load_digits() -> Dataset:
    """Load digits: 0 to 9, from the 64 grey pixels of an 8 x 8 image."""
    from sklearn.datasets import load_digits as load

    return _classification(
        "digits",
        load(),
        "digit",
        "1797 handwritten digits as 8 x 8 pixels of 0 to 16; pixel_R_C is in row R and column C.",
        "UCI 80, Alpaydin and Kaynak, Optical recognition of handwritten digits (1998)",
    )


def load_diabetes(*, scaled: bool = False) -> Dataset:
    """Load diabetes: progression after one year, from ten measurements of a patient.

    Parameters
    ----------
    scaled : bool
        Keep scikit-learn's default scaling (mean 0, sum of squares 1), which has no units; the
        measurements themselves by default.
    """
    from sklearn.datasets import load_diabetes as load

    bunch = load(scaled=scaled)
    names = tuple(_DIABETES_COLUMNS)
    units = {} if scaled else {name: unit for name, unit in _DIABETES_COLUMNS.items() if unit}
    return Dataset(
        name="diabetes",
        X=make_frame(dict(zip(names, bunch.data.T, strict=True))),
        y=bunch.target,
        feature_names=names,
        target_name="progression",
        task="regression",
        description=(
            "442 patients with diabetes; the target is a measure of the disease's progression one "
            "year after the measurements. sex is coded 1 and 2."
        ),
        source="Efron, Hastie, Johnstone and Tibshirani, Annals of Statistics 32 (2004)",
        licence="public, as bundled with scikit-learn",
        units=units,
    )


def _classification(
    name: str,
    bunch: Mapping[str, Any],
    target_name: str,
    description: str,
    source: str,
    units: Mapping[str, str] | None = None,
) -> Dataset:
    names = tuple(str(column) for column in bunch["feature_names"])
    return Dataset(
        name=name,
        X=make_frame(dict(zip(names, np.asarray(bunch["data"]).T, strict=True))),
        y=np.asarray(bunch["target"]),
        feature_names=names,
        target_name=target_name,
        task="classification",
        description=description,
        source=source,
        licence=f"CC BY 4.0, {_UCI}",
        units=units or {},
        classes=tuple(str(label) for label in bunch["target_names"]),
    )
