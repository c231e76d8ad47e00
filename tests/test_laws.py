"""Laws that hold for all data: hypothesis looks for a counterexample."""

import numpy as np
import pytest
from definition import LOG_PROFILES, predict
from hypothesis import assume, given
from hypothesis import strategies as st
from problems import make_problem

from sknw import NadarayaWatsonRegressor
from sknw._algorithms import ALGORITHMS

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning"),
    pytest.mark.usefixtures("any_inner_loop"),
]

kernels = st.sampled_from(sorted(LOG_PROFILES))
bandwidths = st.floats(-3, 3).map(lambda power: 10.0**power)


@st.composite
def data(draw):
    """Training rows, labels, queries. Small integers among them make ties."""
    n, m, d = draw(st.integers(1, 12)), draw(st.integers(1, 6)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    make = rng.normal if draw(st.booleans()) else lambda size: rng.integers(0, 4, size).astype(float)
    return make(size=(n, d)), rng.normal(size=n), make(size=(m, d))


def fit_predict(kernel, bandwidth, X, y, Q, sample_weight=None):
    return NadarayaWatsonRegressor(kernel, bandwidth).fit(X, y, sample_weight).predict(Q)


# The boxcar jumps where a distance is one bandwidth. There rounding decides, and may decide otherwise once rows moved.
def _on_the_edge(X, Q, bandwidth):
    u = np.sqrt(((Q[:, None] - X) ** 2).sum(axis=2)) / bandwidth
    return (np.abs(u - 1) < 1e-6).any()


# From afar, keys that differ only across the line of sight are tied but for last digits, which the definition lacks.
def _nearly_tied(X, Q):
    u = np.sqrt(((Q[:, None].astype(np.longdouble) - X) ** 2).sum(axis=2))
    nearest = u.min(axis=1, keepdims=True)
    differs = (u <= nearest * (1 + 1e-12)) & (X != X[u.argmin(axis=1)][:, None]).any(axis=2)
    return (differs & ((u > nearest * (1 + 1e-15)) | (nearest > 1e3 * np.ptp(X)))).any()


@st.composite
def many(draw):
    """Up to 400 rows in clumps or on a grid, their labels, weights of which some are zero, queries, a far one too."""
    n, m, d = draw(st.integers(2, 400)), draw(st.integers(1, 20)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    step = draw(st.sampled_from([0.0, 0.1, 1.0]))
    x = rng.normal(size=(n + m, d)) * 10.0 ** rng.integers(-2, 3, (n + m, 1))
    x = np.round(x / step) * step if step else x
    x[-1] *= 10.0 ** draw(st.integers(0, 9))
    weight = rng.integers(0, 3, n).astype(float)
    weight[:2] = 1
    return x[:n], rng.normal(size=n), weight, x[n:]


@given(st.sampled_from(sorted(ALGORITHMS)), kernels, bandwidths, many())
def test_definition(algorithm, kernel, bandwidth, problem):
    X, y, weight, Q = problem
    assume(ALGORITHMS[algorithm].refuses(make_problem(X, kernel, bandwidth, y=y, sample_weight=weight)) is None)
    assume(not _on_the_edge(np.vstack([Q, X[:20]]), X, bandwidth))
    assume(not _nearly_tied(X, Q))
    model = NadarayaWatsonRegressor(kernel, bandwidth, algorithm=algorithm).fit(X, y, weight)
    want = predict(LOG_PROFILES[kernel], Q, X, y, bandwidth, weight)
    np.testing.assert_allclose(model.predict(Q), want, rtol=0, atol=1e-9 * np.ptp(y))
    own = np.flatnonzero(weight[:20] == 1)
    want = predict(LOG_PROFILES[kernel], X[own], X, y, bandwidth, weight, own)
    np.testing.assert_allclose(model.predict(None)[own], want, rtol=0, atol=1e-9 * np.ptp(y))


@given(kernels, bandwidths, data(), st.integers(-1000, 1000))
def test_a_shift_of_rows_has_no_influence(kernel, bandwidth, problem, shift):
    X, y, Q = problem
    X, Q = np.round(X * 2**20) / 2**20, np.round(Q * 2**20) / 2**20  # so that the shift loses no digit
    assume(not _on_the_edge(X, Q, bandwidth))
    shifted = fit_predict(kernel, bandwidth, X + shift, y, Q + shift)
    np.testing.assert_allclose(shifted, fit_predict(kernel, bandwidth, X, y, Q), rtol=0, atol=1e-9)


@given(kernels, bandwidths, data(), st.integers(-30, 30))
def test_the_unit_has_no_influence(kernel, bandwidth, problem, power):
    X, y, Q = problem
    unit = 2.0**power
    scaled = fit_predict(kernel, bandwidth * unit, X * unit, y, Q * unit)
    np.testing.assert_array_equal(scaled, fit_predict(kernel, bandwidth, X, y, Q))


@given(kernels, bandwidths, data(), st.floats(-100, 100), st.floats(0.01, 100))
def test_predictions_shift_and_scale_with_the_labels(kernel, bandwidth, problem, shift, scale):
    X, y, Q = problem
    got = fit_predict(kernel, bandwidth, X, y * scale + shift, Q)
    want = fit_predict(kernel, bandwidth, X, y, Q) * scale + shift
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * (abs(shift) + 10 * scale))


@given(kernels, bandwidths, data(), st.randoms(use_true_random=False))
def test_the_order_of_rows_has_no_influence(kernel, bandwidth, problem, random):
    X, y, Q = problem
    assume(not _on_the_edge(X, Q, bandwidth))
    order = random.sample(range(len(X)), len(X))
    permuted = fit_predict(kernel, bandwidth, X[order], y[order], Q)
    np.testing.assert_allclose(permuted, fit_predict(kernel, bandwidth, X, y, Q), rtol=0, atol=1e-9)


@given(kernels, bandwidths, data(), st.data())
def test_a_weight_is_a_number_of_rows(kernel, bandwidth, problem, draw):
    X, y, Q = problem
    assume(not _on_the_edge(X, Q, bandwidth))
    counts = np.array(draw.draw(st.lists(st.integers(0, 3), min_size=len(X), max_size=len(X))))
    assume(counts.any())
    weighted = fit_predict(kernel, bandwidth, X, y, Q, counts)
    repeated = fit_predict(kernel, bandwidth, X.repeat(counts, axis=0), y.repeat(counts), Q)
    np.testing.assert_allclose(weighted, repeated, rtol=0, atol=1e-9)


@given(kernels, bandwidths, data(), st.floats(1e-3, 1e3))
def test_only_ratios_of_weights_matter(kernel, bandwidth, problem, factor):
    X, y, Q = problem
    weight = np.linspace(0.5, 1.5, len(X))
    scaled = fit_predict(kernel, bandwidth, X, y, Q, weight * factor)
    np.testing.assert_allclose(scaled, fit_predict(kernel, bandwidth, X, y, Q, weight), rtol=0, atol=1e-9)


@given(kernels, bandwidths, data())
def test_a_query_alone_gets_what_it_gets_among_others(kernel, bandwidth, problem):
    X, y, Q = problem
    alone = np.concatenate([fit_predict(kernel, bandwidth, X, y, Q[i : i + 1]) for i in range(len(Q))])
    np.testing.assert_allclose(alone, fit_predict(kernel, bandwidth, X, y, Q), rtol=0, atol=1e-9)


@given(kernels, bandwidths, data())
def test_a_constant_feature_has_no_influence(kernel, bandwidth, problem):
    X, y, Q = problem
    wider = [np.c_[part, np.full(len(part), 0.1)] for part in (X, Q)]
    got = fit_predict(kernel, bandwidth, wider[0], y, wider[1])
    np.testing.assert_allclose(got, fit_predict(kernel, bandwidth, X, y, Q), rtol=0, atol=1e-9)
    far = np.c_[Q, np.full(len(Q), 1e6)]
    vector = np.append(np.full(X.shape[1], bandwidth), np.inf)
    got = fit_predict(kernel, vector, wider[0], y, far)
    assume(not _on_the_edge(X, Q, bandwidth))
    np.testing.assert_allclose(got, fit_predict(kernel, bandwidth, X, y, Q), rtol=0, atol=1e-9)
