"""One bandwidth a feature: the rule "ard"."""

import numpy as np
import pytest
from sklearn.datasets import make_friedman1

from sknw import KERNELS, NadarayaWatsonRegressor, _trials

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4)) * [1, 10, 0.1, 1]
Y = np.sin(2 * X[:, 0]) + X[:, 1] / 30 + 0.1 * RNG.normal(size=150)


def error(bandwidth, kernel="gaussian", x=X, y=Y):
    return np.mean((NadarayaWatsonRegressor(kernel, bandwidth).fit(x, y).predict(None) - y) ** 2)


# Towards zero, the bandwidth of "cauchy" has no influence but by the features' ratios: its search ends at the bound.
@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.parametrize("kernel", sorted({kernel.name for kernel in KERNELS.values()} - {"constant", "cauchy"}))
def test_it_predicts_better_than_a_multiple_of_the_spreads(kernel):
    search = NadarayaWatsonRegressor(kernel, "ard").fit(X, Y).bandwidth_search_
    assert search.status == "converged"
    assert search.best_score < 0.7 * error("loo", kernel)
    np.testing.assert_allclose(search.best_score, error(search.bandwidths[search.best_index], kernel))


def test_no_other_bandwidth_nearby_is_better():
    bandwidth = NadarayaWatsonRegressor(bandwidth="ard").fit(X, Y).bandwidth_
    lowest = error(bandwidth)
    for _ in range(50):
        assert error(bandwidth * np.exp(0.1 * RNG.normal(size=4))) > 0.99 * lowest


def test_features_without_influence_are_dropped_and_named():
    x, y = make_friedman1(2000, 30, noise=1, random_state=0)
    model = NadarayaWatsonRegressor(bandwidth="ard").fit(x[:1000], y[:1000])
    assert np.isfinite(model.bandwidth_[:5]).all()
    assert np.isinf(model.bandwidth_[5:]).sum() >= 20
    assert model.score(x[1000:], y[1000:]) > 0.87
    dropped = ", ".join(map(str, np.flatnonzero(np.isinf(model.bandwidth_))))
    assert model.bandwidth_search_.message.endswith(f"Dropped, with the bandwidth inf: feature {dropped}.")


def test_a_single_feature_gets_what_loo_gives():
    x = np.c_[X[:, 0], np.full(150, 3.0)]
    np.testing.assert_array_equal(
        NadarayaWatsonRegressor(bandwidth="ard").fit(x, Y).bandwidth_, NadarayaWatsonRegressor().fit(x, Y).bandwidth_
    )


def test_constant_labels_are_flat():
    model = NadarayaWatsonRegressor(bandwidth="ard").fit(X, np.ones(150))
    assert model.bandwidth_search_.status == "flat"
    assert (model.predict(X) == 1).all()


@pytest.mark.filterwarnings("ignore:.*ended at its bound:UserWarning")
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_rows(n):
    model = NadarayaWatsonRegressor(bandwidth="ard").fit(X[:n], Y[:n])
    assert (model.bandwidth_ > 0).all()
    assert np.isfinite(model.predict(X)).all()


def test_several_outputs_and_weights():
    weight = RNG.integers(0, 3, 150)
    labels = np.c_[Y, X[:, 1]]
    weighted = NadarayaWatsonRegressor(bandwidth="ard").fit(X, labels, weight)
    repeated = NadarayaWatsonRegressor(bandwidth="ard").fit(X.repeat(weight, axis=0), labels.repeat(weight, axis=0))
    np.testing.assert_allclose(weighted.bandwidth_, repeated.bandwidth_, rtol=1e-6)
    assert weighted.bandwidth_search_.best_score < NadarayaWatsonRegressor().fit(X, labels).bandwidth_search_.best_score


def test_many_rows_are_searched_by_samples(monkeypatch):
    monkeypatch.setattr(_trials, "_MOST_ROWS", 300)
    x, y = make_friedman1(1500, 7, noise=1, random_state=0)
    model = NadarayaWatsonRegressor(bandwidth="ard", random_state=0).fit(x, y)
    assert model.bandwidth_search_.message.endswith("The errors are those of 300 rows, drawn from 1500.")
    again = NadarayaWatsonRegressor(bandwidth="ard", random_state=0).fit(x, y)
    np.testing.assert_array_equal(model.bandwidth_, again.bandwidth_)
    monkeypatch.undo()
    best = NadarayaWatsonRegressor(bandwidth="ard").fit(x, y)
    assert error(model.bandwidth_, x=x, y=y) < 1.03 * best.bandwidth_search_.best_score


def test_another_metric_has_no_features():
    with pytest.raises(ValueError, match="'ard' multiplies the spreads of features and needs metric='euclidean'"):
        NadarayaWatsonRegressor(bandwidth="ard", metric="cityblock").fit(X, Y)
