"""Cells with as many keys as it takes for prefix sums, recurrences and series to be used."""

import tracemalloc
from functools import lru_cache

import numpy as np
import pytest
from cases import TRAINING_ROWS
from definition import LOG_PROFILES, distances, predict, weights
from kernels import counted
from problems import fits_of, make_problem, mean_of

from sknw import KERNELS, Kernel
from sknw._algorithms import ALGORITHMS, build, choose
from sknw._algorithms.cells import _kernel_series
from sknw._compiled import _readiness
from sknw._fit._fit import Fit
from sknw._fit._predictions import fits_from_sums
from sknw._problem._definition import kernel_rows
from sknw._problem._monomials import monomials

pytestmark = pytest.mark.usefixtures("inner_loop")

SERVED = [name for name in LOG_PROFILES if name != "cosine"]
# Wide enough for the kernel that falls most slowly.
WIDE = {"cauchy": [100.0]}


@lru_cache(1)
def many_keys(bandwidth):
    """Keys in cells with ties, gaps, many keys and few; weights, targets, queries; and distances, shared by kernels."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.lognormal(sigma=2, size=2500), rng.integers(0, 9, 500), [1e3, 1e3, 2e3, -5e3]])[:, None]
    weight, y = rng.integers(0, 3, len(X)).astype(float), rng.normal(size=len(X))
    Q = np.concatenate([X[::90], X[::90] + 0.5, X[::300] + 9 * bandwidth, [[-1e4], [-20.0], [1e7]]])
    own = np.arange(0, len(X), 90)
    return X, weight, y, Q, distances(Q, X, bandwidth), own, distances(X[own], X, bandwidth)


@pytest.mark.parametrize(
    ("kernel", "bandwidth"),
    [(kernel, h) for h in (0.003, 0.03, 1.0, 100.0) for kernel in SERVED if h in WIDE.get(kernel, [h])],
)
def test_many_keys(kernel, bandwidth):
    X, weight, y, Q, from_queries, own, from_keys = many_keys(bandwidth)
    fitted = build("cells", make_problem(X, kernel, bandwidth, y=y, sample_weight=weight))
    want = (weights(LOG_PROFILES[kernel], from_queries, weight) @ y).astype(float)
    np.testing.assert_allclose(mean_of(fitted, Q), want, rtol=0, atol=1e-11)
    want = (weights(LOG_PROFILES[kernel], from_keys, weight, own) @ y).astype(float)
    np.testing.assert_allclose(mean_of(fitted, X[own], own), want, rtol=0, atol=1e-11)


def test_a_kernel_that_falls_slowly_needs_a_bandwidth_that_is_not_small():
    X, weight, y, *_ = many_keys(100.0)
    for bandwidth in (0.003, 0.03, 1.0):
        problem = make_problem(X, "cauchy", bandwidth, y=y, sample_weight=weight)
        assert "within some 300 bandwidths" in ALGORITHMS["cells"].refuses(problem)


@lru_cache(1)
def dense_keys():
    """Rows, labels, indices of some; and for each offset and bandwidth rows, queries and their distances."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5000, 1)), rng.normal(size=5000)
    own, cases = np.arange(0, 5000, 200), []
    for bandwidth in (0.05, 0.7):
        for offset in (0.0, 1e6):
            rows = X + offset
            far = np.array([[rows.min() - 30 * bandwidth], [rows.min() - bandwidth], [rows.max() + 8 * bandwidth]])
            Q = np.concatenate([rows[own] + 0.01, far])
            cases.append((bandwidth, rows, Q, distances(Q, rows, bandwidth), distances(rows[own], rows, bandwidth)))
    return y, own, cases


@pytest.mark.parametrize("kernel", SERVED)
def test_dense_keys_and_any_offset(kernel):
    y, own, cases = dense_keys()
    for bandwidth, rows, Q, from_queries, from_keys in cases:
        fitted = build("cells", make_problem(rows, kernel, bandwidth, y=y))
        want = (weights(LOG_PROFILES[kernel], from_queries) @ y).astype(float)
        np.testing.assert_allclose(mean_of(fitted, Q), want, rtol=0, atol=1e-11)
        want = (weights(LOG_PROFILES[kernel], from_keys, excluded=own) @ y).astype(float)
        np.testing.assert_allclose(mean_of(fitted, rows[own], own), want, rtol=0, atol=1e-11)


