"""KeyCells: sorted keys in cells of one width, and what a series is told of each cell.

The moments of a cell are its values, summed with Chebyshev polynomials of the offsets of its keys. On half a cell these
polynomials are sums of the polynomials of this half: cells of twice the width get their moments from their halves.
"""

from __future__ import annotations

import numpy as np

from sknw._algorithms.cells._kernel_series import NODES, TERMS, TRANSFORM, polynomials
from sknw._tiles import batches

# Keys in a block, for which polynomials are held.
_BLOCK = 2**12

# Keys for each cell, with keys or without, that make it faster to look for the first key of all cells.
_FEW = 8

# From the moments of the left and of the right half of a cell to those of the cell.
_FROM_LEFT, _FROM_RIGHT = (TRANSFORM @ polynomials((NODES + side) / 2).T for side in (-1, 1))


class KeyCells:
    """Keys in cells of one width.

    Parameters
    ----------
    keys : SortedKeys
    width : float
        A power of two, so that the offsets of keys and queries in their cells are exact.
    halves : KeyCells, default=None
        The keys in cells of half the width, whose moments are known.

    Attributes
    ----------
    cell : ndarray of shape (n_cells,)
        The cells that have keys, in ascending order.
    mass : ndarray of shape (n_cells + 1,)
        What the keys of each weigh; behind all, a cell without keys.
    total_mass : float
    origin : ndarray of shape (n_cells + 1,)
        What z is measured from: the weighted mean of the keys of each cell. Zero for a degree of zero.
    """

    def __init__(self, keys, width: float, halves: KeyCells | None = None):
        self._keys, self.width = keys, width
        self.cell, begin = self._begin()
        # How many keys are before each cell.
        self._before = np.append(begin, len(keys.x))
        self.mass = np.append(np.add.reduceat(keys.values[:, -1], begin), 0)
        self.total_mass = self.mass.sum()
        self.origin = self._means() if keys.powers.degree else np.zeros(len(self.mass))
        self._moments = None if halves is None else self._moments_from(halves)

    def at(self, width: float) -> KeyCells:
        """The keys in cells of another width, from these where it is twice as large."""
        if width == self.width:
            return self
        known = width == 2 * self.width and self._moments is not None
        return KeyCells(self._keys, width, self if known else None)

    def locate(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cell of each point, and its offset there, from -1 to 1."""
        position = points / self.width
        cell = np.floor(position)
        return cell, 2 * (position - cell) - 1

    def _begin(self):
        """The cells that have keys, and the first key of each."""
        x = self._keys.x
        first, last = np.floor(x[[0, -1]] / self.width)
        if last - first < len(x) / _FEW:
            cell = np.arange(first, last + 1)
            begin = np.searchsorted(x, cell * self.width)
            has_keys = np.diff(begin, append=len(x)) > 0
            return cell[has_keys], begin[has_keys]
        cell = np.floor(x / self.width)
        begin = np.flatnonzero(np.diff(cell, prepend=np.nan) != 0)
        return cell[begin], begin

    def _means(self):
        x, weight, begin = self._keys.x, self._keys.values[:, -1], self._before[:-1]
        first = x[begin]
        deviations = np.add.reduceat(weight * (x - np.repeat(first, np.diff(self._before))), begin)
        return np.append(first + deviations / self.mass[:-1], first[0])

    def count_in_reach(self, cells: np.ndarray, reach: int) -> np.ndarray:
        """How many keys are in cells that these reach."""
        low, high = np.searchsorted(self.cell, cells - reach), np.searchsorted(self.cell, cells + reach, "right")
        return self._before[high] - self._before[low]

    def around(self, cells: np.ndarray, reach: int) -> np.ndarray:
        """The indices of the cells from -reach to reach about each of these: (n, 2 * reach + 1)."""
        n_cells, n_distances = len(self.cell), 2 * reach + 1
        low = cells - reach
        near = np.searchsorted(self.cell, low)[:, None] + np.arange(n_distances)
        distance = self.cell.take(near, mode="clip") - low[:, None]
        row, column = np.nonzero((near < n_cells) & (distance < n_distances))
        around = np.full(near.shape, n_cells)
        around[row, distance[row, column].astype(int)] = near[row, column]
        return around

    @property
    def moments(self) -> np.ndarray:
        """Sums of values times Chebyshev polynomials over the keys of each cell: (n_values, n_cells + 1, TERMS).

        For a degree above zero, of values times powers of z, about the origin of the cell. The last cell has no keys.
        """
        if self._moments is None:
            self._moments = self._sum_moments()
        return self._moments

    def _moments_from(self, halves):
        """The moments from those of half the width."""
        powers, moments = self._keys.powers, self._empty_moments()
        whole = np.floor(halves.cell / 2)
        begin = np.flatnonzero(np.diff(whole, prepend=np.nan) != 0)
        right = (halves.cell != 2 * whole)[:, None]
        seen = np.stack([np.where(right, parts @ _FROM_RIGHT, parts @ _FROM_LEFT) for parts in halves.moments[:, :-1]])
        if powers.degree:
            origin = np.repeat(self.origin[:-1], np.diff(np.append(begin, len(whole))))
            powers.shift(seen, (halves.origin[:-1] - origin)[:, None])
        for column, parts in zip(moments, seen, strict=True):
            np.add.reduceat(parts, begin, axis=0, out=column[:-1])
        return moments

    def _sum_moments(self):
        """The moments from the keys."""
        powers, x, values, moments = self._keys.powers, self._keys.x, self._keys.values, self._empty_moments()
        if self._keys.is_compiled:
            from sknw._compiled._series import sum_moments

            sum_moments(x, values, self._before, self.cell, self.width, moments)
            return moments
        for block in batches(len(x), _BLOCK):
            _, offset = self.locate(x[block])
            factors = polynomials(offset)
            first, last = np.searchsorted(self._before, [block.start, block.stop - 1], "right") - 1
            begin = np.maximum(self._before[first : last + 1] - block.start, 0)
            products = values[block].T
            if powers.degree:
                size = np.diff(np.append(begin, block.stop - block.start))
                products = powers.products(values[block], x[block] - np.repeat(self.origin[first : last + 1], size))
            for column, product in zip(moments, products, strict=True):
                column[first : last + 1] += np.add.reduceat(factors * product, begin, axis=1).T
        return moments

    def _empty_moments(self):
        return np.zeros((self._keys.powers.n_values, len(self.cell) + 1, TERMS))
