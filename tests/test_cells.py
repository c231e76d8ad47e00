"""Cells with as many keys as it takes for moments, scans and series to be used."""

from dataclasses import replace

import numpy as np
import pytest
from cases import TRAINING_ROWS
from definition import LOG_PROFILES, predict
from problems import make_problem, mean_of

from sknw import KERNELS, Kernel
from sknw._algorithms import (
    ALGORITHMS,
    _cells,
    _clusters,
    _expansions,
    _line,
    _moments,
    _series,
    _tiles,
    build,
    choose,
    monomials,
)
from sknw._pooling import pool

SERVED = [name for name in LOG_PROFILES if name != "cosine"]


@pytest.mark.parametrize("bandwidth", [0.003, 0.03, 1.0, 100.0])
@pytest.mark.parametrize("kernel", SERVED)
def test_many_keys(kernel, bandwidth):
    # In cells with ties, gaps, many keys and few, with weights, and with keys left out.
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.lognormal(sigma=2, size=2500), rng.integers(0, 9, 500), [1e3, 1e3, 2e3, -5e3]])[:, None]
    weight, y = rng.integers(0, 3, len(X)).astype(float), rng.normal(size=len(X))
    problem = make_problem(X, kernel, bandwidth, y=y, sample_weight=weight)
    if kernel == "cauchy" and bandwidth <= 1:
        assert "within some 300 bandwidths" in ALGORITHMS["cells"].refuses(problem)
        return
    fitted = build("cells", problem)
    Q = np.concatenate([X[::30], X[::30] + 0.5, X[::100] + 9 * bandwidth, [[-1e4], [-20.0], [1e7]]])
    want = predict(LOG_PROFILES[kernel], Q, X, y, bandwidth, weight).astype(float)
    np.testing.assert_allclose(mean_of(fitted, Q), want, rtol=0, atol=1e-11)
    own = np.arange(0, len(X), 30)
    want = predict(LOG_PROFILES[kernel], X[own], X, y, bandwidth, weight, own).astype(float)
    np.testing.assert_allclose(mean_of(fitted, X[own], own), want, rtol=0, atol=1e-11)


@pytest.mark.parametrize("kernel", SERVED)
def test_dense_keys_and_any_offset(kernel):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5000, 1)), rng.normal(size=5000)
    own = np.arange(0, 5000, 50)
    for bandwidth in (0.05, 0.7):
        for offset in (0.0, 1e6):
            rows = X + offset
            fitted = build("cells", make_problem(rows, kernel, bandwidth, y=y))
            far = np.array([[rows.min() - 30 * bandwidth], [rows.min() - bandwidth], [rows.max() + 8 * bandwidth]])
            Q = np.concatenate([rows[own] + 0.01, far])
            want = predict(LOG_PROFILES[kernel], Q, rows, y, bandwidth).astype(float)
            np.testing.assert_allclose(mean_of(fitted, Q), want, rtol=0, atol=1e-11)
            want = predict(LOG_PROFILES[kernel], rows[own], rows, y, bandwidth, excluded=own).astype(float)
            np.testing.assert_allclose(mean_of(fitted, rows[own], own), want, rtol=0, atol=1e-11)


@pytest.mark.parametrize("bandwidth", [0.1, [0.5, 2.0], 30.0])
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
        want = predict(LOG_PROFILES["gaussian"], at, X, y, bandwidth, weight, excluded).astype(float)
        points = fitted.problem.scale(at)
        sums = fitted.sums(points, excluded, n_jobs=2)
        got, _ = pool(fitted, sums, points, "nearest", excluded)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-11)


def test_two_features_far_away():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 7, (3000, 2)).astype(float), rng.normal(size=3000)
    for bandwidth in (0.1, [0.5, 2.0], 30.0):
        fitted = build("cells", make_problem(X, "gaussian", bandwidth, y=y))
        want = predict(LOG_PROFILES["gaussian"], X[:3] * 1e5, X, y, bandwidth).astype(float)
        np.testing.assert_allclose(mean_of(fitted, X[:3] * 1e5), want, rtol=0, atol=1e-9 * np.ptp(y))


def test_two_features_in_too_many_cells_are_left_to_others():
    X = np.random.default_rng(0).normal(size=(300, 2))
    assert "reaches across few cells" in ALGORITHMS["cells"].refuses(make_problem(X, "gaussian", 1e-3))
    assert "product over features" in ALGORITHMS["cells"].refuses(make_problem(X, "logistic", 1.0))


