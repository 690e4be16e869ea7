"""Real regression tables, read from the user's data folder."""

from kanx.datasets.dataset import Dataset
from kanx.datasets.folder import mirrored_csv
from kanx.datasets.tables import DataHome, TableFacts, load_table

_ABALONE = TableFacts(
    name="abalone",
    files=(
        mirrored_csv("abalone", "de37cdcdcaaa50c309d514f248f7c2302a5f1f88c168905eba23fe2fbc78449f"),
    ),
    feature_names=(
        "sex",
        "length",
        "diameter",
        "height",
        "whole weight",
        "shucked weight",
        "viscera weight",
        "shell weight",
    ),
    target_name="rings",
    description=(
        "4177 abalone shells; the number of rings plus 1.5 is the age in years. Lengths and "
        "weights were divided by 200."
    ),
    source="UCI 1, Nash et al., Abalone (1994)",
    units={
        **dict.fromkeys(("length", "diameter", "height"), "200 mm"),
        **dict.fromkeys(
            ("whole weight", "shucked weight", "viscera weight", "shell weight"), "200 g"
        ),
    },
    categorical=("sex",),
    codes={"sex": {"M": "male", "F": "female", "I": "infant"}},
)

_WINE_QUALITY = TableFacts(
    name="wine_quality_white",
    files=(
        mirrored_csv(
            "winequality-white", "707fbd886465b7151282ee4e5eacfa601b0203eea165229dd56e74f8243d68db"
        ),
    ),
    feature_names=(
        "fixed acidity",
        "volatile acidity",
        "citric acid",
        "residual sugar",
        "chlorides",
        "free sulfur dioxide",
        "total sulfur dioxide",
        "density",
        "pH",
        "sulphates",
        "alcohol",
    ),
    target_name="quality",
    description=(
        "4898 white vinho verde wines; quality is the median mark of at least three tasters, "
        "0 to 10."
    ),
    source="UCI 186, Cortez et al., Decision Support Systems 47 (2009)",
    units={
        "fixed acidity": "g/L",
        "volatile acidity": "g/L",
        "citric acid": "g/L",
        "residual sugar": "g/L",
        "chlorides": "g/L",
        "free sulfur dioxide": "mg/L",
        "total sulfur dioxide": "mg/L",
        "density": "g/mL",
        "sulphates": "g/L",
        "alcohol": "% vol",
    },
)


def load_abalone(data_home: DataHome = None) -> Dataset:
    """Load abalone: the number of rings of a shell from its sex, size and weights.

    Parameters
    ----------
    data_home : path, optional
        Folder with ``csv/abalone.csv``; ``KANX_DATA`` by default.

    Raises
    ------
    FileNotFoundError
        If the file is not there; the message says where to get it.
    ValueError
        If its content is not the published one.
    """
    return load_table(_ABALONE, data_home)


def load_wine_quality(data_home: DataHome = None) -> Dataset:
    """Load white wine quality: the tasters' mark from eleven laboratory measurements.

    Parameters
    ----------
    data_home : path, optional
        Folder with ``csv/winequality-white.csv``; ``KANX_DATA`` by default.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`load_abalone`.
    """
    return load_table(_WINE_QUALITY, data_home)
