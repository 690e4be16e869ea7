"""Real classification tables with categories: income from the census and German credit."""

from typing import Literal

from kanx.datasets.dataset import Dataset
from kanx.datasets.folder import LocalFile, mirrored_csv
from kanx.datasets.tables import DataHome, TableFacts, load_table

_ADULT_PARTS = {
    "train": LocalFile(
        "csv/adult-train.csv",
        "df25a4e32ed6f1bd4b3910d21a7bd661a09061eced7cb45555a519d9667cc87b",
        "https://archive.ics.uci.edu/dataset/2",
    ),
    "test": LocalFile(
        "csv/adult-test.csv",
        "5c8e678e04c82a07182bbcb6667c9a06faaba123a55b409af7c5d21fb45784b3",
        "https://archive.ics.uci.edu/dataset/2",
    ),
}

_ADULT = TableFacts(
    name="adult",
    files=tuple(_ADULT_PARTS.values()),
    feature_names=(
        "age",
        "workclass",
        "fnlwgt",
        "education",
        "education-num",
        "marital-status",
        "occupation",
        "relationship",
        "race",
        "sex",
        "capital-gain",
        "capital-loss",
        "hours-per-week",
        "native-country",
    ),
    target_name="income",
    description=(
        "Adults in the United States census of 1994: is the yearly income above 50000 dollars? "
        "workclass, occupation and native-country have missing values; fnlwgt is the number of "
        "people a row stands for and education-num the same as education, in order."
    ),
    source="UCI 2, Kohavi and Becker, Adult (1996)",
    units={
        "age": "years",
        "capital-gain": "US$",
        "capital-loss": "US$",
        "hours-per-week": "h",
    },
    categorical=(
        "workclass",
        "education",
        "marital-status",
        "occupation",
        "relationship",
        "race",
        "sex",
        "native-country",
    ),
    labels={"<=50K": "at most 50K", ">50K": "above 50K"},
)

_GERMAN = TableFacts(
    name="german_credit",
    files=(
        mirrored_csv("german", "ec12a88b9fc14d74ba646ea0410cf7ff4533bec2eb61652f8ad76796bbfec017"),
    ),
    feature_names=(
        "checking account",
        "duration",
        "credit history",
        "purpose",
        "amount",
        "savings",
        "employed since",
        "instalment rate",
        "status and sex",
        "other debtors",
        "residence since",
        "property",
        "age",
        "other plans",
        "housing",
        "existing credits",
        "job",
        "dependants",
        "telephone",
        "foreign worker",
    ),
    target_name="risk",
    description=(
        "1000 applications for credit at a German bank. Calling a bad risk good costs five times "
        "what the reverse costs."
    ),
    source="UCI 144, Hans Hofmann, Statlog German credit data (1994)",
    units={"duration": "months", "amount": "DM", "instalment rate": "% of income", "age": "years"},
    categorical=(
        "checking account",
        "credit history",
        "purpose",
        "savings",
        "employed since",
        "status and sex",
        "other debtors",
        "property",
        "other plans",
        "housing",
        "job",
        "telephone",
        "foreign worker",
    ),
    labels={"1": "good", "2": "bad"},
    codes={
        "checking account": {
            "A11": "< 0 DM",
            "A12": "0 to 200 DM",
            "A13": ">= 200 DM",
            "A14": "none",
        },
        "credit history": {
            "A30": "no credits",
            "A31": "all here paid back",
            "A32": "existing paid so far",
            "A33": "past delays",
            "A34": "critical",
        },
        "purpose": {
            "A40": "new car",
            "A41": "used car",
            "A42": "furniture",
            "A43": "radio or television",
            "A44": "appliances",
            "A45": "repairs",
            "A46": "education",
            "A47": "vacation",
            "A48": "retraining",
            "A49": "business",
            "A410": "other",
        },
        "savings": {
            "A61": "< 100 DM",
            "A62": "100 to 500 DM",
            "A63": "500 to 1000 DM",
            "A64": ">= 1000 DM",
            "A65": "unknown or none",
        },
        "employed since": {
            "A71": "unemployed",
            "A72": "< 1 year",
            "A73": "1 to 4 years",
            "A74": "4 to 7 years",
            "A75": ">= 7 years",
        },
        "status and sex": {
            "A91": "man, divorced or separated",
            "A92": "woman, divorced, separated or married",
            "A93": "man, single",
            "A94": "man, married or widowed",
            "A95": "woman, single",
        },
        "other debtors": {"A101": "none", "A102": "co-applicant", "A103": "guarantor"},
        "property": {
            "A121": "real estate",
            "A122": "savings agreement or life insurance",
            "A123": "car or other",
            "A124": "unknown or none",
        },
        "other plans": {"A141": "bank", "A142": "stores", "A143": "none"},
        "housing": {"A151": "rent", "A152": "own", "A153": "for free"},
        "job": {
            "A171": "unemployed or unskilled, non-resident",
            "A172": "unskilled, resident",
            "A173": "skilled",
            "A174": "management or self-employed",
        },
        "telephone": {"A191": "none", "A192": "registered"},
        "foreign worker": {"A201": "yes", "A202": "no"},
    },
)


def load_adult(
    data_home: DataHome = None, *, subset: Literal["all", "train", "test"] = "all"
) -> Dataset:
    """Load census income: above 50000 dollars or not, with categories and missing values.

    Parameters
    ----------
    data_home : path, optional
        Folder with ``csv/adult-train.csv`` and ``csv/adult-test.csv``; ``KANX_DATA`` by default.
        They are UCI's ``adult.data`` and ``adult.test`` under other names, the latter without its
        first line, which is a comment.
    subset : {"all", "train", "test"}
        The published training rows, the published test rows, or both in this order.

    Raises
    ------
    FileNotFoundError
        If a file is not there; the message says where to get it.
    ValueError
        If the subset is unknown or the content of a file is not the published one.
    """
    if subset not in ("all", *_ADULT_PARTS):
        raise ValueError(f"subset must be 'all', 'train' or 'test', but got {subset!r}.")
    files = _ADULT.files if subset == "all" else (_ADULT_PARTS[subset],)
    return load_table(_ADULT._replace(files=files), data_home)


def load_german_credit(data_home: DataHome = None) -> Dataset:
    """Load German credit: good or bad risk, from seven numbers and thirteen categories.

    Parameters
    ----------
    data_home : path, optional
        Folder with ``csv/german.csv``; ``KANX_DATA`` by default.

    Raises
    ------
    FileNotFoundError
        If the file is not there; the message says where to get it.
    ValueError
        If its content is not the published one.
    """
    return load_table(_GERMAN, data_home)