@pytest.mark.parametrize("kernel", ["gaussian", "logistic", "biweight", "exponential", "boxcar"])
def test_tiles_and_threads_change_nothing(kernel):
    # Several tiles of queries, and blocks of keys.
    rng = np.random.default_rng(0)
    X, Q, y = rng.normal(size=(9000, 1)), rng.normal(size=(9000, 1)), rng.normal(size=9000)
    fitted, order = build("cells", make_problem(X, kernel, 0.3, y=y)), rng.permutation(9000)[:3000]
    got = mean_of(fitted, Q)
    np.testing.assert_array_equal(mean_of(fitted, Q, n_jobs=2), got)
    np.testing.assert_allclose(mean_of(fitted, Q[order]), got[order], rtol=0, atol=1e-10)
    np.testing.assert_allclose([mean_of(fitted, Q[[i]])[0] for i in range(10)], got[:10], rtol=0, atol=1e-10)


GAPS = {
    "gaps": lambda rng: rng.uniform(size=6000) + rng.integers(0, 5, 6000) ** 2,
    "ties": lambda rng: rng.integers(0, 60, 6000) / 10,
    "ties and gaps": lambda rng: np.concatenate([rng.integers(0, 9, 3000), 20 + rng.uniform(size=3000)]).astype(float),
    "an outlier": lambda rng: np.append(rng.lognormal(size=5999), 1e9),
    "one place": lambda rng: np.full(6000, 0.3),
}


@pytest.mark.parametrize("inner_loop", ["compiled"], indirect=True)
@pytest.mark.parametrize("kernel", ["boxcar", "triangular", "epanechnikov", "tricube", "gaussian", "cauchy"])
@pytest.mark.parametrize("case", GAPS)
def test_compiled_loops_sum_what_numpy_sums(inner_loop, case, kernel, monkeypatch):
    rng = np.random.default_rng(0)
    X = GAPS[case](rng)[:, None]
    y, weight, own = rng.normal(size=(6000, 2)), rng.integers(0, 3, 6000) * rng.uniform(1e-6, 1, 6000), np.arange(6000)
    queries = np.concatenate([X[:3000], X[:3000] + rng.choice([-0.1, 0.1, 1.0, 1e-9], (3000, 1))])
    for bandwidth in (0.01, 0.1, 0.7, 1.0, 5.0, 100.0):
        problem = make_problem(X, kernel, bandwidth, y=y, sample_weight=weight)
        if ALGORITHMS["cells"].refuses(problem):
            continue
        fits = {}
        for seconds in (0.0, np.inf):
            monkeypatch.setattr(_readiness, "LOAD_SECONDS", seconds)
            cells = build("cells", problem)
            fits[cells.inner_loop(problem)] = [fits_of(cells, queries), fits_of(cells, X, own)]
        assert fits.keys() == {"compiled", "numpy"}
        np.testing.assert_allclose(fits["compiled"], fits["numpy"], rtol=0, atol=1e-11)


@pytest.mark.parametrize("inner_loop", ["compiled"], indirect=True)
@pytest.mark.parametrize("kernel", ["epanechnikov", "tricube", "gaussian"])
def test_compiled_loops_leave_hardly_any_sums_to_numpy(inner_loop, kernel):
    rng = np.random.default_rng(0)
    counting, n_evaluations = counted(KERNELS[kernel])
    X, Q = rng.lognormal(size=(2, 20_000, 1))
    fitted = build("cells", make_problem(X, counting, 0.04, y=rng.normal(size=20_000)))
    n_in_preparation = n_evaluations()
    fits_of(fitted, Q)
    assert n_evaluations() - n_in_preparation < 3 * len(Q)  # of a thousand keys in reach of most


