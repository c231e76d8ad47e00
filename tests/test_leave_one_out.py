"""One pass of sums predicts each row from all others."""

import numpy as np
import pytest
from definition import LOG_PROFILES
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sknw import NadarayaWatsonRegressor
from sknw._leave_one_out import squared_error

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 2)), RNG.normal(size=(40, 3))


@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.parametrize("fallback", ["nearest", "mean", "nan"])
@pytest.mark.parametrize("bandwidth", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_equals_refitting_without_each_row(kernel, bandwidth, fallback):
    model = NadarayaWatsonRegressor(kernel, bandwidth, fallback=fallback).fit(X, Y)
    refitted = cross_val_predict(model, X, Y, cv=LeaveOneOut())
    np.testing.assert_allclose(model.predict(None), refitted, rtol=0, atol=1e-10)


def test_equals_refitting_with_a_precomputed_metric():
    D = np.abs(X[:, :1] - X[:, 0])
    model = NadarayaWatsonRegressor("exponential", 0.5, metric="precomputed").fit(D, Y)
    refitted = cross_val_predict(model, D, Y, cv=LeaveOneOut())
    np.testing.assert_allclose(model.predict(None), refitted, rtol=0, atol=1e-10)


@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.parametrize("bandwidth", [1e-3, 0.05, 0.5, 5.0])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_an_integer_weight_is_that_many_rows(kernel, bandwidth):
    counts = RNG.integers(0, 4, len(X))
    weighted = NadarayaWatsonRegressor(kernel, bandwidth).fit(X, Y, counts)
    repeated = NadarayaWatsonRegressor(kernel, bandwidth).fit(X.repeat(counts, axis=0), Y.repeat(counts, axis=0))
    np.testing.assert_allclose(
        weighted.predict(None).repeat(counts, axis=0), repeated.predict(None), rtol=0, atol=1e-10
    )
    errors = [squared_error(model._algorithm, "nearest") for model in (weighted, repeated)]
    np.testing.assert_allclose(*errors, rtol=1e-10)


def test_another_weight_leaves_out_the_whole_row():
    weight = RNG.uniform(0.5, 2, len(X))
    model = NadarayaWatsonRegressor(bandwidth=0.5).fit(X, Y, weight)
    for row in (0, 7):
        others = np.arange(len(X)) != row
        refitted = NadarayaWatsonRegressor(bandwidth=0.5).fit(X[others], Y[others], weight[others])
        np.testing.assert_allclose(model.predict(None)[row], refitted.predict(X[[row]])[0], rtol=1e-12)


def test_a_row_without_weight_is_predicted_from_the_others():
    weight = np.ones(len(X))
    weight[3] = 0
    model = NadarayaWatsonRegressor(bandwidth=0.5).fit(X, Y, weight)
    np.testing.assert_allclose(model.predict(None)[3], model.predict(X[[3]])[0], rtol=1e-12)


def test_the_error_of_several_outputs_is_in_units_of_their_variances():
    def error(labels):
        return squared_error(NadarayaWatsonRegressor(bandwidth=0.5).fit(X, labels)._algorithm, "nearest")

    one_by_one = [error(Y[:, k]) / Y[:, k].var() for k in range(3)]
    np.testing.assert_allclose(error(Y), np.mean(one_by_one))
    np.testing.assert_allclose(error(Y * [1, 10, 100]), error(Y))


def test_one_row_has_no_others():
    model = NadarayaWatsonRegressor(bandwidth=1.0).fit([[1.0]], [2.0])
    with pytest.raises(ValueError, match="at least two training rows"):
        model.predict(None)
    np.testing.assert_array_equal(model.fit([[1.0]], [2.0], [3]).predict(None), [2.0])
