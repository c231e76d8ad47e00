"""The limit of absolute weights: lines and parabolas that the samples in reach hardly determine."""

import tracemalloc

import numpy as np
import pytest
from definition import LOG_PROFILES
from scipy.stats import norm
from sklearn.base import clone

from sknw import LocalPolynomialRegressor, NadarayaWatsonRegressor, bandwidth_path

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 2)) * [1, 5]
Y = np.c_[np.sin(2 * X[:, 0]), X[:, 1]] + 0.3 * RNG.normal(size=(50, 2))
Q = RNG.normal(size=(40, 2)) * [2, 9]
NARROW, COMPACT = [0.5, 2.5], [1.5, 8.0]
ALGORITHMS = ["brute", "cells", "tree"]
ignore_unreached = pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")


def bandwidth_of(kernel):
    return NARROW if kernel in ("gaussian", "exponential", "cauchy") else COMPACT


# Rows, targets, bandwidth, weights, queries; what a Gaussian line says there without a limit, and with 3. By hand, and
# in 60 digits.
EXACT = [
    (
        [0, 10],
        [0, 10],
        1.0,
        None,
        [2, 4.9, -5, -10, 12, 20, 25],
        [2, 4.9, -5, -10, 12, 20, 25],
        [2, 4.9, -5, -10, 12, 20, 20],
    ),
    (
        range(11),
        range(11),
        0.1,
        None,
        [3.1, 3.2, 3.3, 3.5, -0.5, -1, -2],
        [3.1, 3.2, 3.3, 3.5, -0.5, -1, -2],
        [3.1, 3.2, 3.3, 3.5, -0.5, -1, -1],
    ),
    (
        range(5, 15),
        range(5, 15),
        0.4,
        None,
        [4.5, 4, 3, 2, 1.75, 1.5, 1],
        [4.5, 4, 3, 2, 1.75, 1.5, 1],
        [4.5, 4, 4, 4, 4, 4, 4],
    ),
    (
        [0, 0.1, 0.2, 5, 5.1, 5.2],
        [0, 1, 0, 1, 0, 1],
        0.2,
        None,
        [0.1, 0.5, 1, 2, 2.6, 4],
        None,
        [0.361664, -0.442204, -0.824417, -0.984812, 0.5, 1.891263],
    ),
    (
        [0, 0.1, 0.2, 5, 5.1, 5.2],
        [0, 1, 0, 1, 0, 1],
        0.2,
        [3, 1, 1, 1, 1, 2],
        [0.1, 0.5, 1, 2, 2.6, 4],
        None,
        [0.274161, -0.06377, -0.599033, -0.955767, 0.5, 1.802547],
    ),
    (
        [(0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.52)],
        [0, 1, 1, 3, 2],
        0.5,
        None,
        [(0.5, 0.5), (1.5, 0.5), (2, 2), (-1, 0)],
        None,
        [1.540992, 2.276249, 4.401782, -1.379277],
    ),
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("case", range(len(EXACT)))
def test_exact_values(case, algorithm):
    x, y, bandwidth, weight, at, plain, limited = EXACT[case]
    x, at = (np.asarray(a, dtype=float).reshape(len(a), -1) for a in (x, at))
    if algorithm == "cells" and x.shape[1] > 1:
        algorithm = "auto"
    model = LocalPolynomialRegressor(bandwidth=bandwidth, algorithm=algorithm)
    if plain is not None:
        np.testing.assert_allclose(model.fit(x, y, weight).predict(at), plain, atol=1e-11)
    np.testing.assert_allclose(model.set_params(limit=3).fit(x, y, weight).predict(at), limited, atol=6e-7)


@pytest.mark.parametrize("bandwidth", [1e-3, 0.02, 0.1, 0.3, 1.0, 30.0])
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "logistic", "cauchy"])
@pytest.mark.parametrize("degree", [1, 2])
def test_a_line_is_reproduced_at_any_bandwidth(kernel, bandwidth, degree):
    # Where the weight of the next place is too small for a float, its logarithm decides.
    x = np.array([0.0, 1, 2, 3, 3, 3, 5, 8, 10])
    at = np.linspace(-1, 11, 97)
    model = LocalPolynomialRegressor(kernel, degree, bandwidth).fit(x[:, None] * 7 + 1e4, 2 * x - 3)
    np.testing.assert_allclose(model.predict(at[:, None] * 7 + 1e4), 2 * at - 3, atol=1e-5 if degree == 2 else 1e-8)