def well_conditioned(problem, sums, queries):
    """Which fits are of the full degree, and little changed by rounding: their terms vary, and each in its own way."""
    terms = monomials(1, problem.degree)
    means, products = problem.moments(sums.columns, problem.degree)
    squares = products.diagonal(axis1=1, axis2=2)
    variances = squares - means**2
    least = 1e-8 * terms.of(np.minimum(problem.unit, problem.extent))[:-1] ** 2
    some = np.flatnonzero(((variances > 1e-4 * squares) & (variances > least)).all(axis=1))
    deviations = np.sqrt(variances[some])
    covariances = products[some] - means[some, :, None] * means[some, None]
    correlations = covariances / deviations[:, :, None] / deviations[:, None]
    away = np.abs(terms(queries[some] - sums.centre[some])[:-1].T - means[some]) / deviations
    return some[(np.linalg.eigvalsh(correlations)[:, 0] > 1e-5) & (away.max(axis=1) < 1e3)]


POLYNOMIAL_CASES = {
    "uniform": lambda rng: rng.uniform(size=1200),
    "lognormal": lambda rng: rng.lognormal(sigma=2, size=1200),
    "ties": lambda rng: rng.integers(0, 40, 1200).astype(float),
    "offset": lambda rng: 1e8 + rng.normal(size=1200),
    "tails": lambda rng: np.concatenate([rng.normal(size=1190), 9 * rng.normal(size=10)]),
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
        problem = problem.at(multiple * deviation)
        if ALGORITHMS["cells"].refuses(problem):
            continue
        cells, brute = build("cells", problem), build("brute", problem)
        for at, excluded in ((problem.scale(Q), None), (problem.keys[own], own)):
            got, _ = pool(cells, cells.sums(at, excluded), at, "nearest", excluded)
            sums = brute.sums(at, excluded)
            want, _ = pool(brute, sums, at, "nearest", excluded)
            some = well_conditioned(problem, sums, at)
            np.testing.assert_allclose(got[some], want[some], rtol=1e-9, atol=1e-9 * np.ptp(y))
            n_compared += len(some)
    assert n_compared > 2.4 * len(own)


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("bandwidth", [0.01, 0.2, 30.0])
@pytest.mark.parametrize("kernel", ["epanechnikov", "tricube", "exponential", "gaussian", "logistic"])
def test_local_polynomials_keep_the_promise_and_need_no_sums_key_by_key(monkeypatch, kernel, bandwidth, degree):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (20_000, 1))
    problem = make_problem(X, kernel, bandwidth, y=rng.normal(size=(20_000, 2)), degree=degree)
    fitted = build("cells", problem)
    monkeypatch.setattr(_line.Line, "_sum_windows", None)
    own = np.arange(0, len(X), 1000)
    sums = fitted.sums(problem.keys[own], own)
    rows, log_scale = problem.rows(problem.keys[own], own)
    for i, row in enumerate(rows):
        columns = problem.columns(problem.values, problem.keys - sums.centre[i])
        scale = row @ np.abs(columns)
        got = sums.columns[i] * np.exp(sums.log_scale[i] - log_scale[i])
        np.testing.assert_allclose(got / scale, (row @ columns) / scale, rtol=0, atol=1e-12)


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("kernel", ["epanechnikov", "matern32", "gaussian"])
def test_tiles_and_threads_change_no_local_polynomial(monkeypatch, kernel, degree):
    rng = np.random.default_rng(0)
    problem = make_problem(rng.normal(size=(700, 1)), kernel, 0.5, y=rng.normal(size=700), degree=degree)
    Q = rng.normal(size=(300, 1))
    want = mean_of(build("cells", problem), Q)
    np.testing.assert_array_equal(mean_of(build("cells", problem), Q, n_jobs=2), want)
    for module, name, size in (
        (_cells, "_TILE", 7),
        (_line, "_BLOCK", 9),
        (_clusters, "_BLOCK", 11),
        (_line, "_PAIRS", 50),
    ):
        monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(_tiles, "_BATCH_NUMBERS", 2)
    for few_keys in (0, 10**6):
        for method in (_moments, _expansions):
            monkeypatch.setattr(method, "_FEW_KEYS", few_keys)
        again = replace(problem, bandwidth=0.5)
        np.testing.assert_allclose(mean_of(build("cells", again), Q), want, rtol=0, atol=1e-10)


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
    at = problem.keys[::20]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        sums = cells.sums(at)
    some = well_conditioned(problem, brute.sums(at), at)
    got, want = pool(cells, sums, at, "nearest")[0], pool(brute, brute.sums(at), at, "nearest")[0]
    np.testing.assert_allclose(got[some], want[some], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kernel", ["gaussian", "logistic", "sigmoid", "cauchy"])
def test_the_error_of_a_series_is_within_its_bound(kernel):
    width = _series.widest(KERNELS[kernel])
    series = _series.Series(KERNELS[kernel], width, 12)
    rng = np.random.default_rng(0)
    key, query = rng.uniform(-1, 1, (2, 2000))
    left, right = _series.polynomials(key), _series.polynomials(query)
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
    want = predict(lambda u: -2 * np.log1p(u**2), X[:50], X, y, 0.05).astype(float)
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
