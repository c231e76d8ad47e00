"""Sums of all pairs in loops that numba compiled: squared distances, kernel and sums in one go.

Keys and queries are seen from the centre of the keys, in bandwidths. What that rounds matters to no sum unless a query
or the keys are far away from there: such queries are summed as the definition has them, such keys are left to NumPy.
Of few features, distances come from differences, of more from products, and of many from a product of matrices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._algorithms.brute._precision import DOUBLE, SINGLE
from sknw._compiled._kinds import WITH_OWN_LOOP, in_blocks, kind_of
from sknw._compiled._readiness import is_worth, would_be_worth
from sknw._problem._definition import put_exact_sums
from sknw._problem._monomials import monomials
from sknw._problem._problem import Problem
from sknw._problem._sums import Sums
from sknw._tiles import batches, even_size, map_tiles

# How much farther than the nearest keys are that matter, at most.
_BEYOND_NEAREST = 9.0

# By how much rounding moves u * u where a kernel jumps, at most.
_AT_THE_EDGE = 8 * DOUBLE.farthest[0] * DOUBLE.rounding

# Below this many features, differences are as fast as products; beyond the second, a product of matrices is faster.
_FEW_FEATURES, _MANY_FEATURES = 5, 16

# Queries that share an expansion point, pairs that a thread works on at a time at least, and the queries and blocks of
# keys of a matrix.
_NEIGHBOURS, _PAIRS, _WIDE, _BLOCKS = 256, 2**22, 1024, 1

# The square of the distance of what fills the last block up.
_NOWHERE = 1e30

# About how many seconds a pair takes, and each of more values than two.
_PAIR, _VALUE = 1.5e-9, 1e-10


class CompiledLoop:
    """Sums over all pairs, in compiled loops.

    Parameters
    ----------
    problem : Problem
        One that `serves`.
    """

    def __init__(self, problem: Problem):
        rows, distance = problem.rows, problem.distance
        counted, self._problem, self._precision = np.flatnonzero(~rows.zero_weight), problem, _precision(problem)
        self._products = _takes_products(problem, self._precision)
        self._radius = np.sqrt(distance.radius_square)
        self._is_expanded = bool(problem.basis.n_expanded(distance.n_coordinates))

        def blocks(columns, fill=0.0):
            return in_blocks(columns[counted].astype(self._precision.dtype, copy=False), fill)

        keys, nowhere = distance.centred(distance.keys), np.full(distance.n_coordinates, np.sqrt(_NOWHERE))
        if self._products:
            lengths = _lengths(keys)
            keys, nowhere = (
                np.hstack([-2 * keys, lengths, np.ones_like(lengths)]),
                np.append(0 * nowhere, [_NOWHERE, 1]),
            )
        self._keys, self._values = blocks(keys, nowhere), blocks(rows.values)
        if self._is_expanded:
            self._coordinates = blocks(distance.keys)
        self._numbers = np.where(rows.zero_weight, -1, np.cumsum(~rows.zero_weight) - 1)

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether there are such loops for a problem."""
        distance = problem.distance
        if not distance.has_coordinates or kind_of(problem.kernel) is None or problem.rows.zero_weight.all():
            return False
        if _is_wide(problem):
            return _takes_products(problem, _precision(problem)) and not problem.basis.degree
        # At most so many bandwidths are keys from their centre. It takes long to know it better.
        radius = np.sqrt(np.square(distance.coordinates.ptp / distance.scaled_bandwidth).sum())
        return bool(2 * radius <= DOUBLE.farthest[0])

    @staticmethod
    def is_worth(problem: Problem, seconds: float) -> bool:
        """Whether it serves a problem, and is to do the work that comes now, for which NumPy takes so many seconds."""
        return CompiledLoop.serves(problem) and is_worth(_function(problem), seconds)

    @staticmethod
    def would_be_worth(problem: Problem, seconds: float) -> bool:
        """Whether it would do so much work if that came now."""
        return CompiledLoop.serves(problem) and would_be_worth(_function(problem), seconds)

    @staticmethod
    def cost(problem: Problem) -> float:
        """About how many seconds as many queries as keys take, once it is compiled."""
        return (_PAIR + _VALUE * (problem.n_values - 2)) * float(len(problem.rows)) ** 2

    def sums(self, queries: np.ndarray, excluded: np.ndarray | None, n_jobs: int | None) -> Sums:
        """Kernel sums, with exact zeros where no key is in reach: of neighbours, if sums need an expansion point."""
        problem, kernel = self._problem, self._problem.kernel
        tile = self._tile(queries, excluded)
        sums, redo = problem.empty_sums(len(queries)), tile.radii > self._precision.farthest[self._products]
        sums.values[:], sums.expansion_point[:] = self._values_of(tile, n_jobs), tile.expansion_point
        if kernel.log_ratio is not None:
            redo |= self._put_sums_by_the_nearest(sums, tile, n_jobs)
            outside = problem.distance.reference(queries)
            if outside.any():
                sums.log_scale[:] -= kernel.log_ratio(np.zeros_like(outside), outside)
        else:
            redo |= sums.values[:, -1] < self._precision.borderline
            if kernel.is_flat:  # it jumps
                redo |= self._values_of(tile, n_jobs, 1 - _AT_THE_EDGE)[:, -1] != sums.values[:, -1]
        some = np.flatnonzero(redo | problem.basis.ill_conditioned(sums, problem.conditions))
        self._in_tiles(
            lambda part: put_exact_sums(problem, sums, some[part], queries, excluded), len(some), _NEIGHBOURS, n_jobs
        )
        return sums

    def _in_tiles(self, function, n_queries, size, n_jobs):
        """Call a function for tiles of queries; neighbours that share an expansion point are one."""
        if self._is_expanded or not n_queries:
            function(slice(None))
        else:
            map_tiles(function, n_queries, size, n_jobs)

    def _tile(self, queries, excluded):
        points = self._problem.distance.centred(queries)
        lengths = _lengths(points)
        radii = np.sqrt(lengths[:, 0]) + self._radius
        points[radii > self._precision.farthest[self._products]] = 0
        if self._products:
            points = np.hstack([points, np.ones_like(lengths), lengths])
        left_out = np.full(len(queries), -1) if excluded is None else self._numbers[excluded]
        point = self._problem.basis.expansion_point(queries, self._problem.distance.bounds)
        return _Tile(points.astype(self._precision.dtype, copy=False), radii, left_out, point)

    def _put_sums_by_the_nearest(self, sums, tile, n_jobs):
        """Put the sums of queries whose weights underflow in their place, in units of that of the nearest key.

        And tell for which that is not exact enough.
        """
        log_ratio, precision = self._problem.kernel.log_ratio, self._precision
        assert log_ratio is not None
        redo = sums.values[:, -1] < precision.underflow
        some = np.flatnonzero(redo)
        if len(some):
            tile = tile.take(some)
            lowest = self._nearest(tile, n_jobs)
            sums.values[some] = self._values_of(tile, n_jobs, 1.0, lowest)
            sums.log_scale[some] = log_ratio(np.zeros_like(lowest), lowest)
            errors = 2 * precision.rounding * tile.radii * (np.sqrt(lowest) + _BEYOND_NEAREST)
            redo[some] = (errors > precision.tolerance) | (sums.values[some, -1] < precision.underflow)
        return redo

    # ---- what is compiled

    def _dims(self):
        """A tuple of as many numbers as there are features."""
        return (0,) * self._problem.distance.n_coordinates

    def _values_of(self, tile, n_jobs, factor=1.0, t0=None):
        """Sums, with squared distances times a factor, in units of the kernel at t0: (n_queries, n_values)."""
        from sknw._compiled._pairs import sum_moments, sum_pairs, sum_products

        problem, point, all_values = (
            self._problem,
            tile.expansion_point,
            np.zeros((len(tile.points), self._problem.n_values)),
        )
        kernel = (kind_of(problem.kernel), factor), None if _has_own_loop(problem) else True
        all_t0 = np.zeros(len(all_values)) if t0 is None else t0

        def put(part):
            some, t0, values = tile.take(part), all_t0[part], all_values[part]
            pairs = self._dims(), self._products, *kernel, some.points, self._keys, self._values, some.left_out
            if _is_wide(problem):
                for blocks, squares in self._squares(some):
                    left_out = some.left_out - blocks.start * squares.shape[2]
                    sum_products(*kernel, squares, self._values[blocks], left_out, t0, values)
            elif not len(point):
                sum_pairs(*pairs, t0, values)
            else:
                lower, terms = (monomials(len(point), power * problem.basis.degree) for power in (1, 2))
                sum_moments(*pairs, t0, (self._coordinates, point, *terms.recurrence, len(lower)), values)

        self._in_tiles(put, len(all_values), self._tile_size(len(all_values)), n_jobs)
        return all_values

    def _nearest(self, tile, n_jobs):
        """The squared distances of the nearest keys that count."""
        from sknw._compiled._pairs import find_nearest

        all_lowest = np.full(len(tile.points), _NOWHERE)

        def put(part):
            some, lowest = tile.take(part), all_lowest[part]
            if not _is_wide(self._problem):
                find_nearest(self._dims(), self._products, some.points, self._keys, some.left_out, lowest)
                return
            for blocks, squares in self._squares(some):
                block, place = np.divmod(some.left_out - blocks.start * squares.shape[2], squares.shape[2])
                hit = np.flatnonzero((block >= 0) & (block < len(squares)))
                squares[block[hit], hit, place[hit]] = np.inf
                np.minimum(lowest, squares.min(axis=(0, 2)), out=lowest)

        self._in_tiles(put, len(all_lowest), self._tile_size(len(all_lowest)), n_jobs)
        return np.maximum(all_lowest, 0)

    def _tile_size(self, n_queries):
        """How many of so many queries a thread sums at a time."""
        return (
            _WIDE if _is_wide(self._problem) else even_size(n_queries, max(_NEIGHBOURS, _PAIRS // len(self._numbers)))
        )

    def _squares(self, tile):
        """Squared distances of the keys of some blocks at a time, from a product: (n_blocks, n_queries, BLOCK)."""
        for blocks in batches(len(self._keys), _BLOCKS):
            yield blocks, np.matmul(tile.points, self._keys[blocks])


class _Tile(NamedTuple):
    """Some queries.

    Parameters
    ----------
    points : ndarray of shape (n_queries, n_columns)
        As compiled loops take them: zero where that would be too far away.
    radii : ndarray of shape (n_queries,)
        How far apart they and keys may be, seen from the centre, in bandwidths.
    left_out : ndarray of shape (n_queries,)
        For each the number of a key that does not count, or -1.
    expansion_point : ndarray of shape (n_coordinates,), or (0,)
    """

    points: np.ndarray
    radii: np.ndarray
    left_out: np.ndarray
    expansion_point: np.ndarray

    def take(self, some):
        return _Tile(self.points[some], self.radii[some], self.left_out[some], self.expansion_point)


def _lengths(points):
    """The squares of lengths: (n_points, 1)."""
    return np.square(points).sum(axis=1, keepdims=True)


def _function(problem):
    """What is compiled for itself."""
    n_features = 0 if _is_wide(problem) else problem.distance.n_coordinates
    return "pairs", n_features, _has_own_loop(problem), problem.rows.keys.dtype, problem.basis.degree > 0


def _has_own_loop(problem):
    return kind_of(problem.kernel) in WITH_OWN_LOOP


def _is_wide(problem):
    """Whether distances come from a product of matrices."""
    return problem.distance.n_coordinates > _MANY_FEATURES


def _precision(problem):
    """Single precision, where that is enough."""
    distance, kernel = problem.distance, problem.kernel
    if problem.rows.keys.dtype != np.float32 or problem.basis.n_expanded(distance.n_coordinates):
        return DOUBLE
    jumps = kernel.is_flat and kernel.log_ratio is None
    return DOUBLE if jumps or 2 * np.sqrt(distance.radius_square) > SINGLE.farthest[_is_wide(problem)] else SINGLE


def _takes_products(problem, precision):
    """Whether squared distances may come from products, and are faster so."""
    may = problem.kernel.squared and 2 * np.sqrt(problem.distance.radius_square) <= precision.farthest[True]
    return bool(may and problem.distance.n_coordinates >= _FEW_FEATURES)
