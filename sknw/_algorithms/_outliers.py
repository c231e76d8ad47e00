"""Outliers: queries whose sums or nearest keys have to be taken from differences, whatever it costs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sknw._algorithms._groups import Queries
from sknw._algorithms._leaves import Boxes, Leaves, exact_squares
from sknw._algorithms._problem import TIED, Problem
from sknw._algorithms._tiles import batches, row_batch
from sknw._kernels import LOWEST_LOG

# Pairs of a query and a key that are summed at once.
_PAIRS = 2**17

# The share of a query's kernel sum that may be left out.
_DROPPED = 1e-10


class Outliers:
    """Queries without a key so near that their kernel sums keep their digits.

    Parameters
    ----------
    problem : Problem
    leaves : Leaves
    """

    def __init__(self, problem: Problem, leaves: Leaves):
        self._problem, self._leaves = problem, leaves

    def sums(self, queries: Queries, entries: list | None) -> tuple[np.ndarray, np.ndarray]:
        """Kernel sums relative to the kernel at the nearest key, and the logarithm of that."""
        n_queries = len(queries.points)
        sums, log_scale = np.empty((n_queries, self._leaves.values.shape[1])), np.empty(n_queries)
        far = self._far(queries.points)
        for again, some in ((self._relative_sums, ~far), (self._far_sums, far)):
            if some.any():
                sums[some], log_scale[some] = again(queries.part(some), entries)
        return sums, log_scale

    def nearest(self, queries: Queries) -> np.ndarray:
        """Sums of the values of the nearest keys, ties included."""
        sums = np.empty((len(queries.points), self._leaves.values.shape[1]))
        far = self._far(queries.points)
        if far.any():
            part = queries.part(far)
            sums[far] = self._problem.nearest_sums(part.points, part.excluded)
        if not far.all():
            sums[~far] = self._nearest_sums(queries.part(~far))
        return sums

    def _relative_sums(self, queries, entries):
        """Kernel sums relative to the kernel at the nearest key, and the logarithm of that."""
        log_ratio = self._problem.kernel.log_ratio
        assert log_ratio is not None
        lowest, _ = self._lowest(queries)
        lowest[lowest == np.inf] = 0
        weight, u = self._leaves.values[:, -1], np.sqrt(lowest)
        drop = np.log(weight.sum() / weight.min() / _DROPPED)
        reach = np.square(u + self._problem.kernel.step(u, np.full_like(u, drop)))
        leaves = self._leaves.within(queries.boxes, reach)
        sums = np.zeros((len(queries.points), self._leaves.values.shape[1]))
        for places in self._pieces(queries, leaves):
            t = exact_squares(queries.points, self._leaves.keys.take(places, axis=0), self._problem.unit)
            logs = self._leaves.hide(log_ratio(lowest, t - lowest), places, queries.excluded, -np.inf)
            weights = np.exp(logs, out=np.zeros_like(logs), where=logs > LOWEST_LOG)
            sums += weights @ self._leaves.values.take(places, axis=0)
            if entries is not None:
                row, column = np.nonzero(weights)
                entries.append((queries.rows[row], self._leaves.order[places[column]], weights[row, column]))
        return sums, log_ratio(np.zeros_like(lowest), lowest)[:, 0]

    def _far_sums(self, queries, entries):
        """Kernel sums over all keys, as the definition has them."""
        n_queries = len(queries.points)
        sums, log_scale = np.empty((n_queries, self._leaves.values.shape[1])), np.empty(n_queries)
        for some in batches(n_queries, row_batch(len(self._problem.y))):
            part = queries.part(some)
            rows, log_scale[some] = self._problem.rows(part.points, part.excluded)
            sums[some] = rows @ self._problem.values
            if entries is not None:
                row, key = np.nonzero(rows)
                entries.append((part.rows[row], key, rows[row, key]))
        return sums, log_scale

    def _nearest_sums(self, queries):
        lowest, leaves = self._lowest(queries)
        sums = np.zeros((len(queries.points), self._leaves.values.shape[1]))
        for places in self._pieces(queries, leaves):
            t = exact_squares(queries.points, self._leaves.keys.take(places, axis=0), self._problem.unit)
            tied = self._leaves.hide(t <= lowest * (1 + TIED), places, queries.excluded, False)
            sums += tied.astype(float) @ self._leaves.values.take(places, axis=0)
        return sums

    def _lowest(self, queries: Queries) -> tuple[np.ndarray, np.ndarray]:
        """The squared distance to the nearest key, (n_queries, 1), and the leaves that may come as near."""
        leaves = np.unique(self._leaves.between_middles(queries.boxes).argmin(axis=1))
        for _ in range(2):
            lowest = np.full((len(queries.points), 1), np.inf)
            for places in self._pieces(queries, leaves):
                t = exact_squares(queries.points, self._leaves.keys.take(places, axis=0), self._problem.unit)
                t = self._leaves.hide(t, places, queries.excluded, np.inf)
                np.minimum(lowest, t.min(axis=1, keepdims=True), out=lowest)
            leaves = self._leaves.within(Boxes(queries.points, queries.points), lowest)
        return lowest, leaves

    def _far(self, queries):
        """Queries so far outside the keys that squared distances differ in their last digits only."""
        return np.square(self._problem.centred(queries)).sum(axis=1) > 16 * self._problem.radius_square

    def _pieces(self, queries: Queries, leaves: np.ndarray) -> Iterator[np.ndarray]:
        """The places of the keys in these leaves, a piece of a tile at a time."""
        places = self._leaves.places(leaves)
        for some in batches(len(places), max(1, _PAIRS // len(queries.points))):
            yield places[some]
