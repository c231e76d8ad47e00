"""Every algorithm keeps the promise: it computes what the definition says, for every kernel and every case."""

import decimal
from functools import lru_cache

import numpy as np
import pytest
from cases import BANDWIDTHS, LABELS, N_ROWS, TOLERANCE, TRAINING_ROWS, queries, spread
from definition import LOG_PROFILES, distances, predict, weights
from problems import make_problem, mean_of, serving

from sknw import KERNELS, Kernel
from sknw._algorithms import ALGORITHMS, build, choose
from sknw._fit._fit import Fit
from sknw._fit._weights import attention_weights
from sknw._problem._definition import kernel_rows, nearest

DTYPES = [np.float64, np.float32]
SOME = np.arange(0, N_ROWS, 6)


@lru_cache(len(BANDWIDTHS))
def distances_of(case, dtype, multiple):
    """To all rows, from queries and from some of the rows: the same for all kernels."""
    X = TRAINING_ROWS[case].astype(dtype)
    h = multiple * spread(X)
    return distances(queries(X).astype(dtype), X, h), distances(X[SOME], X, h)


@pytest.mark.usefixtures("any_inner_loop")
@pytest.mark.parametrize("kernel", LOG_PROFILES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", TRAINING_ROWS)
def test_means_are_those_of_the_definition(case, dtype, kernel):
    X = TRAINING_ROWS[case].astype(dtype)
    Q, limit = queries(X).astype(dtype), TOLERANCE[dtype] * np.ptp(LABELS)
    for multiple in BANDWIDTHS if dtype is np.float64 else BANDWIDTHS[1::2]:
        from_queries, from_rows = distances_of(case, dtype, multiple)
        means = (weights(LOG_PROFILES[kernel], from_queries) @ LABELS).astype(float)
        means_of_others = (weights(LOG_PROFILES[kernel], from_rows, excluded=SOME) @ LABELS).astype(float)
        for name, fitted in serving(make_problem(X, kernel, multiple * spread(X))).items():
            got, got_of_others = mean_of(fitted, Q), mean_of(fitted, X[SOME], SOME)
            where = f"{name}, {multiple} spreads"
            np.testing.assert_allclose(got, means, rtol=0, atol=limit, err_msg=where)
            np.testing.assert_allclose(got_of_others, means_of_others, rtol=0, atol=limit, err_msg=where)


@pytest.mark.parametrize("case", TRAINING_ROWS)
def test_algorithms_serve_what_they_are_made_for(case):
    X = TRAINING_ROWS[case]
    n_features, every = np.isfinite(spread(X)).sum(), set(LOG_PROFILES)
    problems = {name: [make_problem(X, name, multiple * spread(X)) for multiple in BANDWIDTHS] for name in every}
    wanted = {
        "brute": every,
        "cells": {1: every - {"cosine"}, 2: {"gaussian"}}.get(n_features, set()),
        "tree": every - {"constant"} if 1 <= n_features <= 6 else set(),
    }
    for algorithm, kernels in wanted.items():
        refuses = ALGORITHMS[algorithm].refuses
        served = {name for name in every if any(refuses(problem) is None for problem in problems[name])}
        assert served == kernels, algorithm


@pytest.mark.usefixtures("any_inner_loop")
@pytest.mark.parametrize("n_features", [1, 3, 8])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_sums_are_those_of_the_kernel_matrix(kernel, n_features):
    rng = np.random.default_rng(0)
    X, Q = rng.normal(size=(60, n_features)), rng.normal(size=(30, n_features))
    problem = make_problem(X, kernel, 1.3, y=rng.normal(size=(60, 2)), sample_weight=rng.uniform(size=60))
    u = np.sqrt(((Q[:, None] - X) ** 2).sum(axis=2)) / 1.3
    with np.errstate(divide="ignore"):
        want = np.exp(LOG_PROFILES[kernel](u)) @ problem.rows.values
    for name, fitted in serving(problem).items():
        sums = fitted.sums(problem.distance.transform(Q))
        np.testing.assert_allclose(sums.values * np.exp(sums.log_scale)[:, None], want, atol=1e-10, err_msg=name)


@pytest.mark.usefixtures("any_inner_loop")
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "logistic", "sigmoid", "matern32", "cauchy"])
@pytest.mark.parametrize("distance", ["1e3", "1e9", "1e30", "1e300"])
def test_queries_at_any_distance_are_exact(kernel, distance):
    # In 400 decimals, for a longdouble does not tell these squares apart.
    X = np.array([[0.0, 0.0], [0.3, 1.0], [1.1, 0.2], [1.2, -0.4]])
    y = np.array([1.0, -2.0, 5.0, 3.0])
    Q = np.array([[1.0, 0.5]]) * float(distance)
    got = mean_of(build("brute", make_problem(X, kernel, 0.7, y=y)), Q)
    # Beyond this the mean has reached its limit, and the decimals would not suffice.
    Q = Q if distance != "1e300" else Q / 1e200
    with decimal.localcontext(prec=400) as context:
        context.Emin, context.Emax = decimal.MIN_EMIN, decimal.MAX_EMAX
        D, root3 = decimal.Decimal, decimal.Decimal(3).sqrt()
        profile = {
            "gaussian": lambda u: (-u * u / 2).exp(),
            "exponential": lambda u: (-u).exp(),
            "logistic": lambda u: 4 * (-u).exp() / (1 + (-u).exp()) ** 2,
            "sigmoid": lambda u: 2 * (-u).exp() / (1 + (-2 * u).exp()),
            "matern32": lambda u: (1 + root3 * u) * (-root3 * u).exp(),
            "cauchy": lambda u: 1 / (1 + u * u),
        }[kernel]
        u = [sum((D(a) - D(b)) ** 2 for a, b in zip(row, Q[0], strict=True)).sqrt() / D(0.7) for row in X]
        lowest = min(u)
        if kernel == "gaussian":  # its own logarithms are too low for a Decimal
            k = [(-(v * v - lowest * lowest) / 2).exp() for v in u]
        else:
            k = [profile(v) for v in u] if lowest < 1e15 or kernel == "cauchy" else None
        if k is None:  # exp(-u) relative to its largest; the factors in front are equal there
            rate = root3 if kernel == "matern32" else D(1)
            k = [(-rate * (v - lowest)).exp() for v in u]
        want = sum(a * D(b) for a, b in zip(k, y, strict=True)) / sum(k)
    np.testing.assert_allclose(got, float(want), rtol=1e-9)


