"""Clusters: the keys of a line in cells of one width, and what a series is told of each cell.

The moments of a cell are its values, summed with Chebyshev polynomials of the places of its keys. On half a cell these
polynomials are sums of the polynomials of this half: cells of twice the width get their moments from their halves.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sknw._algorithms._line import Line
from sknw._algorithms._problem import Problem
from sknw._algorithms._series import NODES, TERMS, TRANSFORM, polynomials
from sknw._algorithms._tiles import batches

# Keys in a block, for which polynomials are held.
_BLOCK = 2**12

# From the moments of the left and of the right half of a cell to those of the cell.
_FROM_LEFT, _FROM_RIGHT = (TRANSFORM @ polynomials((NODES + side) / 2).T for side in (-1, 1))


class Clusters:
    """Keys in cells of one width.

    Parameters
    ----------
    line : Line
    width : float
        A power of two, so that the places of keys and queries in their cells are exact.
    halves : Clusters, default=None
        The same keys in cells of any width. Of use if it is half of this.
    """

    def __init__(self, line: Line, width: float, halves: Clusters | None = None):
        self._line, self.width = line, width
        known = halves is not None and halves.width * 2 == width and "moments" in vars(halves)
        self._halves = halves if known else None
        cell, _ = self.locate(line.keys)
        begin = np.flatnonzero(np.diff(cell, prepend=np.nan) != 0)
        # The cells with keys, in ascending order, and how many keys are before each.
        self.cell, self._before = cell[begin], np.append(begin, len(cell))
        # What the keys of each cell weigh; behind all, a cell without keys.
        self.mass = np.append(np.add.reduceat(line.values[:, -1], begin), 0)
        self.total = self.mass.sum()
        # What z is seen from: the weighted mean of the keys of each cell.
        self.origin = np.zeros(len(self.mass))
        if line.powers.degree:
            self.origin = self._means()

    @classmethod
    def of(cls, problem: Problem, line: Line, width: float) -> Clusters:
        """These of a problem: those that served the last bandwidth, or from them."""
        last = problem.shared.get("clusters")
        if last is None or last.width != width:
            problem.shared["clusters"] = last = cls(line, width, last)
        return last

    def locate(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cell of each point, and its place there, from -1 to 1."""
        position = points / self.width
        cell = np.floor(position)
        return cell, 2 * (position - cell) - 1

    def _means(self):
        keys, weight, begin = self._line.keys, self._line.values[:, -1], self._before[:-1]
        first = keys[begin]
        deviations = np.add.reduceat(weight * (keys - np.repeat(first, np.diff(self._before))), begin)
        return np.append(first + deviations / self.mass[:-1], first[0])

    def in_reach(self, cells: np.ndarray, reach: int) -> np.ndarray:
        """How many keys are in cells that these reach."""
        low, high = np.searchsorted(self.cell, cells - reach), np.searchsorted(self.cell, cells + reach, "right")
        return self._before[high] - self._before[low]

    def around(self, cells: np.ndarray, reach: int) -> np.ndarray:
        """The numbers of the cells from -reach to reach about each of these: (n, 2 * reach + 1)."""
        n_cells, n_distances = len(self.cell), 2 * reach + 1
        low = cells - reach
        near = np.searchsorted(self.cell, low)[:, None] + np.arange(n_distances)
        distance = self.cell.take(near, mode="clip") - low[:, None]
        row, there = np.nonzero((near < n_cells) & (distance < n_distances))
        around = np.full(near.shape, n_cells)
        around[row, distance[row, there].astype(int)] = near[row, there]
        return around

    @cached_property
    def moments(self) -> np.ndarray:
        """Sums of values times Chebyshev polynomials over the keys of each cell: (n_columns, n_cells + 1, TERMS).

        For a degree above zero, of values times powers of the places of keys from the origins of their cells. The last
        cell has no keys.
        """
        moments = np.zeros((self._line.powers.n_columns, len(self.cell) + 1, TERMS))
        if self._halves is None:
            self._sum(moments)
        else:
            self._merge(self._halves, moments)
            self._halves = None
        return moments

    def _merge(self, halves, moments):
        whole = np.floor(halves.cell / 2)
        begin = np.flatnonzero(np.diff(whole, prepend=np.nan) != 0)
        right = (halves.cell != 2 * whole)[:, None]
        seen = np.stack([np.where(right, parts @ _FROM_RIGHT, parts @ _FROM_LEFT) for parts in halves.moments[:, :-1]])
        if self._line.powers.degree:
            origin = np.repeat(self.origin[:-1], np.diff(np.append(begin, len(whole))))
            self._line.powers.shift(seen, (halves.origin[:-1] - origin)[:, None])
        for column, parts in zip(moments, seen, strict=True):
            np.add.reduceat(parts, begin, axis=0, out=column[:-1])

    def _sum(self, moments):
        powers, keys = self._line.powers, self._line.keys
        _, place = self.locate(keys)
        for block in batches(len(place), _BLOCK):
            factors = polynomials(place[block])
            first, last = np.searchsorted(self._before, [block.start, block.stop - 1], "right") - 1
            begin = np.maximum(self._before[first : last + 1] - block.start, 0)
            products = self._line.values[block].T
            if powers.degree:
                size = np.diff(np.append(begin, block.stop - block.start))
                z = keys[block] - np.repeat(self.origin[first : last + 1], size)
                products = powers.products(self._line.values[block], z)
            for column, product in zip(moments, products, strict=True):
                column[first : last + 1] += np.add.reduceat(factors * product, begin, axis=1).T
