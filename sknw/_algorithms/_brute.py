"""Brute force: the definition, in tiles of queries and keys that fit a processor's cache.

Squared distances of coordinates come from one matrix product, |q|**2 + |k|**2 - 2 q.k, where it is faster and its
rounding harmless; else from differences, which are exact. Rows for which that is not enough are summed again as the
definition has them: in float64, from differences, in the log domain where the kernel has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from sknw._algorithms._leaves import split
from sknw._algorithms._problem import Problem, Sums
from sknw._algorithms._tiles import batches, map_tiles, row_batch


class _Precision(NamedTuple):
    """How a tile is computed, and how far its numbers can be trusted."""

    dtype: type
    # Queries and keys in a tile: few enough that it stays in the cache between distance, kernel and sum.
    tile: tuple[int, int]
    # A product gives u * u, and so log K, with an error below `rounding` times |q|**2 + |k|**2 ...
    rounding: float
    # ... which has to stay below this.
    tolerance: float
    # Rows with less weight in all are summed again. A kernel that is positive everywhere: keys that matter may have
    # been lost to underflow.
    underflow: float
    # A kernel that ends: the error of the product, absolute there, may matter.
    borderline: float


_SINGLE = _Precision(np.float32, (128, 512), 2.0**-24, 1e-4, 1e-24, 1.0)
_DOUBLE = _Precision(np.float64, (256, 1024), 2.0**-53, 2e-11, 1e-280, 1e-2)

# Below this many features, differences are as fast as a product in float64.
_FEW_FEATURES = 5


@dataclass(frozen=True, eq=False)
class Brute:
    """All pairs of queries and keys: time O(n_queries * n_keys), memory O(tile). Serves every problem.

    Parameters
    ----------
    problem : Problem
    """

    problem: Problem
    name = "brute"

    def __post_init__(self):
        _ = self._product  # preparation belongs to fit

    def __getstate__(self):
        return {"problem": self.problem}

    @staticmethod
    def refuses(problem: Problem) -> str | None:
        """Why it cannot serve this problem: never."""
        return None

    @staticmethod
    def cost(problem: Problem) -> float:
        """About how many seconds as many queries as keys take."""
        pair = 3e-9 if problem.kernel.log_ratio is None else 9e-9
        return 1e-4 + (pair + 3e-11 * (problem.n_columns - problem.values.shape[1])) * float(len(problem.y)) ** 2

    def sums(self, queries: np.ndarray, excluded: np.ndarray | None = None, n_jobs: int | None = None) -> Sums:
        """Kernel sums, without the kernel matrix.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_features)
            From `Problem.scale`.
        excluded : ndarray of shape (n_queries,), default=None
            For each query the index of one key that does not count.
        n_jobs : int, default=None
            Threads; None is one.
        """
        sums = Sums.empty(self.problem, len(queries))
        order = self._order(queries)

        def tile_sums(tile):
            some = order[tile]
            sums.fill(some, self._tile_sums(queries[some], None if excluded is None else excluded[some]))

        map_tiles(tile_sums, len(queries), self._precision.tile[0], n_jobs)
        return sums

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> np.ndarray:
        """Sums of the values of the nearest keys, ties included: (n_queries, n_outputs + 1)."""
        return self.problem.nearest_sums(queries, excluded)

    @cached_property
    def _precision(self) -> _Precision:
        return _DOUBLE if self._product is None or self._product.dtype == np.float64 else _SINGLE

    def _order(self, queries):
        """Queries in an order in which neighbours have one centre, if they need any."""
        if self.problem.degree == 0:
            return np.arange(len(queries))
        leaves, _ = split(queries, self.problem.unit, self._precision.tile[0])
        return leaves[leaves >= 0]

    @cached_property
    def _product(self) -> np.ndarray | None:
        """The keys' factor of a product that gives squares, (n_features + 2, n_keys), or None: take differences."""
        problem = self.problem
        if problem.metric != "euclidean" or not problem.kernel.squared:
            return None
        single = problem.X.dtype == np.float32 and problem.degree == 0
        for precision in (_SINGLE, _DOUBLE) if single else (_DOUBLE,):
            if 2 * problem.radius_square * precision.rounding <= precision.tolerance:
                break
        else:
            return None
        if precision is _DOUBLE and problem.keys.shape[1] < _FEW_FEATURES:
            return None
        keys: np.ndarray = problem.centred(problem.keys).astype(precision.dtype)
        lengths = np.square(keys, dtype=np.float64).sum(axis=1)
        return np.vstack([-2 * keys.T, lengths, np.ones(len(keys))]).astype(precision.dtype)

    def _left_factor(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The queries' factor of the product, (n_queries, n_features + 2), and which queries are too far for it."""
        precision = self._precision
        points = self.problem.centred(queries)
        lengths = np.square(points).sum(axis=1, keepdims=True)
        far = (lengths + self.problem.radius_square) * precision.rounding > precision.tolerance
        factor = np.hstack([points, np.ones_like(lengths), lengths])
        factor[far[:, 0]] = 0
        return factor.astype(precision.dtype), far[:, 0]

    @cached_property
    def _values(self) -> np.ndarray:
        return self.problem.values.astype(self._precision.dtype)

    def _columns(self, keys, centre):
        """What is summed for some keys about a centre."""
        if self.problem.degree == 0:
            return self._values[keys]
        return self.problem.columns(self._values[keys], self.problem.keys[keys] - centre)

    def _tile_sums(self, queries, excluded):
        problem, precision = self.problem, self._precision
        again = np.zeros(len(queries), dtype=bool)
        if self._product is not None:
            factor, again = self._left_factor(queries)
        centre = problem.centre_of(queries)
        total = np.zeros((len(queries), problem.n_columns))
        n_keys = len(problem.values)
        width = precision.tile[0] * precision.tile[1] // len(queries)
        buffer: np.ndarray = np.empty(len(queries) * min(width, n_keys), precision.dtype)
        for columns in batches(n_keys, width):
            tile = buffer[: len(queries) * (columns.stop - columns.start)].reshape(len(queries), -1)
            if self._product is None:
                tile = problem.squares(queries, columns, out=tile)
            else:
                np.matmul(factor, self._product[:, columns], out=tile)
                np.maximum(tile, 0, out=tile)
            tile = problem.kernel.of_square(tile)
            if excluded is not None:
                own = np.flatnonzero((excluded >= columns.start) & (excluded < columns.stop))
                tile[own, excluded[own] - columns.start] = 0
            total += tile @ self._columns(columns, centre)
        if problem.kernel.log_ratio is not None:
            again |= total[:, -1] < precision.underflow
        elif self._product is not None:
            again |= total[:, -1] < precision.borderline
        again |= problem.blurred(total)
        sums = Sums(total, np.zeros(len(queries)), np.tile(centre, (len(queries), 1)))
        hard = np.flatnonzero(again)
        for batch in batches(len(hard), row_batch(len(problem.values))):
            some = hard[batch]
            sums.fill(some, problem.exact_sums(queries[some], None if excluded is None else excluded[some]))
        return sums
