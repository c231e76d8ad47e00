"""Expansions: sums over one feature for kernels that are smooth and never end, from Chebyshev series.

Keys are sorted into cells about one bandwidth wide. Seen from another cell, a cell of keys is known by a few moments,
its values summed with Chebyshev polynomials; a small matrix for each distance between two cells turns these into a
Chebyshev series that any query evaluates. What a series leaves out is measured, once for each distance, against the
kernel itself; with the mass of each cell this bounds the error of each query. A query for which the bound is too large,
far from most keys, is summed key by key.

References: W. Fong and E. Darve (2009), The black-box fast multipole method, Journal of Computational Physics 228 (23),
8712-8725, doi:10.1016/j.jcp.2009.08.031; L. Greengard and J. Strain (1991), The fast Gauss transform, SIAM Journal on
Scientific and Statistical Computing 12 (1), 79-94, doi:10.1137/0912004.
"""

from __future__ import annotations

import numpy as np

from sknw._algorithms._line import Line
from sknw._algorithms._problem import Problem
from sknw._algorithms._series import TERMS, Series, fallen, polynomials, widest
from sknw._algorithms._tiles import batches, map_tiles

# Cells that are further apart have no series.
_FARTHEST = 1000

# A query is summed key by key if the bound on the error of its weights exceeds this, in relation to their sum ...
_TOLERANCE = 5e-13

# ... and if there are so few keys in reach that this is faster.
_FEW_KEYS = 64

# Keys in a block, for which Chebyshev polynomials are held.
_BLOCK = 2**13

# Cells whose series are summed at a time.
_CELLS = 2**14

# Beyond this the numbers of neighbouring cells are not told apart.
_LAST_CELL = 2.0**50


class Expansions:
    """Sums over all keys from a Chebyshev series for each cell of queries.

    Parameters
    ----------
    line : Line
    """

    needs = "is smooth and falls to nothing, or has all keys in reach, within some 300 bandwidths"

    def __init__(self, line: Line):
        self._line = line
        self._kernel = line.problem.kernel
        self._width = _width(line.problem)
        self._series = Series(self._kernel, self._width / line.unit, _reach(line.problem))
        cell, place = self._locate(line.keys)
        begin = np.flatnonzero(np.diff(cell, prepend=np.nan) != 0)
        # The cells with keys, in ascending order, what their keys weigh, and how many keys are before each.
        self._cell = cell[begin]
        self._mass = np.add.reduceat(line.values[:, -1], begin)
        self._before = np.append(begin, len(cell))
        self._moments = self._sum_moments(place)
        self._crowded = self._in_reach(self._cell) > _FEW_KEYS
        # The series for these cells, and bounds on their errors, and where they are.
        self._local, self._bound = self._expand(self._cell[self._crowded])
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
        return 1e-3 + 6e-5 * reach + 8e-7 * reach * n_cells + 4e-7 * n_keys

    def _locate(self, points):
        """The cell of each point, and its place there, from -1 to 1."""
        position = points / self._width
        cell = np.floor(position)
        return cell, 2 * (position - cell) - 1

    def _in_reach(self, cells):
        """How many keys are in cells that these reach."""
        reach = self._series.reach
        low = np.searchsorted(self._cell, cells - reach)
        return self._before[np.searchsorted(self._cell, cells + reach, "right")] - self._before[low]

    def _sum_moments(self, place):
        """Sums of values times Chebyshev polynomials over the keys of each cell: (n_cells, n_columns, TERMS)."""
        values = self._line.values
        moments = np.zeros((len(self._cell), values.shape[1], TERMS))
        for block in batches(len(place), _BLOCK):
            factors = polynomials(place[block])
            first, last = np.searchsorted(self._before, [block.start, block.stop - 1], "right") - 1
            begin = np.maximum(self._before[first : last + 1] - block.start, 0)
            for column, value in enumerate(values[block].T):
                moments[first : last + 1, column] += np.add.reduceat(factors * value, begin, axis=1).T
        return moments

    def _expand(self, cells):
        """The series of the sums in each of these cells, (n, n_columns, TERMS), and bounds on their errors, (n,)."""
        local, bound = np.zeros((len(cells), *self._moments.shape[1:])), np.zeros(len(cells))

        def expand_block(block):
            local[block], bound[block] = self._expand_block(cells[block])

        map_tiles(expand_block, len(cells), _CELLS, None)
        return local, bound

    def _expand_block(self, cells):
        series, columns = self._series, self._moments.shape[1:]
        local, bound, met = np.zeros((len(cells), *columns)), np.zeros(len(cells)), np.zeros(len(cells))
        for distance in range(-series.reach, series.reach + 1):
            source = np.minimum(np.searchsorted(self._cell, cells - distance), len(self._cell) - 1)
            some = np.flatnonzero(self._cell[source] == cells - distance)
            source = source[some]
            moments = self._moments.take(source, axis=0).reshape(-1, TERMS)
            local[some] += (moments @ series.matrix(distance)).reshape(-1, *columns)
            bound[some] += series.error[abs(distance)] * self._mass[source]
            met[some] += self._mass[source]
        return local, bound + series.beyond * (self._mass.sum() - met)

    def sums(self, points: np.ndarray, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Kernel sums for queries in ascending order; own is the place of a key that does not count."""
        line = self._line
        cell, place = self._locate(points)
        begin = np.flatnonzero(np.diff(cell, prepend=np.nan) != 0)
        local, bound, crowded = self._series_of(cell[begin])
        size = np.diff(np.append(begin, len(cell)))
        bound, crowded = np.repeat(bound, size), np.repeat(crowded, size)
        sums, log_scale = np.zeros((len(points), local.shape[1])), np.zeros(len(points))
        some = np.flatnonzero(crowded)
        which = np.repeat(np.arange(len(begin)), size)[some]
        factors = np.ascontiguousarray(polynomials(place[some]).T)
        sums[some] = np.einsum("mcp,mp->mc", local.take(which, axis=0), factors)
        exact = ~crowded
        if own is not None:
            there = own >= 0
            exact |= there & (line.keys[own] != points)
            bound = bound + there * 2.0**-50 * sums[:, -1]
            sums -= self._kernel(0.0) * np.where(there[:, None], line.values[own], 0)
        again = np.flatnonzero(exact | ~(bound <= _TOLERANCE * sums[:, -1]))
        if len(again):
            sums[again], log_scale[again] = line.exact_sums(points[again], None if own is None else own[again])
        return sums, log_scale

    def _series_of(self, cells):
        """The series of the sums in each of these cells, bounds on their errors, and which have them."""
        place = np.minimum(np.searchsorted(self._cell, cells), len(self._cell) - 1)
        known = self._cell[place] == cells
        crowded = (np.abs(cells) < _LAST_CELL) & (self._in_reach(cells) > _FEW_KEYS)
        local = np.zeros((len(cells), *self._local.shape[1:]))
        bound = np.zeros(len(cells))
        old, new = known & crowded, ~known & crowded
        local[old], bound[old] = self._local[self._index[place[old]]], self._bound[self._index[place[old]]]
        if new.any():
            local[new], bound[new] = self._expand(cells[new])
        return local, bound, crowded


def _width(problem):
    """The width of a cell: a power of two, so that the places of keys and queries in their cells are exact."""
    return 2.0 ** np.floor(np.log2(widest(problem.kernel) * float(problem.unit)))


def _reach(problem):
    """How many cells away keys still count, or there are any."""
    width = _width(problem)
    distance = min(fallen(problem.kernel) * float(problem.unit), problem.extent[0], (_FARTHEST + 1) * width)
    return int(np.ceil(distance / width)) + 1
