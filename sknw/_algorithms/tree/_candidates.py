"""Candidates: the keys that a tile of queries may meet, and the sums over them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sknw._accuracy import TREE_PRODUCT
from sknw._algorithms._boxes import exact_squares
from sknw._algorithms.tree._leaves import Leaves
from sknw._algorithms.tree._query_tiles import Queries
from sknw._problem._problem import Problem
from sknw._tiles import batches

# Pairs of a query and a key that are worked on at once: few enough that they stay in the cache.
_PAIRS = 2**17

# Beyond this share of pairs that need double precision, all are better given it.
_DENSE = 0.25

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
        They lie among the keys, so that rounding is least about their middle.
    expansion_point : ndarray of shape (n_coordinates,), or (0,)
        What the keys are seen from, if the basis looks at them.
    """

    def __init__(
        self, problem: Problem, leaves: Leaves, near: np.ndarray, queries: Queries, expansion_point: np.ndarray
    ):
        self._problem, self._leaves = problem, leaves
        self._bandwidth = problem.distance.scaled_bandwidth
        self._places = leaves.places(near)
        self._counts = leaves.counts[near]
        self._origin = queries.boxes.middle
        self._factor = self._right_factor(queries.points) if len(queries.points) > _FEW else None
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
        return np.flatnonzero(chosen.repeat(self._counts))

    def _centred(self, points):
        return (points - self._origin) / self._bandwidth

    def _right_factor(self, queries):
        """The keys' factor of the squared distances in bandwidths; or None if these would err by much."""
        n_features = queries.shape[1]
        factor = np.ones((len(self._places), n_features + 2))
        keys = factor[:, :n_features]
        np.subtract(self._leaves.keys.take(self._places, axis=0), self._origin, out=keys)
        keys /= self._bandwidth
        factor[:, n_features] = lengths = _lengths(keys)
        rounding = _ROUNDING * (_lengths(self._centred(queries)).max() + lengths.max(initial=0))
        return factor if rounding <= TREE_PRODUCT else None

    def squares(self, queries: np.ndarray, exact: bool = False) -> Callable[[np.ndarray], np.ndarray]:
        """The function that gives squared distances in bandwidths, (n_keys, n_queries), for candidates of some indices.

        Exact ones come from differences. Others may be a rounding error below zero.
        """
        if exact or self._factor is None:
            keys, places, bandwidth = self._leaves.keys, self._places, self._bandwidth
            return lambda indices: exact_squares(keys.take(places.take(indices), axis=0), queries, bandwidth)
        factor, points = self._factor, self._centred(queries)
        left = np.column_stack([-2 * points, np.ones(len(points)), _lengths(points)]).T
        return lambda indices: factor.take(indices, axis=0) @ left

    def sums(
        self, queries: Queries, indices: np.ndarray, cutoff: float, entries: list | None = None, exact: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Kernel sums over candidates, with pairs beyond the squared distance `cutoff` in single precision.

        All are in double precision where keys are seen from an expansion point, or entries asked for.

        Parameters
        ----------
        indices : ndarray of shape (n_keys,)
            Of the candidates.
        entries : list, default=None
            Positions, keys and weights of what is summed are added to it.
        exact : bool, default=False
            Whether distances are to come from differences.

        Returns
        -------
        sums : ndarray of shape (n_queries, n_values)
        single : ndarray of shape (n_queries,)
            How much of the last column was summed in single precision.
        """
        exact = exact or not self._problem.kernel.squared or entries is not None
        sums, single = np.zeros((2, len(queries.points), self._problem.n_values))
        cutoff = cutoff if self._local is None and entries is None else np.inf
        squares = self.squares(queries.points, exact and cutoff >= 0)
        for batch in batches(len(indices), max(1, _PAIRS // len(sums))):
            places = self._places.take(indices[batch])
            for weights, total, columns in self._weights(squares(indices[batch]), cutoff, sums, single):
                self._leaves.exclude(weights.T, places, queries.excluded, 0)
                self._add(total, weights.T, columns, indices[batch])
                if entries is not None:
                    row, column = np.nonzero(weights.T)
                    entries.append((queries.positions[row], self._leaves.order[places[column]], weights[column, row]))
        if self._local is None:
            single *= self._leaves.scale
        return sums + single, single[:, -1]

    def _add(self, total, weights, columns, indices):
        """Add the sums of these weights over candidates of these indices."""
        if self._local is not None:
            total += weights @ self._local.take(indices, axis=0)
            return
        for column, values in zip(total.T, columns, strict=True):
            column += weights @ values.take(self._places.take(indices))

    def _weights(self, t, cutoff, sums, single):
        """Weights, the sums that they belong to, and the values that they weigh."""
        of_square = self._problem.kernel.of_square
        near = np.flatnonzero(t <= cutoff) if 0 <= cutoff < np.inf else np.zeros(0, int)
        if cutoff == np.inf or len(near) > _DENSE * t.size:
            yield of_square(np.abs(t, out=t)), sums, self._leaves.columns
            return
        with np.errstate(over="ignore"):
            weights = of_square(np.abs(t.astype(np.float32)))
        weights.ravel()[near] = 0
        yield weights, single, self._leaves.single_columns
        if len(near):
            weights = np.zeros_like(t)
            weights.ravel()[near] = of_square(np.abs(t.ravel().take(near)))
            yield weights, sums, self._leaves.columns
