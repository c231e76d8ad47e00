"""Outliers: queries whose sums or nearest keys have to be taken from differences, whatever it costs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sknw._algorithms._groups import Queries
from sknw._algorithms._leaves import Boxes, Leaves, exact_squares
from sknw._algorithms._problem import TIED, Problem, Sums
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

    def sums(self, queries: Queries, entries: list | None) -> Sums:
        """Kernel sums, relative to the kernel at the nearest key if that is positive everywhere."""
        sums = Sums.empty(self._problem, len(queries.points))
        far = self._far(queries.points)
        for again, some in ((self._relative_sums, ~far), (self._far_sums, far)):
            if some.any():
                sums.fill(some, again(queries.part(some), entries))
        return sums

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
        """Kernel sums over the keys that matter."""
        weights, leaves, log_scale = self._relative_weights(queries)
        values, middle = self._leaves.values, queries.boxes.middle
        moments = np.zeros((len(queries.points), values.shape[1] + len(middle)))
        for places in self._pieces(queries, leaves):
            rows = weights(places)
            offsets = (self._leaves.keys[places] - middle) * values[places, -1:]
            moments += rows @ np.hstack([offsets, values[places]])
            if entries is not None:
                row, column = np.nonzero(rows)
                entries.append((queries.rows[row], self._leaves.order[places[column]], rows[row, column]))
        if self._problem.degree == 0:
            return Sums(moments[:, len(middle) :], log_scale, np.zeros((len(moments), 0)))
        total = np.where(moments[:, -1:] > 0, moments[:, -1:], 1)
        sums = Sums.empty(self._problem, len(queries.points))
        sums.centre[:], sums.log_scale[:] = middle + moments[:, : len(middle)] / total, log_scale
        for places in self._pieces(queries, leaves):
            sums.columns[:] += self._problem.sums_about(
                sums.centre, weights(places), self._leaves.keys[places], values[places]
            )
        return sums

    def _relative_weights(self, queries):
        """The function from places of keys to their weights, the leaves whose keys matter, and log_scale."""
        kernel, leaves, unit = self._problem.kernel, self._leaves, self._problem.unit

        def squares(places):
            return exact_squares(queries.points, leaves.keys.take(places, axis=0), unit)

        def ending(places):
            return leaves.hide(kernel.of_square(squares(places)), places, queries.excluded, 0)

        if kernel.log_ratio is None:
            return ending, leaves.within(queries.boxes, kernel.support**2), np.zeros(len(queries.points))
        log_ratio = kernel.log_ratio
        lowest, _ = self._lowest(queries)
        lowest[lowest == np.inf] = 0
        weight, u = leaves.values[:, -1], np.sqrt(lowest)
        drop = np.log(weight.sum() / weight.min() / (_DROPPED * self._problem.caution))
        reach = np.square(u + kernel.step(u, np.full_like(u, drop)))

        def weights(places):
            logs = leaves.hide(log_ratio(lowest, squares(places) - lowest), places, queries.excluded, -np.inf)
            return np.exp(logs, out=np.zeros_like(logs), where=logs > LOWEST_LOG)

        return weights, leaves.within(queries.boxes, reach), log_ratio(np.zeros_like(lowest), lowest)[:, 0]

    def _far_sums(self, queries, entries):
        """Kernel sums over all keys, as the definition has them."""
        sums = Sums.empty(self._problem, len(queries.points))
        for some in batches(len(queries.points), row_batch(len(self._problem.y))):
            part = queries.part(some)
            rows, log_scale = self._problem.rows(part.points, part.excluded)
            sums.fill(some, self._problem.sums_of_rows(rows, log_scale))
            if entries is not None:
                row, key = np.nonzero(rows)
                entries.append((part.rows[row], key, rows[row, key]))
        return sums

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
