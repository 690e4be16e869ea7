"""Class labels that cannot be learned, and weights that leave one class."""

import numpy as np
import pandas as pd
import pytest

from kanx import KANClassifier

X = np.linspace(-1, 1, 60)[:, None]
Y = (X[:, 0] > 0).astype(int)
TEXT = np.where(Y, "a", "b").astype(object)


def classifier(**options):
    return KANClassifier(hidden="additive", max_iter=3, random_state=0, **options)


def replaced(labels, row, value):
    changed = labels.astype(object)
    changed[row] = value
    return changed


@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (replaced(TEXT, 5, 1), "row 0 holds 'b' and row 5 holds 1; turn all of them into text"),
        (replaced(TEXT, 7, None), "row 7 holds None; remove such rows"),
        (replaced(Y, 3, "z"), "row 0 holds 0 and row 3 holds 'z'"),
        (replaced(Y, 3, None), "row 3 holds None"),
        (pd.Series(replaced(TEXT, 2, pd.NA), dtype="string"), "row 2 holds <NA>"),
    ],
)
def test_labels_without_an_order_are_refused(labels, message, batches):
    arguments = ([(X, labels)],) if batches else (X, labels)
    with pytest.raises(ValueError, match=message):
        classifier().fit(*arguments)


def test_batches_must_agree_on_the_kind_of_labels():
    with pytest.raises(ValueError, match="must be text or all must be numbers"):
        classifier().fit([(X, TEXT), (X, Y)])


@pytest.mark.parametrize("batches", [False, True])
def test_a_class_of_weight_zero_is_no_class(batches):
    model = classifier(class_weight={0: 1, 1: 0})
    arguments = ([(X, Y)],) if batches else (X, Y)
    with pytest.raises(ValueError, match="only one class is present"):
        model.fit(*arguments)
    with pytest.raises(ValueError, match="only one class is present"):  # the others by their rows
        classifier(class_weight={0: 1, 1: 0, 2: 1}).fit(X, Y + (X[:, 0] > 0.5), 1 - Y)


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), "a"])
def test_weights_of_classes_are_numbers_that_are_not_negative(weight):
    with pytest.raises(ValueError, match=r"got .* for the class 1"):
        classifier(class_weight={0: 1, 1: weight}).fit(X, Y)