def test_places_that_are_nearly_one(rng):
    # Four places of a hundred samples each, a billionth apart.
    x = np.repeat(1 / np.array([35, 63, 62, 57]), 100) * (1 + 1e-9 * rng.normal(size=400))
    y = rng.choice([-2, -1, 0.3, 1], 400)
    at = np.linspace(x.min(), x.max(), 301)[:, None]
    for degree in (1, 2):
        fits = LocalPolynomialRegressor(degree=degree).fit(x[:, None], y).predict(at)
        assert fits.min() >= -2 - 1.5
        assert fits.max() <= 1 + 1.5


@ignore_unreached
@pytest.mark.parametrize("kernel", LOG_PROFILES)
@pytest.mark.parametrize("degree", [1, 2])
def test_weights_hold_the_limit(kernel, degree, rng):
    weight = rng.integers(0, 4, 50)
    plain = LocalPolynomialRegressor(kernel, degree, bandwidth_of(kernel)).fit(X, Y, weight)
    sizes = np.abs(plain.attention_weights(Q)).sum(axis=1)
    for limit in (1.0, 1.5, 3.0):
        model = clone(plain).set_params(limit=limit).fit(X, Y, weight)
        shares, fits = model.attention_weights(Q), model.predict(Q)
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        np.testing.assert_allclose(shares @ Y, fits, atol=1e-9)
        np.testing.assert_allclose(model.attention_weights(Q, sparse=True).toarray(), shares, atol=1e-9)
        assert np.abs(shares).sum(axis=1).max() <= limit + 1e-7
        beyond = np.maximum(Y.min(axis=0) - fits, fits - Y.max(axis=0)) / np.ptp(Y, axis=0)
        assert beyond.max() <= (limit - 1) / 2 + 1e-7
        held = sizes <= limit - 1e-6
        np.testing.assert_allclose(fits[held], plain.predict(Q)[held], atol=1e-9 if degree == 1 else 1e-3)
        # No more is drawn in than it takes.
        if degree == 1:
            np.testing.assert_allclose(np.abs(shares[~held]).sum(axis=1), limit, rtol=1e-6)


@ignore_unreached
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov", "boxcar"])
@pytest.mark.parametrize("degree", [1, 2])
def test_algorithms_agree(kernel, degree, rng):
    x = np.r_[rng.normal(size=60), 20 + rng.normal(size=60), np.repeat([5.0, 9.0], 10)][:, None]
    y, at = np.sin(x[:, 0]) + rng.normal(size=140), np.r_[-8:30:200j][:, None]
    bandwidth = 0.7 if kernel in ("gaussian", "exponential") else 3.0
    fits = [
        LocalPolynomialRegressor(kernel, degree, bandwidth, limit=3, algorithm=name).fit(x, y).predict(at)
        for name in ALGORITHMS
    ]
    np.testing.assert_allclose(fits[1], fits[0], atol=1e-7)
    np.testing.assert_allclose(fits[2], fits[0], atol=1e-7)


@ignore_unreached
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov"])
@pytest.mark.parametrize("degree", [1, 2])
def test_leave_one_out_is_refitting_and_weights_are_repetitions(kernel, degree, rng):
    weight = rng.integers(0, 3, 50)
    model = LocalPolynomialRegressor(kernel, degree, bandwidth_of(kernel), limit=3)
    weighted, repeated = clone(model).fit(X, Y, weight), clone(model).fit(X.repeat(weight, 0), Y.repeat(weight, 0))
    np.testing.assert_allclose(weighted.predict(Q), repeated.predict(Q), atol=1e-7)
    left_out = repeated.predict(None)
    np.testing.assert_allclose(weighted.predict(None).repeat(weight, 0), left_out, atol=1e-7)
    x, y = X.repeat(weight, 0), Y.repeat(weight, 0)
    for i in range(0, len(x), 3):
        refitted = clone(model).fit(np.delete(x, i, 0), np.delete(y, i, 0)).predict(x[[i]])
        np.testing.assert_allclose(left_out[[i]], refitted, atol=1e-7)


