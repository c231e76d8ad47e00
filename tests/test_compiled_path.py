"""Compiled ladders of bandwidths and gradients are those of NumPy, and of the definition."""

from dataclasses import replace

import numpy as np
import pytest
from definition import LOG_PROFILES, distances, predict
from problems import make_problem

from sknw import KERNELS, AttentionRegressor, LocalPolynomialRegressor, NadarayaWatsonRegressor
from sknw._algorithms.brute import _ladder
from sknw._algorithms.brute._path import PairPath
from sknw._compiled import _readiness
from sknw._fit import _compiled_errors, _compiled_lines
from sknw._fit._equivalent_kernels import fits_of_nearest
from sknw._fit._gradient import error_gradient, left_out_error
from sknw._fit._leave_one_out import left_out_of, left_out_of_path, mean_squares_of_path, mean_squares_with_ridges

pytest.importorskip("numba")

# From wide to narrow: squares of the one before, after so many of these exponentials anew, then no neighbour at all.
MULTIPLES = 100 * 2.0 ** (-np.arange(41) / 2)
POSITIVE = [name for name in LOG_PROFILES if KERNELS[name].log_ratio is not None]


def use(monkeypatch, inner_loop):
    monkeypatch.setattr(_readiness, "LOAD_SECONDS", 0.0 if inner_loop == "compiled" else np.inf)
    monkeypatch.setattr(_readiness, "LEAST_SECONDS", 0.0)


def with_both(monkeypatch, function):
    """What it gives with NumPy, and with compiled loops."""
    results = []
    for inner_loop in ("numpy", "compiled"):
        use(monkeypatch, inner_loop)
        results.append(function())
    return results


def samples(rng, n=300, n_features=3, n_outputs=1, offset=0.0):
    """Keys in a few groups, some of them in one place, with targets and weights, some of which are zero."""
    x = rng.normal(size=(n, n_features)) * rng.choice([1e-3, 1.0, 30.0], size=(n, 1))
    x[10:20] = x[10]
    return x + offset, rng.normal(size=(n, n_outputs)) + 5, rng.choice([0.0, 0.3, 1.0, 4.5], size=n)


@pytest.mark.parametrize("bandwidth", [2.0, np.array([0.5, 2.0, np.inf])])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_ladders_are_those_of_the_definition(kernel, bandwidth, rng, monkeypatch):
    use(monkeypatch, "compiled")
    x, y, weight = samples(rng, n_outputs=2, offset=1e3)
    problem = make_problem(x, kernel, bandwidth, y=y, sample_weight=weight)
    indices = np.flatnonzero(weight)[::7]
    assert _ladder.is_compiled(problem, len(indices), len(MULTIPLES))
    sums, _ = PairPath(problem, indices).sums(MULTIPLES)
    values = sums.values.reshape(len(MULTIPLES), len(indices), -1)
    for number in range(0, len(MULTIPLES), 4):
        reached, h = values[number, :, -1] > 0, bandwidth * MULTIPLES[number]
        u = distances(x[indices], x, h)
        if problem.kernel.log_ratio is None:
            np.testing.assert_array_equal(reached, self_excluded_weights(kernel, u, weight, indices) > 0)
        want = predict(LOG_PROFILES[kernel], x[indices], x, y, h, weight, indices)[reached]
        got = values[number, reached, :-1] / values[number, reached, -1:] + problem.rows.frame.offset
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-9 * np.ptp(y))


def self_excluded_weights(kernel, u, weight, indices):
    """The sums of weights of others."""
    rows = np.exp(LOG_PROFILES[kernel](np.where(u > 1, np.inf, u) if KERNELS[kernel].support == 1 else u)) * weight
    rows[np.arange(len(indices)), indices] = 0
    return rows.sum(axis=1)


