"""scikit-learn's own estimator checks: the whole suite, with no expected failures."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from kanx import KANClassifier, KANRegressor

# rounds and starts have no part in the contract
SHORT = {"random_state": 0, "max_iter": 4, "n_estimators": 2}


@parametrize_with_checks([KANRegressor(**SHORT), KANClassifier(**SHORT)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)
