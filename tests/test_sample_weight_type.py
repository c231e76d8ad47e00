"""What sample weights mean: repetitions of a row, or its importance."""

import warnings

import numpy as np
import pytest
import sklearn
from scipy.stats import gaussian_kde
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from sknw import AttentionRegressor, LocalPolynomialRegressor, NadarayaWatsonRegressor, bandwidth_path

RNG = np.random.default_rng(0)
X = np.sort(RNG.uniform(0, 10, (150, 1)), axis=0)
Y = np.sin(X[:, 0]) + 0.3 * RNG.normal(size=150)
NO_COUNTS = {
    "populations": RNG.integers(500, 200_000, 150),
    "kilograms": np.round(RNG.lognormal(4, 1, 150)) + 1,
    "matched shares": RNG.integers(1, 13, 150),
    "a number for all": np.full(150, 7),
}
COUNTS = RNG.integers(0, 4, 150)
REGRESSORS = [NadarayaWatsonRegressor, LocalPolynomialRegressor]
TAKEN = "taken for counts.*sample_weight_type='importance'"

over_regressors = pytest.mark.parametrize("regressor", REGRESSORS)
over_weights = pytest.mark.parametrize("weight", NO_COUNTS.values(), ids=NO_COUNTS)


@over_weights
@over_regressors
@pytest.mark.parametrize("rule", ["loo", "gcv", "aicc", "ard"])
def test_integers_that_decide_as_counts_warn(regressor, weight, rule):
    with pytest.warns(UserWarning, match=TAKEN) as caught:
        model = regressor(bandwidth=rule).fit(X, Y, weight)
    assert len(caught) == 1
    assert "sample_weight_type='importance'" in model.bandwidth_search_.message


def test_the_warning_comes_once_where_a_ridge_is_searched_too():
    with pytest.warns(UserWarning, match=TAKEN) as caught:
        LocalPolynomialRegressor(ridge="auto").fit(X, Y, NO_COUNTS["populations"])
    assert len(caught) == 1


@over_weights
@over_regressors
def test_importance_is_what_weights_that_are_no_integers_have(regressor, weight):
    scaled = regressor().fit(X, Y, weight / 1000.5)
    model = regressor(sample_weight_type="importance").fit(X, Y, weight)
    np.testing.assert_allclose(model.bandwidth_, scaled.bandwidth_)
    np.testing.assert_allclose(model.predict(X, return_std=True), scaled.predict(X, return_std=True))
    np.testing.assert_allclose(model.predict(None), scaled.predict(None))
    np.testing.assert_allclose(model.predict_interval(X), scaled.predict_interval(X))
    for rule in ("scott", "silverman"):
        kernel_density = gaussian_kde(X.T, weights=weight)
        factor = kernel_density.scotts_factor() if rule == "scott" else kernel_density.silverman_factor()
        spread = np.sqrt(np.cov(X[:, 0], aweights=weight, ddof=0))
        model = regressor(bandwidth=rule, sample_weight_type="importance").fit(X, Y, weight)
        np.testing.assert_allclose(model.bandwidth_, factor * spread)


@over_regressors
@pytest.mark.parametrize("criterion", ["loo", "gcv", "aicc"])
def test_criteria_of_a_path(regressor, criterion):
    degree, bandwidths = int(regressor is LocalPolynomialRegressor), [0.05, 0.2, 0.5, 1.0]
    weight = NO_COUNTS["populations"]
    args = {"degree": degree, "criterion": criterion}
    important = bandwidth_path(X, Y, bandwidths, sample_weight=weight, sample_weight_type="importance", **args)
    scaled = bandwidth_path(X, Y, bandwidths, sample_weight=weight / 1000.5, **args)
    np.testing.assert_allclose(important.scores, scaled.scores)
    with pytest.warns(UserWarning, match=TAKEN):
        bandwidth_path(X, Y, np.geomspace(0.001, 1, 7), sample_weight=weight, **args)