@pytest.mark.parametrize("kernel", ["gaussian", "matern32", "biweight"])
def test_units_of_ladders_are_those_of_numpy(kernel, rng, monkeypatch):
    x, y, weight = samples(rng)
    problem, indices = make_problem(x, kernel, y=y, sample_weight=weight), np.arange(0, 300, 2)
    multiples = MULTIPLES[4:16]
    want, got = with_both(monkeypatch, lambda: PairPath(problem, indices).sums(multiples)[0])
    for each in (want, got):
        each.values[:] *= np.exp(each.log_scale)[:, None]
    np.testing.assert_allclose(got.values, want.values, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov"])
def test_threads_change_no_bit(kernel, rng, monkeypatch):
    use(monkeypatch, "compiled")
    monkeypatch.setattr(_ladder, "_PAIRS", 2**14)
    x, y, weight = samples(rng)
    problem = make_problem(x, kernel, y=y, sample_weight=weight)
    one, two = (PairPath(problem, np.arange(300)).sums(MULTIPLES, n_jobs)[0] for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.values, two.values)


@pytest.mark.parametrize("weights", ["counts", "importance"])
@pytest.mark.parametrize("degree", [0, 1])
@pytest.mark.parametrize("kernel", POSITIVE)
def test_gradients_are_those_of_numpy(kernel, degree, weights, rng, monkeypatch):
    x, labels = rng.normal(size=(300, 5)), rng.normal(size=(300, 2))
    weight = rng.integers(0, 4, 300).astype(float) if weights == "counts" else rng.uniform(0.1, 2, 300)
    indices = np.flatnonzero(weight)[::2]
    for bandwidth in (np.array([0.7, 1.0, 2.0, 3.0, 0.5]), 0.02):
        problem = make_problem(x, kernel, bandwidth, y=labels, sample_weight=weight, degree=degree, ridge=0.1 * degree)
        want, got = with_both(monkeypatch, lambda problem=problem: error_gradient(problem, indices))
        assert _compiled_errors.are_compiled(problem, len(indices))
        for one, other in zip(want, got, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9 * want.error)


def test_lines_in_dependent_features_are_left_to_numpy(rng, monkeypatch):
    x = rng.normal(size=(300, 3))
    x[:, 2] = x[:, 0] + 1e-7 * x[:, 1]
    problem = make_problem(x, "gaussian", 1.0, y=np.sin(x[:, 0]), degree=1)
    want, got = with_both(monkeypatch, lambda: error_gradient(problem, np.arange(300)))
    assert got.error == want.error
    np.testing.assert_array_equal(got.by_metric, want.by_metric)


@pytest.mark.parametrize("weights", ["counts", "importance"])
@pytest.mark.parametrize("kernel", POSITIVE)
def test_lines_at_many_bandwidths_are_those_of_numpy(kernel, weights, rng, monkeypatch):
    x, labels = rng.normal(size=(300, 3)) + 1e3, rng.normal(size=(300, 2)) + 5
    x[:40] *= [1, 1, 1.01]  # outliers, whose fits the limit draws in
    weight = rng.integers(0, 3, 300).astype(float) if weights == "counts" else rng.choice([0.0, 0.3, 1.0], 300)
    indices = np.flatnonzero(weight)[::2]
    for limit, ridge, bandwidth in ((np.inf, 0.1, 1.0), (1.5, 0.0, np.array([1.0, 0.7, 2.0]))):
        problem = make_problem(x, kernel, bandwidth, y=labels, sample_weight=weight, degree=1, ridge=ridge)
        problem = replace(problem, limit=limit)
        use(monkeypatch, "numpy")
        want = [each.predictions for each in left_out_of_path(PairPath(problem, indices), MULTIPLES, "nearest")]
        use(monkeypatch, "compiled")
        assert _compiled_lines.are_compiled(problem, len(indices), len(MULTIPLES))
        got = (
            problem.rows.frame.offset + _compiled_lines.fits_left_out(problem, indices, MULTIPLES, [ridge], 2)[0][:, 0]
        )
        known = ~np.isnan(got[:, :, 0])
        assert known[:10].mean() > 0.9
        assert not known[-1].any()
        np.testing.assert_allclose(got[known], np.array(want)[known], rtol=0, atol=1e-9 * np.ptp(labels))


def test_errors_of_lines_are_those_of_numpy_at_all_bandwidths(rng, monkeypatch):
    x, y, weight = samples(rng)
    problem = replace(make_problem(x, y=y, sample_weight=weight, degree=1), limit=3.0)
    path = PairPath(problem, np.flatnonzero(weight))
    want, got = with_both(monkeypatch, lambda: mean_squares_of_path(path, MULTIPLES, "nearest"))
    np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("bandwidth", [0.01, 0.3, 2.0, 300.0])
@pytest.mark.parametrize("limit", [3.0, None])
def test_left_out_lines_are_those_of_numpy(limit, bandwidth, rng, monkeypatch):
    x, y, weight = samples(rng)
    for sample_weight in (None, weight, np.round(weight)):
        model = LocalPolynomialRegressor("gaussian", bandwidth=bandwidth, limit=limit, algorithm="brute")
        model.fit(x, y, sample_weight)
        expected, got = with_both(monkeypatch, lambda model=model: model.predict(None))
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-8 * max(1.0, np.ptp(expected)))