@pytest.mark.usefixtures("any_inner_loop")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", [1, 6])
@pytest.mark.parametrize("kernel", ["gaussian", "logistic", "biweight", "exponential", "boxcar"])
def test_tiles_and_threads_change_nothing(kernel, n_features, dtype):
    # Several tiles of queries, and of keys; those far away are summed again, in several batches.
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1600, n_features)).astype(dtype), rng.normal(size=1600)
    Q = (rng.normal(size=(900, n_features)) * np.where(np.arange(900) % 4, 1, 50)[:, None]).astype(dtype)
    h, some, order = 0.3 if n_features == 1 else 1.5, np.arange(0, 900, 25), rng.permutation(900)[:300]
    want = predict(LOG_PROFILES[kernel], Q[some], X, y, h)
    for name, fitted in serving(make_problem(X, kernel, h, y=y)).items():
        got = mean_of(fitted, Q)
        np.testing.assert_allclose(got[some], want, rtol=0, atol=TOLERANCE[dtype], err_msg=name)
        np.testing.assert_array_equal(mean_of(fitted, Q, n_jobs=2), got, err_msg=name)
        alone = [mean_of(fitted, Q[i : i + 1])[0] for i in some[::4]]
        np.testing.assert_allclose(alone, got[some[::4]], rtol=0, atol=TOLERANCE[dtype] * 0.1, err_msg=name)
        others = mean_of(fitted, Q[order])
        np.testing.assert_allclose(others, got[order], rtol=0, atol=TOLERANCE[dtype] * 0.1, err_msg=name)


@pytest.mark.parametrize("bandwidth", [1.0, 0.3, 2.5, 7.0, 1e-3, 49.0])
def test_the_support_is_a_closed_ball(bandwidth):
    # A key at a distance of exactly one bandwidth counts; the next float does not.
    def first_weight(problem, query):
        return kernel_rows(problem, problem.distance.transform([query]))[0][0, 0]

    problem = make_problem(np.array([[3.0], [3.0 + 8 * bandwidth]]), "boxcar", bandwidth, y=np.array([1.0, 2.0]))
    exact = 3.0 + bandwidth
    if exact - 3.0 == bandwidth:
        assert first_weight(problem, [exact]) == 1
    assert first_weight(problem, [exact + 1e-9 * bandwidth]) == 0
    triangle = make_problem(np.array([[3.0, 4.0], [9.0, 9.0]]), "boxcar", 5.0, y=np.array([1.0, 2.0]))
    assert first_weight(triangle, [0.0, 0.0]) == 1


