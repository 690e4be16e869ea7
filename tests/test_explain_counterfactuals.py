"""Counterfactuals flip the outcome, by the smallest change where that is known."""

import numpy as np
import pandas as pd
import pytest
import torch

import kanx
from kanx import KAN, KANClassifier


@pytest.fixture(scope="module")
def plane():
    """Return the network ``3 a - 4 b`` with rows of unit variance."""
    net = KAN.additive(2, edge={"family": "slaf", "degree": 1}, random_state=0).double()
    with torch.no_grad():
        net.layers[0].bundles[0].coefficients.zero_()
        net.layers[0].bundles[0].coefficients[1, :, 0] = torch.tensor([3.0, -4.0])
        net.layers[0].bundles[0].coefficients.mul_(1)
    x = np.random.default_rng(0).normal(size=(2000, 2))
    x = (x - x.mean(0)) / x.std(0)
    return kanx.explain(net, x)


def test_the_joint_change_is_the_distance_to_the_plane(plane):
    found = plane.counterfactuals(np.array([[1.0, 0.0]]), wanted=-2.0)
    best = found.changes[0]
    assert found.wanted == "y <= -2"
    assert best.distance == pytest.approx(1.0, rel=1e-4)  # (3 * 1 + 2) / 5
    np.testing.assert_allclose(best.row, [1 - 0.6, 0.8], atol=1e-3)
    assert best.output[0] <= -2 + 1e-9


def test_changes_of_one_input_are_as_small_as_they_can_be(plane):
    found = plane.counterfactuals(np.array([[1.0, 0.0]]), wanted=-2.0)
    alone = {next(iter(c.changed)): c for c in found.changes if len(c.changed) == 1}
    assert alone["x0"].row[0] == pytest.approx(-2 / 3, abs=1e-6)
    assert alone["x1"].row[1] == pytest.approx(5 / 4, abs=1e-6)
    assert [c.distance for c in found.changes] == sorted(c.distance for c in found.changes)


def test_fixed_inputs_stay(plane):
    found = plane.counterfactuals(np.array([[1.0, 0.0]]), wanted=-2.0, fixed=["x0"])
    assert found.changes and all(c.row[0] == 1.0 for c in found.changes)


def test_a_row_that_is_there_already_needs_no_change(plane):
    found = plane.counterfactuals(np.array([[0.0, 0.0]]), wanted=0.0)
    assert found.changes[0].distance == 0 and found.changes[0].changed == {}


def test_what_no_input_in_range_can_reach_has_no_changes(plane):
    assert plane.counterfactuals(np.array([[0.0, 0.0]]), wanted=1e6).changes == []


@pytest.fixture(scope="module")
def shop():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"size": rng.normal(size=300), "kind": rng.choice(["p", "q", "r"], 300)})
    score = X["size"] + 2 * (X.kind == "q") + rng.normal(size=300)
    y = np.digitize(score, [0, 2])
    names = np.array(["small", "medium", "large"])
    return X, names[y]


def test_every_change_flips_the_class(shop):
    X, y = shop
    two = np.where(y == "small", "no", "yes")
    model = KANClassifier(hidden="additive", random_state=0).fit(X, two)
    view = kanx.explain(model, X)
    row = X.iloc[[int(np.argmin(model.decision_function(X)))]]
    found = view.counterfactuals(row)
    assert found.wanted == "class yes" and found.changes
    for change in found.changes:
        changed = row.copy()
        for name, (_, after) in change.changed.items():
            changed[name] = after if name == "kind" else change.row[list(X.columns).index(name)]
        assert model.predict(changed) == ["yes"]
        assert change.within_data
    assert "size" in found.to_frame().change.str.cat()


def test_any_class_can_be_wished_for(shop):
    X, y = shop
    model = KANClassifier(hidden="additive", random_state=0).fit(X, y)
    view = kanx.explain(model, X)
    row = X.iloc[[int(np.argmax(model.predict_proba(X)[:, list(model.classes_).index("small")]))]]
    found = view.counterfactuals(row, wanted="large")
    assert found.wanted == "class large"
    for change in found.changes:
        assert model.classes_[change.output.argmax()] == "large"
    with pytest.raises(ValueError, match="no class"):
        view.counterfactuals(row, wanted="huge")


def test_wishes_that_make_no_sense_are_refused(plane):
    row = np.zeros((1, 2))
    with pytest.raises(ValueError, match="which value"):
        plane.counterfactuals(row)
    with pytest.raises(ValueError, match=r"fixed names \['z'\]"):
        plane.counterfactuals(row, wanted=1.0, fixed=["z"])
    with pytest.raises(ValueError, match="one row at a time"):
        plane.counterfactuals(np.zeros((2, 2)), wanted=1.0)