@pytest.mark.parametrize("bandwidth", [0.2, [0.5, 2.0], 30.0])
@pytest.mark.parametrize("case", ["normal", "offset", "lognormal", "ties"])
def test_two_features(case, bandwidth):
    rng = np.random.default_rng(0)
    X = {
        "normal": lambda: rng.normal(size=(3000, 2)),
        "offset": lambda: 1e6 + rng.normal(size=(3000, 2)),
        "lognormal": lambda: rng.lognormal(sigma=0.7, size=(3000, 2)),
        "ties": lambda: rng.integers(0, 7, (3000, 2)).astype(float),
    }[case]()
    weight, y = rng.integers(0, 3, len(X)).astype(float), rng.normal(size=(3000, 2))
    fitted = build("cells", make_problem(X, "gaussian", bandwidth, y=y, sample_weight=weight))
    own = np.concatenate([X.sum(axis=1).argsort()[-5:], np.arange(0, len(X), 60)])  # the tail too
    Q = np.concatenate([X[own] + 0.1, X[own] + 5, X[:3] * 50, X[:3] * 1e3])
    for excluded, at in ((None, Q), (own, X[own])):
        want = predict(LOG_PROFILES["gaussian"], at, X, y, bandwidth, weight, excluded)
        np.testing.assert_allclose(fits_of(fitted, at, excluded, n_jobs=2), want, rtol=0, atol=1e-11)


def test_two_features_far_away():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 7, (3000, 2)).astype(float), rng.normal(size=3000)
    for bandwidth in (0.2, [0.5, 2.0], 30.0):
        fitted = build("cells", make_problem(X, "gaussian", bandwidth, y=y))
        want = predict(LOG_PROFILES["gaussian"], X[:3] * 1e5, X, y, bandwidth)
        np.testing.assert_allclose(mean_of(fitted, X[:3] * 1e5), want, rtol=0, atol=1e-9 * np.ptp(y))


