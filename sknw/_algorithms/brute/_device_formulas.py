"""Formulas: the kernels of the table in functions that all libraries of arrays share, and compilers understand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sknw._kernels import LOWEST_LOG, Kernel, name_in_table

_TINY = float(np.finfo(np.float64).tiny)

_ROOT3 = math.sqrt(3)


class Formula(NamedTuple):
    """A kernel in the functions of a namespace of arrays.

    Parameters
    ----------
    name : str
    profile : callable
        (xp, t) -> K at u * u = t.
    log_ratio : callable or None
        (xp, t0, dt) -> log K at u * u = t0 + dt minus log K at u * u = t0, as that of `Kernel`.
    """

    name: str
    profile: Callable[[Any, Any], Any]
    log_ratio: Callable[[Any, Any, Any], Any] | None = None

    @property
    def square(self) -> Formula:
        """That of the kernel K * K."""
        profile, log_ratio = self.profile, self.log_ratio

        def squared(xp, t):
            k = profile(xp, t)
            return k * k

        def doubled(xp, t0, dt):
            return log_ratio(xp, t0, dt) * 2.0  # type: ignore[misc]

        return Formula(f"{self.name} squared", squared, None if log_ratio is None else doubled)


def _positive(xp, x):
    return xp.where(x > 0, x, xp.zeros_like(x))


def _gaussian(xp, t):
    return xp.exp(t * -0.5)


def _boxcar(xp, t):
    return xp.where(t <= 1, xp.ones_like(t), xp.zeros_like(t))


def _triangular(xp, t):
    return _positive(xp, 1.0 - xp.sqrt(t))


def _constant(xp, t):
    return xp.ones_like(t)


def _epanechnikov(xp, t):
    return _positive(xp, 1.0 - t)


def _biweight(xp, t):
    k = _epanechnikov(xp, t)
    return k * k


def _triweight(xp, t):
    k = _epanechnikov(xp, t)
    return k * k * k


def _tricube(xp, t):
    t = xp.where(t < 1, t, xp.ones_like(t))
    k = 1.0 - t * xp.sqrt(t)
    return k * k * k


def _cosine(xp, t):
    return xp.where(t < 1, xp.cos(xp.sqrt(t) * (math.pi / 2)), xp.zeros_like(t))


def _exponential(xp, t):
    return xp.exp(-xp.sqrt(t))


def _logistic(xp, t):
    decay = xp.exp(-xp.sqrt(t))
    return decay * 4.0 / ((1.0 + decay) * (1.0 + decay))


def _sigmoid(xp, t):
    decay = xp.exp(-xp.sqrt(t))
    return decay * 2.0 / (1.0 + decay * decay)


def _cauchy(xp, t):
    return 1.0 / (1.0 + t)


def _matern32(xp, t):
    v = xp.sqrt(t * 3.0)
    v = xp.where(v < -LOWEST_LOG, v, xp.zeros_like(v) - LOWEST_LOG)  # infinity times zero is no number
    return (1.0 + v) * xp.exp(-v)


def _step(xp, t0, dt):
    """sqrt(t0 + dt) - sqrt(t0), as a quotient that does not cancel."""
    return dt / (xp.sqrt(_positive(xp, t0 + dt)) + xp.sqrt(t0) + _TINY)


def _log_gaussian(xp, t0, dt):
    return dt * -0.5


def _log_constant(xp, t0, dt):
    return xp.zeros_like(dt)


def _log_exponential(xp, t0, dt):
    return -_step(xp, t0, dt)


def _log_logistic(xp, t0, dt):
    u0, du = xp.sqrt(t0), _step(xp, t0, dt)
    return (xp.log1p(xp.exp(-u0)) - xp.log1p(xp.exp(-u0 - du))) * 2.0 - du


def _log_sigmoid(xp, t0, dt):
    u0, du = xp.sqrt(t0), _step(xp, t0, dt)
    return xp.log1p(xp.exp(u0 * -2.0)) - xp.log1p(xp.exp((u0 + du) * -2.0)) - du


def _log_cauchy(xp, t0, dt):
    return -xp.log1p(dt / (1.0 + t0))


def _log_matern32(xp, t0, dt):
    v0, dv = xp.sqrt(t0 * 3.0), _step(xp, t0, dt) * _ROOT3
    return xp.log1p(dv / (1.0 + v0)) - dv


_TABLE = (
    Formula("gaussian", _gaussian, _log_gaussian),
    Formula("boxcar", _boxcar),
    Formula("triangular", _triangular),
    Formula("constant", _constant, _log_constant),
    Formula("epanechnikov", _epanechnikov),
    Formula("biweight", _biweight),
    Formula("triweight", _triweight),
    Formula("tricube", _tricube),
    Formula("cosine", _cosine),
    Formula("exponential", _exponential, _log_exponential),
    Formula("logistic", _logistic, _log_logistic),
    Formula("sigmoid", _sigmoid, _log_sigmoid),
    Formula("cauchy", _cauchy, _log_cauchy),
    Formula("matern32", _matern32, _log_matern32),
)

#: Formulas by name: those of the kernels of the table, and of their squares.
FORMULAS: dict[str, Formula] = {each.name: each for formula in _TABLE for each in (formula, formula.square)}


def formula_of(kernel: Kernel) -> Formula | None:
    """The formula of a kernel of the table, or of the square of one; None for any other."""
    return None if name_in_table(kernel) is None else FORMULAS.get(kernel.name)