def test_what_loops_do_not_serve_is_left_to_numpy(rng, monkeypatch):
    use(monkeypatch, "compiled")
    x = rng.normal(size=(50, 2))
    own = make_problem(x, KERNELS["gaussian"].square.square)
    assert not _ladder.is_compiled(own, 50, 5)
    assert not _compiled_errors.are_compiled(own, 50)
    assert not _ladder.is_compiled(make_problem(x, degree=1), 50, 5)
    assert not _ladder.is_compiled(make_problem(x, metric="cityblock"), 50, 5)
    assert not _compiled_errors.are_compiled(make_problem(x, "epanechnikov"), 50)
    for others in ({"kernel": "epanechnikov", "degree": 1}, {"degree": 2}):
        assert not _compiled_lines.are_compiled(make_problem(x, **others), 50, 5)


@pytest.mark.parametrize(
    "model",
    [
        NadarayaWatsonRegressor(random_state=0),
        NadarayaWatsonRegressor("exponential", "aicc"),
        NadarayaWatsonRegressor("epanechnikov"),
        NadarayaWatsonRegressor(bandwidth="ard"),
        LocalPolynomialRegressor("exponential", bandwidth="ard"),
        LocalPolynomialRegressor("gaussian"),
        LocalPolynomialRegressor("matern32", bandwidth="aicc"),
    ],
)
def test_searches_find_the_same(model, rng, monkeypatch):
    x = rng.normal(size=(400, 4))
    labels = np.sin(2 * x[:, 0]) + 0.3 * rng.normal(size=400)
    want, got = with_both(monkeypatch, lambda: model.fit(x, labels).bandwidth_)
    np.testing.assert_allclose(got, want, rtol=1e-9)


def test_attention_learns_the_same(rng, monkeypatch):
    x = rng.normal(size=(150, 3))
    labels = np.sin(2 * x[:, 0]) + 0.3 * rng.normal(size=150)
    model = AttentionRegressor(n_heads=2, random_state=0)
    want, got = with_both(monkeypatch, lambda: model.fit(x, labels).predict(x))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("degree", [0, 1])
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "cauchy"])
def test_errors_with_ridges_are_those_of_numpy(kernel, degree, rng, monkeypatch):
    x, y, weight = samples(rng, n_outputs=2)
    problem = make_problem(x, kernel, 2.0, y=y, sample_weight=weight, degree=degree, ridge=0.1 * degree)
    indices, ridges = np.flatnonzero(weight)[::2], (0.1, 0.003, 2.5) if degree else (0.0,)
    given = problem, ridges, "brute", "nearest", None, indices
    want, got = with_both(monkeypatch, lambda: mean_squares_with_ridges(*given))
    np.testing.assert_allclose(got, want, rtol=1e-9)
    for ridge, error in zip(ridges, want, strict=True):
        alone = left_out_of(replace(problem, ridge=ridge), "brute", "nearest", None, indices)
        np.testing.assert_allclose(alone.mean_square, error, rtol=1e-9)


@pytest.mark.parametrize("inner_loop", ["numpy", "compiled"])
@pytest.mark.parametrize("bandwidth", [1.0, 0.02])
def test_an_error_alone_is_that_beside_its_gradient(bandwidth, inner_loop, rng, monkeypatch):
    use(monkeypatch, inner_loop)
    x, y = rng.normal(size=(300, 5)), rng.normal(size=(300, 2))
    problem = make_problem(x, "exponential", bandwidth, y=y, degree=1, ridge=0.01)
    assert left_out_error(problem, np.arange(300)) == error_gradient(problem, np.arange(300)).error


def test_lines_that_hang_by_the_nearest_keys_are_those_of_numpy(rng, monkeypatch):
    x, y = rng.normal(size=(400, 8)), rng.normal(size=(400, 1))
    problem, indices = replace(make_problem(x, y=y, degree=1), limit=3.0), np.arange(400)
    multiples = np.array([0.5, 0.1, 0.03, 1e-3, 1e-4])
    use(monkeypatch, "numpy")
    want = [each.predictions for each in left_out_of_path(PairPath(problem, indices), multiples, "nearest")]
    use(monkeypatch, "compiled")
    fits, faint = _compiled_lines.fits_left_out(problem, indices, multiples, [0.0], None)
    assert (~np.isnan(fits[0, 0, :, 0])).mean() > 0.5
    assert faint[2:, 0].mean() > 0.9
    which, sample = np.nonzero(faint[:, 0])
    got = fits_of_nearest(problem, problem.distance.keys[sample], sample, multiples[which], 2)
    assert not np.isnan(got).any()
    expected = np.array(want)[which, sample] - problem.rows.frame.offset
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9 * np.ptp(y))
