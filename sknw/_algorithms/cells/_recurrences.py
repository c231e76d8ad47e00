"""Recurrences: sums over one feature for kernels that are a polynomial times an exponential, and positive everywhere.

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
from numpy.polynomial.polynomial import polyval

from sknw._accuracy import RECURRENCE_UNDERFLOW
from sknw._algorithms.cells._powers import shift
from sknw._kernels import LOWEST_LOG
from sknw._problem._sums import Sums

# Keys in a block: few, for each takes steps of its own, and enough for what blocks hand on to be little.
_BLOCK = 16

# Beyond this, in bandwidths, keys weigh nothing, and powers of their distance would overflow.
_MAX_GAP = 1e50


class Recurrences:
    """Sums over all keys from sums that run along the sorted keys, from the left and from the right.

    Parameters
    ----------
    problem : Problem
    keys : SortedKeys
    """

    needs = "is a polynomial times an exponential and never ends"

    def __init__(self, problem, keys):
        self.keys, self._problem = keys, problem
        bandwidth = float(problem.distance.scaled_bandwidth)
        # What coordinates are in units of. Their powers neither underflow nor overflow.
        self._length = bandwidth
        if keys.powers.degree:
            self._length = min(bandwidth, 1.0) if problem.kernel.rate > 0 else 1.0
        ratio = self._length / bandwidth
        coefficients = np.array(problem.kernel.polynomial, dtype=float)
        self._polynomial = coefficients * ratio ** np.arange(len(coefficients))
        self._rate = problem.kernel.rate * ratio
        self._left = self._run(keys.x, keys.values)
        self._right = np.ascontiguousarray(self._run(-keys.x[::-1], keys.values[::-1])[..., ::-1])

    def at(self, problem) -> Recurrences:
        """Sums at another bandwidth: the keys are handed on."""
        return Recurrences(problem, self.keys)

    @staticmethod
    def serves(problem) -> bool:
        """Whether these are the sums of a problem."""
        kernel = problem.kernel
        return kernel.polynomial is not None and kernel.support == np.inf and kernel.log_ratio is not None

    @staticmethod
    def cost(problem) -> float:
        """About how many seconds as many queries as keys take."""
        return 1e-3 + 7e-7 * len(problem.rows) * (len(problem.kernel.polynomial or ()) + 1.5 * problem.basis.degree)

    def _run(self, x, values):
        """Sums over this and all earlier keys of exp(-rate * u) * u**j * values: (n_moments, n_outputs + 1, n_keys)."""
        n_keys, n_columns = values.shape
        n_blocks = -(-n_keys // _BLOCK)
        n_moments = len(self._polynomial) + self.keys.powers.highest
        missing = n_blocks * _BLOCK - n_keys
        # Row i holds key i of every block; the last block is filled up with keys that weigh nothing.
        x = np.pad(x, (0, missing), mode="edge").reshape(n_blocks, _BLOCK).T.copy()
        state = np.zeros((_BLOCK, n_moments, n_columns, n_blocks))
        state[:, 0] = np.pad(values.T, ((0, 0), (0, missing))).reshape(n_columns, n_blocks, _BLOCK).transpose(2, 0, 1)
        for i in range(1, _BLOCK):
            state[i] += self._move(state[i - 1], self._gap(x[i - 1], x[i]))
        carried, end, step = state[-1].copy(), x[-1], 1
        while step < n_blocks:
            carried[..., step:] += self._move(carried[..., :-step], self._gap(end[:-step], end[step:]))
            step *= 2
        for i in range(_BLOCK):
            state[i, ..., 1:] += self._move(carried[..., :-1], self._gap(end[:-1], x[i, 1:]))
        return np.ascontiguousarray(state.transpose(1, 2, 3, 0).reshape(n_moments, n_columns, -1)[..., :n_keys])

    def _gap(self, x, next_x):
        return np.minimum((next_x - x) / self._length, _MAX_GAP)

    def _move(self, state, gap, unit_gap=0.0):
        """The sums as a point sees them that is further away by a gap, in units of the exponential at another gap."""
        moved = state.copy()
        shift(moved, gap)
        moved *= np.exp(np.maximum(-self._rate * (gap - unit_gap), LOWEST_LOG))
        return moved

    def sums(self, points: np.ndarray, excluded: np.ndarray | None) -> Sums:
        """Kernel sums for queries in ascending order; excluded is the rank of a key that does not count."""
        x, powers, last = self.keys.x, self.keys.powers, len(self.keys.x) - 1
        right = np.searchsorted(x, points)
        left = right - 1
        redo = np.zeros(len(points), dtype=bool)
        if excluded is not None:
            counts = excluded >= 0
            left, right = np.where(counts, excluded - 1, left), np.where(counts, excluded + 1, right)
            # A key that is not at the query lies between no two of these.
            redo = counts & (x[excluded] != points)
        gaps = [self._gaps_to(rank, points, sign) for rank, sign in ((left, 1), (right, -1))]
        least = np.minimum(*gaps)
        near = np.where(gaps[0] <= gaps[1], x[np.maximum(left, 0)], x[np.minimum(right, last)])
        sums = powers.empty(len(points))
        if powers.degree:
            sums.expansion_point[:, 0] = near
        for rank, gap, sign, state in ((left, gaps[0], -1, self._left), (right, gaps[1], 1, self._right)):
            idx = np.flatnonzero(gap < np.inf)
            side = self._sum_side(state.take(rank[idx], axis=2), gap[idx], least[idx], sign)
            powers.shift(side, (x[rank[idx]] - near[idx]) / self._length)
            sums.values[idx] += side.T
        powers.scale(sums.values.T, self._length)
        sums.log_scale[:] = self._log_unit(points, near, least)
        redo |= (sums.values[:, -1] < RECURRENCE_UNDERFLOW) & (least < np.inf)
        redo |= self._problem.basis.ill_conditioned(sums, self._problem.conditions)
        idx = np.flatnonzero(redo)
        if len(idx):
            excluded = None if excluded is None else excluded[idx]
            sums.put(idx, self.keys.exact_sums(self._problem.distance, points[idx], excluded))
        return sums

    def _gaps_to(self, rank, points, sign):
        """How far points lie behind the keys of these ranks, or before them; inf where there is no such key."""
        there = (rank >= 0) & (rank < len(self.keys.x))
        x = self.keys.x[np.clip(rank, 0, len(self.keys.x) - 1)]
        return np.where(there, sign * (points - x) / self._length, np.inf)

    def _log_unit(self, points, near, gap):
        """The logarithm of the unit of the sums, the exponential at the nearest key, relative to K at the reference."""
        log_unit = np.where(gap < np.inf, -self._rate * gap, 0.0)
        t0 = self._problem.distance.reference(points[:, None])
        far = np.flatnonzero((t0 > 0) & (gap < np.inf))
        if len(far):
            # The gap less that to the middle of all keys, which would cancel.
            middle = self._problem.distance.middle[0]
            beyond = np.sign(points[far] - middle) * (middle - near[far]) / self._length
            log_unit[far] = -self._rate * beyond - np.log(polyval(np.sqrt(t0[far]), self._problem.kernel.polynomial))
        return log_unit

    def _sum_side(self, state, gap, unit_gap, sign):
        """Sums over the keys on one side, about the nearest of them, in units of the exponential at another gap."""
        powers, size = self.keys.powers, len(self._polynomial)
        rows = np.empty((powers.n_values, len(gap)))
        for power, columns in powers.multiplied(self.keys.values):
            moments = self._move(state[power : power + size, columns], gap, unit_gap)
            powers.put(rows, power, sign**power * np.einsum("jcm,j->cm", moments, self._polynomial))
        return rows
