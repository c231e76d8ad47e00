"""Scans: sums over one feature for kernels that are a polynomial times an exponential, and never end.

From one key to the next, exp(-rate * u) * u**j over all keys behind changes by a factor that depends on the gap alone:
the sums for all keys on one side of a query follow from those at its neighbour. The keys are cut into blocks that
advance together; what each block hands to the next is added up in doubling steps. Nothing is subtracted, so nothing
cancels; and sums are in units of the weight of the nearest key, so nothing underflows. Local polynomials need further
powers of u, as seen from the nearest key.

Reference: D. P. Hofmeyr (2021), Fast exact evaluation of univariate kernel sums, IEEE Transactions on Pattern Analysis
and Machine Intelligence 43 (2), 447-458, doi:10.1109/TPAMI.2019.2930501.
"""

from __future__ import annotations

import numpy as np

from sknw._algorithms._line import Line
from sknw._algorithms._powers import shift
from sknw._algorithms._problem import Problem, Sums
from sknw._kernels import LOWEST_LOG

# Keys in a block: few, for each takes steps of its own, and enough for what blocks hand on to be little.
_BLOCK = 16

# A sum that is smaller, in units of the weight that the nearest key would have if its sample weight were 1, may have
# lost keys to underflow.
_TINY = 1e-250

# Beyond this, in bandwidths, keys weigh nothing, and powers of their distance would overflow.
_FARTHEST = 1e50


class Scans:
    """Sums over all keys from sums that run along the sorted keys, from the left and from the right.

    Parameters
    ----------
    problem : Problem
    line : Line
    """

    needs = "is a polynomial times an exponential and never ends"

    def __init__(self, problem: Problem, line: Line):
        self._line = line
        self._problem = problem
        self._unit = float(problem.unit)
        self._length = _length(problem)
        ratio = self._length / self._unit
        coefficients = np.array(problem.kernel.polynomial, dtype=float)
        self._polynomial = coefficients * ratio ** np.arange(len(coefficients))
        self._rate = problem.kernel.rate * ratio
        self._left = self._scan(line.keys, line.values)
        self._right = np.ascontiguousarray(self._scan(-line.keys[::-1], line.values[::-1])[..., ::-1])

    @staticmethod
    def serves(problem: Problem) -> bool:
        kernel = problem.kernel
        return kernel.polynomial is not None and kernel.support == np.inf

    @staticmethod
    def cost(problem: Problem) -> float:
        return 1e-3 + 7e-7 * len(problem.y) * (len(problem.kernel.polynomial or ()) + 1.5 * problem.degree)

    def _scan(self, keys, values):
        """Sums over this and all earlier keys of exp(-rate * u) * u**j * values: (n_moments, n_columns, n_keys)."""
        n_keys, n_columns = values.shape
        n_blocks = -(-n_keys // _BLOCK)
        n_moments = len(self._polynomial) + self._line.powers.highest
        missing = n_blocks * _BLOCK - n_keys
        # Row i holds key i of every block; the last block is filled up with keys that weigh nothing.
        x = np.pad(keys, (0, missing), mode="edge").reshape(n_blocks, _BLOCK).T.copy()
        state = np.zeros((_BLOCK, n_moments, n_columns, n_blocks))
        state[:, 0] = np.pad(values.T, ((0, 0), (0, missing))).reshape(n_columns, n_blocks, _BLOCK).transpose(2, 0, 1)
        for i in range(1, _BLOCK):
            state[i] += self._shift(state[i - 1], self._gap(x[i - 1], x[i]))
        carried, end, step = state[-1].copy(), x[-1], 1
        while step < n_blocks:
            carried[..., step:] += self._shift(carried[..., :-step], self._gap(end[:-step], end[step:]))
            step *= 2
        for i in range(_BLOCK):
            state[i, ..., 1:] += self._shift(carried[..., :-1], self._gap(end[:-1], x[i, 1:]))
        return np.ascontiguousarray(state.transpose(1, 2, 3, 0).reshape(n_moments, n_columns, -1)[..., :n_keys])

    def _gap(self, keys, next_keys):
        return np.minimum((next_keys - keys) / self._length, _FARTHEST)

    def _shift(self, state, gap, relief=0.0):
        """The sums as a point sees them that is further away by a gap; relief is taken off the exponent."""
        shifted = state.copy()
        shift(shifted, gap)
        shifted *= np.exp(np.maximum(-self._rate * (gap - relief), LOWEST_LOG))
        return shifted

    def sums(self, points: np.ndarray, own: np.ndarray | None) -> Sums:
        """Kernel sums for queries in ascending order; own is the place of a key that does not count."""
        line = self._line
        n_keys = len(line.keys)
        right = np.searchsorted(line.keys, points)
        left = right - 1
        strange = np.zeros(len(points), dtype=bool)
        if own is not None:
            inside = own >= 0
            left, right = np.where(inside, own - 1, left), np.where(inside, own + 1, right)
            strange = inside & (line.keys[own] != points)
        gaps = []
        for place, sign in ((left, 1), (right, -1)):
            there = (place >= 0) & (place < n_keys)
            place = np.clip(place, 0, n_keys - 1)
            gaps.append(np.where(there, sign * (points - line.keys[place]) / self._length, np.inf))
        nearest = np.minimum(*gaps)
        sums = line.powers.empty(len(points))
        centre = np.where(gaps[0] <= gaps[1], line.keys[np.maximum(left, 0)], line.keys[np.minimum(right, n_keys - 1)])
        if self._problem.degree:
            sums.centre[:, 0] = centre
        for place, gap, sign, state in ((left, gaps[0], -1, self._left), (right, gaps[1], 1, self._right)):
            some = np.flatnonzero(gap < np.inf)
            part = self._sum_side(state.take(place[some], axis=2), gap[some], nearest[some], sign)
            line.powers.shift(part, (line.keys[place[some]] - centre[some]) / self._length)
            sums.columns[some] += part.T
        line.powers.scale(sums.columns.T, self._length)
        sums.log_scale[:] = np.where(nearest < np.inf, -self._rate * nearest, 0.0)
        lost = (sums.columns[:, -1] < _TINY) & (nearest < np.inf)
        again = np.flatnonzero(strange | lost | self._problem.blurred(sums.columns))
        if len(again):
            own = None if own is None else own[again]
            sums.fill(again, line.exact_sums(self._unit, points[again], own))
        return sums

    def _sum_side(self, state, gap, nearest, sign):
        """Sums over the keys on one side, about the nearest of them, in units of the weight of the nearest of all."""
        powers, size = self._line.powers, len(self._polynomial)
        part = np.empty((powers.n_columns, len(gap)))
        for power, columns in powers.multiplied(self._line.values):
            moments = self._shift(state[power : power + size, columns], gap, nearest)
            powers.put(part, power, sign**power * np.einsum("jcm,j->cm", moments, self._polynomial))
        return part


def _length(problem):
    """What places of keys are in units of. Their powers neither underflow nor overflow."""
    unit = float(problem.unit)
    if problem.degree == 0:
        return unit
    return min(unit, 1.0) if problem.kernel.rate > 0 else 1.0