@pytest.mark.parametrize("criterion", ["loo", "gcv", "aicc"])
@pytest.mark.parametrize("degree", [1, 2])
def test_searches_see_the_limit(criterion, degree):
    model = LocalPolynomialRegressor(degree=degree, bandwidth=criterion).fit(X, Y[:, 0])
    assert model.limit_ == 3
    search = model.bandwidth_search_
    path = bandwidth_path(X, Y[:, 0], search.bandwidths, degree=degree, criterion=criterion, limit=3)
    np.testing.assert_allclose(path.scores, search.scores, rtol=1e-7 if degree == 1 else 1e-3)
    refitted = LocalPolynomialRegressor(degree=degree, bandwidth=model.bandwidth_, limit=model.limit_).fit(X, Y[:, 0])
    np.testing.assert_allclose(refitted.predict(Q), model.predict(Q), atol=1e-9)
    # The criteria are those of the smoother's matrix.
    number = len(search.scores) // 2
    model = LocalPolynomialRegressor(degree=degree, bandwidth=search.bandwidths[number], limit=3).fit(X, Y[:, 0])
    hat = np.asarray(model.attention_weights_)
    residuals, n = Y[:, 0] - hat @ Y[:, 0], len(X)
    np.testing.assert_allclose(model.attention_weights_.diagonal(), hat.diagonal(), atol=1e-8)
    used = np.trace(hat)
    error = np.mean(residuals**2)
    want = {
        "loo": np.mean((Y[:, 0] - model.predict(None)) ** 2),
        "gcv": error / (1 - used / n) ** 2,
        "aicc": np.log(error) + 1 + 2 * (used + 1) / (n - used - 2),
    }
    np.testing.assert_allclose(search.scores[number], want[criterion], rtol=1e-7 if degree == 1 else 1e-3)


def test_fits_are_continuous():
    x, y = np.arange(11.0)[:, None], np.array([0, 1, -1, 2, 3, 1, 0, 5, 4, 4, 6.0])
    at = np.linspace(-3, 13, 16001)[:, None]
    for bandwidth, steepest in ((0.15, 5.6), (0.3, 5.6), (0.5, 4.5), (1.0, 2.1)):
        fits = LocalPolynomialRegressor(bandwidth=bandwidth, limit=3).fit(x, y).predict(at)
        assert np.abs(np.diff(fits)).max() < steepest * 1e-3
        assert fits.min() > -1.01
        assert fits.max() < 8.01


@ignore_unreached
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov"])
@pytest.mark.parametrize("degree", [1, 2])
def test_gradients_are_those_of_differences(kernel, degree):
    # Of more samples than coefficients: else, directions are softly left out, which has a slope of its own.
    bandwidth = np.multiply(bandwidth_of(kernel), 2 if kernel == "epanechnikov" and degree == 2 else 1)
    model = LocalPolynomialRegressor(kernel, degree, bandwidth, limit=3, fallback="mean").fit(X, Y)
    assert (np.abs(model.attention_weights(Q)).sum(axis=1) > 3 - 1e-6).sum() > 3
    step = 1e-5
    differences = [(model.predict(Q + step * e) - model.predict(Q - step * e)) / (2 * step) for e in np.eye(2)]
    np.testing.assert_allclose(model.gradient(Q), np.stack(differences, axis=1), rtol=1e-3, atol=1e-3)


