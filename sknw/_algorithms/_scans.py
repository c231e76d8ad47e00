"""Scans: sums over one feature for kernels that are a polynomial times an exponential, and never end.

From one key to the next, exp(-rate * u) * u**j over all keys behind changes by a factor that depends on the gap alone:
the sums for all keys on one side of a query follow from those at its neighbour. The keys are cut into blocks that
advance together; what each block hands to the next is added up in doubling steps. Nothing is subtracted, so nothing
cancels; and sums are in units of the weight of the nearest key, so nothing underflows.

Reference: D. P. Hofmeyr (2021), Fast exact evaluation of univariate kernel sums, IEEE Transactions on Pattern Analysis
and Machine Intelligence 43 (2), 447-458, doi:10.1109/TPAMI.2019.2930501.
"""

from __future__ import annotations

from math import comb

import numpy as np

from sknw._algorithms._line import Line
from sknw._algorithms._problem import Problem
from sknw._kernels import LOWEST_LOG

# Keys in a block: few, for each takes steps of its own, and enough for what blocks hand on to be little.
_BLOCK = 16

# A sum that is smaller, in units of the weight that the nearest key would have if its sample weight were 1, may have
# lost keys to underflow.
_TINY = 1e-250


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
        self._unit = float(problem.unit)
        self._polynomial = np.array(problem.kernel.polynomial, dtype=float)
        self._rate = problem.kernel.rate
        self._left = self._scan(line.keys, line.values)
        self._right = np.ascontiguousarray(self._scan(-line.keys[::-1], line.values[::-1])[..., ::-1])

    @staticmethod
    def serves(problem: Problem) -> bool:
        kernel = problem.kernel
        return kernel.polynomial is not None and kernel.support == np.inf

    @staticmethod
    def cost(problem: Problem) -> float:
        return 1e-3 + 7e-7 * len(problem.y) * len(problem.kernel.polynomial or ())

    def _scan(self, keys, values):
        """Sums over this and all earlier keys of exp(-rate * u) * u**j * values: (n_moments, n_columns, n_keys)."""
        n_keys, n_columns = values.shape
        n_blocks = -(-n_keys // _BLOCK)
        n_moments, missing = len(self._polynomial), n_blocks * _BLOCK - n_keys
        # Row i holds key i of every block; the last block is filled up with keys that weigh nothing.
        x = np.pad(keys, (0, missing), mode="edge").reshape(n_blocks, _BLOCK).T.copy()
        state = np.zeros((_BLOCK, n_moments, n_columns, n_blocks))
        state[:, 0] = np.pad(values.T, ((0, 0), (0, missing))).reshape(n_columns, n_blocks, _BLOCK).transpose(2, 0, 1)
        for i in range(1, _BLOCK):
            state[i] += self._shift(state[i - 1], (x[i] - x[i - 1]) / self._unit)
        carried, end, step = state[-1].copy(), x[-1], 1
        while step < n_blocks:
            carried[..., step:] += self._shift(carried[..., :-step], (end[step:] - end[:-step]) / self._unit)
            step *= 2
        for i in range(_BLOCK):
            state[i, ..., 1:] += self._shift(carried[..., :-1], (x[i, 1:] - end[:-1]) / self._unit)
        return np.ascontiguousarray(state.transpose(1, 2, 3, 0).reshape(n_moments, n_columns, -1)[..., :n_keys])

    def _shift(self, state, gap, relief=0.0):
        """The sums as a point sees them that is further away by a gap; relief is taken off the exponent."""
        decay = np.exp(np.maximum(-self._rate * (gap - relief), LOWEST_LOG))
        shifted = np.empty_like(state)
        for j, moment in enumerate(shifted):
            moment[:] = state[j]
            for i in range(j):
                moment += comb(j, i) * gap ** (j - i) * state[i]
            moment *= decay
        return shifted

    def sums(self, points: np.ndarray, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
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
            gaps.append(np.where(there, sign * (points - line.keys[place]) / self._unit, np.inf))
        nearest = np.minimum(*gaps)
        sums = np.zeros((line.values.shape[1], len(points)))
        for place, gap, state in ((left, gaps[0], self._left), (right, gaps[1], self._right)):
            some = np.flatnonzero(gap < np.inf)
            moments = self._shift(state.take(place[some], axis=2), gap[some], nearest[some])
            sums[:, some] += np.einsum("jcm,j->cm", moments, self._polynomial)
        sums = sums.T
        log_scale = np.where(nearest < np.inf, -self._rate * nearest, 0.0)
        again = np.flatnonzero(strange | (sums[:, -1] < _TINY) & (nearest < np.inf))
        if len(again):
            sums[again], log_scale[again] = line.exact_sums(
                self._unit, points[again], None if own is None else own[again]
            )
        return sums, log_scale
