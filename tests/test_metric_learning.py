"""One bandwidth a feature: the rule "ard"."""

import numpy as np
import pytest
from problems import score
from sklearn.datasets import make_friedman1

from sknw import KERNELS, NadarayaWatsonRegressor, bandwidth_path

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4)) * [1, 10, 0.1, 1]
Y = np.sin(2 * X[:, 0]) + X[:, 1] / 30 + 0.1 * RNG.normal(size=150)


def error(bandwidth, kernel="gaussian"):
    return score(NadarayaWatsonRegressor(kernel, bandwidth).fit(X, Y))


# Towards zero, the bandwidth of "cauchy" has no influence but by the features' ratios: its search ends at the bound.
@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.parametrize("kernel", sorted({kernel.name for kernel in KERNELS.values()} - {"constant", "cauchy"}))
def test_it_predicts_better_than_a_multiple_of_the_spreads(kernel):
    search = NadarayaWatsonRegressor(kernel, "ard").fit(X, Y).bandwidth_search_
    assert search.status == "converged"
    assert search.best_score < 0.7 * error("loo", kernel)
    np.testing.assert_allclose(search.best_score, error(search.bandwidths[search.best_index], kernel))


def test_no_other_bandwidth_nearby_is_better(rng):
    bandwidth = NadarayaWatsonRegressor(bandwidth="ard").fit(X, Y).bandwidth_
    lowest = error(bandwidth)
    for _ in range(50):
        assert error(bandwidth * np.exp(0.1 * rng.normal(size=4))) > 0.99 * lowest


def test_features_without_influence_are_dropped_and_named():
    x, y = make_friedman1(2000, 20, noise=1, random_state=0)
    model = NadarayaWatsonRegressor(bandwidth="ard").fit(x[:1000], y[:1000])
    assert np.isfinite(model.bandwidth_[:5]).all()
    assert np.isinf(model.bandwidth_[5:]).sum() >= 12
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


def test_several_outputs_and_weights(rng):
    weight = rng.integers(0, 3, 150)
    labels = np.c_[Y, X[:, 1]]
    weighted = NadarayaWatsonRegressor(bandwidth="ard").fit(X, labels, weight)
    repeated = NadarayaWatsonRegressor(bandwidth="ard").fit(X.repeat(weight, axis=0), labels.repeat(weight, axis=0))
    np.testing.assert_allclose(weighted.bandwidth_, repeated.bandwidth_, rtol=1e-6)
    assert weighted.bandwidth_search_.best_score < NadarayaWatsonRegressor().fit(X, labels).bandwidth_search_.best_score


def test_many_rows_are_searched_by_samples(rng):
    x = rng.normal(size=(2100, 2))
    y = np.sin(3 * x[:, 0]) + x[:, 1] + 0.3 * rng.normal(size=2100)
    model = NadarayaWatsonRegressor(bandwidth="ard", random_state=0).fit(x, y)
    assert model.bandwidth_search_.message.endswith("The errors are those of 1000 rows, drawn from 2100.")
    again = NadarayaWatsonRegressor(bandwidth="ard", random_state=0, n_jobs=2).fit(x, y)
    np.testing.assert_array_equal(model.bandwidth_, again.bandwidth_)
    near = model.bandwidth_ * np.stack(np.meshgrid(*[[0.7, 1, 1.4]] * 2), axis=-1).reshape(-1, 2)
    assert score(model) < 1.03 * bandwidth_path(x, y, near).best_score


def test_another_metric_has_no_features():
    with pytest.raises(ValueError, match="'ard' multiplies the spreads of features and needs metric='euclidean'"):
        NadarayaWatsonRegressor(bandwidth="ard", metric="cityblock").fit(X, Y)
