"""Every algorithm keeps the promise: it computes what the definition says, for every kernel and every case."""

import decimal
from functools import lru_cache

import numpy as np
import pytest
from cases import BANDWIDTHS, LABELS, N_ROWS, TOLERANCE, TRAINING_ROWS, queries, spread
from definition import LOG_PROFILES, predict, weights
from problems import make_problem, mean_of

from sknw import KERNELS, Kernel
from sknw._algorithms import (
    ALGORITHMS,
    Problem,
    _brute,
    _cells,
    _expansions,
    _line,
    _moments,
    _neighbours,
    _outliers,
    _tree,
    build,
    choose,
)
from sknw._pooling import attention

DTYPES = [np.float64, np.float32]
SOME = np.arange(0, N_ROWS, 6)


@lru_cache
def expected(kernel, case, dtype, multiple):
    """What queries, and some rows without themselves, are predicted by the definition."""
    X = TRAINING_ROWS[case].astype(dtype)
    h = multiple * spread(X)
    means = predict(LOG_PROFILES[kernel], queries(X).astype(dtype), X, LABELS, h)
    return means.astype(float), predict(LOG_PROFILES[kernel], X[SOME], X, LABELS, h, excluded=SOME).astype(float)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", TRAINING_ROWS)
@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_means_are_those_of_the_definition(kernel, case, dtype, algorithm):
    X = TRAINING_ROWS[case].astype(dtype)
    limit = TOLERANCE[dtype] * np.ptp(LABELS)
    for multiple in BANDWIDTHS:
        problem = make_problem(X, kernel, multiple * spread(X))
        if ALGORITHMS[algorithm].refuses(problem):
            continue
        fitted = build(algorithm, problem)
        means, means_of_others = expected(kernel, case, dtype, multiple)
        np.testing.assert_allclose(mean_of(fitted, queries(X).astype(dtype)), means, rtol=0, atol=limit)
        np.testing.assert_allclose(mean_of(fitted, X[SOME], SOME), means_of_others, rtol=0, atol=limit)


@pytest.mark.parametrize("n_features", [1, 3, 8])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_sums_are_those_of_the_kernel_matrix(algorithm, kernel, n_features):
    rng = np.random.default_rng(0)
    X, Q = rng.normal(size=(60, n_features)), rng.normal(size=(30, n_features))
    problem = make_problem(X, kernel, 1.3, y=rng.normal(size=(60, 2)), sample_weight=rng.uniform(size=60))
    if ALGORITHMS[algorithm].refuses(problem):
        pytest.skip("refused")
    u = np.sqrt(((Q[:, None] - X) ** 2).sum(axis=2)) / 1.3
    with np.errstate(divide="ignore"):
        want = np.exp(LOG_PROFILES[kernel](u)) @ problem.values
    sums = build(algorithm, problem).sums(problem.scale(Q))
    np.testing.assert_allclose(sums.columns * np.exp(sums.log_scale)[:, None], want, atol=1e-10)


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


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", [1, 6])
@pytest.mark.parametrize("kernel", ["gaussian", "logistic", "biweight", "exponential", "boxcar"])
def test_tiles_and_threads_change_nothing(monkeypatch, kernel, n_features, dtype, algorithm):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(700, n_features)).astype(dtype), rng.normal(size=700)
    Q = rng.normal(size=(500, n_features)).astype(dtype)
    problem = make_problem(X, kernel, 0.3 if n_features == 1 else 1.5, y=y)
    if ALGORITHMS[algorithm].refuses(problem):
        pytest.skip("refused")
    want = mean_of(build(algorithm, problem), Q)
    np.testing.assert_array_equal(mean_of(build(algorithm, problem), Q, n_jobs=2), want)
    alone = [mean_of(build(algorithm, problem), Q[i : i + 1])[0] for i in range(0, 500, 50)]
    np.testing.assert_allclose(alone, want[::50], rtol=0, atol=TOLERANCE[dtype] * 0.1)
    for name in ("_SINGLE", "_DOUBLE"):
        monkeypatch.setattr(_brute, name, getattr(_brute, name)._replace(tile=(7, 13)))
    monkeypatch.setattr(_cells, "_TILE", 7)
    monkeypatch.setattr(_line, "_BLOCK", 9)
    for method in (_moments, _expansions):
        monkeypatch.setattr(method, "_FEW_KEYS", 0)
    for name, size in {"_KEYS": 5, "_QUERIES": 3, "_GROUPS": 2}.items():
        monkeypatch.setattr(_tree, name, size)
    for method in (_neighbours, _outliers):
        monkeypatch.setattr(method, "_PAIRS", 50)
    np.testing.assert_allclose(mean_of(build(algorithm, problem), Q), want, rtol=0, atol=TOLERANCE[dtype] * 0.1)


