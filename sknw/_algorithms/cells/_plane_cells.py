"""PlaneCells: the keys of two features in cells, and the moments of those that have any."""

from __future__ import annotations

import numpy as np

from sknw._algorithms.cells._kernel_series import TERMS, max_cell_width, polynomials
from sknw._tiles import batches

# Cells, empty ones too: of each the weight is kept.
MAX_CELLS = 2**22

# A cell with so many keys is worked on by itself; of others so many are worked on together.
_MANY = 32
_FEW_CELLS = 64

# Bits of the width of a cell: few, so that the edges of cells are exact.
_BITS = 4


class PlaneCells:
    """The keys of two features in cells.

    Parameters
    ----------
    problem : Problem

    Attributes
    ----------
    shape : ndarray of shape (2,)
        How many cells there are along each feature.
    width : ndarray of shape (2,)
        Of a cell, numbers of few bits, so that the offsets of keys and queries in their cells are exact.
    indices : ndarray of shape (n_with_weight,)
        The keys of the problem that have a weight, in the order of their cells.
    keys : ndarray of shape (n_with_weight, 2)
        These keys.
    values : ndarray of shape (n_with_weight, n_values)
        Their rows of `Rows.values`.
    mass : ndarray of shape (n_rows, n_columns)
        What the keys in each cell weigh. Cells are in rows along the first feature, and in columns along the second.
    """

    #: Queries that are worked on together: many, for those in a few rows of cells need the keys of many more.
    tile = 2**15

    def __init__(self, problem):
        self.width, self._first, self.shape = grid_of(problem)
        with_weight = np.flatnonzero(~problem.rows.zero_weight)
        cell, _ = self.locate(problem.distance.keys[with_weight])
        number = np.ravel_multi_index(cell.T.astype(int), self.shape)
        order = np.argsort(number, kind="stable")
        self.indices, number = with_weight[order], number[order]
        self.keys, self.values = problem.distance.keys[self.indices], problem.rows.values[self.indices]
        self.mass = np.bincount(number, self.values[:, -1], self.shape.prod()).reshape(self.shape)
        occupied, begin = np.unique(number, return_index=True)
        self._begin, self._column = np.append(begin, len(number)), occupied % self.shape[1]
        self._row_begin = np.searchsorted(occupied, np.arange(self.shape[0] + 1) * self.shape[1])

    def locate(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cell of each point, from the first of the keys, and its offset there, from -1 to 1: (n, 2) each."""
        cell = np.floor(points / self.width)
        return cell - self._first, 2 * ((points - cell * self.width) / self.width) - 1

    def points(self, queries: np.ndarray) -> np.ndarray:
        """The coordinates of queries: (n_queries, 2)."""
        return queries

    def order(self, points: np.ndarray) -> np.ndarray:
        """The order in which points follow the cells."""
        cell, _ = self.locate(points)
        return np.lexsort((cell[:, 1], cell[:, 0]))

    def ranks(self, indices: np.ndarray) -> np.ndarray:
        """What keys of the problem are known by: their indices."""
        return indices

    def moments(self, row: int, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        """Sums of values times polynomials over the keys of each cell in a row that has any, in columns [low, high).

        Returns
        -------
        column : ndarray of shape (n_cells,)
        moments : ndarray of shape (n_cells, TERMS, n_values * TERMS)
            By the polynomials of the second feature, the values, and the polynomials of the first feature.
        """
        first, last = self._between(row, low, high)
        column, begin = self._column[first:last], self._begin[first : last + 1]
        moments, size = np.zeros((len(column), TERMS, self.values.shape[1] * TERMS)), np.diff(begin)
        for k in np.flatnonzero(size >= _MANY):
            first, second = self._factors(np.arange(begin[k], begin[k + 1]))
            moments[k] = second.T @ first
        few = np.flatnonzero(size < _MANY)
        for batch in batches(len(few), _FEW_CELLS):
            some = few[batch]
            stop = size[some].cumsum()
            start = stop - size[some]
            first, second = self._factors(np.arange(stop[-1]) + np.repeat(begin[some] - start, size[some]))
            moments[some] = np.add.reduceat(second[:, :, None] * first[:, None], start)
        return column, moments

    def within(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Where the keys are among all that are in the rows and columns from the first of these cells on."""
        between = [self._begin[self._between(row, low[1], high[1])] for row in range(low[0], high[0])]
        return np.concatenate([np.arange(*each) for each in between])

    def _between(self, row, low, high):
        """Which of the cells that have keys are the first in a row, in columns [low, high), and the first behind."""
        cells = slice(*self._row_begin[row : row + 2])
        return cells.start + np.searchsorted(self._column[cells], [low, high])

    def _factors(self, places):
        """For some of the keys: values times polynomials of the first feature, and polynomials of the second."""
        _, offset = self.locate(self.keys[places])
        first, second = (polynomials(x).T for x in offset.T)
        return (self.values[places][:, :, None] * first[:, None]).reshape(len(first), -1), second


def grid_of(problem):
    """The width of a cell in each feature, in few bits; the first cell with keys; and the number of cells."""
    bandwidth = np.broadcast_to(problem.distance.scaled_bandwidth, 2)
    mantissa, exponent = np.frexp(max_cell_width(problem.kernel) * bandwidth)
    width = np.ldexp(np.floor(np.ldexp(mantissa, _BITS)), exponent - _BITS)
    keys = problem.distance.keys[~problem.rows.zero_weight]
    first, last = np.floor(keys.min(axis=0) / width), np.floor(keys.max(axis=0) / width)
    # More than can be counted is as good as too many.
    return width, first, np.minimum(last - first + 1, 2 * MAX_CELLS).astype(int)


def n_occupied(problem) -> int:
    """How many cells have keys."""
    width, first, shape = grid_of(problem)
    cell = (np.floor(problem.distance.keys[~problem.rows.zero_weight] / width) - first).astype(int)
    occupied = np.zeros(shape, dtype=bool)
    occupied[*cell.T] = True
    return int(np.count_nonzero(occupied))
