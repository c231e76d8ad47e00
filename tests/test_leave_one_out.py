"""One pass of sums predicts each row from all others."""

import numpy as np
import pytest
from definition import LOG_PROFILES
from problems import make_problem, score
from sklearn.base import clone
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sknw import KERNELS, LocalPolynomialRegressor, NadarayaWatsonRegressor
from sknw._algorithms import ALGORITHMS, build
from sknw._fit._fit import Fit
from sknw._fit._gradient import error_gradient
from sknw._fit._leave_one_out import leave_one_out, left_out_of_path

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 2)), RNG.normal(size=(40, 3))


@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.parametrize("fallback", ["nearest", "mean", "nan"])
@pytest.mark.parametrize("bandwidth", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_equals_refitting_without_each_row(kernel, bandwidth, fallback):
    x, y = X[:12], Y[:12]
    model = NadarayaWatsonRegressor(kernel, bandwidth, fallback=fallback).fit(x, y)
    others = [np.arange(12) != row for row in range(12)]
    refitted = [clone(model).fit(x[rows], y[rows]).predict(x[~rows])[0] for rows in others]
    np.testing.assert_allclose(model.predict(None), refitted, rtol=0, atol=1e-10)


def test_equals_refitting_with_a_precomputed_metric():
    D = np.abs(X[:, :1] - X[:, 0])
    model = NadarayaWatsonRegressor("exponential", 0.5, metric="precomputed").fit(D, Y)
    refitted = cross_val_predict(model, D, Y, cv=LeaveOneOut())
    np.testing.assert_allclose(model.predict(None), refitted, rtol=0, atol=1e-10)


@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.parametrize("bandwidth", [1e-3, 0.05, 0.5, 5.0])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_an_integer_weight_is_that_many_rows(kernel, bandwidth, rng):
    counts = rng.integers(0, 4, len(X))
    weighted = NadarayaWatsonRegressor(kernel, bandwidth).fit(X, Y, counts)
    repeated = NadarayaWatsonRegressor(kernel, bandwidth).fit(X.repeat(counts, axis=0), Y.repeat(counts, axis=0))
    np.testing.assert_allclose(
        weighted.predict(None).repeat(counts, axis=0), repeated.predict(None), rtol=0, atol=1e-10
    )
    errors = [score(model) for model in (weighted, repeated)]
    np.testing.assert_allclose(*errors, rtol=1e-10)


def test_another_weight_leaves_out_the_whole_row(rng):
    weight = rng.uniform(0.5, 2, len(X))
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
        return score(NadarayaWatsonRegressor(bandwidth=0.5).fit(X, labels))

    one_by_one = [error(Y[:, k]) / Y[:, k].var() for k in range(3)]
    np.testing.assert_allclose(error(Y), np.mean(one_by_one))
    np.testing.assert_allclose(error(Y * [1, 10, 100]), error(Y))


def test_one_row_has_no_others():
    model = NadarayaWatsonRegressor(bandwidth=1.0).fit([[1.0]], [2.0])
    with pytest.warns(UserWarning, match="Leave-one-out predictions .* need at least 2 samples .* they are NaN"):
        assert np.isnan(model.predict(None)).all()
    np.testing.assert_array_equal(model.fit([[1.0]], [2.0], [3]).predict(None), [2.0])
    # A row without weight has one other.
    model.fit([[1.0], [3.0]], [2.0, np.nan], sample_weight=[0.5, 0])
    with pytest.warns(UserWarning, match="they are NaN"):
        np.testing.assert_array_equal(model.predict(None), [np.nan, 2.0])


@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.parametrize("weight", [None, "counts", "importance"])
@pytest.mark.parametrize("bandwidth", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_criteria_are_those_of_the_smoothers_matrix(kernel, bandwidth, weight):
    rng = np.random.default_rng(1)
    weight = {None: None, "counts": rng.integers(1, 4, 40).astype(float), "importance": rng.uniform(0.5, 2, 40)}[weight]
    model = NadarayaWatsonRegressor(kernel, bandwidth).fit(X, Y[:, 0], weight)
    left_out, rows = leave_one_out(model._fit, "nearest"), model._fit.problem.rows
    smoother = np.asarray(model.attention_weights_)
    own = np.diag(smoother) / rows.counts
    np.testing.assert_allclose(left_out.leverage, own, atol=1e-12)
    np.testing.assert_allclose(left_out.one_minus_leverage, 1 - own, atol=1e-12)
    n, used = rows.n_samples, own @ rows.counts
    error = np.average((Y[:, 0] - smoother @ Y[:, 0]) ** 2, weights=weight)
    if used < n - 3 and error > 1e-20:
        np.testing.assert_allclose(score(model, "gcv"), error / (1 - used / n) ** 2)
        want = np.log(error) + 1 + 2 * (used + 1) / (n - used - 2)
        np.testing.assert_allclose(score(model, "aicc"), want)
    elif used > n - 2:
        assert score(model, "aicc") == np.inf


@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock"])
@pytest.mark.parametrize("kernel", [name for name in LOG_PROFILES if KERNELS[name].log_ratio is not None])
def test_a_path_is_what_each_bandwidth_gives(kernel, metric, counts):
    weight = np.random.default_rng(1).integers(0, 4, 40).astype(float) if counts else np.ones(40)
    rows = np.arange(0, 40, 3)
    multiples = 2.0 ** (-np.arange(41) / 2)
    problem = make_problem(X, kernel, 100.0, y=Y, sample_weight=weight, metric=metric)
    problems = [problem.with_bandwidth(100.0 * multiple) for multiple in multiples]
    path = ALGORITHMS["brute"].path(problem, rows)
    for narrow, got in zip(problems, left_out_of_path(path, multiples, "nearest", 2), strict=True):
        want = leave_one_out(Fit(build("brute", narrow)), "nearest", indices=rows)
        np.testing.assert_allclose(got.predictions, want.predictions, rtol=0, atol=1e-9)
        np.testing.assert_allclose(got.one_minus_leverage, want.one_minus_leverage, rtol=0, atol=1e-9)
        np.testing.assert_allclose(got.leverage, want.leverage, rtol=0, atol=1e-9)


POSITIVE = [name for name in LOG_PROFILES if KERNELS[name].log_ratio]


@pytest.mark.usefixtures("inner_loop")
@pytest.mark.parametrize("weight", ["none", "counts", "importance"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("kernel", POSITIVE)
def test_the_gradient_equals_central_differences(kernel, n_outputs, weight):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 3)) + 100
    x[:10] = x[10:20]  # duplicates
    labels = np.sin(x[:, :1]) + 0.1 * rng.normal(size=(40, n_outputs))
    weight = {"none": np.ones(40), "counts": rng.integers(0, 4, 40), "importance": rng.uniform(0.5, 2, 40)}[weight]
    problem = make_problem(x, kernel, y=labels, sample_weight=weight)
    logs, step, rows = np.log([0.5, 0.9, 2.0]), 1e-5, np.arange(3, 40)

    def squared_error_at(logs):
        return score(build("brute", problem.with_bandwidth(np.exp(logs))), indices=rows)

    error, gradient, _ = error_gradient(problem.with_bandwidth(np.exp(logs)), rows)
    np.testing.assert_allclose(error, squared_error_at(logs), rtol=1e-10)
    differences = [squared_error_at(logs + step * axis) - squared_error_at(logs - step * axis) for axis in np.eye(3)]
    atol = 1e-7 * abs(gradient).max()
    np.testing.assert_allclose(gradient.diagonal(), np.array(differences) / (2 * step), rtol=0, atol=atol)


@pytest.mark.usefixtures("inner_loop")
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "cauchy"])
def test_the_gradient_by_a_metric_is_that_of_differences(kernel):
    rng = np.random.default_rng(0)
    x, labels, rows = rng.normal(size=(40, 3)), rng.normal(size=(40, 2)), np.arange(3, 40)
    matrix, step, change = rng.normal(size=(2, 3)), 1e-5, np.eye(6).reshape(6, 2, 3)

    def gradient_at(matrix):
        return error_gradient(make_problem(x @ matrix.T, kernel, y=labels), rows, points=x)

    differences = [
        (gradient_at(matrix + step * each).error - gradient_at(matrix - step * each).error) / (2 * step)
        for each in change
    ]
    by_matrix = -matrix @ gradient_at(matrix).by_metric
    np.testing.assert_allclose(by_matrix.ravel(), differences, rtol=0, atol=1e-7 * abs(by_matrix).max())


