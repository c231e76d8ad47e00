"""Bandwidth rules: the numbers they promise, and their laws."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from problems import score
from scipy.stats import gaussian_kde

from sknw import NadarayaWatsonRegressor, bandwidth_path
from sknw.datasets import make_sine

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)) * [1, 10, 0.1]
Y = np.sin(X[:, 0]) + X[:, 1] / 10 + 0.2 * RNG.normal(size=60)
RULES = ["scott", "silverman", "loo", "gcv", "aicc", "ard"]

# Several of these data tell nothing, or all.
pytestmark = pytest.mark.filterwarnings("ignore:.*ended at its bound:UserWarning")


def bandwidth(rule, X, y=Y, sample_weight=None, kernel="gaussian", **params):
    return NadarayaWatsonRegressor(kernel, rule, **params).fit(X, y, sample_weight).bandwidth_


@lru_cache
def bandwidth_of_all(rule):
    return bandwidth(rule, X)


@pytest.mark.parametrize("rule", ["scott", "silverman"])
def test_rules_of_thumb_are_those_of_scipy(rule):
    density = gaussian_kde(X.T)
    factor = density.scotts_factor() if rule == "scott" else density.silverman_factor()
    np.testing.assert_allclose(bandwidth(rule, X), factor * X.std(axis=0))


@pytest.mark.parametrize("rule", ["scott", "silverman"])
def test_weights_that_are_no_counts_enter_by_their_effective_number(rule, rng):
    weight = rng.uniform(size=60)
    density = gaussian_kde(X.T, weights=weight)
    factor = density.scotts_factor() if rule == "scott" else density.silverman_factor()
    mean = np.average(X, axis=0, weights=weight)
    spread = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    np.testing.assert_allclose(bandwidth(rule, X, sample_weight=weight), factor * spread)


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov", "exponential"])
@pytest.mark.parametrize("rule", RULES)
def test_an_integer_weight_is_that_many_rows(rule, kernel, rng):
    counts = rng.integers(0, 4, 60)
    weighted = bandwidth(rule, X, sample_weight=counts, kernel=kernel)
    repeated = bandwidth(rule, X.repeat(counts, axis=0), Y.repeat(counts), kernel=kernel)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-7)


@pytest.mark.parametrize("scale", [1e-9, 0.125, 1e9])
@pytest.mark.parametrize("rule", RULES)
def test_bandwidth_scales_with_the_unit_and_not_with_the_origin(rule, scale):
    np.testing.assert_allclose(bandwidth(rule, X * scale), bandwidth_of_all(rule) * scale, rtol=1e-7)
    np.testing.assert_allclose(bandwidth(rule, X + 1e6), bandwidth_of_all(rule), rtol=1e-4)
    np.testing.assert_allclose(bandwidth(rule, X, (Y + 1) * scale), bandwidth_of_all(rule), rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_the_order_of_rows_has_no_influence(rule, rng):
    order = rng.permutation(60)
    np.testing.assert_allclose(bandwidth(rule, X[order], Y[order]), bandwidth_of_all(rule), rtol=1e-7)


@pytest.mark.parametrize("rule", RULES)
def test_a_constant_feature_gets_inf_and_changes_nothing(rule):
    with_constant = bandwidth(rule, np.c_[X, np.full(60, 0.1)])
    assert with_constant[3] == np.inf
    np.testing.assert_allclose(with_constant[:3], bandwidth_of_all(rule), rtol=1e-7)


@pytest.mark.parametrize("rule", RULES)
def test_equal_rows_predict_the_mean(rule):
    model = NadarayaWatsonRegressor(bandwidth=rule).fit(np.full((5, 2), 0.3), [1, 2, 3, 4, 5])
    assert (model.bandwidth_ == np.inf).all()
    np.testing.assert_array_equal(model.predict([[0.3, 0.3], [7, 7]]), [3, 3])
    assert NadarayaWatsonRegressor(bandwidth=rule).fit([[4.0]], [2]).predict([[7.0]]) == 2


@pytest.mark.parametrize("kernel", ["gaussian", "triangular", "boxcar", "cauchy"])
def test_loo_finds_the_minimum_of_the_curve(kernel):
    x, y = make_sine(random_state=0)
    model = NadarayaWatsonRegressor(kernel).fit(x, y)
    search = model.bandwidth_search_
    curve = bandwidth_path(x, y, np.geomspace(0.01, 50, 300), kernel=kernel)
    assert search.best_score <= curve.best_score * (1.001 if kernel in ("gaussian", "cauchy") else 1.05)
    np.testing.assert_allclose(search.best_score, score(NadarayaWatsonRegressor(kernel, model.bandwidth_[0]).fit(x, y)))


def test_loo_finds_a_fast_oscillation(rng):
    x = rng.uniform(size=(1000, 1))
    y = np.sin(40 * x[:, 0])
    assert NadarayaWatsonRegressor().fit(x, y).score(x, y) > 0.99


def test_loo_reports():
    model = NadarayaWatsonRegressor().fit(X, Y)
    search = model.bandwidth_search_
    assert search.status == "converged"
    assert search.criterion == "loo"
    assert search.bandwidths.shape == (search.n_evaluations, 3)
    assert search.scores.shape == (search.n_evaluations,)
    assert (np.diff(search.bandwidths[:, 0]) > 0).all()
    assert search.best_score == search.scores[search.best_index] == search.scores.min()
    np.testing.assert_array_equal(search.bandwidths[search.best_index], model.bandwidth_)
    np.testing.assert_allclose(search.best_score, np.mean((model.predict(None) - Y) ** 2))


def test_loo_says_when_the_bandwidth_is_at_the_bound_or_does_not_matter():
    x = np.arange(30.0)[:, None]
    search = NadarayaWatsonRegressor().fit(x, (-1.0) ** np.arange(30)).bandwidth_search_
    assert search.status == "at the bound"
    assert search.best_index == search.n_evaluations - 1
    search = NadarayaWatsonRegressor().fit(x.repeat(2, axis=0), np.arange(30).repeat(2)).bandwidth_search_
    assert search.status in ("at the bound", "converged")
    search = NadarayaWatsonRegressor().fit(x, np.ones(30)).bandwidth_search_
    assert search.status == "flat"
    assert search.best_index == search.n_evaluations - 1


@pytest.mark.parametrize("rule", ["loo", "gcv", "aicc", "ard"])
def test_a_search_that_ends_at_a_bound_warns(rule):
    x = np.c_[np.arange(40), np.arange(40) % 7]
    with pytest.warns(UserWarning, match=f"'{rule}' ended at its bound.*largest.*tell nothing of the labels"):
        NadarayaWatsonRegressor(bandwidth=rule).fit(x, (-1.0) ** np.arange(40))


def test_a_search_among_duplicates_warns():
    x = np.random.default_rng(0).normal(size=(30, 2)).repeat(2, axis=0)
    with pytest.warns(UserWarning, match="'loo' ended at its bound.*smallest.*100% of the rows have a duplicate"):
        NadarayaWatsonRegressor().fit(x, np.random.default_rng(1).normal(size=30).repeat(2))


def test_only_a_search_reports():
    model = NadarayaWatsonRegressor().fit(X, Y)
    assert not hasattr(model.set_params(bandwidth="scott").fit(X, Y), "bandwidth_search_")


@pytest.mark.parametrize("fallback", ["nan", "raise"])
def test_a_fallback_without_a_number_counts_as_the_mean(fallback):
    model = NadarayaWatsonRegressor("boxcar", fallback=fallback).fit(X, Y)
    with_mean = NadarayaWatsonRegressor("boxcar", fallback="mean").fit(X, Y)
    np.testing.assert_array_equal(model.bandwidth_, with_mean.bandwidth_)


def test_another_metric_gets_one_number():
    model = NadarayaWatsonRegressor(metric="cityblock").fit(X, Y)
    assert isinstance(model.bandwidth_, float)
    scaled = NadarayaWatsonRegressor(metric="cityblock").fit(X * 8, Y)
    np.testing.assert_allclose(scaled.bandwidth_, 8 * model.bandwidth_)
    one = NadarayaWatsonRegressor(metric="cityblock").fit(X[:, :1], Y)
    np.testing.assert_allclose(one.bandwidth_, bandwidth("loo", X[:, :1])[0], rtol=1e-6)


@pytest.mark.parametrize("criterion", ["loo", "gcv"])
@pytest.mark.parametrize("fallback", ["nearest", "mean"])
@pytest.mark.parametrize("kernel", ["gaussian", "boxcar", "tricube", "cauchy"])
def test_a_search_calls_a_metric_once_for_each_pair(kernel, fallback, criterion):
    calls = []

    def metric(a, b):  # no metric: the order matters
        calls.append(None)
        return abs(a[0] - b[0]) + 2 * max(a[1] - b[1], b[1] - a[1], 0) + (a[2] > b[2])

    params = {"kernel": kernel, "metric": metric, "fallback": fallback}
    model = NadarayaWatsonRegressor(bandwidth=criterion, **params).fit(X, Y)
    assert len(calls) == len(X) ** 2
    distances = np.array([[metric(a, b) for b in X] for a in X])
    known = NadarayaWatsonRegressor(kernel, criterion, metric="precomputed", fallback=fallback).fit(distances, Y)
    # Along a staircase, rounding leads the search elsewhere on the same step.
    np.testing.assert_allclose(model.bandwidth_search_.best_score, known.bandwidth_search_.best_score)
    calls.clear()
    bandwidth_path(X, Y, [0.01, 0.1, 1.0, 2.0, 50.0], criterion=criterion, **params)
    assert len(calls) == len(X) ** 2


@pytest.mark.parametrize("kernel", ["gaussian", "boxcar"])
def test_blocks_of_distances_that_are_not_kept_serve_a_ladder_of_bandwidths(kernel, monkeypatch):
    calls = []

    def metric(a, b):
        calls.append(None)
        return np.abs(a - b).max()

    ladder = [0.01, 0.1, 1.0, 2.0, 50.0]
    kept = bandwidth_path(X, Y, ladder, kernel=kernel, metric=metric)
    calls.clear()
    monkeypatch.setattr("sknw._problem._distances.Scipy.max_kept_pairs", 0)
    blocks = bandwidth_path(X, Y, ladder, kernel=kernel, metric=metric)
    np.testing.assert_allclose(blocks.scores, kept.scores)
    # Once more to find the nearest rows, where some have none in reach.
    assert len(calls) <= 2 * len(X) ** 2


CURVES = {
    "a fast oscillation": lambda rng: (
        x := rng.uniform(size=(1000, 1)),
        np.sin(40 * x[:, 0]) + 0.1 * rng.normal(size=1000),
    ),
    "noise": lambda rng: (rng.normal(size=(300, 1)), rng.normal(size=300)),
    "a step": lambda rng: (x := rng.uniform(size=(300, 1)), (x[:, 0] > 0.5) + 0.05 * rng.normal(size=300)),
    "ties": lambda rng: (x := rng.integers(0, 9, (300, 1)).astype(float), np.sin(x[:, 0]) + rng.normal(size=300)),
    "like mcycle": lambda rng: (
        x := np.sort(rng.uniform(0, 60, (133, 1)), axis=0),
        np.where(x[:, 0] < 15, 0, -100 * np.sin((x[:, 0] - 15) / 6) * np.exp(-(x[:, 0] - 15) / 20))
        + rng.normal(size=133) * np.where(x[:, 0] < 15, 2, 20),
    ),
    "faithful": lambda rng: np.split(
        np.loadtxt(Path(__file__).parent / "data" / "faithful.csv", delimiter=",", skiprows=1), 2, axis=1
    ),
    "two features": lambda rng: (x := rng.normal(size=(200, 2)), x[:, 0] ** 2 + 0.3 * rng.normal(size=200)),
    "three rows": lambda rng: (rng.normal(size=(3, 1)), rng.normal(size=3)),
    "two rows": lambda rng: (rng.normal(size=(2, 1)), rng.normal(size=2)),
}


@pytest.mark.parametrize("name", ["loo", "gcv", "aicc"])
@pytest.mark.parametrize("case", CURVES)
def test_a_search_finds_the_lowest_basin(case, name):
    x, y = CURVES[case](np.random.default_rng(0))
    search = NadarayaWatsonRegressor(bandwidth=name).fit(x, y).bandwidth_search_
    bandwidths = np.multiply.outer(np.geomspace(1e-4, 100, 150), x.std(axis=0))
    lowest = bandwidth_path(x, y, bandwidths[:, 0] if x.shape[1] == 1 else bandwidths, criterion=name).best_score
    assert search.best_score <= lowest + 1e-6 * abs(lowest)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_one_row_and_any_unit(scale):
    assert NadarayaWatsonRegressor().fit([[scale]], [1.0]).bandwidth_ == [np.inf]
    x, y = make_sine(random_state=0)
    plain = NadarayaWatsonRegressor("epanechnikov").fit(x, y).bandwidth_
    power = 2.0 ** round(np.log2(scale))
    np.testing.assert_array_equal(NadarayaWatsonRegressor("epanechnikov").fit(x * power, y).bandwidth_, plain * power)


@pytest.mark.parametrize(
    ("n", "n_features", "kernel", "counted"),
    [(2100, 3, "gaussian", 1000), (2100, 3, "epanechnikov", 1000), (21_000, 1, "gaussian", 20_000)],
)
def test_many_rows_are_searched_by_samples(n, n_features, kernel, counted):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, n_features))
    y = np.sin(2 * x[:, 0]) + 0.3 * rng.normal(size=n)
    model = NadarayaWatsonRegressor(kernel, random_state=0).fit(x, y)
    assert model.bandwidth_search_.message.endswith(f"The errors are those of {counted} rows, drawn from {n}.")
    again = NadarayaWatsonRegressor(kernel, random_state=0, n_jobs=2).fit(x, y)
    np.testing.assert_array_equal(again.bandwidth_, model.bandwidth_)
    near = np.multiply.outer(np.geomspace(0.5, 2, 9), model.bandwidth_)
    assert score(model) < 1.02 * bandwidth_path(x, y, near, kernel=kernel).best_score


def test_duplicates_are_named_where_they_decide():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 2)).repeat(2, axis=0), rng.normal(size=30).repeat(2)
    search = NadarayaWatsonRegressor().fit(x, y).bandwidth_search_
    assert search.status == "at the bound"
    assert "100% of the rows have a duplicate" in search.message
    assert "GroupKFold" in search.message