@pytest.mark.parametrize("metric", ["cityblock", "chebyshev", "cosine", "minkowski"])
@pytest.mark.parametrize("kernel", ["gaussian", "triangular", "exponential"])
def test_metrics_of_scipy(kernel, metric):
    from scipy.spatial.distance import cdist

    rng = np.random.default_rng(0)
    X, Q = rng.normal(size=(40, 3)), rng.normal(size=(20, 3))
    params = {"p": 3} if metric == "minkowski" else {}
    problem = make_problem(X, kernel, 0.6, y=LABELS[:40], metric=metric, metric_params=params)
    k = KERNELS[kernel](cdist(Q, X, metric, **params) / 0.6)
    reached = k.sum(axis=1) > 0
    want = (k @ LABELS[:40])[reached] / k.sum(axis=1)[reached]
    np.testing.assert_allclose(mean_of(build("brute", problem), Q)[reached], want, rtol=1e-10)


@pytest.mark.usefixtures("any_inner_loop")
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_attention_is_that_of_the_definition(kernel, sparse):
    X = TRAINING_ROWS["normal, 2 features"]
    Q = queries(X)
    weight = np.random.default_rng(0).integers(0, 3, N_ROWS).astype(float)
    for multiple in (1e-3, 0.4, 30.0):
        problem = make_problem(X, kernel, multiple * spread(X), sample_weight=weight)
        want = weights(LOG_PROFILES[kernel], distances(Q, X, multiple * spread(X)), weight).astype(float)
        for name, fitted in serving(problem).items():
            got, _ = attention_weights(Fit(fitted), problem.distance.transform(Q), "nearest", sparse=sparse)
            np.testing.assert_allclose(got.toarray() if sparse else got, want, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.usefixtures("any_inner_loop")
@pytest.mark.parametrize("case", TRAINING_ROWS)
def test_nearest_keys(case):
    X = TRAINING_ROWS[case]
    weight = np.random.default_rng(0).integers(0, 3, N_ROWS).astype(float)
    problem = make_problem(X, "boxcar", 1e-3, sample_weight=weight)
    far = np.outer([1e17, -1e17, 1e300], np.ones(X.shape[1]))
    at = problem.distance.transform(np.vstack([queries(X), far, (X[:-1] + X[1:]) / 2]))
    for points, excluded in ((at, None), (problem.distance.keys, np.arange(N_ROWS))):
        want = nearest(problem, points, excluded)
        for name, fitted in serving(problem).items():
            got = fitted.nearest(points, excluded)
            np.testing.assert_allclose(got.values, want.values, atol=1e-12, err_msg=name)
            np.testing.assert_allclose(got.squares, want.squares, rtol=1e-9, err_msg=name)


def test_a_kernel_without_logarithm_still_reaches_its_fallback():
    plain = Kernel("plain", lambda u: np.exp(-(u**2) / 2))
    problem = make_problem(np.array([[0.0], [1.0]]), plain, y=np.array([1.0, 2.0]))
    assert mean_of(build("brute", problem), [[1e3]]) == 2


def test_choose_takes_the_cheapest_that_does_not_refuse():
    rows = np.arange(5000.0)[:, None]
    assert choose(make_problem(rows, "boxcar", 3.0, y=rows)) == "cells"
    assert choose(make_problem(rows[:30], "boxcar", 3.0, y=rows[:30])) == "brute"
    assert choose(make_problem(rows, "cosine", 3.0, y=rows)) == "tree"
    assert choose(make_problem(rows, "cosine", 1e5, y=rows)) == "brute"


def test_choose_says_why(caplog):
    rows = np.arange(5000.0)[:, None]
    with caplog.at_level("DEBUG", "sknw"):
        choose(make_problem(rows, "gaussian", 3.0, y=rows))
        choose(make_problem(np.hstack([rows] * 9), "gaussian", 3.0, y=rows))
    first, second = caplog.messages
    assert first.startswith("algorithm='cells' is taken: brute about 0.23 s; cells about ")
    assert second.startswith(
        "algorithm='brute' is taken: brute about 0.23 s; cells refuses, for it needs one or two features"
    )


def test_a_refusal_says_why(monkeypatch):
    monkeypatch.setattr(ALGORITHMS["brute"], "refuses", staticmethod(lambda problem: "it is Sunday."))
    with pytest.raises(ValueError, match="algorithm='brute' cannot run this problem: it is Sunday."):
        build("brute", make_problem(TRAINING_ROWS["uniform, 1 feature"]))
