"""A criterion at bandwidths of a user's own."""

import numpy as np
import pytest
from problems import score
from sklearn.model_selection import GridSearchCV, LeaveOneOut

from sknw import NadarayaWatsonRegressor, bandwidth_path
from sknw._selection._criteria import CRITERIA

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 2)), RNG.normal(size=60)
GRID = [0.8, 0.05, 3.0, 0.2]


@pytest.mark.usefixtures("inner_loop")
@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.parametrize("n_features", [1, 2])
@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov", "exponential", "boxcar"])
def test_it_is_grid_search_by_leave_one_out(kernel, n_features):
    x, y = X[:20, :n_features], Y[:20]
    search = GridSearchCV(
        NadarayaWatsonRegressor(kernel), {"bandwidth": GRID}, cv=LeaveOneOut(), scoring="neg_mean_squared_error"
    ).fit(x, y)
    path = bandwidth_path(x, y, GRID, kernel=kernel)
    np.testing.assert_allclose(path.scores, -search.cv_results_["mean_test_score"], rtol=1e-10)
    assert path.best_bandwidth == search.best_params_["bandwidth"]
    assert path.best_score == path.scores[path.best_index]


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("weight", [None, RNG.integers(0, 3, 60)])
def test_one_bandwidth_a_feature(criterion, weight):
    grid = [[0.5, 0.7], [np.inf, 0.3], [2.0, 2.0]]
    path = bandwidth_path(X, Y, grid, criterion=criterion, sample_weight=weight)
    for bandwidth, got in zip(grid, path.scores, strict=True):
        model = NadarayaWatsonRegressor(bandwidth=bandwidth).fit(X, Y, weight)
        np.testing.assert_allclose(got, score(model, criterion), rtol=1e-10)
    np.testing.assert_array_equal(path.best_bandwidth, grid[path.best_index])


def test_another_metric_and_its_units():
    path = bandwidth_path(X, Y, GRID, metric="cityblock")
    far = bandwidth_path(X * 2, Y, np.multiply(GRID, 2), metric="cityblock")
    np.testing.assert_allclose(far.scores, path.scores, rtol=1e-12)


def test_of_equal_scores_the_largest_bandwidth_is_best():
    assert bandwidth_path(X, Y, [1.0, 3.0, 2.0], kernel="constant").best_bandwidth == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bandwidths": []}, "bandwidths must be numbers, at least one"),
        ({"bandwidths": 1.0}, "bandwidths must be numbers, .*; got 1.0"),
        ({"bandwidths": ["loo"]}, "bandwidths must be numbers"),
        ({"bandwidths": [1, -1]}, "bandwidth must be positive, got -1"),
        ({"bandwidths": [[1, 2, 3]]}, r"one value or one per feature \(2\)"),
        ({"criterion": "bic"}, "criterion must be one of 'aicc', 'gcv', 'loo'; got 'bic'"),
        ({"kernel": "round"}, "kernel, where it is a name, must be one of"),
        ({"algorithm": "fast"}, "algorithm must be one of"),
    ],
)
def test_errors_name_what_was_wanted(arguments, message):
    with pytest.raises(ValueError, match=message):
        bandwidth_path(X, Y, **{"bandwidths": GRID, **arguments})