@pytest.mark.parametrize("bandwidth", [1.0, 0.3, 2.5, 7.0, 1e-3, 49.0])
def test_the_support_is_a_closed_ball(bandwidth):
    # A key at a distance of exactly one bandwidth counts; the next float does not.
    problem = make_problem(np.array([[3.0], [3.0 + 8 * bandwidth]]), "boxcar", bandwidth, y=np.array([1.0, 2.0]))
    exact = 3.0 + bandwidth
    if exact - 3.0 == bandwidth:
        assert problem.rows(problem.scale([[exact]]))[0][0, 0] == 1
    assert problem.rows(problem.scale([[exact + 1e-9 * bandwidth]]))[0][0, 0] == 0
    triangle = make_problem(np.array([[3.0, 4.0], [9.0, 9.0]]), "boxcar", 5.0, y=np.array([1.0, 2.0]))
    assert triangle.rows(triangle.scale([[0.0, 0.0]]))[0][0, 0] == 1


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


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
@pytest.mark.parametrize("algorithm", ["brute", "tree"])
def test_attention_is_that_of_the_definition(algorithm, kernel, sparse):
    X = TRAINING_ROWS["normal, 2 features"]
    Q = queries(X)
    weight = np.random.default_rng(0).integers(0, 3, N_ROWS).astype(float)
    for multiple in (1e-3, 0.4, 30.0):
        problem = make_problem(X, kernel, multiple * spread(X), sample_weight=weight)
        if ALGORITHMS[algorithm].refuses(problem):
            pytest.skip("refused")
        got, _ = attention(build(algorithm, problem), problem.scale(Q), "nearest", sparse=sparse)
        want = weights(LOG_PROFILES[kernel], Q, X, multiple * spread(X), weight)
        np.testing.assert_allclose(got.toarray() if sparse else got, want.astype(float), rtol=0, atol=1e-9)


@pytest.mark.parametrize("case", TRAINING_ROWS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nearest_keys(algorithm, case):
    X = TRAINING_ROWS[case]
    weight = np.random.default_rng(0).integers(0, 3, N_ROWS).astype(float)
    problem = make_problem(X, "boxcar", 1e-3, sample_weight=weight)
    if ALGORITHMS[algorithm].refuses(problem):
        pytest.skip("refused")
    far = np.outer([1e17, -1e17, 1e300], np.ones(X.shape[1]))
    at = problem.scale(np.vstack([queries(X), far, (X[:-1] + X[1:]) / 2]))
    fitted = build(algorithm, problem)
    np.testing.assert_allclose(fitted.nearest(at), problem.nearest_rows(at) @ problem.values, atol=1e-12)
    own = np.arange(N_ROWS)
    want = problem.nearest_rows(problem.keys, own) @ problem.values
    np.testing.assert_allclose(fitted.nearest(problem.keys, own), want, atol=1e-12)


def test_a_kernel_without_logarithm_still_reaches_its_fallback():
    plain = Kernel("plain", lambda u: np.exp(-(u**2) / 2))
    problem = Problem(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]]), np.ones(2), plain)
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
