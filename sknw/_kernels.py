"""Kernels: what is known of each, in one table.

A kernel K is a function of u = distance / bandwidth >= 0 with K(0) = 1. Most are smooth in t = u * u and are
written in t: a square needs no root, and may come from a matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.polynomial import polyder

Profile = Callable[[np.ndarray], np.ndarray]

# exp() is up to fifty times slower where its result is subnormal. Nothing is lost by stopping short of that: a row
# whose weights are all this small is summed again in the log domain.
LOWEST_LOG = -700.0
_LEAST_WEIGHT = 1.001 * np.exp(LOWEST_LOG)

# By how much t changes to differentiate log K: it may be little, for log_ratio does not cancel.
_RELATIVE_STEP = 1e-5
_TINY = np.finfo(float).tiny

# What the name of a square ends in.
_SQUARED = " squared"

# Where `Kernel.step` looks for a distance, as a power of two, and how often it halves that range.
_FAR = 250.0
_HALVINGS = 13


@dataclass(frozen=True)
class Kernel:
    """A kernel and the facts that algorithms ask of it.

    Parameters
    ----------
    name : str
        What messages and displays call it.

    profile : callable
        K as a function of an array u >= 0 of distances in bandwidths, or of u * u where `squared` is true. It
        returns an array of the same shape and may overwrite the one that it was given.

    squared : bool, default=False
        Whether `profile` takes u * u. State it only for kernels that are smooth in u * u: their squared distances may
        then be computed as one matrix product, whose rounding a kernel with a kink at zero would magnify.

    log_ratio : callable, default=None
        ``log_ratio(t0, dt)`` is log K at u * u = t0 + dt minus log K at u * u = t0, without cancellation where t0 is
        large. For kernels that are positive everywhere and never rise: it keeps queries far from the data exact.

    support : float, default=inf
        K(u) = 0 for all u > support.

    polynomial : tuple of float, default=None
        Coefficients c with K(u) = exp(-rate * u) * sum_p c[p] * u**p for 0 <= u <= support.

    rate : float, default=0.0
        The rate in this.

    positive_definite : bool, default=False
        Whether the matrix ``K(|x_i - x_j|)`` of any points in any number of features has no negative eigenvalue.

    Examples
    --------
    >>> import numpy as np
    >>> from sknw import KERNELS, Kernel
    >>> KERNELS["triangular"]([0.0, 0.5, 2.0])
    array([1. , 0.5, 0. ])
    >>> def flat_top(u):
    ...     return np.clip(2 - u, 0, 1)
    >>> Kernel("flat top", flat_top, support=2.0)([0.0, 0.5, 1.5])
    array([1. , 1. , 0.5])
    """

    name: str
    profile: Profile
    squared: bool = False
    log_ratio: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    support: float = np.inf
    polynomial: tuple[float, ...] | None = None
    rate: float = 0.0
    positive_definite: bool = False

    def __call__(self, u) -> np.ndarray:
        """K(u) for an array of distances in bandwidths; the sign of u has no influence."""
        return np.asarray(self.of_square(_square(u)))

    def log_profile(self, u) -> np.ndarray:
        """Log K(u), also where K(u) is too small for a float; -inf where it is zero."""
        t = _square(u)
        if self.log_ratio is not None:
            return np.asarray(self.log_ratio(np.zeros_like(t), t))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.of_square(t)))

    def of_square(self, t: np.ndarray) -> np.ndarray:
        """K as a function of t = u * u. May overwrite t."""
        return self.profile(t if self.squared else np.sqrt(t, out=t))

    @property
    def square(self) -> Kernel:
        """The kernel K * K."""
        return Kernel(
            f"{self.name}{_SQUARED}",
            _Squared(self.profile),
            squared=self.squared,
            log_ratio=None if self.log_ratio is None else _Doubled(self.log_ratio),
            support=self.support,
            polynomial=None
            if self.polynomial is None
            else tuple(np.convolve(self.polynomial, self.polynomial).tolist()),
            rate=2 * self.rate,
            positive_definite=self.positive_definite,
        )

    @property
    def is_product(self) -> bool:
        """Whether ``K(|(a, b)|) = K(a) K(b)``, as for the Gaussian alone: log K is then a multiple of u * u."""
        if self.log_ratio is None:
            return False
        logs = self.log_ratio(np.zeros(3), np.array([1.0, 2.0, 3.0]))
        return bool(abs(logs[0] + logs[1] - logs[2]) < 1e-12 and logs[0] < 0)

    @property
    def is_flat(self) -> bool:
        """Whether it is known to be constant where it is not zero."""
        return self.polynomial is not None and len(self.polynomial) == 1 and self.rate == 0

    def log_slope(self, t: np.ndarray) -> np.ndarray:
        """The derivative of log K by t = u * u; zero where K is, and at t = 0, where K may have a kink."""
        if self.is_product:
            assert self.log_ratio is not None
            return np.broadcast_to(self.log_ratio(np.zeros(1), np.ones(1)), t.shape)
        if self.polynomial is not None:
            step = np.sqrt(t)
            k = _horner(self.polynomial, step)
            change = _horner(polyder(self.polynomial), step) - self.rate * k
            k = k if self.support == np.inf else np.where(step <= self.support, k, 0)
        elif self.log_ratio is not None:
            step, k = _RELATIVE_STEP * t, 1.0
            change = self.log_ratio(t - step, 2 * step)
        else:
            step, k = _RELATIVE_STEP * t, self.of_square(t.copy())
            change = self.of_square(t + step) - self.of_square(t - step)
        step *= 2 * k
        none = step <= 0
        with np.errstate(divide="ignore", invalid="ignore"):  # faster than a division with a mask
            slope = np.divide(change, step, out=step)
        slope[none] = 0
        return slope

    def step(self, u: np.ndarray, drop: np.ndarray) -> np.ndarray:
        """How far beyond u log K has fallen by `drop`, a little more than needed; inf where it never has.

        For kernels with a `log_ratio`.
        """
        assert self.log_ratio is not None
        if self.is_product:
            t = drop / -self.log_ratio(np.zeros(1), np.ones(1)) * (1 + _RELATIVE_STEP)
            return np.divide(t, u + np.sqrt(u * u + t), out=np.full_like(u, np.inf), where=t < np.inf)
        low, high = np.full_like(u, -_FAR), np.full_like(u, _FAR)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            step = np.exp2(middle)
            fallen = self.log_ratio(u * u, step * (2 * u + step)) <= -drop
            low, high = np.where(fallen, low, middle), np.where(fallen, middle, high)
        return np.where(high < _FAR, np.exp2(high), np.inf)


def relative_weights(kernel: Kernel, t0: np.ndarray, dt: np.ndarray) -> np.ndarray:
    """K at u * u = t0 + dt in units of K at u * u = t0, for dt >= 0: no underflow, and no cancellation far away.

    Zero where that is below exp(LOWEST_LOG). For kernels with a `log_ratio`.
    """
    assert kernel.log_ratio is not None
    logs = kernel.log_ratio(t0, dt)
    if logs.min(initial=0.0) >= LOWEST_LOG:
        return np.exp(np.minimum(logs, 0, out=logs), out=logs)
    weights = np.exp(np.clip(logs, LOWEST_LOG, 0, out=logs), out=logs)
    weights *= weights > _LEAST_WEIGHT
    return weights


def weights_and_log_slopes(kernel: Kernel, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K and the derivative of log K by t = u * u, as `Kernel.log_slope` has it, for one root. May overwrite t."""
    if kernel.polynomial is None or kernel.support < np.inf or kernel.is_product:
        slopes = kernel.log_slope(t)
        return kernel.of_square(t), slopes
    u = np.sqrt(t, out=t)
    weights = u * -kernel.rate
    np.exp(np.maximum(weights, LOWEST_LOG, out=weights), out=weights)
    slope: float | np.ndarray = -kernel.rate
    if len(kernel.polynomial) > 1:
        polynomial = _horner(kernel.polynomial, u)
        slope = _horner(polyder(kernel.polynomial), u) / polynomial - kernel.rate
        weights *= polynomial
    origin = np.flatnonzero(u <= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.divide(slope, u, out=u)
    slopes /= 2
    slopes.ravel()[origin] = 0
    return weights, slopes


@dataclass(frozen=True)
class _Squared:
    """The square of a profile. Unlike a closure it can be pickled, and is equal to another of the same profile."""

    profile: Profile

    def __call__(self, u):
        return np.square(self.profile(u))


@dataclass(frozen=True)
class _Doubled:
    """Twice a log_ratio, which is that of the square."""

    log_ratio: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def __call__(self, t0, dt):
        return 2 * self.log_ratio(t0, dt)


def _square(u) -> np.ndarray:
    """U * u, as an array of its own that may be overwritten, also for a single number."""
    t = np.array(u, dtype=float)
    t *= t
    return t


def _gaussian(t):
    np.multiply(t, -0.5, out=t)
    if t.dtype == np.float64:
        np.maximum(t, LOWEST_LOG, out=t)
    return np.exp(t, out=t)


def _boxcar(u):
    return (u <= 1).astype(u.dtype)


def _triangular(u):
    return np.maximum(1 - u, 0)


def _constant(t):
    return np.ones_like(t)


def _epanechnikov(t):
    np.subtract(1, t, out=t)
    return np.maximum(t, 0, out=t)


def _biweight(t):
    return np.square(_epanechnikov(t))


def _triweight(t):
    return _epanechnikov(t) ** 3


def _tricube(t):
    np.minimum(t, 1, out=t)
    return (1 - t * np.sqrt(t)) ** 3


def _cosine(t):
    return np.where(t < 1, np.cos(np.pi / 2 * np.sqrt(np.minimum(t, 1))), 0)


def _exponential(u):
    np.negative(u, out=u)
    return np.exp(np.maximum(u, LOWEST_LOG, out=u), out=u)


def _logistic(t):
    decay = np.exp(np.maximum(-np.sqrt(t), LOWEST_LOG))
    return 4 * decay / (1 + decay) ** 2


def _sigmoid(t):
    decay = np.exp(np.maximum(-np.sqrt(t), LOWEST_LOG))
    return 2 * decay / (1 + decay**2)


def _cauchy(t):
    return 1 / (1 + t)


def _matern32(t):
    v = np.minimum(np.sqrt(3 * t), -LOWEST_LOG)
    return (1 + v) * np.exp(-v)


def _horner(coefficients, u):
    """A polynomial at u; a number if it is one."""
    value = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        value = value * u + coefficient
    return value


def _step(t0, dt):
    """sqrt(t0 + dt) - sqrt(t0), as a quotient that does not cancel."""
    if not np.any(t0):
        return np.sqrt(dt)
    roots = np.sqrt(np.maximum(t0 + dt, 0))
    roots += np.sqrt(t0) + _TINY  # 0 / 0 is to be 0
    return dt / roots


def _log_gaussian(t0, dt):
    return -0.5 * dt


def _log_constant(t0, dt):
    return np.zeros_like(dt)


def _log_exponential(t0, dt):
    return -_step(t0, dt)


def _log_logistic(t0, dt):
    u0, du = np.sqrt(t0), _step(t0, dt)
    return -du - 2 * (np.log1p(np.exp(-u0 - du)) - np.log1p(np.exp(-u0)))


def _log_sigmoid(t0, dt):
    u0, du = np.sqrt(t0), _step(t0, dt)
    return -du - (np.log1p(np.exp(-2 * (u0 + du))) - np.log1p(np.exp(-2 * u0)))


def _log_cauchy(t0, dt):
    return -np.log1p(dt / (1 + t0))


def _log_matern32(t0, dt):
    v0, dv = np.sqrt(3 * t0), np.sqrt(3) * _step(t0, dt)
    return np.log1p(dv / (1 + v0)) - dv


_ROOT3 = float(np.sqrt(3))

_TABLE = (
    Kernel("gaussian", _gaussian, squared=True, log_ratio=_log_gaussian, positive_definite=True),
    Kernel("boxcar", _boxcar, support=1.0, polynomial=(1,)),
    Kernel("triangular", _triangular, support=1.0, polynomial=(1, -1)),
    Kernel("constant", _constant, squared=True, log_ratio=_log_constant, polynomial=(1,), positive_definite=True),
    Kernel("epanechnikov", _epanechnikov, squared=True, support=1.0, polynomial=(1, 0, -1)),
    Kernel("biweight", _biweight, squared=True, support=1.0, polynomial=(1, 0, -2, 0, 1)),
    Kernel("triweight", _triweight, squared=True, support=1.0, polynomial=(1, 0, -3, 0, 3, 0, -1)),
    Kernel("tricube", _tricube, squared=True, support=1.0, polynomial=(1, 0, 0, -3, 0, 0, 3, 0, 0, -1)),
    Kernel("cosine", _cosine, squared=True, support=1.0),
    Kernel("exponential", _exponential, log_ratio=_log_exponential, polynomial=(1,), rate=1.0, positive_definite=True),
    Kernel("logistic", _logistic, squared=True, log_ratio=_log_logistic, positive_definite=True),
    Kernel("sigmoid", _sigmoid, squared=True, log_ratio=_log_sigmoid, positive_definite=True),
    Kernel("cauchy", _cauchy, squared=True, log_ratio=_log_cauchy, positive_definite=True),
    Kernel(
        "matern32",
        _matern32,
        squared=True,
        log_ratio=_log_matern32,
        polynomial=(1, _ROOT3),
        rate=_ROOT3,
        positive_definite=True,
    ),
)

_ALIASES = {
    "uniform": "boxcar",
    "tophat": "boxcar",
    "rectangular": "boxcar",
    "linear": "triangular",
    "quartic": "biweight",
    "laplacian": "exponential",
}

_BY_NAME = {kernel.name: kernel for kernel in _TABLE}

#: Every kernel by its names, aliases included.
KERNELS: dict[str, Kernel] = _BY_NAME | {alias: _BY_NAME[name] for alias, name in _ALIASES.items()}


def name_in_table(kernel: Kernel) -> tuple[str, bool] | None:
    """The name of a kernel of the table, and whether the kernel is the square of that; None for one of a user's own."""
    name = kernel.name.removesuffix(_SQUARED)
    base = _BY_NAME.get(name)
    if base is None:
        return None
    if kernel == base:
        return name, False
    return (name, True) if kernel == base.square else None
