"""Line: the keys of one feature in ascending order, and sums over few of them, key by key."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sknw._algorithms._powers import Powers
from sknw._algorithms._problem import TIED, Problem, Sums
from sknw._algorithms._tiles import batches
from sknw._kernels import LOWEST_LOG

# Keys in a block of a long running sum: few enough that their moments stay in the cache.
_BLOCK = 2**12

# Pairs of a query and a key that are held at a time: few enough that they stay in the cache.
_PAIRS = 2**14

# What the keys beyond a window of a kernel that is positive everywhere may weigh, in relation to those in it.
_TOLERANCE = 1e-13

# By what factor less for each degree: the keys that a slope is known from may weigh so little.
_LEAST_SHARE = 1e-10


class Line:
    """The keys that are there, in ascending order, and their values: the same line serves all bandwidths.

    Parameters
    ----------
    problem : Problem
        With one feature that matters. Its bandwidth has no influence.
    """

    def __init__(self, problem: Problem):
        self._kernel = problem.kernel
        self.powers = Powers(problem)
        present = np.flatnonzero(~problem.absent)
        self._order = present[np.argsort(problem.keys[present, 0])]
        # Where each key of the problem is in this order; -1 for one that is not there.
        self._place = np.full(len(problem.y), -1)
        self._place[self._order] = np.arange(len(self._order))
        # Two more keys: one behind all, and one before all, at the place -1.
        self._padded = np.append(problem.keys[:, 0].take(self._order), [np.inf, -np.inf])
        self.keys = self._padded[:-2]
        self.values: np.ndarray = problem.values.take(self._order, axis=0)
        self.weight = self.values[:, -1].sum()
        self._views: dict[int, list[np.ndarray]] = {}

    def points(self, queries: np.ndarray) -> np.ndarray:
        """The coordinates of queries: (n_queries,)."""
        return queries[:, 0]

    def order(self, points: np.ndarray) -> np.ndarray:
        """Points in ascending order: neighbouring queries read neighbouring memory."""
        return np.argsort(points)

    def places(self, keys: np.ndarray) -> np.ndarray:
        """Where keys of the problem are in this order; -1 for one that is not there."""
        return self._place[keys]

    # ---- running sums

    @cached_property
    def prefix(self) -> np.ndarray:
        """Running sums of the values, and of their rounding errors: (n_keys + 1, 2, n_columns, 1)."""
        return self.running_sums(1, lambda block: np.ones(block.stop - block.start))

    def running_sums(self, n_moments: int, factor: Callable[[slice], np.ndarray]) -> np.ndarray:
        """Running sums of values * factor**j, j = 0, 1, ..., and of the rounding errors that these sums have made.

        factor : (block of keys) -> ndarray of shape (n_block,)

        Returns
        -------
        prefix : ndarray of shape (n_keys + 1, 2, n_columns, n_moments)
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

    def neighbours(self, points: np.ndarray, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The nearest keys on the left and on the right, the excluded one left out; -1 and n_keys where there is none.

        A key at the query itself is on the right.
        """
        right = np.searchsorted(self.keys, points)
        left = right - 1
        if own is not None:
            left, right = left - ((left == own) & (own >= 0)), right + (right == own)
        return left, np.minimum(right, len(self.keys))

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None) -> np.ndarray:
        """Sums of the values of the nearest keys, ties included: (n_queries, n_outputs + 1)."""
        points, own = self.points(queries), None if excluded is None else self.places(excluded)
        left, right = self.neighbours(points, own)
        keys = self._padded
        to_left, to_right = points - keys[left], keys[right] - points
        distance = np.minimum(to_left, to_right)
        # Beyond the extent of the keys the distance itself would be no measure of which of them are tied.
        tied = TIED / 2 * np.minimum(distance, self.keys[-1] - self.keys[0])
        low = np.where(to_left <= distance + tied, keys[left] - tied, points)
        high = np.where(to_right <= distance + tied, keys[right] + tied, points)
        start, stop = np.searchsorted(self.keys, low, "left"), np.searchsorted(self.keys, high, "right")
        if own is None:
            return self._total(start, stop)
        return self._total(start, np.clip(own, start, stop)) + self._total(np.clip(own + 1, start, stop), stop)

    def _total(self, start, stop):
        """The sum of the values of the keys [start, stop)."""
        parts = self.prefix[stop, :, :, 0] - self.prefix[start, :, :, 0]
        return parts.sum(axis=1)

    # ---- key by key

    def window_sums(
        self, unit: float, points: np.ndarray, low: np.ndarray, high: np.ndarray, own: np.ndarray | None
    ) -> Sums:
        """Sums over the keys [low, high) of each query, for a kernel that ends."""

        def weights(some, keys):
            return self._kernel.of_square(np.square(points[some, None] - keys) / unit**2)

        return self._sum_windows(low, high, own, weights)

    def exact_sums(self, unit: float, points: np.ndarray, own: np.ndarray | None) -> Sums:
        """Sums over all keys that count, for a kernel that is positive everywhere, in units of the largest weight."""
        log_ratio = self._kernel.log_ratio
        assert log_ratio is not None
        left, right = self.neighbours(points, own)
        keys = self._padded
        place = np.where(points - keys[left] <= keys[right] - points, left, right)
        alone = np.isinf(keys[place])
        near = np.where(alone, points, keys[place])
        u = np.abs(points - near) / unit
        share = self.values[np.where(alone, 0, place), -1] / self.weight
        dropped = _TOLERANCE * _LEAST_SHARE**self.powers.degree * share
        reach = unit * (u + self._kernel.step(u, -np.log(dropped)))
        low = np.searchsorted(self.keys, points - reach, "left")
        high = np.where(alone, low, np.searchsorted(self.keys, points + reach, "right"))
        t0 = u * u

        def weights(some, keys):
            q, nearest = points[some, None], near[some, None]
            # The difference of two squares, without cancellation far from the keys.
            dt = (nearest - keys) / unit
            dt *= ((q - keys) + (q - nearest)) / unit
            logs = log_ratio(t0[some, None], dt)
            # The excluded key may be nearer than all that count.
            return np.exp(np.clip(logs, LOWEST_LOG, 0, out=logs), out=logs)

        sums = self._sum_windows(low, high, own, weights)
        return sums._replace(log_scale=log_ratio(np.zeros_like(t0), t0))

    def _windows(self, width):
        """Views of the keys, and of each column of their values, in windows of so many keys."""
        if width not in self._views:
            self._views[width] = [sliding_window_view(numbers, width) for numbers in (self.keys, *self.values.T)]
        return self._views[width]

    def _sum_windows(self, low, high, own, weights):
        """Sums of weights(some queries, keys) * values over the keys [low, high) of each query.

        Windows are widened to a power of two keys, so that many of one width are summed together; what is beyond
        [low, high) weighs nothing. For a degree above zero they are about the weighted means of the keys.
        """
        n_keys, sums = len(self.keys), self.powers.empty(len(low))
        power = np.where(high > low, np.frexp(high - low - 1)[1], -1)
        for width in 2 ** np.unique(power[power >= 0]):
            wide = min(width, n_keys)
            keys, *columns = self._windows(wide)
            group = np.flatnonzero(2.0**power == width)
            for batch in batches(len(group), max(1, _PAIRS // wide)):
                some = group[batch]
                start = np.minimum(low[some], n_keys - wide)
                weight = weights(some, keys[start])
                number = np.arange(wide)
                weight[(number < (low[some] - start)[:, None]) | (number >= (high[some] - start)[:, None])] = 0
                if own is not None:
                    weight[number == (own[some] - start)[:, None]] = 0
                sums.fill(some, self._sum_weighted(weight, keys, columns, start))
        return sums

    def _sum_weighted(self, weight, keys, columns, start):
        """Sums of weight * values over the windows that begin at these keys. Overwrites the weight."""
        part, powers = self.powers.empty(len(start)), self.powers
        if powers.degree:
            z = keys[start]
            part.centre[:, 0] = _weighted_means(z, weight * columns[-1][start])
            z -= part.centre
        for power in range(powers.highest + 1):
            if power:
                weight *= z
            some = columns if power <= powers.degree else columns[-1:]
            powers.put(part.columns.T, power, [np.einsum("ij,ij->i", weight, values[start]) for values in some])
        return part


def _weighted_means(numbers, weight):
    """The weighted mean of each row; its first number where nothing weighs."""
    total = weight.sum(axis=1)
    sums = np.einsum("ij,ij->i", weight, numbers)
    return np.divide(sums, total, out=numbers[:, 0].copy(), where=total >= np.finfo(float).tiny)