@ignore_unreached
@pytest.mark.parametrize("degree", [1, 2])
def test_standard_errors_and_intervals(degree):
    model = LocalPolynomialRegressor(degree=degree, bandwidth=NARROW, limit=3).fit(X, Y[:, 0])
    errors = Y[:, 0] - model.predict(None)
    _, std = model.predict(Q, return_std=True)
    np.testing.assert_allclose(std, np.sqrt(model.attention_weights(Q) ** 2 @ errors**2), rtol=1e-6)
    fits = [clone(model).fit(np.delete(X, i, 0), np.delete(Y[:, 0], i)).predict(Q) for i in range(50)]
    low, high = np.sort(fits - np.abs(errors)[:, None], axis=0), np.sort(fits + np.abs(errors)[:, None], axis=0)
    interval, band = model.predict_interval(Q, 0.8), norm.ppf(0.9) * std
    np.testing.assert_allclose(interval[:, 0], np.minimum(low[50 - 41], model.predict(Q) - band), atol=1e-4)
    np.testing.assert_allclose(interval[:, 1], np.maximum(high[40], model.predict(Q) + band), atol=1e-4)


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov"])
def test_local_slopes(kernel):
    bandwidth = [1.5, 8.0] if kernel == "gaussian" else [3.0, 15.0]
    for degree in (1, 2):
        model = LocalPolynomialRegressor(kernel, degree, bandwidth).fit(X, Y)
        got = model.local_slope(Q[:10])
        for i, q in enumerate(Q[:10]):
            z = X - q
            terms = np.c_[np.ones(50), z, z**2, z[:, 0] * z[:, 1]][:, : 3 if degree == 1 else 6]
            u = np.sqrt(np.square(z / bandwidth).sum(axis=1))
            root = np.exp(-(u**2) / 4) if kernel == "gaussian" else np.sqrt(np.maximum(1 - u**2, 0))
            want = np.linalg.lstsq(root[:, None] * terms, root[:, None] * Y, rcond=None)[0][1:3]
            if (root > 0).sum() > 12:
                np.testing.assert_allclose(got[i], want, rtol=1e-6, atol=1e-8)
    line = LocalPolynomialRegressor(kernel, 1, bandwidth).fit(X, X @ [2.0, -3.0])
    np.testing.assert_allclose(line.local_slope(X), np.tile([2.0, -3.0], (50, 1)), atol=1e-7)
    mean = LocalPolynomialRegressor(kernel, 0, bandwidth).fit(X, Y)
    assert (mean.local_slope(X) == 0).all()
    # What the limit leaves of a slope: half of it at twice the distance at which it is met.
    two = LocalPolynomialRegressor(bandwidth=1.0, limit=3).fit([[0.0], [10.0]], [0.0, 10.0])
    np.testing.assert_allclose(two.local_slope([[5.0], [20.0], [30.0]])[:, 0], [1, 1, 0.5])


def test_clip():
    at = np.array([[-3.0, 0.0], [0.0, 100.0], [0.5, 2.0]])
    inside = np.clip(at, X.min(axis=0), X.max(axis=0))
    for model in (LocalPolynomialRegressor(bandwidth=NARROW), NadarayaWatsonRegressor(bandwidth=NARROW)):
        plain, clipped = clone(model).fit(X, Y), clone(model).set_params(clip=True).fit(X, Y)
        np.testing.assert_array_equal(clipped.predict(at), plain.predict(inside))
        np.testing.assert_array_equal(clipped.attention_weights(at), plain.attention_weights(inside))
        gradient = clipped.gradient(at)
        assert (gradient[0, 0] == 0).all()
        assert (gradient[1, 1] == 0).all()
        np.testing.assert_array_equal(gradient[2], plain.gradient(at)[2])
        np.testing.assert_array_equal(clipped.extrapolates(at), plain.extrapolates(at))
        np.testing.assert_array_equal(clipped.nearest_distance(at), plain.nearest_distance(at))
    distances = np.abs(X[:, :1] - X[:, 0])
    with pytest.raises(ValueError, match="clip=True needs features, and metric='precomputed' has none"):
        NadarayaWatsonRegressor(bandwidth=1.0, metric="precomputed", clip=True).fit(distances, Y)


def test_parameters(rng):
    assert LocalPolynomialRegressor().fit(X, Y).limit_ == 3
    assert LocalPolynomialRegressor(bandwidth=1.0).fit(X, Y).limit_ == np.inf
    assert LocalPolynomialRegressor(limit=None).fit(X, Y).limit_ == np.inf
    assert LocalPolynomialRegressor(bandwidth=1.0, limit=2).fit(X, Y).limit_ == 2
    assert LocalPolynomialRegressor().fit(rng.normal(size=(40, 14)), Y[:40]).limit_ == 4
    for limit in (0.5, True, "three", np.nan):
        with pytest.raises(ValueError, match="limit must be a number, at least 1, or None or 'auto'; got"):
            LocalPolynomialRegressor(limit=limit).fit(X, Y)