def sparse_plane(rng, n_samples=4000):
    """Tracks and dense places in a plane of 400 by 400 bandwidths of which most is empty."""
    tracks = rng.uniform(0, 400, (20, 1, 2)) + rng.normal(0, 1, (20, n_samples // 40, 2)).cumsum(axis=1)
    places = rng.uniform(0, 400, (8, 2))[rng.integers(0, 8, n_samples // 2)] + rng.normal(size=(n_samples // 2, 2))
    X = np.concatenate([tracks.reshape(-1, 2), places, [[0.0, 0.0], [400.0, 400.0]]])
    return X, np.sin(X[:, 0] / 5) + rng.normal(size=len(X))


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_sparse_plane(offset, n_outputs):
    rng = np.random.default_rng(0)
    X, y = sparse_plane(rng)
    X, y = X + offset, np.column_stack([y, rng.normal(size=len(y))])[:, :n_outputs]
    weight = rng.integers(0, 3, len(X)).astype(float)
    fitted = build("cells", make_problem(X, "gaussian", 1.0, y=y, sample_weight=weight))
    own = np.arange(0, len(X), 20)
    # At samples, near by, in empty cells, and outside.
    Q = np.concatenate([X[own], X[own] + rng.normal(0, 3, (len(own), 2)), offset + rng.uniform(-50, 450, (100, 2))])
    for excluded, at in ((None, Q), (None, Q[:7]), (own, X[own])):
        want = predict(LOG_PROFILES["gaussian"], at, X, y, 1.0, weight, excluded)
        np.testing.assert_allclose(fits_of(fitted, at, excluded, n_jobs=2), want, rtol=0, atol=1e-11)


def test_a_sparse_plane_takes_no_memory_for_empty_cells():
    X, y = sparse_plane(np.random.default_rng(0), 40_000)
    problem = make_problem(X, "gaussian", 1.0, y=y)
    tracemalloc.start()
    build("cells", problem).sums(problem.distance.keys)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6  # with every cell at hand, half a gigabyte


def test_two_features_in_too_many_cells_are_left_to_others():
    X = np.random.default_rng(0).normal(size=(300, 2))
    assert "reaches across few cells" in ALGORITHMS["cells"].refuses(make_problem(X, "gaussian", 1e-3))
    assert "product over features" in ALGORITHMS["cells"].refuses(make_problem(X, "logistic", 1.0))


def well_conditioned(problem, sums, queries):
    """Which fits are of the full degree, and little changed by rounding: their terms vary, and each in its own way."""
    basis, distance = problem.basis, problem.distance
    terms = monomials(1, basis.degree)
    means, products = basis.moments(sums, basis.degree)
    squares = products.diagonal(axis1=1, axis2=2)
    variances = squares - means**2
    least = 1e-8 * terms(np.minimum(distance.scaled_bandwidth, distance.coordinates.ptp)[None])[:-1, 0] ** 2
    some = np.flatnonzero(((variances > 1e-4 * squares) & (variances > least)).all(axis=1))
    deviations = np.sqrt(variances[some])
    covariances = products[some] - means[some, :, None] * means[some, None]
    correlations = covariances / deviations[:, :, None] / deviations[:, None]
    away = np.abs(terms(queries[some] - sums.expansion_point[some])[:-1].T - means[some]) / deviations
    return some[(np.linalg.eigvalsh(correlations)[:, 0] > 1e-5) & (away.max(axis=1) < 1e3)]


POLYNOMIAL_CASES = {
    "uniform": lambda rng: rng.uniform(size=800),
    "lognormal": lambda rng: rng.lognormal(sigma=2, size=800),
    "ties": lambda rng: rng.integers(0, 40, 800).astype(float),
    "offset": lambda rng: 1e8 + rng.normal(size=800),
    "tails": lambda rng: np.concatenate([rng.normal(size=790), 9 * rng.normal(size=10)]),
}


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("case", POLYNOMIAL_CASES)
@pytest.mark.parametrize("kernel", [name for name in SERVED if name not in ("biweight", "sigmoid")])
def test_local_polynomials_are_those_of_brute(kernel, case, degree):
    rng = np.random.default_rng(0)
    X = POLYNOMIAL_CASES[case](rng)[:, None]
    deviation, own = X.std(), np.arange(0, len(X), 16)
    y, weight = rng.normal(size=(len(X), 2)), rng.integers(0, 3, len(X)) * rng.uniform(0.5, 1, len(X))
    far = [X.min() - 20 * deviation, X.max() + 4 * deviation, X.max() + 1e3 * deviation]
    Q = np.concatenate([X[own] + 0.01 * deviation, np.array(far)[:, None]])
    problem, n_compared = make_problem(X, kernel, y=y, sample_weight=weight, degree=degree), 0
    for multiple in (1e-3, 0.05, 0.4, 0.8, 30.0):
        problem = problem.with_bandwidth(multiple * deviation)
        refusal = ALGORITHMS["cells"].refuses(problem)
        if refusal is not None:
            assert kernel == "cauchy", refusal
            assert multiple < 30
            continue
        cells, brute = build("cells", problem), build("brute", problem)
        for at, excluded in ((Q, None), (X[own], own)):
            got, points = fits_of(cells, at, excluded), problem.distance.transform(at)
            sums = brute.sums(points, excluded)
            want, _ = fits_from_sums(Fit(brute), sums, points, "nearest", excluded)
            some = well_conditioned(problem, sums, points)
            np.testing.assert_allclose(got[some], want[some], rtol=1e-9, atol=1e-9 * np.ptp(y))
            n_compared += len(some)
    assert n_compared > 2.4 * len(own)


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("bandwidth", [0.01, 0.2, 30.0])
@pytest.mark.parametrize("kernel", ["epanechnikov", "tricube", "exponential", "gaussian", "logistic"])
def test_local_polynomials_keep_the_promise_and_need_no_sums_key_by_key(kernel, bandwidth, degree):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (20_000, 1))
    counting, n_evaluations = counted(KERNELS[kernel])
    problem = make_problem(X, counting, bandwidth, y=rng.normal(size=(20_000, 2)), degree=degree)
    fitted = build("cells", problem)
    own, n_in_preparation = np.arange(0, len(X), 5), n_evaluations()
    sums = fitted.sums(problem.distance.keys[own], own)
    assert n_evaluations() - n_in_preparation < 2 * len(own)  # of hundreds of keys in reach of each, or thousands
    some = np.arange(0, len(own), 200)
    rows, log_scale = kernel_rows(problem, problem.distance.keys[own[some]], own[some])
    for i, row, scale in zip(some, rows, log_scale, strict=True):
        columns = problem.columns(slice(None), sums.expansion_point[i])
        size = row @ np.abs(columns)
        got = sums.values[i] * np.exp(sums.log_scale[i] - scale)
        np.testing.assert_allclose(got / size, (row @ columns) / size, rtol=0, atol=1e-12)


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("kernel", ["epanechnikov", "matern32", "gaussian"])
def test_tiles_and_threads_change_no_local_polynomial(kernel, degree):
    # Several tiles of queries, and blocks of keys.
    rng = np.random.default_rng(0)
    X, Q, y = rng.normal(size=(9000, 1)), rng.normal(size=(9000, 1)), rng.normal(size=9000)
    problem = make_problem(X, kernel, 0.5, y=y, degree=degree)
    fitted, order = build("cells", problem), rng.permutation(9000)[:300]
    got = mean_of(fitted, Q)
    np.testing.assert_array_equal(mean_of(fitted, Q, n_jobs=2), got)
    np.testing.assert_allclose(mean_of(fitted, Q[order]), got[order], rtol=0, atol=1e-10)
    np.testing.assert_allclose([mean_of(fitted, Q[[i]])[0] for i in order[:10]], got[order[:10]], rtol=0, atol=1e-10)


def test_local_polynomials_of_one_feature_beside_others_without_a_bandwidth():
    X = np.random.default_rng(0).normal(size=(300, 2))
    assert ALGORITHMS["cells"].refuses(make_problem(X, "gaussian", [np.inf, 1.0], degree=2)) is None
    rows = np.arange(5000.0)[:, None]
    assert choose(make_problem(rows, "tricube", 30.0, y=rows, degree=2)) == "cells"
    refusal = ALGORITHMS["cells"].refuses(make_problem(X, "gaussian", 1.0, degree=2))
    assert refusal == "it needs one feature with a finite bandwidth for degree=2, and there are 2."


@pytest.mark.parametrize("unit", [1e-60, 1e60])
@pytest.mark.parametrize("kernel", ["constant", "exponential", "matern32", "gaussian", "tricube"])
def test_local_polynomials_at_bandwidths_of_any_size(kernel, unit):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.uniform(size=400), unit * rng.uniform(size=400)])[:, None]
    problem = make_problem(X, kernel, unit, y=rng.normal(size=800), degree=2)
    cells, brute = build("cells", problem), build("brute", problem)
    at = problem.distance.keys[::20]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        cells.sums(at)
    some = well_conditioned(problem, brute.sums(at), at)
    assert len(some) > 0
    got, want = fits_of(cells, X[::20]), fits_of(brute, X[::20])
    np.testing.assert_allclose(got[some], want[some], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kernel", ["gaussian", "logistic", "sigmoid", "cauchy"])
def test_the_error_of_a_series_is_within_its_bound(kernel):
    width = _kernel_series.max_cell_width(KERNELS[kernel])
    series = _kernel_series.KernelSeries(KERNELS[kernel], width, 12)
    rng = np.random.default_rng(0)
    key, query = rng.uniform(-1, 1, (2, 2000))
    left, right = _kernel_series.polynomials(key), _kernel_series.polynomials(query)
    for distance in range(-12, 13):
        want = KERNELS[kernel]((distance + (query - key) / 2) * width)
        got = np.einsum("im,ij,jm->m", left, series.matrix(distance), right)
        assert np.abs(got - want).max() <= 2 * series.error[abs(distance)]


def test_a_smooth_kernel_of_ones_own_is_served_and_a_kinked_one_is_not():
    def log_ratio(t0, dt):
        return np.log1p(t0) * 2 - np.log1p(t0 + dt) * 2

    student = Kernel("student", lambda t: (1 + t) ** -2.0, squared=True, log_ratio=log_ratio)
    X = np.random.default_rng(0).uniform(size=(3000, 1))
    y = np.sin(9 * X[:, 0])
    fitted = build("cells", make_problem(X, student, 0.05, y=y))
    want = predict(lambda u: -2 * np.log1p(u**2), X[:50], X, y, 0.05)
    np.testing.assert_allclose(mean_of(fitted, X[:50]), want, rtol=0, atol=1e-11)
    kinked = Kernel("kinked", lambda t: np.exp(-(t**0.75)), squared=True, log_ratio=lambda t0, dt: -((t0 + dt) ** 0.75))
    assert ALGORITHMS["cells"].refuses(make_problem(X, kinked)) is not None


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        ({"kernel": "cosine"}, "within some 300 bandwidths, and 'cosine' is not one."),
        ({"kernel": "boxcar", "bandwidth": np.inf}, "one or two features with a finite bandwidth, and there are 0."),
        ({"kernel": "boxcar", "metric": "cityblock"}, "metric='euclidean', and the metric is 'cityblock'."),
    ],
)
def test_cells_refuse_with_the_reason(problem, reason):
    assert ALGORITHMS["cells"].refuses(make_problem(TRAINING_ROWS["uniform, 1 feature"], **problem)).endswith(reason)
    six = make_problem(TRAINING_ROWS["normal, 6 features"], "gaussian")
    assert "there are 6" in ALGORITHMS["cells"].refuses(six)
    assert ALGORITHMS["cells"].refuses(make_problem(TRAINING_ROWS["normal, 2 features"], "boxcar", [1, np.inf])) is None


