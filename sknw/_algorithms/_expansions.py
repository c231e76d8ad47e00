"""Expansions: sums over one feature for kernels that are smooth and never end, from Chebyshev series.

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

from typing import NamedTuple

import numpy as np

from sknw._algorithms._clusters import Clusters
from sknw._algorithms._line import Line
from sknw._algorithms._problem import Problem, Sums
from sknw._algorithms._series import TERMS, fallen, polynomials, series_of, widest
from sknw._algorithms._tiles import batches, map_tiles, row_batch

# Cells that are further apart have no series.
_FARTHEST = 1000

# A query is summed key by key if the bound on the error of its weights exceeds this, in relation to their sum ...
_TOLERANCE = 5e-13

# ... and if there are so few keys in reach that this is faster.
_FEW_KEYS = 128

# Queries in a block, for which Chebyshev polynomials are held.
_BLOCK = 2**12

# Beyond this the numbers of neighbouring cells are not told apart.
_LAST_CELL = 2.0**50


class _Local(NamedTuple):
    """What queries in a cell are told of all keys.

    Parameters
    ----------
    series : ndarray of shape (n_cells, n_columns, TERMS)
        The sums, as series of the place of the query.
    bound : ndarray of shape (n_cells, 1) or (n_cells, 2)
        On the error of the weights, and for a degree above zero on that of the weights times the highest power of z.
    centre : ndarray of shape (n_cells,)
        What z is seen from.
    """

    series: np.ndarray
    bound: np.ndarray
    centre: np.ndarray

    @classmethod
    def empty(cls, n_cells: int, n_columns: int, degree: int) -> _Local:
        bound = np.zeros((n_cells, 1 + min(degree, 1)))
        return cls(np.zeros((n_cells, n_columns, TERMS)), bound, np.zeros(n_cells))

    def fill(self, cells, part):
        for whole, some in zip(self, part, strict=True):
            whole[cells] = some

    def part(self, cells):
        return _Local(*(item[cells] for item in self))


class Expansions:
    """Sums over all keys from a Chebyshev series for each cell of queries.

    Parameters
    ----------
    problem : Problem
    line : Line
    """

    needs = "is smooth and falls to nothing, or has all keys in reach, within some 300 bandwidths"

    def __init__(self, problem: Problem, line: Line):
        self._line, self._problem = line, problem
        self._kernel = problem.kernel
        self._unit = float(problem.unit)
        self._clusters = Clusters.of(problem, line, _width(problem))
        self._series = series_of(self._kernel, self._clusters.width / self._unit, _reach(problem))
        cells = self._clusters.cell
        self._crowded = self._is_crowded(cells)
        # The series for these cells, and where they are.
        self._local = self._expand(cells[self._crowded])
        self._index = np.cumsum(self._crowded) - 1

    @staticmethod
    def serves(problem: Problem) -> bool:
        kernel = problem.kernel
        smooth = kernel.log_ratio is not None and kernel.squared and widest(kernel) > 0
        return smooth and _reach(problem) <= _FARTHEST

    @staticmethod
    def cost(problem: Problem) -> float:
        n_keys, reach = len(problem.y), _reach(problem)
        n_cells = min(n_keys / 4, problem.extent[0] / _width(problem))
        return 1e-3 + 6e-5 * reach + (8e-7 * reach * n_cells + 4e-7 * n_keys) * (1 + problem.degree)

    def _is_crowded(self, cells):
        return self._clusters.in_reach(cells, self._series.reach) > _FEW_KEYS

    def _empty(self, n_cells):
        powers = self._line.powers
        return _Local.empty(n_cells, powers.n_columns, powers.degree)

    def _expand(self, cells):
        """The series of the sums in each of these cells."""
        local = self._empty(len(cells))

        def expand_block(block):
            local.fill(block, self._expand_block(cells[block]))

        n_numbers = self._series.stacked.size // TERMS * (2 * self._line.powers.degree + 1)
        map_tiles(expand_block, len(cells), row_batch(n_numbers), None)
        return local

    def _expand_block(self, cells):
        series, clusters, powers = self._series, self._clusters, self._line.powers
        around = clusters.around(cells, series.reach)
        mass = clusters.mass.take(around)
        bound = [mass @ series.errors + series.beyond * (clusters.total - mass.sum(axis=1))]
        centre = np.zeros(len(cells))
        moments = clusters.moments.take(around, axis=1)
        if powers.degree:
            most = (mass * series.weights).argmax(axis=1)
            centre = clusters.origin[around[np.arange(len(cells)), most]]
            powers.shift(moments, (clusters.origin.take(around) - centre[:, None])[..., None])
            _, weights = powers.blocks(moments)
            bound.append(weights[-1, 0, ..., 0] @ series.errors + self._bound_beyond(cells))
        local = [column.reshape(len(cells), -1) @ series.stacked for column in moments]
        return _Local(np.stack(local, axis=1), np.stack(bound, axis=1), centre)

    def _bound_beyond(self, cells):
        """A bound on what the keys beyond the reach of cells would add to the weights times the highest power of z."""
        power = self._line.powers.highest
        beyond = self._clusters.in_reach(cells, self._series.reach) < len(self._line.keys)
        if not beyond.any():
            return np.zeros(len(cells))
        moment = self._series.moment_beyond(power, self._problem.extent[0] / self._unit)
        return beyond * self._clusters.total * moment * self._unit**power

    def sums(self, points: np.ndarray, own: np.ndarray | None) -> Sums:
        """Kernel sums for queries in ascending order; own is the place of a key that does not count."""
        cell, place = self._clusters.locate(points)
        begin = np.flatnonzero(np.diff(cell, prepend=np.nan) != 0)
        local, crowded = self._series_of(cell[begin])
        size = np.diff(np.append(begin, len(cell)))
        bound, exact = np.repeat(local.bound, size, axis=0), np.repeat(~crowded, size)
        which = np.repeat(np.arange(len(begin)), size)
        sums = self._line.powers.empty(len(points))
        sums.centre[:] = local.centre[which, None]
        some = np.flatnonzero(~exact)
        for block in batches(len(some), _BLOCK):
            at = some[block]
            factors = np.ascontiguousarray(polynomials(place[at]).T)
            sums.columns[at] = np.einsum("mcp,mp->mc", local.series.take(which[at], axis=0), factors)
        if own is not None:
            exact |= self._remove(sums, bound, points, own)
        again = np.flatnonzero(exact | self._inaccurate(sums, bound))
        if len(again):
            own = None if own is None else own[again]
            sums.fill(again, self._line.exact_sums(self._unit, points[again], own))
        return sums

    def _remove(self, sums, bound, points, own):
        """Take off what does not count. Tell where this cannot be done, for it is not at the query."""
        line, powers = self._line, self._line.powers
        there = own >= 0
        _, weights = powers.blocks(sums.columns.T)
        for error, total in zip(bound.T, weights[:: max(1, powers.highest), 0], strict=True):
            error += there * 2.0**-50 * total
        columns = line.values[own].T
        if powers.degree:
            columns = powers.products(line.values[own], line.keys[own] - sums.centre[:, 0])
        for total, values in zip(sums.columns.T, columns, strict=True):
            total -= self._kernel(0.0) * there * values
        return there & (line.keys[own] != points)

    def _inaccurate(self, sums, bound):
        """Which sums may be wrong by more than is tolerated."""
        inaccurate = ~(bound[:, 0] <= _TOLERANCE * sums.columns[:, -1])
        return self._line.powers.add_blurred(inaccurate, self._problem, sums, bound[:, -1])

    def _series_of(self, cells):
        """The series of the sums in each of these cells, and which have them."""
        with_keys = self._clusters.cell
        place = np.minimum(np.searchsorted(with_keys, cells), len(with_keys) - 1)
        known = with_keys[place] == cells
        crowded = (np.abs(cells) < _LAST_CELL) & self._is_crowded(cells)
        local = self._empty(len(cells))
        old, new = known & crowded, ~known & crowded
        local.fill(old, self._local.part(self._index[place[old]]))
        if new.any():
            local.fill(new, self._expand(cells[new]))
        return local, crowded


def _width(problem):
    """The width of a cell: a power of two, so that the places of keys and queries in their cells are exact."""
    return 2.0 ** np.floor(np.log2(widest(problem.kernel) * float(problem.unit)))


def _reach(problem):
    """How many cells away keys still count, or there are any."""
    width = _width(problem)
    distance = min(fallen(problem.kernel) * float(problem.unit), problem.extent[0], (_FARTHEST + 1) * width)
    return int(np.ceil(distance / width)) + 1
