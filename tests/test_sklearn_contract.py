"""scikit-learn's own estimator checks: the whole suite, with no expected failures."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from kanx import KANClassifier, KANRegressor


@parametrize_with_checks([KANRegressor(random_state=0), KANClassifier(random_state=0)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)
