"""Searches for a bandwidth: that they find the lowest score there is, and say what is so."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist

from sknw import LocalPolynomialRegressor, NadarayaWatsonRegressor, bandwidth_path
from sknw._selection._criteria import SearchOptions
from sknw._selection._outcomes import at_the_largest
from sknw.datasets import make_sine

# By how much a bandwidth exceeds a distance that it is to reach.
MARGIN = 1e-6

MESSAGE = "ended at its bound"


def samples(seed, n_features, n=40):
    if n_features == 1:
        return make_sine(n, random_state=seed)
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_features))
    X /= X.std(axis=0)
    return X, np.sin(2 * X[:, 0]) + X[:, 1] ** 2 / 2 + rng.normal(size=n) / 2


def lowest_score(X, y, kernel, **params):
    """Of bandwidths just above and just below each distance, and between each two."""
    distances = np.unique(pdist(X))
    bandwidths = np.concatenate(
        [distances * (1 + MARGIN), distances * (1 - MARGIN), np.sqrt(distances[1:] * distances[:-1])]
    )
    return bandwidth_path(X, y, np.unique(bandwidths), kernel=kernel, **params).best_score


def search(X, y, kernel, degree=0, criterion="loo", fallback="nearest", sample_weight=None):
    model = LocalPolynomialRegressor(kernel, degree, criterion, fallback=fallback)
    return model.fit(X, y, sample_weight).bandwidth_search_


# ---- the lowest score


@pytest.mark.parametrize("n_features", [1, 2])
@pytest.mark.parametrize("criterion", ["loo", "gcv", "aicc"])
def test_a_staircase_is_searched_step_by_step(criterion, n_features):
    for seed in range(6):
        X, y = samples(seed, n_features)
        found = search(X, y, "boxcar", criterion=criterion).best_score
        lowest = lowest_score(X, y, "boxcar", criterion=criterion)
        assert found <= lowest + 1e-9 * abs(lowest)


def test_a_staircase_of_lines():
    for seed in range(3):
        X, y = samples(seed, 1)
        found = search(X, y, "boxcar", 1).best_score
        assert found <= lowest_score(X, y, "boxcar", degree=1) * (1 + 1e-3)


@pytest.mark.parametrize("n", [100, 250])
def test_a_long_staircase(n):
    X, y = samples(0, 1, n)
    # By sums over the nearest one, two, and so on: the squares of the errors of each sample at each of its distances.
    distances = np.abs(X - X.T) + np.diag(np.full(n, np.inf))
    order = distances.argsort(axis=1)[:, :-1]
    squares = np.square(y[order].cumsum(axis=1) / np.arange(1, n) - y[:, None])
    steps = np.diff(squares, axis=1).ravel()[np.take_along_axis(distances, order, axis=1)[:, 1:].argsort(axis=None)]
    lowest = (squares[:, 0].sum() + steps.cumsum()).min() / n
    assert lowest * (1 - 1e-9) <= search(X, y, "boxcar").best_score <= lowest * 1.001


def test_a_staircase_with_weights(rng):
    X, y = samples(0, 1)
    for weight in (rng.uniform(0.1, 2, 40), rng.integers(0, 3, 40) / 2):
        has_weight = weight > 0
        lowest = lowest_score(X[has_weight], y[has_weight], "boxcar", sample_weight=weight[has_weight])
        assert search(X, y, "boxcar", sample_weight=weight).best_score <= lowest * (1 + 1e-9)


@pytest.mark.parametrize("fallback", ["mean", "nan", "raise"])
@pytest.mark.parametrize("kernel", ["epanechnikov", "triangular", "tricube", "cosine"])
def test_a_basin_that_ends_where_a_sample_loses_its_last_neighbour(kernel, fallback):
    for seed in (0, 3, 7):
        X, y = samples(seed, 1)
        found = search(X, y, kernel, fallback=fallback).best_score
        assert found <= lowest_score(X, y, kernel, fallback=fallback) * (1 + 1e-4)


def test_a_cliff_that_ends_the_lowest_basin(rng):
    X = np.append(np.linspace(0, 1, 40), [5.0, 5.25])[:, None]
    y = np.append(5 * np.sin(6 * X[:40, 0]) + 0.1 * rng.normal(size=40), [30.0, 30.5])
    model = NadarayaWatsonRegressor("epanechnikov", fallback="mean").fit(X, y)
    assert 0.25 < model.bandwidth_[0] < 0.25 * (1 + 1e-4)


@pytest.mark.parametrize("kernel", ["boxcar", "epanechnikov"])
@pytest.mark.parametrize("fallback", ["nearest", "mean"])
def test_units_origins_and_the_order_of_samples_change_nothing(kernel, fallback, rng):
    for n_features in (1, 2):
        X, y = samples(1, n_features)
        plain = NadarayaWatsonRegressor(kernel, fallback=fallback).fit(X, y)
        order = rng.permutation(len(X))
        for other, unit in ((X[order], 1), (X[order] * 0.1, 0.1), (X[order] / 3e7, 1 / 3e7), (X[order] + 1e3, 1)):
            model = NadarayaWatsonRegressor(kernel, fallback=fallback).fit(other, y[order])
            np.testing.assert_allclose(model.bandwidth_, plain.bandwidth_ * unit, rtol=1e-6)
            found = model.bandwidth_search_.best_score
            np.testing.assert_allclose(found, plain.bandwidth_search_.best_score, rtol=1e-6)


def test_a_staircase_over_another_metric():
    X, y = samples(2, 2)
    distances = np.unique(pdist(X, "cityblock"))
    lowest = bandwidth_path(X, y, np.sqrt(distances[1:] * distances[:-1]), kernel="boxcar", metric="cityblock")
    model = NadarayaWatsonRegressor("boxcar", metric="cityblock").fit(X, y)
    assert model.bandwidth_search_.best_score <= lowest.best_score * (1 + 1e-9)


# ---- equal scores


@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov", "boxcar"])
@pytest.mark.parametrize("rule", ["loo", "gcv", "aicc"])
def test_of_scores_that_differ_by_rounding_the_widest_bandwidth_is_taken(rule, kernel):
    x = np.arange(5.0, 15.0)
    model = LocalPolynomialRegressor(kernel, bandwidth=rule).fit(x[:, None], x)
    np.testing.assert_allclose(model.bandwidth_, 100 * x.std())
    assert model.bandwidth_search_.status in ("converged", "flat")


def test_equal_scores_of_a_path():
    x = np.arange(5.0, 15.0)
    path = bandwidth_path(x[:, None], x, [5.0, 500.0, 50.0], degree=1)
    assert path.best_bandwidth == 500


# ---- words


def test_noise_tells_nothing():
    rng = np.random.default_rng(1)
    with pytest.warns(UserWarning, match="features tell nothing of the labels"):
        NadarayaWatsonRegressor().fit(rng.normal(size=(100, 1)), rng.normal(size=100))


def message_of_a_bound(X, y, *args, **params):
    with pytest.warns(UserWarning, match=MESSAGE) as caught:
        model = NadarayaWatsonRegressor(*args, **params).fit(X, y)
    assert len(caught) == 1
    assert model.bandwidth_search_.status == "at the bound"
    message = model.bandwidth_search_.message
    assert "tell nothing" not in message
    return message


@pytest.mark.parametrize("named", [True, False])
def test_one_feature_among_many(named):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 20))
    y = np.cos(3 * X[:, 4]) + 0.1 * rng.normal(size=60)
    table = pd.DataFrame(X, columns=[f"height {k}" for k in range(20)]) if named else X
    name = "'height 4'" if named else "4"
    assert f"feature {name} by itself predicts better" in message_of_a_bound(table, y)


def test_a_largest_bandwidth_that_is_not_wide():
    model = NadarayaWatsonRegressor("epanechnikov", 1.0).fit(*make_sine(40, random_state=0))
    options = SearchOptions("auto", "nearest")
    assert "a wider one may" in at_the_largest(model._fit.problem, 1.0, np.arange(40), options)
    assert "tell nothing" in at_the_largest(model._fit.problem, 1000.0, np.arange(40), options)


def test_few_samples():
    message = message_of_a_bound([[0.0], [1.0], [2.0], [3.0]], [1.0, -1.0, 1.0, -1.0])
    assert "4 samples are too few" in message


def test_features_that_are_dropped_have_names():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(150, 3)), columns=["age", "shoe size", "height"])
    y = np.sin(2 * X["age"]) + 0.1 * rng.normal(size=150)
    message = NadarayaWatsonRegressor(bandwidth="ard").fit(X, y).bandwidth_search_.message
    assert "feature 'shoe size', 'height'." in message
    message = NadarayaWatsonRegressor(bandwidth="ard").fit(X.to_numpy(), y).bandwidth_search_.message
    assert "feature 1, 2." in message
