"""Real classification tables with numbers only, read from the user's data folder."""

from dataclasses import replace

import numpy as np

from kanx.datasets.dataset import Dataset
from kanx.datasets.folder import mirrored_csv
from kanx.datasets.frame import columns_of, make_frame
from kanx.datasets.tables import DataHome, TableFacts, load_table

_BANKNOTE = TableFacts(
    name="banknote_authentication",
    files=(
        mirrored_csv(
            "banknote_authentication",
            "50573e4d341c0c211668136a8b83b592b8dda436520785c3cc3d536fe407a157",
        ),
    ),
    feature_names=("variance", "skewness", "curtosis", "entropy"),
    target_name="class",
    description=(
        "1372 photographs of genuine and forged banknotes, 400 x 400 grey pixels each: three "
        "moments of the wavelet-transformed image and the image's entropy. 24 rows are exact "
        "copies of others; groups keep copies together."
    ),
    source="UCI 267, Volker Lohweg, banknote authentication (2012)",
    labels={"0": "genuine", "1": "forged"},
)

_PIMA = TableFacts(
    name="pima_diabetes",
    files=(
        mirrored_csv(
            "pima-indians-diabetes",
            "06f5b7c2cd7bca686fda4f92eab5f61e7ff6426a9acefa2e3dda04fc54293cf5",
        ),
    ),
    feature_names=(
        "pregnancies",
        "glucose",
        "blood pressure",
        "skin thickness",
        "insulin",
        "body mass index",
        "pedigree",
        "age",
    ),
    target_name="diabetes",
    description=(
        "768 women of Pima heritage, at least 21 years old: was diabetes diagnosed within five "
        "years? A zero in glucose, blood pressure, skin thickness, insulin or body mass index "
        "stands for a missing value."
    ),
    source="National Institute of Diabetes and Digestive and Kidney Diseases (1990)",
    units={
        "glucose": "mg/dL",
        "blood pressure": "mmHg",
        "skin thickness": "mm",
        "insulin": "µU/mL",
        "body mass index": "kg/m²",
        "age": "years",
    },
    labels={"0": "no diabetes", "1": "diabetes"},
)
_PIMA_NEVER_ZERO = ("glucose", "blood pressure", "skin thickness", "insulin", "body mass index")

_MAMMOGRAPHY = TableFacts(
    name="mammography",
    files=(
        mirrored_csv(
            "mammography", "58f6c984eb5409f368105b95fb41a4ca9c157262bbf10d9709176f225763b3f5"
        ),
    ),
    feature_names=(
        "area",
        "grey level",
        "gradient strength",
        "noise fluctuation",
        "contrast",
        "shape moment",
    ),
    target_name="calcification",
    description=(
        "11183 bright spots on mammograms, 260 of them microcalcifications: six standardised "
        "measurements of each spot. Only 2.3 % are positive, so accuracy says little."
    ),
    source="Woods et al., Int. J. Pattern Recognition and AI 7 (1993); OpenML 310",
    labels={"'-1'": "none", "'1'": "microcalcification"},
)


def load_banknote(data_home: DataHome = None) -> Dataset:
    """Load banknote authentication: genuine or forged, from four image features.

    The case study of the GP-KST paper. ``groups`` numbers the distinct rows, so that
    :meth:`Dataset.split` never puts copies of one row on both sides.

    Parameters
    ----------
    data_home : path, optional
        Folder with ``csv/banknote_authentication.csv``; ``KANX_DATA`` by default.

    Raises
    ------
    FileNotFoundError
        If the file is not there; the message says where to get it.
    ValueError
        If its content is not the published one.
    """
    table = load_table(_BANKNOTE, data_home)
    values = np.column_stack([np.asarray(table.X, dtype=float), table.y])
    _, copies = np.unique(values, axis=0, return_inverse=True)
    return replace(table, groups=copies.ravel())


def load_pima(data_home: DataHome = None, *, zeros_as_missing: bool = False) -> Dataset:
    """Load the Pima diabetes study: diabetes within five years, from eight measurements.

    Parameters
    ----------
    data_home : path, optional
        Folder with ``csv/pima-indians-diabetes.csv``; ``KANX_DATA`` by default.
    zeros_as_missing : bool
        Turn the impossible zeros of five columns into NaN. Published scores mostly keep them.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`load_banknote`.
    """
    table = load_table(_PIMA, data_home)
    if not zeros_as_missing:
        return table
    columns = dict(zip(table.feature_names, columns_of(table.X, table.feature_names), strict=True))
    for name in _PIMA_NEVER_ZERO:
        columns[name] = np.where(columns[name] == 0, np.nan, columns[name])
    return replace(table, X=make_frame(columns))


def load_mammography(data_home: DataHome = None) -> Dataset:
    """Load mammography: microcalcification or not, from six measurements; very unbalanced.

    Parameters
    ----------
    data_home : path, optional
        Folder with ``csv/mammography.csv``; ``KANX_DATA`` by default.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`load_banknote`.
    """
    return load_table(_MAMMOGRAPHY, data_home)