def test_many_features():
    # Also more than samples, and columns that add up to one.
    rng = np.random.default_rng(1)
    for n, d in ((60, 30), (30, 40), (80, 14)):
        x = rng.normal(size=(n, d))
        x[:, -5:] = np.eye(5)[rng.integers(0, 5, n)]
        y = x[:, 0] + 0.1 * rng.normal(size=n)
        model = LocalPolynomialRegressor().fit(x, y)
        assert model.limit_ == np.sqrt(d + 2)
        fits = model.predict(x)
        assert np.isfinite(fits).all()
        np.testing.assert_allclose(model.attention_weights(x) @ y, fits, atol=1e-6)
        i = n // 2
        refitted = LocalPolynomialRegressor(bandwidth=model.bandwidth_, limit=model.limit_)
        refitted.fit(np.delete(x, i, 0), np.delete(y, i))
        np.testing.assert_allclose(refitted.predict(x[[i]]), model.predict(None)[i], atol=1e-6)


def test_many_features_take_little_memory(rng):
    x = rng.normal(size=(200, 60))
    tracemalloc.start()
    try:
        LocalPolynomialRegressor().fit(x, x[:, 0])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 150e6


def test_weights_too_small_for_a_float():
    # Two samples in one place, and one so far off that a float does not hold its weight: a line through both places.
    model = LocalPolynomialRegressor(bandwidth=0.1).fit([[0.0], [0.0], [10.0]], [0.0, 1.0, 10.0])
    at = np.array([[1.0], [8.0]])
    weights = model.attention_weights(at)
    np.testing.assert_allclose(weights, [[0.45, 0.45, 0.1], [0.1, 0.1, 0.8]])
    np.testing.assert_allclose(model.attention_weights(at, sparse=True).toarray(), weights)
    errors = np.array([0.0, 1.0, 10.0]) - model.predict(None)
    fits, std = model.predict(at, return_std=True)
    np.testing.assert_allclose(fits, [1.45, 8.1])
    np.testing.assert_allclose(std, np.sqrt(weights**2 @ errors**2))
    np.testing.assert_allclose(model.gradient(at), [[0.95], [0.95]])
    held = LocalPolynomialRegressor(bandwidth=0.1, limit=3).fit([[0.0], [1.0], [2.0], [2.0]], [0.0, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(held.attention_weights([[6.0]]), [[0, -1, 1, 1]], atol=1e-9)
    np.testing.assert_allclose(held.gradient([[6.0], [40.0]]), 0, atol=1e-9)


@ignore_unreached
@pytest.mark.parametrize("spread", [1e-3, 1e-5])
def test_leave_one_out_of_parabolas_in_small_clusters(spread):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        ends = rng.choice([-1, 1.0], 4) * (1 + spread * rng.normal(size=4))
        x = np.r_[spread * rng.normal(size=5), ends, 2 + spread * rng.normal(size=3)][:, None]
        y = rng.uniform(size=12)
        model = LocalPolynomialRegressor("epanechnikov", 2, 0.03, limit=3)
        left_out = clone(model).fit(x, y).predict(None)
        fits = [clone(model).fit(np.delete(x, i, 0), np.delete(y, i)).predict(x[[i]])[0] for i in range(12)]
        np.testing.assert_allclose(left_out, fits, atol=1e-5)


@pytest.mark.parametrize("kernel", ["exponential", "matern32", "logistic", "sigmoid"])
def test_a_query_on_a_sample_beside_one_that_is_not(kernel):
    x, y = np.array([[0.0], [1.0], [3.0], [7.0]]), [0.0, 1.0, 0.0, 1.0]
    model = LocalPolynomialRegressor(kernel, limit=1.0, bandwidth=1.0).fit(x, y)
    assert (model.attention_weights([[0.0], [9.0]]) >= -1e-9).all()
    fits = model.predict([[0.0], [9.0]])
    assert ((fits >= 0) & (fits <= 1)).all()


def test_steep_lines_hold_the_limit(rng):
    # Of a line through keys that nearly lie in a plane, weights in single precision tell nothing.
    x, y = rng.normal(size=(300, 3)) + 1e3, rng.normal(size=(300, 2)) + 5
    x[:40] *= [1, 1, 1.01]
    weight = rng.choice([0.0, 0.3, 1.0], 300)
    model = LocalPolynomialRegressor(bandwidth=np.array([1.0, 0.7, 2.0]) * 100 / 2**10, limit=1.5)
    i = np.flatnonzero(weight)[82]
    left_out = model.fit(x, y, weight).predict(None)[i]
    weight[i] = 0
    model.fit(x, y, weight)
    assert np.abs(model.attention_weights(x[[i]])).sum() < 1.5 * (1 + 1e-6)
    np.testing.assert_allclose(model.predict(x[[i]])[0], left_out, atol=1e-7)
