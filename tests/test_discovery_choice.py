"""Which of two forms that fit equally well is believed."""

import numpy as np
import sympy as sp

from kanx.discovery.archive import Archive
from kanx.discovery.choice import choice_score
from kanx.discovery.data import Data
from kanx.discovery.report import believable
from kanx.discovery.trees import constant, function, power, product, total, variable

X = variable(0)
SYMBOLS = [sp.Symbol("x")]


def noisy_archive():
    rng = np.random.default_rng(0)
    x = rng.uniform(1.0, 2.0, 500)
    y = 1.0 / (1.0 + x)
    archive = Archive(Data(x[None], y + 0.05 * y.std() * rng.standard_normal(500), np.ones(500)))
    inverse = total(constant(1.1), product(constant(0.9), X))
    imitation = product(constant(0.8), function("exp", product(constant(-0.4), X)))
    return archive, archive.consider(power(inverse, -1)), archive.consider(imitation)


def test_simple_constants_shorten_the_description():
    archive, law, imitation = noisy_archive()
    saved = [c.score - choice_score(archive, c, SYMBOLS) for c in (law, imitation)]
    assert saved[0] > 3.0 > saved[1]


def test_the_law_is_believed_before_its_imitation():
    archive, law, imitation = noisy_archive()
    believed = believable(archive, SYMBOLS)
    assert believed[0] is law
    assert imitation not in believed or believed.index(imitation) > 0


def test_an_exact_formula_is_believed_whatever_its_constants():
    x = np.random.default_rng(0).uniform(1.0, 2.0, 100)
    archive = Archive(Data(x[None], 0.7312 * x, np.ones(100)))
    archive.consider(product(constant(0.5), X))
    assert believable(archive, SYMBOLS)[0].loss < 1e-20


def test_the_argument_of_a_function_does_not_vanish_for_free():
    rng = np.random.default_rng(0)
    x = rng.uniform(1.0, 2.0, 500)
    archive = Archive(Data(x[None], x - 0.3 + 0.01 * rng.standard_normal(500), np.ones(500)))
    line = archive.consider(total(constant(-0.3), product(constant(1.0), X)))
    bent = function("tanh", product(constant(0.02), X))
    imitation = archive.consider(total(constant(-0.3), product(constant(50.0), bent)))
    scores = [choice_score(archive, c, SYMBOLS) for c in (line, imitation)]
    assert scores[0] < scores[1] - 3.0