@over_regressors
def test_frequency_is_that_many_rows(regressor):
    model = regressor(bandwidth=0.4, sample_weight_type="frequency").fit(X, Y, COUNTS)
    repeated = regressor(bandwidth=0.4).fit(X.repeat(COUNTS, axis=0), Y.repeat(COUNTS))
    np.testing.assert_allclose(model.predict(X, return_std=True), repeated.predict(X, return_std=True))
    np.testing.assert_allclose(model.predict(None).repeat(COUNTS), repeated.predict(None))
    np.testing.assert_allclose(model.predict_interval(X), repeated.predict_interval(X))


@pytest.mark.parametrize("estimator", [NadarayaWatsonRegressor(), LocalPolynomialRegressor(), AttentionRegressor()])
def test_what_cannot_be(estimator):
    with pytest.raises(ValueError, match="'frequency' needs integers in sample_weight.*got 0.5"):
        clone(estimator).set_params(sample_weight_type="frequency").fit(X, Y, np.full(150, 0.5))
    with pytest.raises(ValueError, match="sample_weight_type must be one of 'auto', 'frequency', 'importance'; got 3"):
        clone(estimator).set_params(sample_weight_type=3).fit(X, Y)


@over_regressors
def test_stated_types_do_not_warn_of_weights(regressor):
    for weight_type, weight in (("frequency", NO_COUNTS["populations"]), ("importance", NO_COUNTS["populations"])):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            regressor(sample_weight_type=weight_type).fit(X, Y, weight)
        assert not [each for each in caught if "taken for counts" in str(each.message)]


def tables():
    """Of samples that are counted: at few places, with few targets, or a few that are there twice."""
    rng = np.random.default_rng(1)
    x = rng.integers(1, 13, 2000)
    for y in (
        rng.uniform(size=2000) < 1 / (1 + np.exp(6 - x)),
        np.clip(np.round(x / 3 + 0.6 * rng.normal(size=2000)), 1, 5),
        np.round(rng.integers(1, 6, 13)[x] + rng.normal(size=2000)),
    ):
        table, counts = np.unique(np.column_stack([x, y]), axis=0, return_counts=True)
        yield table[:, :1], table[:, 1], counts
    yield X, Y, np.ones(150)


@over_regressors
@pytest.mark.parametrize("rule", ["loo", "gcv", "aicc", "ard"])
def test_counts_do_not_warn(regressor, rule):
    for x, y, counts in tables():
        model = regressor(bandwidth=rule).fit(x, y, counts)
        repeated = regressor(bandwidth=rule).fit(x.repeat(counts.astype(int), axis=0), y.repeat(counts.astype(int)))
        np.testing.assert_allclose(model.bandwidth_, repeated.bandwidth_, rtol=1e-6)


@over_regressors
def test_a_few_repetitions_do_not_warn(regressor):
    for n_twice in (1, 5, 15):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            regressor().fit(X, Y, np.append(np.ones(150 - n_twice), np.full(n_twice, 2)))
        assert not caught


def test_counts_decide_in_learned_attention():
    features = np.column_stack([X, np.random.default_rng(2).normal(size=150)])
    with pytest.warns(UserWarning, match=TAKEN) as caught:
        AttentionRegressor(n_heads=2, random_state=0).fit(features, Y, NO_COUNTS["populations"])
    assert len(caught) == 1
    model = AttentionRegressor(n_heads=2, random_state=0, sample_weight_type="importance")
    model.fit(features, Y, NO_COUNTS["populations"])
    scaled = AttentionRegressor(n_heads=2, random_state=0).fit(features, Y, NO_COUNTS["populations"] / 1000.5)
    np.testing.assert_allclose(model.predict(features), scaled.predict(features), rtol=1e-6)
    assert model.oof_score_ > 0.7


def test_it_is_a_parameter_like_others():
    model = LocalPolynomialRegressor(sample_weight_type="importance")
    assert clone(model).get_params()["sample_weight_type"] == "importance"
    with sklearn.config_context(enable_metadata_routing=True):
        model = model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        folds = KFold(3, shuffle=True, random_state=0)
        grid = GridSearchCV(model, {"bandwidth": [0.3, 3.0]}, cv=folds).fit(X, Y, sample_weight=COUNTS)
    assert grid.best_params_ == {"bandwidth": 0.3}
