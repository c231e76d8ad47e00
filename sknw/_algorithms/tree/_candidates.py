"""Candidates: the keys that a tile of queries may meet, and the sums over them."""

from __future__ import annotations

import numpy as np

from sknw._accuracy import TREE_PRODUCT
from sknw._algorithms._boxes import exact_squares
from sknw._algorithms.tree._leaves import Leaves
from sknw._algorithms.tree._query_tiles import Queries
from sknw._problem._problem import Problem
from sknw._tiles import add_products, batches

# Pairs of a query and a key that are worked on at once: few enough that they stay in the cache.
_PAIRS = 2**17

# So many queries, or fewer, are not worth a product.
_FEW = 4

# The rounding error of |q|**2 + |k|**2 - 2 q.k, in relation to |q|**2 + |k|**2.
_ROUNDING = 2.0**-49


def _lengths(points):
    """The squared length of each point."""
    return np.einsum("ij,ij->i", points, points)


class Candidates:
    """The keys in some leaves.

    Parameters
    ----------
    problem : Problem
    leaves : Leaves
    near : ndarray of shape (n_leaves,)
        Which leaves, in ascending order.
    queries : Queries
        Those of a tile. They lie among the keys, so that rounding is least about their middle.
    expansion_point : ndarray of shape (n_coordinates,), or (0,)
        What the keys are seen from, if the basis looks at them.
    """

    def __init__(
        self, problem: Problem, leaves: Leaves, near: np.ndarray, queries: Queries, expansion_point: np.ndarray
    ):
        self._problem, self._leaves = problem, leaves
        self._bandwidth = problem.distance.scaled_bandwidth
        self._places = leaves.places(near)
        self._leaf = np.arange(len(near)).repeat(leaves.counts[near])
        self._origin = queries.boxes.middle
        # A product of factors gives squared distances in bandwidths, where these would not err by much.
        self._keys: np.ndarray | None = None
        self._queries = self._left_factor(queries.points)
        if len(queries.points) > _FEW:
            keys = self._right_factor()
            if _ROUNDING * (self._queries[-1].max() + keys[:, -2].max(initial=0)) <= TREE_PRODUCT:
                self._keys = keys
        self._local = self._local_columns(expansion_point) if len(expansion_point) else None

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._places)

    def _local_columns(self, expansion_point):
        """What is summed for each key, about the expansion point."""
        keys, values = (points.take(self._places, axis=0) for points in (self._leaves.keys, self._leaves.values))
        return self._problem.basis.columns(values, self._problem.basis.seen_from(keys, expansion_point))

    def of_leaves(self, chosen: np.ndarray) -> np.ndarray:
        """The indices, among the candidates, of the keys in those leaves that are chosen."""
        return np.flatnonzero(chosen.take(self._leaf))

    def _right_factor(self):
        """The keys' factor of squared distances: (n_keys, n_coordinates + 2)."""
        n_features = len(self._origin)
        factor = np.ones((len(self._places), n_features + 2))
        keys = factor[:, :n_features]
        np.subtract(self._leaves.keys.take(self._places, axis=0), self._origin, out=keys)
        keys /= self._bandwidth
        factor[:, n_features] = _lengths(keys)
        return factor

    def _left_factor(self, points):
        """The queries' factor: (n_coordinates + 2, n_queries)."""
        points = (points - self._origin) / self._bandwidth
        return np.vstack([-2 * points.T, np.ones(len(points)), _lengths(points)])

    def squares(self, points: np.ndarray) -> np.ndarray:
        """Squared distances in bandwidths of all candidates: (n_keys, n_points). May be a rounding error below zero."""
        if self._keys is None:
            return exact_squares(self._leaves.keys.take(self._places, axis=0), points, self._bandwidth)
        return self._keys @ self._left_factor(points)

    def sums(
        self,
        queries: Queries,
        indices: np.ndarray,
        entries: list | None = None,
        *,
        exact: bool = False,
        single: bool = False,
    ) -> np.ndarray:
        """Kernel sums over candidates: (n_queries, n_values).

        Parameters
        ----------
        queries : Queries
            Of the tile.
        indices : ndarray of shape (n_keys,)
            Of the candidates.
        entries : list, default=None
            Positions, keys and weights of what is summed are added to it.
        exact : bool, default=False
            Whether distances are to come from differences. They do where a product would not serve.
        single : bool, default=False
            Whether to sum in single precision. Not where keys are seen from an expansion point, or entries asked for.
        """
        leaves, kernel = self._leaves, self._problem.kernel
        exact |= not (single or (kernel.squared and entries is None))
        factor = None if exact else self._keys
        sums, left = (
            np.zeros((len(queries.points), self._problem.n_values)),
            self._queries.take(queries.positions, axis=1),
        )
        columns = leaves.single_columns if single else leaves.columns
        for batch in batches(len(indices), max(1, _PAIRS // len(sums))):
            some = indices[batch]
            places = self._places.take(some)
            if factor is None:
                t = exact_squares(leaves.keys.take(places, axis=0), queries.points, self._bandwidth)
            else:
                t = np.matmul(factor.take(some, axis=0), left)
            if single:
                with np.errstate(over="ignore"):
                    t = t.astype(np.float32)
            weights = leaves.exclude(kernel.of_square(np.abs(t, out=t)).T, places, queries.excluded, 0)
            if self._local is None:
                add_products(sums, weights, columns.take(places, axis=1).T)
            else:
                add_products(sums, weights, self._local.take(some, axis=0))
            if entries is not None:
                row, column = np.nonzero(weights)
                entries.append((queries.positions[row], leaves.order[places[column]], weights[row, column]))
        return sums * leaves.scale if single else sums
