"""Cells: exact sums over one feature for kernels that are polynomials and end, in O((n + m) log n).

In (a - r)**p = sum_j binom(p, j) a**(p - j) (-r)**j the query a and the key r come apart: sums over a window of keys
are differences of prefix sums of r**j, whatever the query. About one origin for all keys these would cancel to nothing.
So keys are sorted into cells one bandwidth wide, each with an origin of its own, its middle: the keys in reach on one
side of a query then lie in two cells. What is left of cancellation, in prefix sums over all cells, is undone by keeping
the rounding errors of the sums beside them.

References: B. Seifert, M. Brockmann, J. Engel and T. Gasser (1994), Fast algorithms for nonparametric curve estimation,
Journal of Computational and Graphical Statistics 3, 192-213, for moments that are updated along the line; D. E. Knuth,
The Art of Computer Programming, volume 2, section 4.2.2, for the rounding error of a sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import comb

import numpy as np

from sknw._algorithms._problem import TIED, Problem
from sknw._algorithms._tiles import batches, map_tiles

# Queries, or keys, in a tile.
_TILE = 2**14

# Below this many keys in an average window they are summed one by one: it is faster, and needs no flags.
_FEW_KEYS = 24

# Pairs of a query and a key that are held at a time, where they are summed one by one.
_PAIRS = 2**18

# A query is summed key by key if the estimated rounding error of its weights may exceed this, in relation to their sum.
_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class Cells:
    """Sums over windows of sorted keys from prefix sums of their local moments.

    Parameters
    ----------
    problem : Problem
    """

    problem: Problem
    name = "cells"

    def __post_init__(self):
        _ = self._prefix  # preparation belongs to fit

    def __getstate__(self):
        return {"problem": self.problem}

    @staticmethod
    def refuses(problem: Problem) -> str | None:
        """Why it cannot serve this problem, or None."""
        kernel = problem.kernel
        if problem.metric != "euclidean":
            return f"it needs metric='euclidean', and the metric is {problem.metric!r}."
        n_features = np.isfinite(np.broadcast_to(problem.bandwidth, problem.X.shape[1:])).sum()
        if n_features != 1:
            return f"it needs one feature with a finite bandwidth, and there are {n_features}."
        if kernel.polynomial is None or kernel.support != 1:
            return f"it needs a kernel that is a polynomial and ends at u = 1, and {kernel.name!r} is not one."
        return None

    @staticmethod
    def cost(problem: Problem) -> float:
        """About how many seconds as many queries as keys take."""
        return 2e-4 + 1e-7 * len(problem.y) * len(problem.kernel.polynomial or ())

    def sums(
        self, queries: np.ndarray, excluded: np.ndarray | None = None, n_jobs: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Kernel sums, as the promise in the package's docstring has them; `log_scale` is zero."""
        points = queries[:, 0]
        # In ascending order neighbouring queries read neighbouring memory.
        order = np.argsort(points)
        sums = np.empty((len(points), self.problem.values.shape[1]))

        def tile_sums(tile):
            some = order[tile]
            own = None if excluded is None else self._rank[excluded[some]]
            sums[some] = self._tile_sums(points[some], own)

        map_tiles(tile_sums, len(points), _TILE, n_jobs)
        return sums, np.zeros(len(points))

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> np.ndarray:
        """Sums of the values of the nearest keys, ties included: (n_queries, n_outputs + 1)."""
        points, n_keys = queries[:, 0], len(self._keys)
        own = np.full(len(points), -1) if excluded is None else self._rank[excluded]
        right = np.searchsorted(self._keys, points)
        left = right - 1
        left, right = left - ((left == own) & (own >= 0)), right + (right == own)
        keys = np.concatenate([self._keys, [np.inf, -np.inf]])  # the last two are behind and before all keys
        to_left, to_right = points - keys[left], keys[np.minimum(right, n_keys)] - points
        distance = np.minimum(to_left, to_right)
        # Beyond the extent of the keys the distance itself would be no measure of which of them are tied.
        tied = TIED / 2 * np.minimum(distance, self._keys[-1] - self._keys[0])
        low = np.where(to_left <= distance + tied, keys[left] - tied, points)
        high = np.where(to_right <= distance + tied, keys[np.minimum(right, n_keys)] + tied, points)
        start, stop = np.searchsorted(self._keys, low, "left"), np.searchsorted(self._keys, high, "right")
        middle, skipped = np.clip(own, start, stop), np.clip(own + 1, start, stop)
        return self._total(start, middle) + self._total(skipped, stop)

    def _total(self, start, stop):
        """The sum of the values of the keys [start, stop)."""
        parts = self._prefix[stop, :, 0] - self._prefix[start, :, 0]
        return parts.sum(axis=1)

    # ---- prepared in fit

    @cached_property
    def _order(self) -> np.ndarray:
        """The keys that are there, in ascending order."""
        present = np.flatnonzero(~self.problem.absent)
        return present[np.argsort(self.problem.keys[present, 0], kind="stable")]

    @cached_property
    def _rank(self) -> np.ndarray:
        """The place of each key in this order, -1 for one that is not there."""
        rank = np.full(len(self.problem.y), -1)
        rank[self._order] = np.arange(len(self._order))
        return rank

    @cached_property
    def _keys(self) -> np.ndarray:
        return self.problem.keys[self._order, 0]

    @cached_property
    def _values(self) -> np.ndarray:
        return self.problem.values[self._order]

    @cached_property
    def _cell(self) -> np.ndarray:
        """The number of each key's cell; only cells with keys are counted."""
        position = np.floor((self._keys - self._keys[0]) / self.problem.unit)
        return np.concatenate([[0], np.cumsum(np.diff(position) != 0)])

    @cached_property
    def _begin(self) -> np.ndarray:
        """The first key of each cell."""
        return np.flatnonzero(np.diff(self._cell, prepend=-1))

    @cached_property
    def _middle(self) -> np.ndarray:
        """The origin of each cell."""
        last = np.append(self._begin[1:], len(self._keys)) - 1
        return self._keys[self._begin] / 2 + self._keys[last] / 2

    @cached_property
    def _prefix(self) -> np.ndarray:
        """Prefix sums of r**j * values, and of their rounding errors: (n_keys + 1, 2, degree + 1, n_columns)."""
        n_keys, n_columns = self._values.shape
        prefix = np.zeros((n_keys + 1, 2, len(self._polynomial), n_columns))
        for block in batches(n_keys, _TILE):
            behind = slice(block.start + 1, block.stop + 1)
            r = (self._keys[block] - self._middle[self._cell[block]])[:, None] / self.problem.unit
            moment = self._values[block].copy()
            for j in range(len(self._polynomial)):
                carried = prefix[block.start, :, j]
                total = np.cumsum(np.concatenate([carried[:1], moment]), axis=0)
                added = total[1:] - total[:-1]
                error = (total[:-1] - (total[1:] - added)) + (moment - added)
                prefix[behind, 0, j] = total[1:]
                prefix[behind, 1, j] = carried[1] + np.cumsum(error, axis=0)
                moment *= r
        return prefix

    @cached_property
    def _polynomial(self) -> np.ndarray:
        return np.array(self.problem.kernel.polynomial, dtype=float)

    @cached_property
    def _expansion(self) -> np.ndarray:
        """For keys on the left and right of a query the matrix from powers of a to factors of moments."""
        size = len(self._polynomial)
        expansion = np.zeros((2, size, size))
        for p, factor in enumerate(self._polynomial):
            for j in range(p + 1):
                expansion[:, p - j, j] = factor * comb(p, j) * (-1) ** j * np.array([1, (-1) ** p])
        return expansion

    @cached_property
    def _roundoff(self) -> float:
        """The error of a weight that a bound on all terms of its expansion gives."""
        return 2.0**-53 * np.polynomial.Polynomial(np.abs(self._polynomial))(2.0)

    # ---- windows

    def _tile_sums(self, points, own):
        low, high = self._window(points)
        left_end = np.searchsorted(self._keys, points)
        right_start = left_end
        strange = np.zeros(len(points), dtype=bool)
        if own is not None:
            inside = (low <= own) & (own < high)
            left_end, right_start = np.where(inside, own, left_end), np.where(inside, own + 1, right_start)
            strange = inside & (self._keys[own] != points)
        count = (left_end - low) + (high - right_start)
        sums = np.zeros((len(points), self._values.shape[1]))
        if count.sum() <= _FEW_KEYS * len(points):
            one_by_one = count > 0
        else:
            weight = np.zeros(len(points))
            for side, (start, stop) in enumerate([(low, left_end), (right_start, high)]):
                strange |= self._add_side(sums, weight, points, start, stop, side)
            inaccurate = self._roundoff * weight > _TOLERANCE * sums[:, -1]
            one_by_one = (strange | inaccurate) & (count > 0)
            sums[count == 0] = 0
        for some in self._groups(np.flatnonzero(one_by_one), high - low):
            sums[some] = self._sum_keys(points[some], low[some], high[some], None if own is None else own[some])
        return sums

    def _window(self, points):
        """The keys [low, high) with a positive weight, decided by the very arithmetic of `Problem.squares`."""
        edges = []
        closed = self._polynomial.sum() != 0
        unit = self.problem.unit

        def reached(edge):
            t = np.square(points - edge) / unit**2
            return t <= 1 if closed else t < 1

        for outward in (-np.inf, np.inf):
            edge = points + np.copysign(unit, outward)
            for _ in range(2):
                further = np.nextafter(edge, outward)
                edge = np.where(reached(further), further, edge)
            for _ in range(3):
                edge = np.where(reached(edge), edge, np.nextafter(edge, -outward))
            edges.append(edge)
        return np.searchsorted(self._keys, edges[0], "left"), np.searchsorted(self._keys, edges[1], "right")

    def _add_side(self, sums, weight, points, start, stop, side):
        """Add the keys [start, stop) on one side of each query, which lie in two cells; tell where in more."""
        last_key = len(self._keys) - 1
        stop = np.maximum(start, stop)
        first, last = self._cell[np.minimum(start, last_key)], self._cell[np.maximum(stop - 1, 0)]
        border = np.clip(self._begin[last], start, stop)
        begin = self._prefix[start]
        for cell, piece_start, piece_stop in ((first, start, border), (last, border, stop)):
            end = self._prefix[piece_stop]
            moments = (end[:, 0] - begin[:, 0]) + (end[:, 1] - begin[:, 1])
            a = np.where(piece_stop > piece_start, points - self._middle[cell], 0) / self.problem.unit
            powers = np.ones((len(a), moments.shape[1]))
            for p in range(1, moments.shape[1]):
                np.multiply(powers[:, p - 1], a, out=powers[:, p])
            factors = powers @ self._expansion[side]
            sums += np.einsum("mj,mjc->mc", factors, moments)
            weight += moments[:, 0, -1]
            begin = end
        return (last - first > 1) & (stop > start)

    # ---- key by key

    def _groups(self, some, size):
        """Split queries into groups of at most `_PAIRS` pairs with the keys of their windows, or of one query."""
        cuts = np.flatnonzero(np.diff(np.cumsum(size[some]) // _PAIRS)) + 1
        return np.split(some, cuts) if len(some) else []

    def _sum_keys(self, points, low, high, own):
        size = high - low
        first = np.cumsum(size) - size
        query = np.repeat(np.arange(len(points)), size)
        key = np.arange(size.sum()) - first[query] + low[query]
        t = np.square(points[query] - self._keys[key]) / self.problem.unit**2
        weights = self.problem.kernel.of_square(t)
        if own is not None:
            weights[key == own[query]] = 0
        return np.add.reduceat(weights[:, None] * self._values[key], first, axis=0)
