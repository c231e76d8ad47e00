"""Every fact that a kernel states is true of its profile."""

import pickle

import numpy as np
import pytest
from definition import LOG_PROFILES
from kernels import Decay
from scipy.spatial.distance import cdist

from sknw import KERNELS, Kernel
from sknw._kernels import LOWEST_LOG, relative_weights, weights_and_log_slopes

NAMES = sorted({kernel.name for kernel in KERNELS.values()})
POSITIVE = ["cauchy", "constant", "exponential", "gaussian", "logistic", "matern32", "sigmoid"]
NO_POLYNOMIALS = ["cauchy", "cosine", "gaussian", "logistic", "sigmoid"]
U = np.linspace(0, 3, 301)
FAR = np.array([0.0, 0.5, 1.0, 10.0, 30.0, 500.0, 1e4])


def test_the_table_is_complete():
    assert sorted(LOG_PROFILES) == NAMES
    assert len(NAMES) == 14


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("uniform", "boxcar"),
        ("tophat", "boxcar"),
        ("rectangular", "boxcar"),
        ("linear", "triangular"),
        ("quartic", "biweight"),
        ("laplacian", "exponential"),
    ],
)
def test_aliases(alias, name):
    assert KERNELS[alias] is KERNELS[name]


@pytest.mark.parametrize("name", NAMES)
def test_profile_is_that_of_the_definition(name):
    with np.errstate(divide="ignore"):
        want = np.exp(LOG_PROFILES[name](U.astype(np.longdouble)))
    np.testing.assert_allclose(KERNELS[name](U), want.astype(float), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_log_profile_is_the_logarithm_of_the_profile(name):
    with np.errstate(divide="ignore"):
        want = LOG_PROFILES[name](FAR.astype(np.longdouble))
    np.testing.assert_allclose(KERNELS[name].log_profile(FAR), want.astype(float), rtol=1e-12, atol=1e-15)


def test_a_kernel_that_is_positive_everywhere_states_its_logarithm_and_another_its_support():
    assert [name for name in NAMES if KERNELS[name].log_ratio is not None] == POSITIVE
    assert [name for name in NAMES if KERNELS[name].support != 1] == POSITIVE


@pytest.mark.parametrize("name", POSITIVE)
def test_log_ratio_is_a_difference_of_logarithms(name):
    kernel = KERNELS[name]
    u0, u = np.meshgrid(FAR, FAR)
    got = kernel.log_ratio(u0**2, u**2 - u0**2)
    np.testing.assert_allclose(got, kernel.log_profile(u) - kernel.log_profile(u0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", POSITIVE)
def test_weights_relative_to_another_distance_are_quotients_and_exact_zeros(name):
    kernel = KERNELS[name]
    t0, t = np.meshgrid(FAR**2, FAR**2)
    later = t >= t0
    logs = kernel.log_ratio(t0[later], (t - t0)[later])
    want = np.where(logs > LOWEST_LOG, np.exp(logs), 0)
    np.testing.assert_array_equal(relative_weights(kernel, t0[later], (t - t0)[later]), want)


@pytest.mark.parametrize("name", NAMES)
def test_slopes_are_those_of_differences(name):
    kernel, t, step = KERNELS[name], np.square(U[1:99] / 1.01), 1e-6
    weights, slopes = weights_and_log_slopes(kernel, t.copy())
    np.testing.assert_allclose(weights, kernel(np.sqrt(t)), rtol=1e-13)
    difference = (kernel.log_profile(np.sqrt(t + step * t)) - kernel.log_profile(np.sqrt(t - step * t))) / (
        2 * step * t
    )
    np.testing.assert_allclose(slopes, difference, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(kernel.log_slope(t.copy()), difference, rtol=1e-5, atol=1e-8)
    assert kernel.is_product or kernel.log_slope(np.zeros(1)) == weights_and_log_slopes(kernel, np.zeros(1))[1] == 0


@pytest.mark.parametrize("name", NAMES)
def test_profile_at_zero_is_one_and_falls(name):
    k = KERNELS[name](U)
    assert k[0] == 1
    assert (np.diff(k) <= 0).all()
    assert (k >= 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_support(name):
    kernel = KERNELS[name]
    k = kernel(U)
    if np.isfinite(kernel.support):
        assert (k[kernel.support < U] == 0).all()
        assert (k[kernel.support > U] > 0).all()
    else:
        assert (k > 0).all()


def test_a_kernel_that_is_a_polynomial_says_so():
    assert [name for name in NAMES if KERNELS[name].polynomial is None] == NO_POLYNOMIALS


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(NO_POLYNOMIALS)))
def test_polynomial(name):
    kernel = KERNELS[name]
    u = U[kernel.support >= U]
    want = np.exp(-kernel.rate * u) * np.polynomial.Polynomial(kernel.polynomial)(u)
    np.testing.assert_allclose(kernel(u), want, atol=1e-13)


def test_no_step_takes_a_constant_down():
    for drop in (1e-3, 1.0, 50.0):
        assert (KERNELS["constant"].step(FAR[:, None], np.array(drop)) == np.inf).all()


@pytest.mark.parametrize("name", sorted(set(POSITIVE) - {"constant"}))
def test_a_step_takes_the_logarithm_down(name):
    kernel = KERNELS[name]
    u = FAR[:, None]
    for drop in (1e-3, 1.0, 50.0):
        step = kernel.step(u, np.array(drop))
        for factor, sign in ((1.0, -1), (0.95, 1)):
            fallen = kernel.log_ratio(u**2, factor * step * (2 * u + factor * step))
            assert (sign * (fallen + drop) > -1e-9).all()


@pytest.mark.parametrize("name", NAMES)
def test_positive_definite(name):
    # Random points in one to five features, and lattices, on which the kernels that end betray themselves.
    rng = np.random.default_rng(0)
    lattice = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3)
    lowest = np.inf
    for step in (0.2, 0.5, 0.7, 0.9, 1.1):
        points = [rng.normal(size=(60, d)) for d in (1, 2, 5)] + [np.arange(40.0)[:, None], lattice]
        lowest = min(lowest, *(np.linalg.eigvalsh(KERNELS[name](cdist(x, x) * step)).min() for x in points))
    assert KERNELS[name].positive_definite == (lowest > -1e-10)


def test_the_gaussian_alone_is_a_product():
    assert [name for name in NAMES if KERNELS[name].is_product] == ["gaussian"]


@pytest.mark.parametrize("name", NAMES)
def test_a_squared_profile_is_smooth_at_zero(name):
    # K(sqrt(t)) has a bounded slope, so that a rounding error in t stays one in K.
    kernel = KERNELS[name]
    t = 1e-12
    slope = abs(kernel(np.sqrt([t]))[0] - 1) / t
    assert (slope < 10) == (kernel.squared or name == "boxcar")


def test_the_sign_of_u_has_no_influence():
    for name in NAMES:
        np.testing.assert_array_equal(KERNELS[name](-U), KERNELS[name](U))


@pytest.mark.parametrize("name", NAMES)
def test_a_single_number_is_welcome(name):
    assert KERNELS[name](0.5).shape == KERNELS[name].log_profile(0.5).shape == ()
    np.testing.assert_array_equal(KERNELS[name](0.5), KERNELS[name]([0.5])[0])
    np.testing.assert_array_equal(KERNELS[name](1), KERNELS[name]([1.0])[0])


def test_a_call_leaves_its_argument_alone():
    for name in NAMES:
        u = U.copy()
        KERNELS[name](u)
        KERNELS[name].log_profile(u)
        np.testing.assert_array_equal(u, U)


def test_kernels_pickle():
    for name in NAMES:
        assert pickle.loads(pickle.dumps(KERNELS[name])) == KERNELS[name]


def test_a_kernel_of_ones_own_states_its_facts():
    kernel = Kernel("cone", lambda u: np.maximum(2 - u, 0), support=2.0)
    np.testing.assert_allclose(kernel([0, 1, 3]), [2, 1, 0])
    np.testing.assert_allclose(kernel.log_profile([0, 1, 3]), [np.log(2), 0, -np.inf])


@pytest.mark.parametrize(
    "kernel", [*map(KERNELS.get, NAMES), Kernel("decay", Decay(2.0))], ids=lambda kernel: kernel.name
)
def test_the_square_is_a_kernel(kernel):
    square = kernel.square
    np.testing.assert_allclose(square(U), kernel(U) ** 2, rtol=1e-14)
    np.testing.assert_allclose(square.log_profile(U), 2 * kernel.log_profile(U), rtol=1e-13, atol=1e-15)
    assert (square.squared, square.support) == (kernel.squared, kernel.support)
    assert (square.log_ratio is None) == (kernel.log_ratio is None)
    assert square.is_product == kernel.is_product
    if kernel.log_ratio is not None:
        far = kernel.log_ratio(FAR**2, FAR**2)
        np.testing.assert_array_equal(square.log_ratio(FAR**2, FAR**2), 2 * far)
    if kernel.polynomial is not None:
        u = U[kernel.support >= U]
        polynomial = np.polynomial.Polynomial(square.polynomial)(u) * np.exp(-square.rate * u)
        np.testing.assert_allclose(polynomial, square(u), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel", [KERNELS["gaussian"], KERNELS["tricube"], Kernel("decay", Decay(2.0))])
def test_squares_of_one_kernel_are_equal_and_travel(kernel):
    assert kernel.square == kernel.square
    assert hash(kernel.square) == hash(kernel.square)
    assert kernel.square != KERNELS["cauchy"].square
    assert pickle.loads(pickle.dumps(kernel.square)) == kernel.square
