"""One pass of sums predicts each row from all others."""

import numpy as np
import pytest
from definition import LOG_PROFILES
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sknw import KERNELS, NadarayaWatsonRegressor
from sknw._algorithms import Problem, build
from sknw._gradient import error_gradient
from sknw._leave_one_out import CRITERIA, leave_one_out, leave_one_out_path

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 2)), RNG.normal(size=(40, 3))


def squared_error(model):
    return CRITERIA["loo"](model._algorithm.problem, leave_one_out(model._algorithm, "nearest"))


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
    errors = [squared_error(model) for model in (weighted, repeated)]
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
        return squared_error(NadarayaWatsonRegressor(bandwidth=0.5).fit(X, labels))

    one_by_one = [error(Y[:, k]) / Y[:, k].var() for k in range(3)]
    np.testing.assert_allclose(error(Y), np.mean(one_by_one))
    np.testing.assert_allclose(error(Y * [1, 10, 100]), error(Y))


def test_one_row_has_no_others():
    model = NadarayaWatsonRegressor(bandwidth=1.0).fit([[1.0]], [2.0])
    with pytest.raises(ValueError, match="at least two training rows"):
        model.predict(None)
    np.testing.assert_array_equal(model.fit([[1.0]], [2.0], [3]).predict(None), [2.0])


@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.parametrize("weight", [None, "counts", "importance"])
@pytest.mark.parametrize("bandwidth", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_criteria_are_those_of_the_smoothers_matrix(kernel, bandwidth, weight):
    rng = np.random.default_rng(1)
    weight = {None: None, "counts": rng.integers(1, 4, 40).astype(float), "importance": rng.uniform(0.5, 2, 40)}[weight]
    model = NadarayaWatsonRegressor(kernel, bandwidth).fit(X, Y[:, 0], weight)
    left_out = leave_one_out(model._algorithm, "nearest")
    problem = model._algorithm.problem
    smoother = np.asarray(model.attention_weights_)
    own = np.diag(smoother) / problem.repetitions
    np.testing.assert_allclose(left_out.own, own, atol=1e-12)
    np.testing.assert_allclose(left_out.others, 1 - own, atol=1e-12)
    n, used = problem.n_rows, own @ problem.repetitions
    error = np.average((Y[:, 0] - smoother @ Y[:, 0]) ** 2, weights=weight)
    if used < n - 3 and error > 1e-20:
        np.testing.assert_allclose(CRITERIA["gcv"](problem, left_out), error / (1 - used / n) ** 2)
        want = np.log(error) + 1 + 2 * (used + 1) / (n - used - 2)
        np.testing.assert_allclose(CRITERIA["aicc"](problem, left_out), want)
    elif used > n - 2:
        assert CRITERIA["aicc"](problem, left_out) == np.inf


@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock"])
@pytest.mark.parametrize("kernel", [name for name in LOG_PROFILES if KERNELS[name].log_ratio is not None])
def test_a_path_is_what_each_bandwidth_gives(kernel, metric, counts):
    weight = np.random.default_rng(1).integers(0, 4, 40).astype(float) if counts else np.ones(40)
    rows = np.arange(0, 40, 3)
    shrinkage = 2.0 ** (np.arange(41) / 2)
    problem = Problem(X, Y, weight, KERNELS[kernel], metric, bandwidth=100.0)
    path = leave_one_out_path(problem, shrinkage, rows, n_jobs=2)
    for factor, got in zip(shrinkage, path, strict=True):
        want = leave_one_out(build("brute", problem.at(100.0 / factor)), "nearest", rows=rows)
        np.testing.assert_allclose(got.predictions, want.predictions, rtol=0, atol=1e-9)
        np.testing.assert_allclose(got.others, want.others, rtol=0, atol=1e-9)
        np.testing.assert_allclose(got.own, want.own, rtol=0, atol=1e-9)


POSITIVE = [name for name in LOG_PROFILES if KERNELS[name].log_ratio]


@pytest.mark.parametrize("weight", ["none", "counts", "importance"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("kernel", POSITIVE)
def test_the_gradient_equals_central_differences(kernel, n_outputs, weight):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 3)) + 100
    x[:10] = x[10:20]  # duplicates
    labels = np.sin(x[:, :1]) + 0.1 * rng.normal(size=(40, n_outputs))
    weight = {"none": np.ones(40), "counts": rng.integers(0, 4, 40), "importance": rng.uniform(0.5, 2, 40)}[weight]
    problem = Problem(x, labels, weight.astype(float), KERNELS[kernel])
    logs, step, rows = np.log([0.5, 0.9, 2.0]), 1e-5, np.arange(3, 40)

    def squared_error_at(logs):
        at = problem.at(np.exp(logs))
        return CRITERIA["loo"](at, leave_one_out(build("brute", at), "nearest", rows=rows))

    error, gradient, _ = error_gradient(problem.at(np.exp(logs)), rows)
    np.testing.assert_allclose(error, squared_error_at(logs), rtol=1e-10)
    differences = [squared_error_at(logs + step * axis) - squared_error_at(logs - step * axis) for axis in np.eye(3)]
    atol = 1e-7 * abs(gradient).max()
    np.testing.assert_allclose(gradient.diagonal(), np.array(differences) / (2 * step), rtol=0, atol=atol)


@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "cauchy"])
def test_the_gradient_by_a_metric_is_that_of_differences(kernel):
    rng = np.random.default_rng(0)
    x, labels, rows = rng.normal(size=(40, 3)), rng.normal(size=(40, 2)), np.arange(3, 40)
    matrix, step, change = rng.normal(size=(2, 3)), 1e-5, np.eye(6).reshape(6, 2, 3)

    def gradient_at(matrix):
        problem = Problem(x @ matrix.T, labels, np.ones(40), KERNELS[kernel])
        return error_gradient(problem, rows, points=x)

    differences = [
        (gradient_at(matrix + step * each).error - gradient_at(matrix - step * each).error) / (2 * step)
        for each in change
    ]
    by_matrix = -matrix @ gradient_at(matrix).by_metric
    np.testing.assert_allclose(by_matrix.ravel(), differences, rtol=0, atol=1e-7 * abs(by_matrix).max())


def test_the_gradient_at_bandwidths_far_below_the_distances():
    model = NadarayaWatsonRegressor(bandwidth=[1e-5, 1e-4]).fit(X, Y)
    error, gradient, _ = error_gradient(model._algorithm.problem, np.arange(40))
    np.testing.assert_allclose(error, squared_error(model), rtol=1e-10)
    assert np.isfinite(gradient).all()
