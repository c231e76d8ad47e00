"""Weights: the kernels of the table, compiled."""

from __future__ import annotations

import math

import numpy as np

from sknw._compiled._exp2 import exp2
from sknw._compiled._jit import EXACT, jit, use_wide_vectors
from sknw._compiled._kinds import LAST_DECAYING, SQUARED

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "e98f32c706ef"

_LOG2_E = float(np.log2(np.e))

# The terms of cos(pi / 2 * u) as powers of u * u.
_COSINE = tuple((-1) ** k * (np.pi / 2) ** (2 * k) / math.factorial(2 * k) for k in range(12))


@jit(EXACT)
def fill_weights(kind, factor, t0, dt, weights):
    """Fill `weights` with K at u * u = factor * (t0 + dt), in units of K at factor * t0, for dt >= 0.

    kind : int, from `_kinds.kind_of`
    factor, t0 : numbers of the dtype of dt; t0 is zero for kernels of compact support
    dt, weights : arrays of shape (n,); they may be the same
    """
    base = kind % SQUARED
    if base <= LAST_DECAYING:
        fill_decaying(base, factor, t0, dt, weights)
    else:
        fill_algebraic(base, factor, t0, dt, weights)
    if kind >= SQUARED:
        for j in range(len(weights)):
            weights[j] *= weights[j]


@jit(EXACT)
def fill_decaying(kind, factor, t0, dt, weights):
    """The same for kernels that fall as an exponential does."""
    use_wide_vectors()
    number = dt.dtype.type
    one, two, log2_e = number(1), number(2), number(_LOG2_E)
    if kind == 0:
        scale = -log2_e * factor / two
        for j in range(len(dt)):
            weights[j] = exp2(scale * dt[j])
        return
    scale = number(3) * factor if kind == 2 else factor
    u0, tiny = np.sqrt(scale * t0), number(1e-37)
    if kind == 1:
        for j in range(len(dt)):
            step = scale * dt[j]
            weights[j] = exp2(-log2_e * (step / (np.sqrt(scale * (t0 + dt[j])) + u0 + tiny)))
    elif kind == 2:
        for j in range(len(dt)):
            step = scale * dt[j] / (np.sqrt(scale * (t0 + dt[j])) + u0 + tiny)
            weights[j] = (one + step / (one + u0)) * exp2(-log2_e * step)
    elif kind == 3:
        decay0 = exp2(-log2_e * u0)
        for j in range(len(dt)):
            decay = exp2(-log2_e * (scale * dt[j] / (np.sqrt(scale * (t0 + dt[j])) + u0 + tiny)))
            ratio = (one + decay0) / (one + decay0 * decay)
            weights[j] = decay * ratio * ratio
    else:
        decay0 = exp2(-two * log2_e * u0)
        for j in range(len(dt)):
            decay = exp2(-log2_e * (scale * dt[j] / (np.sqrt(scale * (t0 + dt[j])) + u0 + tiny)))
            weights[j] = decay * ((one + decay0) / (one + decay0 * decay * decay))


@jit(EXACT)
def fill_algebraic(kind, factor, t0, dt, weights):
    """The same for kernels without an exponential."""
    use_wide_vectors()
    number = dt.dtype.type
    zero, one = number(0), number(1)
    if kind == 5:
        for j in range(len(dt)):
            weights[j] = (one + factor * t0) / (one + factor * (t0 + dt[j]))
    elif kind == 6:
        for j in range(len(dt)):
            weights[j] = one
    elif kind == 7:
        for j in range(len(dt)):
            weights[j] = one if factor * dt[j] <= one else zero
    elif kind == 8:
        for j in range(len(dt)):
            weights[j] = max(one - np.sqrt(factor * dt[j]), zero)
    elif kind == 9:
        for j in range(len(dt)):
            weights[j] = max(one - factor * dt[j], zero)
    elif kind == 10:
        for j in range(len(dt)):
            weight = max(one - factor * dt[j], zero)
            weights[j] = weight * weight
    elif kind == 11:
        for j in range(len(dt)):
            weight = max(one - factor * dt[j], zero)
            weights[j] = weight * weight * weight
    elif kind == 12:
        for j in range(len(dt)):
            t = min(factor * dt[j], one)
            weight = one - t * np.sqrt(t)
            weights[j] = weight * weight * weight
    else:
        _fill_cosine(factor, dt, weights)


@jit(EXACT)
def _fill_cosine(factor, dt, weights):
    """The cosine of pi / 2 * u, by its series in u * u."""
    use_wide_vectors()
    number = dt.dtype.type
    for j in range(len(dt)):
        t = min(factor * dt[j], number(1))
        weight = number(_COSINE[11])
        for k in range(10, -1, -1):
            weight = weight * t + number(_COSINE[k])
        weights[j] = max(weight, number(0))
