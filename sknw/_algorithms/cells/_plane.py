"""Plane: sums over two features for a kernel that is a product over features, the Gaussian, from Chebyshev series.

What `_chebyshev.py` does along a line, in rectangular cells: a cell of keys is known by its values summed with products
of Chebyshev polynomials, one of each feature, and the two features are expanded one after the other. Cells without keys
take no time, and so do those without queries: the series of a plane of few cells are kept, of a wider one they are made
for the cells that are asked for, one row of cells after the other. A query for which the bound on the error is too
large is summed over the keys that a search tree finds in its reach.

Reference: L. Greengard and J. Strain (1991), The fast Gauss transform, SIAM Journal on Scientific and Statistical
Computing 12 (1), 79-94, doi:10.1137/0912004.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from sknw._accuracy import CHEBYSHEV, WINDOW
from sknw._algorithms._boxes import exact_squares
from sknw._algorithms.cells._kernel_series import TERMS, KernelSeries, log_unit, max_cell_width, polynomials
from sknw._algorithms.cells._plane_cells import MAX_CELLS, PlaneCells, grid_of, n_occupied
from sknw._kernels import relative_weights
from sknw._problem._definition import kernel_rows
from sknw._problem._sums import Sums
from sknw._tiles import batches, row_batch

# Cells in the rows in reach of one, times columns of values: each takes two kilobytes while the row is worked on.
_MAX_AROUND = 2**15

# Up to so many cells times columns of values, their series are kept.
_MAX_KEPT = 2**15

# A cell with so many queries is worked on by itself; of the queries in others, and of those that are summed key by key,
# so many are worked on together.
_MANY = 32
_FEW_QUERIES, _FEW_EXACT = 256, 64

# Pairs of queries and the keys in their reach that are held at a time, where there are several queries.
_BALL_PAIRS = 2**16

# What the keys out of reach may weigh, in units of what a series may err by, for a query at a key.
_BEYOND = 0.25


class _RowSeries(NamedTuple):
    """The series of the sums in some cells of a row.

    Parameters
    ----------
    column : ndarray of shape (n_cells,)
        Which cells, in ascending order.
    series : ndarray of shape (n_cells, TERMS, n_values * TERMS)
        By the polynomials of the second feature, the values, and the polynomials of the first feature.
    bound : ndarray of shape (n_cells,)
        On the errors of the sums.
    """

    column: np.ndarray
    series: np.ndarray
    bound: np.ndarray

    def put(self, sums: Sums, bound: np.ndarray, queries: slice, column: np.ndarray, offset: np.ndarray) -> None:
        """Put the sums of consecutive queries in their place, and the bounds on their errors.

        column : ndarray of shape (n_queries,), in ascending order
        offset : ndarray of shape (n_queries, 2)
        """
        which, values = np.searchsorted(self.column, column), sums.values[queries]
        bound[queries] = self.bound[which]
        first, second = (np.ascontiguousarray(polynomials(x).T) for x in offset.T)
        begin = np.searchsorted(column, self.column)
        size = np.diff(np.append(begin, len(column)))
        for k in np.flatnonzero(size >= _MANY):
            many = slice(begin[k], begin[k] + size[k])
            values[many] = _evaluate(second[many] @ self.series[k], first[many])
        few = np.flatnonzero(size[which] < _MANY)
        for batch in batches(len(few), _FEW_QUERIES):
            some = few[batch]
            expanded = second[some, None] @ self.series[which[some]]
            values[some] = _evaluate(expanded, first[some])


class _Moments:
    """The moments of the cells in some rows, which ascend: each is made once, and dropped behind the first.

    Parameters
    ----------
    keys : PlaneCells
    low, high : int
        The first column, and that behind the last.
    """

    def __init__(self, keys, low, high):
        self._keys, self._columns = keys, (low, high)
        self._known: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def of(self, rows: range) -> Iterable[tuple[int, tuple[np.ndarray, np.ndarray]]]:
        """These rows, and `PlaneCells.moments` of each."""
        known = self._known
        self._known = {row: known.get(row) or self._keys.moments(row, *self._columns) for row in rows}
        return self._known.items()


class Plane:
    """Sums over keys in two features from a series for each cell.

    Parameters
    ----------
    problem : Problem
        With two features that matter, and of degree zero.
    keys : PlaneCells
    """

    needs = "is a product over features, if there are two, and reaches across few cells"

    def __init__(self, problem, keys: PlaneCells):
        self._problem, self.keys = problem, keys
        bandwidth = np.broadcast_to(problem.distance.scaled_bandwidth, 2)
        reach = np.minimum(_reach(problem, keys.width), keys.shape)
        self._series = [
            KernelSeries(problem.kernel, width / one, int(n))
            for width, one, n in zip(keys.width, bandwidth, reach, strict=True)
        ]
        self._total_weight = keys.mass.sum()
        pairs = zip(self._series, keys.shape, strict=True)
        self._weight_beyond = max((series.weight_beyond for series, n in pairs if series.reach < n), default=0.0)
        self._kept: list[_RowSeries] | None = None
        if keys.shape.prod() * problem.rows.values.shape[1] <= _MAX_KEPT:
            column, moments = np.arange(keys.shape[1]), _Moments(keys, 0, keys.shape[1])
            self._kept = [self._row_series(row, column, moments) for row in range(keys.shape[0])]

    def at(self, problem) -> Plane:
        """Sums at another bandwidth, for which the keys are in other cells."""
        return Plane(problem, PlaneCells(problem))

    @staticmethod
    def serves(problem) -> bool:
        """Whether these are the sums of a problem."""
        kernel = problem.kernel
        if not kernel.is_product or not kernel.squared or max_cell_width(kernel) == 0:
            return False
        width, _, shape = grid_of(problem)
        around = min(2 * _reach(problem, width)[0] + 1, shape[0]) * shape[1]
        return shape.prod() <= MAX_CELLS and around * problem.rows.values.shape[1] <= _MAX_AROUND

    @staticmethod
    def cost(problem) -> float:
        """About how many seconds as many queries as keys take."""
        n_numbers = n_occupied(problem) * problem.rows.values.shape[1]
        return 5e-3 + 2.5e-5 * n_numbers + 4e-6 * len(problem.rows)

    # ---- series

    def _row_series(self, row, column, moments):
        """The series in these columns of a row.

        moments : _Moments
            In all columns in their reach.
        """
        first, second = self._series
        low, high = max(column[0] - second.reach, 0), min(column[-1] + second.reach + 1, self.keys.shape[1])
        rows = range(max(row - first.reach, 0), min(row + first.reach + 1, self.keys.shape[0]))
        across = np.zeros((high - low, TERMS, self.keys.values.shape[1] * TERMS))
        for other, (there, known) in moments.of(rows):
            some = slice(*np.searchsorted(there, [low, high]))
            part = known[some]
            across[there[some] - low] += (part.reshape(-1, TERMS) @ first.matrix(row - other)).reshape(part.shape)
        series = np.empty((len(column), *across.shape[1:]))
        matrices = second.stacked_matrices.T
        for k, j in enumerate(column):
            start, stop = max(j - second.reach, low), min(j + second.reach + 1, high)
            terms = slice((start - j + second.reach) * TERMS, (stop - j + second.reach) * TERMS)
            np.matmul(matrices[:, terms], across[start - low : stop - low].reshape(-1, across.shape[2]), out=series[k])
        return _RowSeries(column, series, self._error_bounds(row)[column])

    def _error_bounds(self, row):
        """Bounds on the errors of the sums in the cells of a row, from what the keys of each cell weigh."""
        (first, second), mass = self._series, self.keys.mass
        start, stop = max(row - first.reach, 0), min(row + first.reach + 1, len(mass))
        around, distance = mass[start:stop], np.abs(np.arange(start, stop) - row)

        def across(weights, numbers):
            beside = np.concatenate([numbers[:0:-1], numbers])
            return np.convolve(weights @ around, beside)[second.reach :][: mass.shape[1]]

        bound = across(first.error[distance], second.max_weight)
        bound += across((first.max_weight + first.error)[distance], second.error)
        met = across(np.ones(len(around)), np.ones(second.reach + 1))
        return bound + self._weight_beyond * np.maximum(self._total_weight - met, 0)

    # ---- sums

    def sums(self, points: np.ndarray, excluded: np.ndarray | None) -> Sums:
        """Kernel sums for queries in the order of cells; excluded is the index of a key that does not count."""
        problem = self._problem
        cell, offset = self.keys.locate(points)
        sums, bound = problem.empty_sums(len(points)), np.full(len(points), np.inf)
        sums.log_scale[:] = log_unit(problem, points)
        if self._kept is not None or len(points) > _FEW_EXACT:  # to make series for fewer takes longer
            self._put_series(sums, bound, cell, offset)
        exact = np.zeros(len(points), dtype=bool)
        if excluded is not None:
            counts = ~problem.rows.zero_weight[excluded]
            # A key that is not at the query has another weight than that which is taken off.
            exact = counts & (problem.distance.keys[excluded] != points).any(axis=1)
            bound += counts * 2.0**-50 * sums.values[:, -1]
            sums.values[:] -= problem.kernel(0.0) * np.where(counts[:, None], problem.rows.values[excluded], 0)
        redo = exact | ~(bound <= CHEBYSHEV * sums.values[:, -1])
        # Beside the sums of some of these, what is out of reach weighs nothing.
        near = redo & ~exact & (CHEBYSHEV * (sums.values[:, -1] - bound) > self._weight_beyond * self._total_weight)
        far = redo & ~near & (problem.distance.reference(points) > 0)
        for some in _runs(np.flatnonzero(near), cell):
            self._put_window_sums(sums, some, cell[some[0]].astype(int), points, excluded)
        for which, exact_sums in ((far, self._row_sums), (redo & ~near & ~far, self._ball_sums)):
            for some in np.split(np.flatnonzero(which), range(_FEW_EXACT, np.count_nonzero(which), _FEW_EXACT)):
                left_out = None if excluded is None else excluded[some]
                sums.values[some], sums.log_scale[some] = exact_sums(points[some], left_out)
        return sums

    def _put_series(self, sums, bound, cell, offset):
        """Put what the series give the queries that are in a cell in its place, and the bounds on the errors."""
        inside = np.flatnonzero(((cell >= 0) & (cell < self.keys.shape)).all(axis=1))
        columns, reach = cell[inside, 1], self._series[1].reach
        low, high = columns.min(initial=self.keys.shape[1]) - reach, columns.max(initial=0) + reach + 1
        moments = _Moments(self.keys, int(low), int(high))
        for some in _runs(inside, cell[:, :1]):
            row, column = int(cell[some[0], 0]), cell[some, 1].astype(int)
            known = self._row_series(row, np.unique(column), moments) if self._kept is None else self._kept[row]
            known.put(sums, bound, slice(some[0], some[-1] + 1), column, offset[some])

    def _put_window_sums(self, sums, queries, cell, points, excluded):
        """Put the sums of some queries in one cell over all keys in its reach in their place."""
        kernel, distance, reach = self._problem.kernel, self._problem.distance, [each.reach for each in self._series]
        places = self.keys.within(np.maximum(cell - reach, 0), np.minimum(cell + reach + 1, self.keys.shape))
        sums.values[queries] = 0
        for batch in batches(len(places), row_batch(len(queries))):
            some = places[batch]
            weights = kernel.of_square(exact_squares(points[queries], self.keys.keys[some], distance.scaled_bandwidth))
            if excluded is not None:
                weights[excluded[queries, None] == self.keys.indices[some]] = 0
            sums.values[queries] += weights @ self.keys.values[some]

    @cached_property
    def _search(self):
        """A tree of the keys, in the order of their cells."""
        return KDTree(self._problem.distance.centred(self.keys.keys), balanced_tree=False, compact_nodes=False)

    def _row_sums(self, points, excluded):
        """Sums for queries far from all keys."""
        rows, log_scale = kernel_rows(self._problem, points, excluded)
        return rows @ self._problem.rows.values, log_scale

    def _ball_sums(self, points, excluded):
        """Sums for queries over the keys in their reach, in units of the largest weight."""
        keys, kernel, distance = self.keys, self._problem.kernel, self._problem.distance
        centred, own = distance.centred(points), np.full(len(points), -1) if excluded is None else excluded
        u, near = self._search.query(centred, k=[1, 2])
        # Where there is but one key, the second is infinitely far.
        known = np.append(keys.indices, -1)[near] != own[:, None]
        first = (np.arange(len(points)), known.argmax(axis=1))
        there = known[first] & (u[first] < np.inf)
        u, share = u[first][there], keys.values[near[first][there], -1] / self._total_weight
        values, log_scale = np.zeros((len(points), keys.values.shape[1])), np.zeros(len(points))
        if not there.any():
            return values, log_scale
        reach = (u + kernel.step(u, -np.log(WINDOW * share))) * (1 + 1e-9)
        centred, points, own = centred[there], points[there], own[there]
        size = self._search.query_ball_point(centred, reach, return_length=True)
        parts = []
        for some in _runs(np.arange(len(size)), (size.cumsum() // _BALL_PAIRS)[:, None]):
            found = self._search.query_ball_point(centred[some], reach[some])
            start, query, place = size[some].cumsum() - size[some], np.repeat(some, size[some]), np.concatenate(found)
            t = np.square((points[query] - keys.keys[place]) / distance.scaled_bandwidth).sum(axis=1)
            t[keys.indices[place] == own[query]] = np.inf
            lowest = np.minimum.reduceat(t, start)
            t0 = np.repeat(lowest, size[some])
            weights = relative_weights(kernel, t0, t - t0)
            parts.append((np.add.reduceat(weights[:, None] * keys.values[place], start), lowest))
        values[there], lowest = map(np.concatenate, zip(*parts, strict=True))
        log_scale[there] = kernel.log_ratio(np.zeros_like(lowest), lowest)
        return values, log_scale


def _runs(indices, cell):
    """Indices that ascend, cut where the cells of neighbours differ, or a coordinate of these."""
    if len(indices) == 0:
        return []
    return np.split(indices, 1 + np.flatnonzero((np.diff(cell[indices], axis=0) != 0).any(axis=1)))


def _evaluate(expanded, first):
    """Series in the first feature at its polynomials: (n_queries, n_values)."""
    return np.einsum("mct,mt->mc", expanded.reshape(len(first), -1, TERMS), first)


def _reach(problem, width):
    """How many cells away along each feature keys are left out: there, all together weigh nothing beside one."""
    drop = np.log(len(problem.rows) / (_BEYOND * CHEBYSHEV))
    reach = np.broadcast_to(problem.distance.scaled_bandwidth, 2) * problem.kernel.step(np.zeros(1), np.array(drop))
    return np.ceil(reach / width).astype(int)
