"""PrefixSums: sums over windows of sorted keys for kernels that are polynomials of compact support.

In (a - r)**p = sum_j binom(p, j) a**(p - j) (-r)**j the query a and the key r come apart: sums over a window of keys
are differences of prefix sums of r**j, whatever the query. About one origin for all keys these would cancel to nothing.
So keys are sorted into cells one bandwidth wide, each with an origin of its own, its middle: the keys in reach on one
side of a query then lie in two cells. What is left of cancellation, in prefix sums over all cells, is undone by keeping
the rounding errors of the sums beside them. Local polynomials need (a - r)**p * r**s, which takes moments s further on,
and are expanded about the origin of the cell with most keys in reach.

References: B. Seifert, M. Brockmann, J. Engel and T. Gasser (1994), Fast algorithms for nonparametric curve estimation,
Journal of Computational and Graphical Statistics 3, 192-213, for moments that are updated along the line; D. E. Knuth,
The Art of Computer Programming, volume 2, section 4.2.2, for the rounding error of a sum.
"""

from __future__ import annotations

from functools import cached_property
from math import comb
from typing import Literal, NamedTuple

import numpy as np

from sknw._accuracy import PREFIX_SUMS
from sknw._algorithms.cells._windows import Windows
from sknw._problem._sums import Sums

# Below this many keys in an average window they are summed one by one: it is faster, and needs no flags.
_FEW_KEYS = 24


class _Side(NamedTuple):
    """The keys [start, stop) in reach on one side of each query, in two cells.

    Parameters
    ----------
    start, split, stop : ndarray of shape (n_queries,)
        Ranks of keys. The second cell begins at the split.
    first, last : ndarray of shape (n_queries,)
        The two cells, which may be one.
    """

    start: np.ndarray
    split: np.ndarray
    stop: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @property
    def by_cell(self) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]:
        """For both cells the cell, and the keys [start, stop) that lie in it."""
        return (self.first, self.start, self.split), (self.last, self.split, self.stop)


class _Cells(NamedTuple):
    """Cells of sorted keys, one bandwidth wide, of which only those with keys are counted.

    Parameters
    ----------
    number : ndarray of shape (n_sorted,)
        The cell of each key.
    begin, origin, radius : ndarray of shape (n_cells,)
        The first key of each cell, its origin, and how far from that its keys are at most, in bandwidths.
    prefix : ndarray of shape (n_sorted + 1, 2, n_outputs + 1, n_moments)
        Running sums of the keys' local moments, as `SortedKeys.running_sums` gives them.
    """

    number: np.ndarray
    begin: np.ndarray
    origin: np.ndarray
    radius: np.ndarray
    prefix: np.ndarray


