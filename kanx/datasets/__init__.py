"""Data to learn and test on: laws with known truth, real tables, and where to get more.

Every function returns a :class:`Dataset`, with ``X, y = dataset.X, dataset.y`` and everything
known about them. Generators (``make_*``) need nothing; ``load_*`` reads scikit-learn's bundled
tables, or files in the folder that ``KANX_DATA`` or ``data_home`` names; only ``fetch_*`` uses the
network.
"""

from kanx.datasets.benchmarks import list_benchmarks, load_benchmark
from kanx.datasets.bundled import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from kanx.datasets.census import load_adult, load_german_credit
from kanx.datasets.classification import load_banknote, load_mammography, load_pima
from kanx.datasets.dataset import Dataset, Law
from kanx.datasets.expression import Expression, FormulaError
from kanx.datasets.feynman import list_feynman, make_feynman
from kanx.datasets.find import make_find, make_find_suite
from kanx.datasets.find_families import list_find_families
from kanx.datasets.friedman import make_friedman1, make_friedman2, make_friedman3
from kanx.datasets.regression import load_abalone, load_wine_quality
from kanx.datasets.remote import fetch_california_housing, fetch_openml
from kanx.datasets.special import list_special, make_special
from kanx.datasets.strogatz import list_strogatz, make_strogatz
from kanx.datasets.synthetic import make_sparse_polynomial, make_two_spirals
from kanx.datasets.toy import list_nguyen, list_toy_laws, make_nguyen, make_toy_law

__all__ = [
    "Dataset",
    "Expression",
    "FormulaError",
    "Law",
    "fetch_california_housing",
    "fetch_openml",
    "list_benchmarks",
    "list_feynman",
    "list_find_families",
    "list_nguyen",
    "list_special",
    "list_strogatz",
    "list_toy_laws",
    "load_abalone",
    "load_adult",
    "load_banknote",
    "load_benchmark",
    "load_breast_cancer",
    "load_diabetes",
    "load_digits",
    "load_german_credit",
    "load_iris",
    "load_mammography",
    "load_pima",
    "load_wine",
    "load_wine_quality",
    "make_feynman",
    "make_find",
    "make_find_suite",
    "make_friedman1",
    "make_friedman2",
    "make_friedman3",
    "make_nguyen",
    "make_sparse_polynomial",
    "make_special",
    "make_strogatz",
    "make_toy_law",
    "make_two_spirals",
]