@pytest.mark.parametrize("algorithm", ["cells", "tree", "brute"])
@pytest.mark.parametrize("distance", [1e6, 1e9, 1e12, 1e15])
@pytest.mark.parametrize(
    ("kernel", "rate"),
    [("exponential", 1), ("logistic", 1), ("sigmoid", 1), ("matern32", 3**0.5), ("gaussian", np.inf)],
)
def test_queries_far_from_one_feature_see_the_differences_of_the_keys(kernel, rate, distance, algorithm):
    # From there, K falls as exp(-rate * u) does, or faster than anything: what is left are distances between keys.
    x, y = np.array([0.0, 0.25, 1.0, 1.125]), np.array([1.0, -2.0, 5.0, 3.0])
    fitted = build(algorithm, make_problem(x[:, None], kernel, 0.5, y=y))
    for sign, behind in ((1, x.max() - x), (-1, x - x.min())):
        weight = np.exp(-rate * behind[behind > 0] / 0.5) if np.isfinite(rate) else np.zeros(3)
        want = (y[behind == 0][0] + weight @ y[behind > 0]) / (1 + weight.sum())
        np.testing.assert_allclose(mean_of(fitted, [[sign * distance]]), want, rtol=1e-5 if distance < 1e7 else 1e-8)


@pytest.mark.parametrize("algorithm", ["cells", "brute", "tree"])
def test_whether_a_parabola_gives_way_does_not_depend_on_what_it_is_seen_from(algorithm):
    # Three keys in reach and a fourth that hardly weighs: the same curve, wherever the origin is.
    x = np.concatenate([np.arange(0, 40, 4.0), np.arange(0, 40, 4.0) + 1.5])
    y = np.sin(x)
    fits = []
    for shift in (0.0, 64.0, -1024.0):
        problem = make_problem((x + shift)[:, None], "epanechnikov", 4.0, y=y, degree=2)
        fits.append(mean_of(build(algorithm, problem), (np.linspace(1, 36, 57) + shift)[:, None]))
    np.testing.assert_allclose(fits[1:], [fits[0]] * 2, rtol=0, atol=1e-8)
