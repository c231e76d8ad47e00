"""Moments: sums over windows of sorted keys for kernels that are polynomials and end.

In (a - r)**p = sum_j binom(p, j) a**(p - j) (-r)**j the query a and the key r come apart: sums over a window of keys
are differences of prefix sums of r**j, whatever the query. About one origin for all keys these would cancel to nothing.
So keys are sorted into cells one bandwidth wide, each with an origin of its own, its middle: the keys in reach on one
side of a query then lie in two cells. What is left of cancellation, in prefix sums over all cells, is undone by keeping
the rounding errors of the sums beside them. Local polynomials need (a - r)**p * r**s, which takes moments s further on,
and the origin of the cell with most keys in reach is what they are seen from.

References: B. Seifert, M. Brockmann, J. Engel and T. Gasser (1994), Fast algorithms for nonparametric curve estimation,
Journal of Computational and Graphical Statistics 3, 192-213, for moments that are updated along the line; D. E. Knuth,
The Art of Computer Programming, volume 2, section 4.2.2, for the rounding error of a sum.
"""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np

from sknw._algorithms._line import Line
from sknw._algorithms._problem import Problem, Sums

# Below this many keys in an average window they are summed one by one: it is faster, and needs no flags.
_FEW_KEYS = 24

# A query is summed key by key if the estimated rounding error of its weights may exceed this, in relation to their sum.
_TOLERANCE = 1e-12


class _Side(NamedTuple):
    """The keys [start, stop) in reach on one side of each query, in two cells.

    Parameters
    ----------
    start, border, stop : ndarray of shape (n_queries,)
        The second cell begins at the border.
    first, last : ndarray of shape (n_queries,)
        The two cells, which may be one.
    """

    start: np.ndarray
    border: np.ndarray
    stop: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @property
    def pieces(self) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]:
        """What lies in each cell: its number, and the keys [start, stop)."""
        return (self.first, self.start, self.border), (self.last, self.border, self.stop)


