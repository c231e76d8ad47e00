"""SortedKeys: the keys of one feature in ascending order, and sums over few of them, key by key."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sknw._accuracy import MIN_WEIGHT, TAIL, TIED, WINDOW
from sknw._algorithms.cells._powers import Powers
from sknw._compiled._readiness import would_be_worth
from sknw._kernels import Kernel, relative_weights
from sknw._problem._sums import Nearest, Sums
from sknw._tiles import batches

# Keys in a block of a long running sum: few enough that their moments stay in the cache.
_BLOCK = 2**12

# Pairs of a query and a key that are held at a time: few enough that they stay in the cache.
_PAIRS = 2**14

# Keys that weigh less, in relation to all, leave too few digits in the difference of two running sums.
_LIGHT = 2.0**-40


def loop_name(kernel: Kernel) -> tuple[str, str]:
    """What readiness calls the compiled loops for a kernel."""
    return "cells", kernel.name


class SortedKeys:
    """The keys that have a weight, in ascending order, and their values. They serve all bandwidths.

    The number of a key in this order is its rank.

    Parameters
    ----------
    problem : Problem
        With one feature that matters. Its bandwidth has no influence.

    Attributes
    ----------
    x : ndarray of shape (n_sorted,)
        The keys.
    values : ndarray of shape (n_sorted, n_outputs + 1)
        Rows of `Rows.values`.
    powers : Powers
    """

    #: Queries that are worked on together: few enough that they stay in the cache.
    tile = 2**12

    def __init__(self, problem):
        self._kernel = problem.kernel
        self.powers = Powers(problem)
        keys, zero_weight = problem.distance.keys[:, 0], problem.rows.zero_weight
        order = np.argsort(keys)
        if zero_weight.any():
            order = order[~zero_weight[order]]
        self._order, self._n_keys = order, len(keys)
        # Two more keys: one behind all, and one before all, with the rank -1.
        self._padded = np.empty(len(order) + 2)
        self._padded[-2:] = np.inf, -np.inf
        self.x = keys.take(order, out=self._padded[:-2], mode="clip")  # without the buffer of other modes
        self.values: np.ndarray = problem.rows.values.take(order, axis=0)
        self._total_weight = self.values[:, -1].sum()
        self._views: dict[int, list[np.ndarray]] = {}

    def points(self, queries: np.ndarray) -> np.ndarray:
        """The coordinates of queries: (n_queries,)."""
        return queries[:, 0]

    def order(self, points: np.ndarray) -> np.ndarray:
        """The order in which points ascend: neighbouring queries read neighbouring memory."""
        return np.argsort(points)

    def ranks(self, indices: np.ndarray) -> np.ndarray:
        """The ranks of keys of the problem; -1 for one without a weight."""
        return self._rank[indices]

    @property
    def is_compiled(self) -> bool:
        """Whether compiled loops do the work."""
        return self.powers.degree == 0 and would_be_worth(loop_name(self._kernel), 0.0)

    @cached_property
    def _rank(self):
        rank = np.full(self._n_keys, -1)
        rank[self._order] = np.arange(len(self._order))
        return rank

    # ---- running sums

    @cached_property
    def prefix(self) -> np.ndarray:
        """Running sums of the values, and of their rounding errors: (n_sorted + 1, 2, n_outputs + 1, 1)."""
        return self.running_sums(1, lambda block: np.ones(block.stop - block.start))

    def running_sums(self, n_moments: int, factor: Callable[[slice], np.ndarray]) -> np.ndarray:
        """Running sums of values * factor**j, j = 0, 1, ..., and of the rounding errors that these sums have made.

        factor : (block of keys) -> ndarray of shape (n_block,)

        Returns
        -------
        prefix : ndarray of shape (n_sorted + 1, 2, n_outputs + 1, n_moments)
            The sum before each key, and what to add to it. The difference of two such sums has nearly twice the digits
            of a float.
        """
        n_keys, n_columns = self.values.shape
        prefix = np.empty((n_keys + 1, 2, n_columns, n_moments))
        prefix[0] = 0
        for block in batches(n_keys, _BLOCK):
            behind = slice(block.start + 1, block.stop + 1)
            r, moment = factor(block), self.values[block].T.copy()
            for j in range(n_moments):
                carried = prefix[block.start, :, :, j]
                total = np.cumsum(np.concatenate([carried[0][:, None], moment], axis=1), axis=1)
                before, after = total[:, :-1], total[:, 1:]
                added = after - before
                error = (before - (after - added)) + (moment - added)
                prefix[behind, 0, :, j] = after.T
                prefix[behind, 1, :, j] = (carried[1][:, None] + np.cumsum(error, axis=1)).T
                moment *= r
        return prefix

    # ---- nearest keys

    def adjacent(self, points: np.ndarray, excluded: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The ranks of the nearest keys on the left and on the right; -1 and n_sorted where there is none.

        A key at the query itself is on the right; one that is excluded, by its rank, is left out.
        """
        right = np.searchsorted(self.x, points)
        left = right - 1
        if excluded is not None:
            left = left - ((left == excluded) & (excluded >= 0))
            right = right + (right == excluded)
        return left, np.minimum(right, len(self.x))

    def nearest(self, problem, queries: np.ndarray, excluded: np.ndarray | None) -> Nearest:
        """The nearest keys, ties included; excluded are indices of the problem."""
        points, excluded = self.points(queries), None if excluded is None else self.ranks(excluded)
        left, right = self.adjacent(points, excluded)
        x = self._padded
        to_left, to_right = points - x[left], x[right] - points
        lowest = np.minimum(to_left, to_right)
        # Beyond the range of the keys the distance itself would be no measure of which of them are tied.
        tied = TIED / 2 * np.minimum(lowest, problem.distance.coordinates.ptp[0])
        low = np.where(to_left <= lowest + tied, x[left] - tied, points)
        high = np.where(to_right <= lowest + tied, x[right] + tied, points)
        start, stop = np.searchsorted(self.x, low, "left"), np.searchsorted(self.x, high, "right")
        _, squares = _squares_from_reference(problem.distance, points, np.where(to_left <= to_right, x[left], x[right]))
        if excluded is None:
            return Nearest(squares, self._sum_between(start, stop))
        before = self._sum_between(start, np.clip(excluded, start, stop))
        return Nearest(squares, before + self._sum_between(np.clip(excluded + 1, start, stop), stop))

    def _sum_between(self, start, stop):
        """The sums of the values of the keys [start, stop)."""
        sums, number = np.zeros((len(start), self.values.shape[1])), stop - start
        sums[number == 1] = self.values[start[number == 1]]
        several = np.flatnonzero(number > 1)
        if len(several):
            parts = self.prefix[stop[several], :, :, 0] - self.prefix[start[several], :, :, 0]
            sums[several] = parts.sum(axis=1)
        for i in several[sums[several, -1] < _LIGHT * self._total_weight]:
            sums[i] = self.values[start[i] : stop[i]].sum(axis=0)
        return sums

    # ---- key by key

    def window_sums(
        self, distance, points: np.ndarray, low: np.ndarray, high: np.ndarray, excluded: np.ndarray | None
    ) -> Sums:
        """Sums over the keys [low, high) of each query, for a kernel of compact support."""

        def weights(queries, x):
            return self._kernel.of_square(np.square(points[queries, None] - x) / distance.scaled_bandwidth**2)

        return self._sum_windows(low, high, excluded, weights)

    def exact_sums(self, distance, points: np.ndarray, excluded: np.ndarray | None) -> Sums:
        """Sums over all keys that count, for a kernel that is positive everywhere, in units of the largest weight."""
        bandwidth, log_ratio = distance.scaled_bandwidth, self._kernel.log_ratio
        assert log_ratio is not None
        left, right = self.adjacent(points, excluded)
        x = self._padded
        rank = np.where(points - x[left] <= x[right] - points, left, right)
        alone = np.isinf(x[rank])
        near = np.where(alone, points, x[rank])
        u = np.abs(points - near) / bandwidth
        share = self.values[np.where(alone, 0, rank), -1] / self._total_weight
        drop = -np.log(WINDOW * TAIL ** (2 * self.powers.degree)) - np.log(share)
        step = bandwidth * self._kernel.step(u, drop)
        # What lies behind the nearest key is measured from there: far away, the reach of a query has no digits for it.
        reach = bandwidth * u + step
        low = np.searchsorted(self.x, np.where(near <= points, near - step, points - reach), "left")
        high = np.searchsorted(self.x, np.where(near >= points, near + step, points + reach), "right")
        t = u * u

        def weights(queries, x):
            q, nearest = points[queries, None], near[queries, None]
            # The difference of two squares, without cancellation far from the keys.
            dt = (nearest - x) / bandwidth
            dt *= ((q - x) + (q - nearest)) / bandwidth
            return relative_weights(self._kernel, t[queries, None], dt)

        sums = self._sum_windows(low, np.where(alone, low, high), excluded, weights)
        t0, dt = _squares_from_reference(distance, points, near)
        sums.log_scale[:] = log_ratio(t0, np.where(alone, 0, dt))
        return sums

    def _windows(self, width):
        """Views of the keys, and of each column of their values, in windows of so many keys."""
        if width not in self._views:
            self._views[width] = [sliding_window_view(numbers, width) for numbers in (self.x, *self.values.T)]
        return self._views[width]

    def _sum_windows(self, low, high, excluded, weights):
        """Sums of weights(queries, keys) * values over the keys [low, high) of each query.

        Windows are widened to a power of two keys, so that many of one width are summed together; what is beyond
        [low, high) weighs nothing. For a degree above zero they are about the weighted means of the keys.
        """
        n_keys, sums = len(self.x), self.powers.empty(len(low))
        power = np.where(high > low, np.frexp(high - low - 1)[1], -1)
        for width in 2 ** np.unique(power[power >= 0]):
            wide = min(width, n_keys)
            x, *columns = self._windows(wide)
            group = np.flatnonzero(2.0**power == width)
            for batch in batches(len(group), max(1, _PAIRS // wide)):
                queries = group[batch]
                start = np.minimum(low[queries], n_keys - wide)
                weight = weights(queries, x[start])
                number = np.arange(wide)
                weight[(number < (low[queries] - start)[:, None]) | (number >= (high[queries] - start)[:, None])] = 0
                if excluded is not None:
                    weight[number == (excluded[queries] - start)[:, None]] = 0
                sums.put(queries, self._sum_weighted(weight, x, columns, start))
        return sums

    def _sum_weighted(self, weight, x, columns, start):
        """Sums of weight * values over the windows that begin at these keys. Overwrites the weight."""
        sums, powers = self.powers.empty(len(start)), self.powers
        if powers.degree:
            z = x[start]
            sums.expansion_point[:, 0] = _weighted_means(z, weight * columns[-1][start])
            z -= sums.expansion_point
        for power in range(powers.highest + 1):
            if power:
                weight *= z
            multiplied = columns if power <= powers.degree else columns[-1:]
            products = [np.einsum("ij,ij->i", weight, values[start]) for values in multiplied]
            powers.put(sums.values.T, power, products)
        return sums


def _squares_from_reference(distance, points, near):
    """The references t0 of points, and the squared distances of each from a key of its own, less these.

    Far outside, where both would differ in their last digits only, if at all, nothing is lost.
    """
    t0, bandwidth, middle = distance.reference(points[:, None]), distance.scaled_bandwidth, distance.middle[0]
    dt = np.square((points - near) / bandwidth)
    far = np.flatnonzero(t0)
    if len(far):
        q, x = points[far], near[far]
        dt[far] = (x - middle) / bandwidth * (((x - q) + (middle - q)) / bandwidth)
    return t0, dt


def _weighted_means(numbers, weight):
    """The weighted mean of each row; its first number where nothing weighs."""
    total = weight.sum(axis=1)
    sums = np.einsum("ij,ij->i", weight, numbers)
    return np.divide(sums, total, out=numbers[:, 0].copy(), where=total >= MIN_WEIGHT)
