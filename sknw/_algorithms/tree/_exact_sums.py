"""Exact sums: queries whose sums or nearest keys have to be taken from differences, whatever it costs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sknw._accuracy import TIED, TREE_EXACT_SUMS
from sknw._algorithms._boxes import Boxes, exact_squares
from sknw._algorithms.tree._leaves import Leaves
from sknw._algorithms.tree._query_tiles import Queries
from sknw._kernels import relative_weights
from sknw._problem._definition import kernel_rows, nearest, sums_about, sums_of_rows
from sknw._problem._problem import Problem
from sknw._problem._sums import Nearest, Sums
from sknw._tiles import batches, row_batch

# Pairs of a query and a key that are summed at once.
_PAIRS = 2**17


class ExactSums:
    """Sums of queries without a key so near that their kernel sums keep their digits.

    Parameters
    ----------
    problem : Problem
    leaves : Leaves
    """

    def __init__(self, problem: Problem, leaves: Leaves):
        self._problem, self.leaves = problem, leaves

    def sums(self, queries: Queries, entries: list | None) -> Sums:
        """Kernel sums, in units of the kernel at the nearest key if that is positive everywhere.

        Positions, keys and weights of what is summed are added to the entries, if there are any.
        """
        sums = self._problem.empty_sums(len(queries.points))
        far = self._problem.distance.reference(queries.points) > 0
        for method, chosen in ((self._sums_in_reach, ~far), (self._far_sums, far)):
            if chosen.any():
                sums.put(chosen, method(queries.take(chosen), entries))
        return sums

    def nearest(self, queries: Queries) -> Nearest:
        """The nearest keys, ties included."""
        far = self._problem.distance.reference(queries.points) > 0
        squares, values = np.empty(len(far)), np.empty((len(far), self.leaves.values.shape[1]))
        if far.any():
            outside = queries.take(far)
            squares[far], values[far] = nearest(self._problem, outside.points, outside.excluded)
        if not far.all():
            squares[~far], values[~far] = self._nearest_in_reach(queries.take(~far))
        return Nearest(squares, values)

    def _sums_in_reach(self, queries, entries):
        """Kernel sums over the keys that matter."""
        weights, leaves, log_scale = self._weights(queries)
        values, middle = self.leaves.values, queries.boxes.middle
        moments = np.zeros((len(queries.points), values.shape[1] + len(middle)))
        for places in self._pieces(queries, leaves):
            rows = weights(places)
            offsets = (self.leaves.keys[places] - middle) * values[places, -1:]
            moments += rows @ np.hstack([offsets, values[places]])
            if entries is not None:
                row, column = np.nonzero(rows)
                entries.append((queries.positions[row], self.leaves.order[places[column]], rows[row, column]))
        sums = self._problem.empty_sums(len(queries.points))
        sums.log_scale[:] = log_scale
        if sums.expansion_point.shape[1] == 0:
            sums.values[:] = moments[:, len(middle) :]
            return sums
        # About the weighted means of the keys nothing cancels.
        total = np.where(moments[:, -1:] > 0, moments[:, -1:], 1)
        sums.expansion_point[:] = middle + moments[:, : len(middle)] / total
        for places in self._pieces(queries, leaves):
            keys, rows = self.leaves.keys[places], weights(places)
            sums.values[:] += sums_about(self._problem, sums.expansion_point, rows, keys, values[places])
        return sums

    def _weights(self, queries):
        """The function from places of keys to their weights, the leaves whose keys matter, and log_scale."""
        kernel, leaves = self._problem.kernel, self.leaves

        def compact_weights(places):
            weights = kernel.of_square(self._squares(queries, places))
            return leaves.exclude(weights, places, queries.excluded, 0)

        if kernel.log_ratio is None:
            return compact_weights, leaves.within(queries.boxes, kernel.support**2), np.zeros(len(queries.points))
        lowest, _ = self._lowest(queries)
        lowest[lowest == np.inf] = 0
        weight, u = leaves.values[:, -1], np.sqrt(lowest)
        drop = np.log(weight.sum() / weight.min() / (TREE_EXACT_SUMS * self._problem.basis.tail_factor))
        reach = np.square(u + kernel.step(u, np.full_like(u, drop)))

        def positive_weights(places):
            weights = relative_weights(kernel, lowest, self._squares(queries, places) - lowest)
            return leaves.exclude(weights, places, queries.excluded, 0)

        log_scale = kernel.log_ratio(np.zeros_like(lowest), lowest)[:, 0]
        return positive_weights, leaves.within(queries.boxes, reach), log_scale

    def _far_sums(self, queries, entries):
        """Kernel sums over all keys, as the definition has them."""
        sums = self._problem.empty_sums(len(queries.points))
        for batch in batches(len(queries.points), row_batch(len(self._problem.rows))):
            taken = queries.take(batch)
            rows, log_scale = kernel_rows(self._problem, taken.points, taken.excluded)
            sums.put(batch, sums_of_rows(self._problem, rows, log_scale))
            if entries is not None:
                row, key = np.nonzero(rows)
                entries.append((taken.positions[row], key, rows[row, key]))
        return sums

    def _nearest_in_reach(self, queries):
        """The nearest keys of queries that are not far outside all keys."""
        lowest, leaves = self._lowest(queries)
        values = np.zeros((len(queries.points), self.leaves.values.shape[1]))
        for places in self._pieces(queries, leaves):
            tied = self._squares(queries, places) <= lowest * (1 + TIED)
            tied = self.leaves.exclude(tied, places, queries.excluded, False)
            values += tied.astype(float) @ self.leaves.values.take(places, axis=0)
        return Nearest(lowest[:, 0], values)

    def _lowest(self, queries: Queries) -> tuple[np.ndarray, np.ndarray]:
        """The squared distance to the nearest key, (n_queries, 1), and the leaves that may come as near."""
        leaves = np.unique(self.leaves.between_middles(queries.boxes).argmin(axis=1))
        for _ in range(2):
            lowest = np.full((len(queries.points), 1), np.inf)
            for places in self._pieces(queries, leaves):
                t = self.leaves.exclude(self._squares(queries, places), places, queries.excluded, np.inf)
                np.minimum(lowest, t.min(axis=1, keepdims=True), out=lowest)
            leaves = self.leaves.within(Boxes(queries.points, queries.points), lowest)
        return lowest, leaves

    def _squares(self, queries, places):
        """Squared distances in bandwidths to the keys at these places: (n_queries, n_places)."""
        keys = self.leaves.keys.take(places, axis=0)
        return exact_squares(queries.points, keys, self._problem.distance.scaled_bandwidth)

    def _pieces(self, queries: Queries, leaves: np.ndarray) -> Iterator[np.ndarray]:
        """The places of the keys in these leaves, a piece of a tile at a time."""
        places = self.leaves.places(leaves)
        for batch in batches(len(places), max(1, _PAIRS // len(queries.points))):
            yield places[batch]
