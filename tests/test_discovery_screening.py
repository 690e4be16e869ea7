"""Inputs that do not matter are left out."""

import numpy as np
import pytest

from kanx.discovery.screening import relevant_columns

LAWS = {
    "product and quotient": ((4, 7, 11), lambda c: c[4] * c[7] ** 2 / (c[11] + 2)),
    "a wave times a line": ((4, 7), lambda c: np.sin(c[4]) * c[7]),
    "a saddle without main effects": ((0, 1), lambda c: (c[0] - 1) * (c[1] - 1)),
}


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("name", LAWS)
def test_the_inputs_of_a_law_are_found_among_thirty(name, noise):
    rng = np.random.default_rng(0)
    columns = rng.uniform(-1, 3, (30, 500))
    truth, law = LAWS[name]
    y = law(columns)
    y = y + noise * y.std() * rng.standard_normal(500)
    found = relevant_columns(columns, y, np.ones(500))
    assert set(truth) <= set(found)
    assert len(found) <= len(truth) + 3


def test_few_inputs_are_all_kept():
    rng = np.random.default_rng(0)
    columns = rng.uniform(size=(5, 50))
    assert relevant_columns(columns, rng.uniform(size=50), np.ones(50)) == [0, 1, 2, 3, 4]
