"""Gradient: how leave-one-out errors of means and lines change with squared distances.

The formulae are those of `_fit/_gradient.py`.
"""

from __future__ import annotations

import numpy as np

from sknw._compiled._exp2 import exp2
from sknw._compiled._jit import EXACT, SUMS, jit, use_wide_vectors
from sknw._compiled._kinds import CHUNK, KINDS, PADDING

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "e98f32c706ef"

_LOG2_E = float(np.log2(np.e))
_ROOT3 = float(np.sqrt(3))
_GAUSSIAN, _EXPONENTIAL, _MATERN32, _LOGISTIC, _CAUCHY, _CONSTANT = (
    KINDS[name] for name in ("gaussian", "exponential", "matern32", "logistic", "cauchy", "constant")
)


@jit(EXACT)
def make_exponential(lowest, t, rows):
    """Put exponential kernels in units of that at the lowest in place, and make of t the derivatives of logarithms.

    For this one, as `fill_rows` and `make_slopes` do, with one root for both.
    """
    use_wide_vectors()
    for k in range(len(t)):
        if lowest[k] == 0:
            for j in range(t.shape[1]):
                u = np.sqrt(t[k, j])
                rows[k, j] = exp2(-_LOG2_E * u)
                t[k, j] = -0.5 / u if u > 0 else 0.0
        else:
            u0 = np.sqrt(lowest[k])
            for j in range(t.shape[1]):
                u = np.sqrt(lowest[k] + t[k, j])
                rows[k, j] = exp2(-_LOG2_E * (t[k, j] / (u + u0)))
                t[k, j] = -0.5 / u


@jit(EXACT)
def make_slopes(kind, lowest, t):
    """Make of squared distances beyond the lowest the derivatives of the kernel's logarithms by them.

    Zero at zero where there is none.
    """
    use_wide_vectors()
    for k in range(len(t)):
        low = lowest[k]
        if kind == _GAUSSIAN:
            t[k].fill(-0.5)
        elif kind == _MATERN32:
            for j in range(t.shape[1]):
                t[k, j] = -1.5 / (1 + _ROOT3 * np.sqrt(low + t[k, j]))
        elif kind == _CAUCHY:
            for j in range(t.shape[1]):
                t[k, j] = -1 / (1 + low + t[k, j])
        elif kind == _CONSTANT:
            t[k].fill(0.0)
        else:
            speed = 1.0 if kind == _LOGISTIC else 2.0
            for j in range(t.shape[1]):
                u = np.sqrt(low + t[k, j])
                decay = exp2(-_LOG2_E * speed * u)
                t[k, j] = -0.5 * (1 - decay) / ((1 + decay) * u) if u > 0 else 0.0


@jit(SUMS)
def make_changes(about, residuals, levers, constant, rows, t, by_key):
    """Make of slopes of the kernel's logarithm the changes by each squared distance.

    Parameters
    ----------
    about : ndarray of shape (n_chunks, n_rows + PADDING, CHUNK)
        Ones, the coordinates that lines are fitted in, and the targets without their offset.
    residuals, levers : ndarray of shape (n_samples, n_rows + PADDING)
        What rows of these are multiplied by to be the residuals that count, and the equivalent kernel.
    constant : ndarray of shape (n_samples,)
        What the ridge adds.
    rows : ndarray of shape (n_samples, n_chunks, CHUNK)
        Of the kernel matrix.
    t : ndarray of shape (n_samples, n_chunks, CHUNK)
        The slopes, then the changes.
    by_key : ndarray of shape (n_chunks, CHUNK)
        Has the sums of changes over samples added.
    """
    use_wide_vectors()
    residual, lever = np.empty(CHUNK), np.empty(CHUNK)
    for c in range(len(about)):
        for k in range(len(t)):
            for j in range(CHUNK):
                residual[j] = 0.0
                lever[j] = 0.0
            for a in range(0, about.shape[1] - PADDING, 5):
                f0, f1, f2 = residuals[k, a], residuals[k, a + 1], residuals[k, a + 2]
                f3, f4 = residuals[k, a + 3], residuals[k, a + 4]
                g0, g1, g2, g3, g4 = (
                    levers[k, a],
                    levers[k, a + 1],
                    levers[k, a + 2],
                    levers[k, a + 3],
                    levers[k, a + 4],
                )
                for j in range(CHUNK):
                    r0, r1, r2 = about[c, a, j], about[c, a + 1, j], about[c, a + 2, j]
                    r3, r4 = about[c, a + 3, j], about[c, a + 4, j]
                    residual[j] += f0 * r0 + f1 * r1 + f2 * r2 + f3 * r3 + f4 * r4
                    lever[j] += g0 * r0 + g1 * r1 + g2 * r2 + g3 * r3 + g4 * r4
            for j in range(CHUNK):
                change = t[k, c, j] * (residual[j] * lever[j] + constant[k]) * rows[k, c, j]
                t[k, c, j] = change
                by_key[c, j] += change