class Moments:
    """Sums over windows of sorted keys from prefix sums of their local moments.

    Parameters
    ----------
    problem : Problem
    line : Line
    """

    needs = "is a polynomial and ends at u = 1"

    def __init__(self, problem: Problem, line: Line):
        self._line = line
        self._problem = problem
        self._unit = float(problem.unit)
        # What z and the distances of keys from origins are in units of: powers of keys in bandwidths may underflow.
        self._length = min(self._unit, 1.0) if problem.degree else self._unit
        keys = line.keys
        position = np.floor((keys - keys[0]) / self._unit)
        # The number of each key's cell; only cells with keys are counted.
        self._cell = np.concatenate([[0], np.cumsum(np.diff(position) != 0)])
        # The first key of each cell, and its origin.
        self._begin = np.flatnonzero(np.diff(self._cell, prepend=-1))
        last = np.append(self._begin[1:], len(keys)) - 1
        self._origin = self._origins(last)
        # How far from it its keys are at most, in bandwidths.
        self._radius = np.maximum(keys[last] - self._origin, self._origin - keys[self._begin]) / self._unit
        self._polynomial = np.array(problem.kernel.polynomial, dtype=float)
        self._expansion = self._expand()
        # The error of a weight that a bound on all terms of its expansion gives, from the largest of |a| + |r|.
        self._bound = np.polynomial.Polynomial(2.0**-53 * np.abs(self._polynomial))
        self._largest_error = self._bound(2.0)
        self._prefix = line.running_sums(len(self._polynomial) + line.powers.highest, self._offsets)
        _ = line.prefix  # what the nearest keys are summed from

    @staticmethod
    def serves(problem: Problem) -> bool:
        kernel = problem.kernel
        return kernel.polynomial is not None and kernel.rate == 0 and kernel.support == 1

    @staticmethod
    def cost(problem: Problem) -> float:
        return 2e-4 + 2e-7 * len(problem.y) * (len(problem.kernel.polynomial or ()) + 4 * problem.degree)

    def _origins(self, last):
        """What the keys of each cell are seen from: its middle, or their weighted mean, to which z is to be near."""
        keys, weight, begin = self._line.keys, self._line.values[:, -1], self._begin
        middle = keys[begin] / 2 + keys[last] / 2
        if self._problem.degree == 0:
            return middle
        return middle + np.add.reduceat(weight * (keys - middle[self._cell]), begin) / np.add.reduceat(weight, begin)

    def _offsets(self, block):
        """The distances of keys from the origins of their cells."""
        return (self._line.keys[block] - self._origin[self._cell[block]]) / self._length

    def _expand(self):
        """For keys on the left and right of a query the matrix from powers of a to factors of moments."""
        size, ratio = len(self._polynomial), self._length / self._unit
        expansion = np.zeros((2, size, size))
        for p, factor in enumerate(self._polynomial):
            for j in range(p + 1):
                expansion[:, p - j, j] = factor * comb(p, j) * (-ratio) ** j * np.array([1, (-1) ** p])
        return expansion

    def sums(self, points: np.ndarray, own: np.ndarray | None) -> Sums:
        """Kernel sums for queries in ascending order; own is the place of a key that does not count."""
        keys = self._line.keys
        low, high = self._window(points)
        left_end = np.searchsorted(keys, points)
        right_start = left_end
        strange = np.zeros(len(points), dtype=bool)
        if own is not None:
            inside = (low <= own) & (own < high)
            left_end, right_start = np.where(inside, own, left_end), np.where(inside, own + 1, right_start)
            strange = inside & (keys[own] != points)
        count = (left_end - low) + (high - right_start)
        if count.sum() <= _FEW_KEYS * len(points):
            sums, one_by_one = self._line.powers.empty(len(points)), count > 0
        else:
            sides = [self._side(low, left_end), self._side(right_start, high)]
            sums, inaccurate = self._sum_sides(points, sides)
            for side in sides:
                strange |= (side.last - side.first > 1) & (side.stop > side.start)
            one_by_one = (strange | inaccurate) & (count > 0)
            sums.columns[count == 0] = 0
        some = np.flatnonzero(one_by_one)
        if len(some):
            own = None if own is None else own[some]
            sums.fill(some, self._line.window_sums(self._unit, points[some], low[some], high[some], own))
        return sums

    def _window(self, points):
        """The keys [low, high) with a positive weight, decided by the very arithmetic of `Problem.squares`."""
        edges = []
        closed = self._polynomial.sum() != 0
        unit = self._unit

        def reached(edge):
            t = np.square(points - edge) / unit**2
            return t <= 1 if closed else t < 1

        for outward in (-np.inf, np.inf):
            edge = points + np.copysign(unit, outward)
            for _ in range(2):
                further = np.nextafter(edge, outward)
                edge = np.where(reached(further), further, edge)
            for _ in range(3):
                edge = np.where(reached(edge), edge, np.nextafter(edge, -outward))
            edges.append(edge)
        keys = self._line.keys
        return np.searchsorted(keys, edges[0], "left"), np.searchsorted(keys, edges[1], "right")

    def _side(self, start, stop):
        last_key = len(self._cell) - 1
        stop = np.maximum(start, stop)
        first, last = self._cell[np.minimum(start, last_key)], self._cell[np.maximum(stop - 1, 0)]
        return _Side(start, np.clip(self._begin[last], start, stop), stop, first, last)

    def _sum_sides(self, points, sides):
        """The sums, and which of them may be inaccurate."""
        powers = self._line.powers
        sums = powers.empty(len(points))
        centre = np.zeros(len(points))
        if powers.degree:
            centre = sums.centre[:, 0] = self._origin_of_most(sides)
        # Bounds on the rounding errors of the weights, and of the weights times the highest power of z.
        error, moment_error = np.zeros((2, len(points)))
        for side, expansion in zip(sides, self._expansion, strict=True):
            self._add_side(sums.columns.T, error, moment_error, points, side, expansion, centre)
        inaccurate = error > _TOLERANCE * sums.columns[:, -1]
        powers.scale(sums.columns.T, self._length)
        moment_error *= self._length**powers.highest
        return sums, powers.add_blurred(inaccurate, self._problem, sums, moment_error)

    def _origin_of_most(self, sides):
        """The origin of the cell with the most keys on one side of each query."""
        cells, starts, stops = map(np.array, zip(*(piece for side in sides for piece in side.pieces), strict=True))
        most = (stops - starts).argmax(axis=0)
        return self._origin[np.take_along_axis(cells, most[None], axis=0)[0]]

    def _add_side(self, rows, error, moment_error, points, side, expansion, centre):
        """Add the keys on one side of each query to rows of sums."""
        powers, size = self._line.powers, len(self._polynomial)
        begin = self._prefix.take(side.start, axis=0)
        for cell, start, stop in side.pieces:
            end = self._prefix.take(stop, axis=0)
            parts = np.subtract(end, begin, out=begin)
            moments = parts[:, 0] + parts[:, 1]
            a = np.where(stop > start, points - self._origin.take(cell), 0) / self._unit
            factors = _powers_of(a, size).T @ expansion
            part = np.empty_like(rows)
            for power, columns in powers.multiplied(self._line.values):
                some = moments[:, columns, power : power + size]
                powers.put(part, power, np.einsum("mj,mcj->mc", factors, some).T)
            if powers.degree == 0:
                error += self._largest_error * moments[:, -1, 0]
            else:
                step = (self._origin.take(cell) - centre) / self._length
                powers.shift(part, step)
                largest = self._bound(np.abs(a) + self._radius.take(cell))
                error += largest * moments[:, -1, 0]
                moment_error += largest * _moments_elsewhere(moments[:, -1], step, powers.highest)
            rows += part
            begin = end


def _powers_of(numbers, n):
    """Their first powers: (n, n_numbers)."""
    powers = np.ones((n, len(numbers)))
    for power in range(1, n):
        np.multiply(powers[power - 1], numbers, out=powers[power])
    return powers


def _moments_elsewhere(moments, step, power):
    """A bound on moments with an even power of z + step, from those with powers of z."""
    return 2 ** (power - 1) * (moments[:, power] + moments[:, 0] * step**power)
