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

from sknw._algorithms._clusters import Clusters
from sknw._algorithms._line import Line
from sknw._algorithms._problem import Problem
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


class Expansions:
    """Sums over all keys from a Chebyshev series for each cell of queries.

    Parameters
    ----------
    problem : Problem
    line : Line
    """

    needs = "is smooth and falls to nothing, or has all keys in reach, within some 300 bandwidths"

    def __init__(self, problem: Problem, line: Line):
        self._line = line
        self._kernel = problem.kernel
        self._unit = float(problem.unit)
        self._clusters = Clusters.of(problem, line, _width(problem))
        self._series = series_of(self._kernel, self._clusters.width / self._unit, _reach(problem))
        cells = self._clusters.cell
        self._crowded = self._is_crowded(cells)
        # The series for these cells, and bounds on their errors, and where they are.
        self._local, self._bound = self._expand(cells[self._crowded])
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

    def _is_crowded(self, cells):
        return self._clusters.in_reach(cells, self._series.reach) > _FEW_KEYS

    def _expand(self, cells):
        """The series of the sums in each of these cells, (n, n_columns, TERMS), and bounds on their errors, (n,)."""
        local, bound = np.empty((len(cells), self._line.values.shape[1], TERMS)), np.empty(len(cells))

        def expand_block(block):
            local[block], bound[block] = self._expand_block(cells[block])

        map_tiles(expand_block, len(cells), row_batch(self._series.stacked.size // TERMS), None)
        return local, bound

    def _expand_block(self, cells):
        series, clusters = self._series, self._clusters
        around = clusters.around(cells, series.reach)
        mass = clusters.mass.take(around)
        bound = mass @ series.errors + series.beyond * (clusters.mass.sum() - mass.sum(axis=1))
        moments = (column.take(around, axis=0).reshape(len(cells), -1) for column in clusters.moments)
        return np.stack([column @ series.stacked for column in moments], axis=1), bound

    def sums(self, points: np.ndarray, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Kernel sums for queries in ascending order; own is the place of a key that does not count."""
        line = self._line
        cell, place = self._clusters.locate(points)
        begin = np.flatnonzero(np.diff(cell, prepend=np.nan) != 0)
        local, bound, crowded = self._series_of(cell[begin])
        size = np.diff(np.append(begin, len(cell)))
        bound, exact = np.repeat(bound, size), np.repeat(~crowded, size)
        which = np.repeat(np.arange(len(begin)), size)
        sums, log_scale = np.zeros((local.shape[1], len(points))).T, np.zeros(len(points))
        some = np.flatnonzero(~exact)
        for block in batches(len(some), _BLOCK):
            at = some[block]
            factors = np.ascontiguousarray(polynomials(place[at]).T)
            sums[at] = np.einsum("mcp,mp->mc", local.take(which[at], axis=0), factors)
        if own is not None:
            there = own >= 0
            exact |= there & (line.keys[own] != points)
            bound += there * 2.0**-50 * sums[:, -1]
            for total, values in zip(sums.T, line.values.T, strict=True):
                total -= self._kernel(0.0) * there * values[own]
        again = np.flatnonzero(exact | ~(bound <= _TOLERANCE * sums[:, -1]))
        if len(again):
            sums[again], log_scale[again] = line.exact_sums(
                self._unit, points[again], None if own is None else own[again]
            )
        return sums, log_scale

    def _series_of(self, cells):
        """The series of the sums in each of these cells, bounds on their errors, and which have them."""
        with_keys = self._clusters.cell
        place = np.minimum(np.searchsorted(with_keys, cells), len(with_keys) - 1)
        known = with_keys[place] == cells
        crowded = (np.abs(cells) < _LAST_CELL) & self._is_crowded(cells)
        local, bound = np.zeros((len(cells), *self._local.shape[1:])), np.zeros(len(cells))
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
