"""Neighbours: the keys that a tile of queries may meet, and the sums over them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sknw._algorithms._groups import Queries
from sknw._algorithms._leaves import Leaves, exact_squares
from sknw._algorithms._problem import Problem
from sknw._algorithms._tiles import batches

# Pairs of a query and a key that are worked on at once: few enough that they stay in the cache.
_PAIRS = 2**17

# Beyond this share of pairs that need double precision, all are better given it.
_DENSE = 0.25

# So many queries, or fewer, are not worth a product.
_FEW = 4

# The rounding error of |q|**2 + |k|**2 - 2 q.k, in relation to |q|**2 + |k|**2; and how far it may matter at most.
_ROUNDING = 2.0**-49
_TOLERANCE = 1e-11


def _lengths(points):
    """The squared length of each point."""
    return np.einsum("ij,ij->i", points, points)


class Neighbours:
    """The keys in some leaves.

    Parameters
    ----------
    problem : Problem
    leaves : Leaves
    some : ndarray of shape (n_leaves,)
        Which leaves, in ascending order.
    queries : Queries
        They lie among the keys, so that rounding is least about their middle.
    """

    def __init__(self, problem: Problem, leaves: Leaves, some: np.ndarray, queries: Queries):
        self._problem, self._leaves = problem, leaves
        self.places = leaves.places(some)
        self._counts = leaves.counts[some]
        self._origin = queries.boxes.middle
        self._factor = self._right_factor(queries.points) if len(queries.points) > _FEW else None
        # What the keys are seen from, and what is summed for each, for a degree above zero.
        self.centre = problem.centre_of(queries.points)
        self._local = self._local_columns() if problem.degree else None

    def __len__(self) -> int:
        return len(self.places)

    def _local_columns(self):
        keys, values = (points.take(self.places, axis=0) for points in (self._leaves.keys, self._leaves.values))
        return self._problem.columns(values, keys - self.centre)

    def of_leaves(self, there: np.ndarray) -> np.ndarray:
        """The keys of the leaves that are there."""
        return np.flatnonzero(there.repeat(self._counts))

    def _centred(self, points):
        return (points - self._origin) / self._problem.unit

    def _right_factor(self, queries):
        """The keys' factor of the squared distances in bandwidths; or None if these would err by much."""
        n_features = queries.shape[1]
        factor = np.ones((len(self.places), n_features + 2))
        keys = factor[:, :n_features]
        np.subtract(self._leaves.keys.take(self.places, axis=0), self._origin, out=keys)
        keys /= self._problem.unit
        factor[:, n_features] = lengths = _lengths(keys)
        rounding = _ROUNDING * (_lengths(self._centred(queries)).max() + lengths.max(initial=0))
        return factor if rounding <= _TOLERANCE else None

    def squares(self, queries: np.ndarray, exact: bool = False) -> Callable[[np.ndarray], np.ndarray]:
        """The function that gives squared distances in bandwidths, (n_keys, n_queries), of some of these keys.

        Exact ones come from differences. Others may be a rounding error below zero.
        """
        if exact or self._factor is None:
            keys, places, unit = self._leaves.keys, self.places, self._problem.unit
            return lambda some: exact_squares(keys.take(places.take(some), axis=0), queries, unit)
        factor, points = self._factor, self._centred(queries)
        left = np.column_stack([-2 * points, np.ones(len(points)), _lengths(points)]).T
        return lambda some: factor.take(some, axis=0) @ left

    def sums(self, queries: Queries, at: np.ndarray, cut: float, entries: list | None = None, exact: bool = False):
        """Kernel sums over these keys, with pairs beyond the squared distance `cut` in single precision.

        For a degree above zero, all are in double precision.

        Rows, keys and weights are added to the entries, if there are any.

        Returns
        -------
        sums : ndarray of shape (n_queries, n_columns)
        single : ndarray of shape (n_queries,)
            How much of the last column was summed in single precision.
        """
        exact = exact or not self._problem.kernel.squared or entries is not None
        sums, single = np.zeros((2, len(queries.points), self._problem.n_columns))
        cut = np.inf if self._local is not None else cut
        squares = self.squares(queries.points, exact and cut >= 0)
        for batch in batches(len(at), max(1, _PAIRS // len(sums))):
            places = self.places.take(at[batch])
            for weights, total, columns in self._weights(squares(at[batch]), cut, sums, single):
                self._leaves.hide(weights.T, places, queries.excluded, 0)
                self._add(total, weights.T, columns, at[batch])
                if entries is not None:
                    row, column = np.nonzero(weights.T)
                    entries.append((queries.rows[row], self._leaves.order[places[column]], weights[column, row]))
        if self._local is None:
            single *= self._leaves.scale
        return sums + single, single[:, -1]

    def _add(self, total, weights, columns, at):
        """Add sums of these weights over the keys at these places among the neighbours."""
        if self._local is not None:
            total += weights @ self._local.take(at, axis=0)
            return
        for column, values in zip(total.T, columns, strict=True):
            column += weights @ values.take(self.places.take(at))

    def _weights(self, t, cut, sums, single):
        """Weights, the sums that they belong to, and the values that they weigh."""
        of_square = self._problem.kernel.of_square
        near = np.flatnonzero(t <= cut) if 0 <= cut < np.inf else np.zeros(0, int)
        if cut == np.inf or len(near) > _DENSE * t.size:
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