class PrefixSums:
    """Sums over windows of sorted keys from prefix sums of their local moments.

    Parameters
    ----------
    problem : Problem
    keys : SortedKeys
    """

    needs = "is a polynomial and ends at u = 1"

    def __init__(self, problem, keys):
        self.keys, self._problem = keys, problem
        self.bandwidth = float(problem.distance.scaled_bandwidth)
        # What z and the distances of keys from origins are in units of: powers of keys in bandwidths may underflow.
        self._length = min(self.bandwidth, 1.0) if keys.powers.degree else self.bandwidth
        self.polynomial = np.array(problem.kernel.polynomial, dtype=float)
        self.expansion = self._expand()
        # The error of a weight that a bound on all terms of its expansion gives, from the largest of |a| + |r|.
        self.error = np.polynomial.Polynomial(2.0**-53 * np.abs(self.polynomial))
        # What a running sum is wrong by, in units of its own and of the rounding error of a float.
        self._running_error = len(keys.x) * 2.0**-51
        _ = self.compiled if keys.is_compiled else self._cells

    @cached_property
    def _cells(self):
        """The cells of keys, and prefix sums over them."""
        x = self.keys.x
        position = np.floor((x - x[0]) / self.bandwidth)
        number = np.concatenate([[0], np.cumsum(np.diff(position) != 0)])
        begin = np.flatnonzero(np.diff(number, prepend=-1))
        last = np.append(begin[1:], len(x)) - 1
        origin = self._origins(number, begin, last)
        radius = np.maximum(x[last] - origin, origin - x[begin]) / self.bandwidth

        def offsets(block):
            return (x[block] - origin[number[block]]) / self._length

        prefix = self.keys.running_sums(len(self.polynomial) + self.keys.powers.highest, offsets)
        return _Cells(number, begin, origin, radius, prefix)

    @cached_property
    def compiled(self) -> Windows:
        """The same sums by compiled loops, for a degree of zero."""
        return Windows(self)

    def at(self, problem) -> PrefixSums:
        """Sums at another bandwidth: the keys are handed on."""
        return PrefixSums(problem, self.keys)

    @staticmethod
    def serves(problem) -> bool:
        """Whether these are the sums of a problem."""
        kernel = problem.kernel
        return kernel.polynomial is not None and kernel.rate == 0 and kernel.support == 1

    @staticmethod
    def cost(problem) -> float:
        """About how many seconds as many queries as keys take."""
        return 2e-4 + 2e-7 * len(problem.rows) * (len(problem.kernel.polynomial or ()) + 4 * problem.basis.degree)

    def _origins(self, number, begin, last):
        """The origin of each cell: its middle, or the weighted mean of its keys, to which z is to be near."""
        x, weight = self.keys.x, self.keys.values[:, -1]
        middle = x[begin] / 2 + x[last] / 2
        if self.keys.powers.degree == 0:
            return middle
        return middle + np.add.reduceat(weight * (x - middle[number]), begin) / np.add.reduceat(weight, begin)

    def _expand(self):
        """For keys on the left and right of a query the matrix from powers of a to factors of moments."""
        size, ratio = len(self.polynomial), self._length / self.bandwidth
        expansion = np.zeros((2, size, size))
        for p, factor in enumerate(self.polynomial):
            for j in range(p + 1):
                expansion[:, p - j, j] = factor * comb(p, j) * (-ratio) ** j * np.array([1, (-1) ** p])
        return expansion

    def sums(self, points: np.ndarray, excluded: np.ndarray | None) -> Sums:
        """Kernel sums for queries in ascending order; excluded is the rank of a key that does not count."""
        x = self.keys.x
        low, high = self.window(points)
        left_end = np.searchsorted(x, points)
        right_start = left_end
        key_by_key = np.zeros(len(points), dtype=bool)
        if excluded is not None:
            inside = (low <= excluded) & (excluded < high)
            left_end = np.where(inside, excluded, left_end)
            right_start = np.where(inside, excluded + 1, right_start)
            # A key that is not at the query belongs to no side.
            key_by_key = inside & (x[excluded] != points)
        count = (left_end - low) + (high - right_start)
        if count.sum() <= _FEW_KEYS * len(points):
            sums, key_by_key = self.keys.powers.empty(len(points)), np.ones(len(points), dtype=bool)
        else:
            sides = [self._side(low, left_end), self._side(right_start, high)]
            sums, inaccurate = self._sum_sides(points, sides)
            for side in sides:
                key_by_key |= (side.last - side.first > 1) & (side.stop > side.start)
            key_by_key |= inaccurate
            sums.values[count == 0] = 0
        redo = np.flatnonzero(key_by_key & (count > 0))
        if len(redo):
            excluded = None if excluded is None else excluded[redo]
            sums.put(redo, self.sum_key_by_key(points[redo], low[redo], high[redo], excluded))
        return sums

    def sum_key_by_key(
        self, points: np.ndarray, low: np.ndarray, high: np.ndarray, excluded: np.ndarray | None
    ) -> Sums:
        """The same sums over the keys [low, high) themselves, for queries in any order."""
        return self.keys.window_sums(self._problem.distance, points, low, high, excluded)

    def window(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The keys [low, high) with a positive weight, decided by the very arithmetic of `Distance.squares`."""
        x, closed = self.keys.x, self.polynomial.sum() != 0
        # Keys that lie within this of an end of the window are looked at one by one.
        margin = 4 * np.spacing(np.maximum(np.abs(points), self.bandwidth))
        ends = []
        sides: tuple[tuple[Literal["left", "right"], ...], ...] = ("left", "right"), ("right", "left")
        for sign, (side, other) in zip((-1, 1), sides, strict=True):
            end = points + sign * self.bandwidth
            rank, nearest_end = np.searchsorted(x, end + sign * margin, side), end - sign * margin
            outermost, unsure = rank - (sign > 0), np.arange(len(points))
            while len(unsure):
                key = x[np.clip(outermost[unsure], 0, len(x) - 1)]
                t = np.square(points[unsure] - key) / self.bandwidth**2
                outside = (sign * (key - nearest_end[unsure]) > 0) & ((t > 1) if closed else (t >= 1))
                unsure, key = unsure[outside], key[outside]
                rank[unsure] = np.searchsorted(x, key, other)
                outermost = rank - (sign > 0)
                unsure = unsure[(outermost[unsure] >= 0) & (outermost[unsure] < len(x))]
            ends.append(rank)
        return ends[0], ends[1]

    def _side(self, start, stop):
        number = self._cells.number
        stop = np.maximum(start, stop)
        first, last = number[np.minimum(start, len(number) - 1)], number[np.maximum(stop - 1, 0)]
        return _Side(start, np.clip(self._cells.begin[last], start, stop), stop, first, last)

    def _sum_sides(self, points, sides):
        """The sums, and which of them may be inaccurate."""
        powers = self.keys.powers
        sums = powers.empty(len(points))
        point = np.zeros(len(points))
        if powers.degree:
            point = sums.expansion_point[:, 0] = self._origin_of_most(sides)
        # Bounds on the rounding errors of the weights, and of the weights times the highest power of z.
        error, moment_error = np.zeros((2, len(points)))
        for side, expansion in zip(sides, self.expansion, strict=True):
            self._add_side(sums.values.T, error, moment_error, points, side, expansion, point)
        inaccurate = error > PREFIX_SUMS * sums.values[:, -1]
        powers.scale(sums.values.T, self._length)
        moment_error *= self._length**powers.highest
        return sums, powers.add_ill_conditioned(inaccurate, self._problem, sums, moment_error)

    def _origin_of_most(self, sides):
        """The origin of the cell with the most keys on one side of each query."""
        cells, starts, stops = map(np.array, zip(*(each for side in sides for each in side.by_cell), strict=True))
        most = (stops - starts).argmax(axis=0)
        return self._cells.origin[np.take_along_axis(cells, most[None], axis=0)[0]]

    def _add_side(self, rows, error, moment_error, points, side, expansion, expansion_point):
        """Add the sums over the keys on one side of each query to rows, and the bounds on their errors to those."""
        powers, size = self.keys.powers, len(self.polynomial)
        begin = self._cells.prefix.take(side.start, axis=0)
        for cell, start, stop in side.by_cell:
            end = self._cells.prefix.take(stop, axis=0)
            parts = np.subtract(end, begin, out=begin)
            moments = parts[:, 0] + parts[:, 1]
            # With what the running sums have lost.
            masses = moments[:, -1] + self._running_error * end[:, 0, -1]
            a = np.where(stop > start, points - self._cells.origin.take(cell), 0) / self.bandwidth
            factors = _powers_of(a, size).T @ expansion
            in_cell = np.empty_like(rows)
            for power, columns in powers.multiplied(self.keys.values):
                multiplied = moments[:, columns, power : power + size]
                powers.put(in_cell, power, np.einsum("mj,mcj->mc", factors, multiplied).T)
            if powers.degree == 0:
                error += self.error(2.0) * masses[:, 0]
            else:
                step = (self._cells.origin.take(cell) - expansion_point) / self._length
                powers.shift(in_cell, step)
                largest = self.error(np.abs(a) + self._cells.radius.take(cell))
                error += largest * masses[:, 0]
                moment_error += largest * _shifted_bound(masses, step, powers.highest)
            rows += in_cell
            begin = end


def _powers_of(numbers, n):
    """The powers 0 to n - 1 of numbers: (n, n_numbers)."""
    powers = np.ones((n, len(numbers)))
    for power in range(1, n):
        np.multiply(powers[power - 1], numbers, out=powers[power])
    return powers


def _shifted_bound(moments, step, power):
    """A bound on moments with an even power of z + step, from those with powers of z."""
    return 2 ** (power - 1) * (moments[:, power] + moments[:, 0] * step**power)
