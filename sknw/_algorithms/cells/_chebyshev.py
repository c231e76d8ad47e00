"""ChebyshevSums: sums over one feature for kernels that are smooth and positive everywhere, from Chebyshev series.

Keys are sorted into cells about one bandwidth wide. Seen from another cell, a cell of keys is known by a few moments,
its values summed with Chebyshev polynomials; a small matrix for each distance between two cells turns these into a
Chebyshev series that any query evaluates. What a series leaves out is measured, once for each distance, against the
kernel itself; with the mass of each cell this bounds the error of each query. A query for which the bound is too large,
far from most keys, is summed key by key.

Local polynomials need K(u) * z**s. A cell of keys is then known by its values times powers of z, seen from their mean,
and its moments are moved to the mean of the cell that counts most for the queries, before the same matrices turn them
into a series: their sums are those of one kernel that differs little from K.

References: W. Fong and E. Darve (2009), The black-box fast multipole method, Journal of Computational Physics 228 (23),
8712-8725, doi:10.1016/j.jcp.2009.08.031; L. Greengard and J. Strain (1991), The fast Gauss transform, SIAM Journal on
Scientific and Statistical Computing 12 (1), 79-94, doi:10.1137/0912004.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from sknw._accuracy import CHEBYSHEV
from sknw._algorithms.cells._kernel_series import TERMS, cutoff, log_unit, max_cell_width, polynomials, series_of
from sknw._algorithms.cells._key_cells import KeyCells
from sknw._algorithms.cells._series_table import SeriesTable
from sknw._problem._sums import Sums
from sknw._tiles import batches, map_tiles, row_batch

# Cells that are further apart have no series.
_MAX_REACH = 1000

# Cells with so few keys in reach have no series: to sum their queries key by key is faster.
_FEW_KEYS, _FEW_KEYS_COMPILED = 128, 16

# Queries in a block, for which Chebyshev polynomials are held.
_BLOCK = 2**12

# Beyond this the numbers of neighbouring cells are not told apart.
_LAST_CELL = 2.0**50


class _CellSums(NamedTuple):
    """Sums over all keys for the queries in each of some cells.

    Parameters
    ----------
    series : ndarray of shape (n_cells, n_values, TERMS)
        The sums, as series in the offset of the query.
    bound : ndarray of shape (n_cells, 1) or (n_cells, 2)
        On the error of the weights, and for a degree above zero on that of the weights times the highest power of z.
    expansion_point : ndarray of shape (n_cells,)
        What z is measured from.
    """

    series: np.ndarray
    bound: np.ndarray
    expansion_point: np.ndarray

    @classmethod
    def empty(cls, n_cells: int, n_values: int, degree: int) -> _CellSums:
        bound = np.zeros((n_cells, 1 + min(degree, 1)))
        return cls(np.zeros((n_cells, n_values, TERMS)), bound, np.zeros(n_cells))

    def put(self, cells, sums):
        self.series[cells], self.bound[cells], self.expansion_point[cells] = sums

    def take(self, cells):
        return _CellSums(self.series[cells], self.bound[cells], self.expansion_point[cells])


class ChebyshevSums:
    """Sums over all keys from a Chebyshev series for each cell of queries.

    Parameters
    ----------
    problem : Problem
    keys : SortedKeys
    cells : KeyCells, default=None
        These keys in cells of any width, of which this hands on what it can.
    """

    needs = "is smooth and falls to nothing, or has all keys in reach, within some 300 bandwidths"

    def __init__(self, problem, keys, cells: KeyCells | None = None):
        self.keys, self._problem = keys, problem
        width = _width(problem)
        self._cells = KeyCells(keys, width) if cells is None else cells.at(width)
        self._series = series_of(problem.kernel, width / float(problem.distance.scaled_bandwidth), _reach(problem))
        dense = self._are_dense(self._cells.cell)
        self._sums = self._expand(self._cells.cell[dense])
        # Where the sums of each cell with keys are among these, if they are.
        self._index = np.where(dense, np.cumsum(dense) - 1, -1)
        if keys.is_compiled:
            _ = self.compiled

    @cached_property
    def compiled(self) -> SeriesTable:
        """The same sums by compiled loops, for a degree of zero."""
        return SeriesTable(self, self._problem, self._cells, self._index, self._sums.series, self._sums.bound)

    def at(self, problem) -> ChebyshevSums:
        """Sums at another bandwidth: the keys, and moments of their cells, are handed on."""
        return ChebyshevSums(problem, self.keys, self._cells)

    @staticmethod
    def serves(problem) -> bool:
        """Whether these are the sums of a problem."""
        kernel = problem.kernel
        smooth = kernel.log_ratio is not None and kernel.squared and max_cell_width(kernel) > 0
        return smooth and _reach(problem) <= _MAX_REACH

    @staticmethod
    def cost(problem) -> float:
        """About how many seconds as many queries as keys take."""
        n_keys, reach = len(problem.rows), _reach(problem)
        n_cells = min(n_keys / 4, problem.distance.coordinates.ptp[0] / _width(problem))
        return 1e-3 + 6e-5 * reach + (8e-7 * reach * n_cells + 4e-7 * n_keys) * (1 + problem.basis.degree)

    def _are_dense(self, cells):
        """Which cells have enough keys in reach for a series."""
        few = _FEW_KEYS_COMPILED if self.keys.is_compiled else _FEW_KEYS
        return self._cells.count_in_reach(cells, self._series.reach) > few

    def _empty(self, n_cells):
        powers = self.keys.powers
        return _CellSums.empty(n_cells, powers.n_values, powers.degree)

    def _expand(self, cells):
        """The series of the sums in each of these cells."""
        sums = self._empty(len(cells))

        def expand_block(block):
            sums.put(block, self._expand_block(cells[block]))

        n_numbers = self._series.stacked_matrices.size // TERMS * (2 * self.keys.powers.degree + 1)
        map_tiles(expand_block, len(cells), row_batch(n_numbers), None)
        return sums

    def _expand_block(self, cells):
        series, key_cells, powers = self._series, self._cells, self.keys.powers
        around = key_cells.around(cells, series.reach)
        mass = key_cells.mass.take(around)
        bound = [mass @ series.stacked_errors + series.weight_beyond * (key_cells.total_mass - mass.sum(axis=1))]
        point = np.zeros(len(cells))
        moments = key_cells.moments.take(around, axis=1)
        if powers.degree:
            heaviest = (mass * series.stacked_weights).argmax(axis=1)
            point = key_cells.origin[around[np.arange(len(cells)), heaviest]]
            powers.shift(moments, (key_cells.origin.take(around) - point[:, None])[..., None])
            _, weights = powers.blocks(moments)
            bound.append(weights[-1, 0, ..., 0] @ series.stacked_errors + self._bound_beyond(cells))
        values = [column.reshape(len(cells), -1) @ series.stacked_matrices for column in moments]
        return _CellSums(np.stack(values, axis=1), np.stack(bound, axis=1), point)

    def _bound_beyond(self, cells):
        """A bound on what the keys beyond the reach of cells would add to the weights times the highest power of z."""
        power, distance = self.keys.powers.highest, self._problem.distance
        beyond = self._cells.count_in_reach(cells, self._series.reach) < len(self.keys.x)
        if not beyond.any():
            return np.zeros(len(cells))
        bandwidth = float(distance.scaled_bandwidth)
        moment = self._series.moment_beyond(power, distance.coordinates.ptp[0] / bandwidth)
        return beyond * self._cells.total_mass * moment * bandwidth**power

    def sums(self, points: np.ndarray, excluded: np.ndarray | None) -> Sums:
        """Kernel sums for queries in ascending order; excluded is the rank of a key that does not count."""
        cell, offset = self._cells.locate(points)
        begin = np.flatnonzero(np.diff(cell, prepend=np.nan) != 0)
        in_cells, dense = self._sums_in(cell[begin])
        size = np.diff(np.append(begin, len(cell)))
        bound, exact = np.repeat(in_cells.bound, size, axis=0), np.repeat(~dense, size)
        which = np.repeat(np.arange(len(begin)), size)
        sums = self.keys.powers.empty(len(points))
        sums.log_scale[:] = log_unit(self._problem, points[:, None])
        sums.expansion_point[:] = in_cells.expansion_point[which, None]
        expanded = np.flatnonzero(~exact)
        for batch in batches(len(expanded), _BLOCK):
            idx = expanded[batch]
            factors = np.ascontiguousarray(polynomials(offset[idx]).T)
            sums.values[idx] = np.einsum("mcp,mp->mc", in_cells.series.take(which[idx], axis=0), factors)
        if excluded is not None:
            exact |= self._remove(sums, bound, points, excluded)
        redo = np.flatnonzero(exact | self._inaccurate(sums, bound))
        if len(redo):
            excluded = None if excluded is None else excluded[redo]
            sums.put(redo, self.keys.exact_sums(self._problem.distance, points[redo], excluded))
        return sums

    def _remove(self, sums, bound, points, excluded):
        """Take off the excluded keys. Tell for which queries this cannot be done, for the key is not at the query."""
        keys, powers, kernel = self.keys, self.keys.powers, self._problem.kernel
        counts = excluded >= 0
        _, weights = powers.blocks(sums.values.T)
        for error, total in zip(bound.T, weights[:: max(1, powers.highest), 0], strict=True):
            error += counts * 2.0**-50 * total
        products = keys.values[excluded].T
        if powers.degree:
            products = powers.products(keys.values[excluded], keys.x[excluded] - sums.expansion_point[:, 0])
        for total, product in zip(sums.values.T, products, strict=True):
            total -= kernel(0.0) * counts * product
        return counts & (keys.x[excluded] != points)

    def _inaccurate(self, sums, bound):
        """Which sums may be wrong by more than is tolerated."""
        inaccurate = ~(bound[:, 0] <= CHEBYSHEV * sums.values[:, -1])
        return self.keys.powers.add_ill_conditioned(inaccurate, self._problem, sums, bound[:, -1])

    def _sums_in(self, cells):
        """The series of the sums in each of these cells, and which have them."""
        with_keys = self._cells.cell
        nearest = np.minimum(np.searchsorted(with_keys, cells), len(with_keys) - 1)
        known = with_keys[nearest] == cells
        dense = (np.abs(cells) < _LAST_CELL) & self._are_dense(cells)
        sums = self._empty(len(cells))
        old, new = known & dense, ~known & dense
        sums.put(old, self._sums.take(self._index[nearest[old]]))
        if new.any():
            sums.put(new, self._expand(cells[new]))
        return sums, dense


def _width(problem):
    """The width of a cell: a power of two, so that the offsets of keys and queries in their cells are exact."""
    return 2.0 ** np.floor(np.log2(max_cell_width(problem.kernel) * float(problem.distance.scaled_bandwidth)))


def _reach(problem):
    """How many cells away keys still count, or there are any."""
    width, distance = _width(problem), problem.distance
    far = cutoff(problem.kernel) * float(distance.scaled_bandwidth)
    return int(np.ceil(min(far, distance.coordinates.ptp[0], (_MAX_REACH + 1) * width) / width)) + 1