@pytest.mark.usefixtures("inner_loop")
def test_the_gradient_at_bandwidths_far_below_the_distances():
    model = NadarayaWatsonRegressor(bandwidth=[1e-5, 1e-4]).fit(X, Y)
    error, gradient, _ = error_gradient(model._fit.problem, np.arange(40))
    np.testing.assert_allclose(error, score(model), rtol=1e-10)
    assert np.isfinite(gradient).all()


def test_a_search_takes_distances_that_are_not_symmetric_as_they_are(rng):
    x = rng.normal(size=120)
    labels = np.sin(2 * x) + 0.1 * rng.normal(size=120)
    distances = np.abs(x[:, None] - x) * np.where(x[:, None] > x, 2.0, 1.0)
    search = NadarayaWatsonRegressor(metric="precomputed").fit(distances, labels).bandwidth_search_
    for number in (5, 20, 35, search.best_index):
        model = NadarayaWatsonRegressor(bandwidth=search.bandwidths[number, 0], metric="precomputed")
        np.testing.assert_allclose(search.scores[number], score(model.fit(distances, labels)), rtol=1e-9)


@pytest.mark.usefixtures("inner_loop")
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov"])
@pytest.mark.parametrize("degree", [0, 1])
def test_scores_of_a_search_are_those_of_each_bandwidth(degree, kernel, rng):
    # All pairs at once, each once, and only those that are near: at bandwidths from wide to narrow.
    x, weight = rng.normal(size=(150, 2)), rng.integers(0, 3, 150)
    labels = np.sin(x[:, 0]) + 0.1 * rng.normal(size=150)
    fitted = LocalPolynomialRegressor(kernel, degree).fit(x, labels, weight)
    search = fitted.bandwidth_search_
    for number in range(0, len(search.scores), 3):
        model = LocalPolynomialRegressor(
            kernel, degree, search.bandwidths[number], limit=fitted.limit_, algorithm="brute"
        )
        np.testing.assert_allclose(search.scores[number], score(model.fit(x, labels, weight)), rtol=1e-7)
