"""Moments: sums over windows of sorted keys for kernels that are polynomials and end.

In (a - r)**p = sum_j binom(p, j) a**(p - j) (-r)**j the query a and the key r come apart: sums over a window of keys
are differences of prefix sums of r**j, whatever the query. About one origin for all keys these would cancel to nothing.
So keys are sorted into cells one bandwidth wide, each with an origin of its own, its middle: the keys in reach on one
side of a query then lie in two cells. What is left of cancellation, in prefix sums over all cells, is undone by keeping
the rounding errors of the sums beside them.

References: B. Seifert, M. Brockmann, J. Engel and T. Gasser (1994), Fast algorithms for nonparametric curve estimation,
Journal of Computational and Graphical Statistics 3, 192-213, for moments that are updated along the line; D. E. Knuth,
The Art of Computer Programming, volume 2, section 4.2.2, for the rounding error of a sum.
"""

from __future__ import annotations

from math import comb

import numpy as np

from sknw._algorithms._line import Line
from sknw._algorithms._problem import Problem

# Below this many keys in an average window they are summed one by one: it is faster, and needs no flags.
_FEW_KEYS = 24

# A query is summed key by key if the estimated rounding error of its weights may exceed this, in relation to their sum.
_TOLERANCE = 1e-12


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
        self._unit = float(problem.unit)
        keys = line.keys
        position = np.floor((keys - keys[0]) / self._unit)
        # The number of each key's cell; only cells with keys are counted.
        self._cell = np.concatenate([[0], np.cumsum(np.diff(position) != 0)])
        # The first key of each cell, and its origin.
        self._begin = np.flatnonzero(np.diff(self._cell, prepend=-1))
        last = np.append(self._begin[1:], len(keys)) - 1
        self._middle = keys[self._begin] / 2 + keys[last] / 2
        self._polynomial = np.array(problem.kernel.polynomial, dtype=float)
        self._expansion = self._expand()
        # The error of a weight that a bound on all terms of its expansion gives.
        self._roundoff = 2.0**-53 * np.polynomial.Polynomial(np.abs(self._polynomial))(2.0)
        self._prefix = line.running_sums(len(self._polynomial), self._offsets)
        _ = line.prefix  # what the nearest keys are summed from

    @staticmethod
    def serves(problem: Problem) -> bool:
        kernel = problem.kernel
        return kernel.polynomial is not None and kernel.rate == 0 and kernel.support == 1

    @staticmethod
    def cost(problem: Problem) -> float:
        return 2e-4 + 2e-7 * len(problem.y) * len(problem.kernel.polynomial or ())

    def _offsets(self, block):
        """The distances of keys from the origins of their cells, in bandwidths."""
        return (self._line.keys[block] - self._middle[self._cell[block]]) / self._unit

    def _expand(self):
        """For keys on the left and right of a query the matrix from powers of a to factors of moments."""
        size = len(self._polynomial)
        expansion = np.zeros((2, size, size))
        for p, factor in enumerate(self._polynomial):
            for j in range(p + 1):
                expansion[:, p - j, j] = factor * comb(p, j) * (-1) ** j * np.array([1, (-1) ** p])
        return expansion

    def sums(self, points: np.ndarray, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
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
        sums = np.zeros((len(points), self._line.values.shape[1]))
        if count.sum() <= _FEW_KEYS * len(points):
            one_by_one = count > 0
        else:
            weight = np.zeros(len(points))
            for side, (start, stop) in enumerate([(low, left_end), (right_start, high)]):
                strange |= self._add_side(sums, weight, points, start, stop, side)
            inaccurate = self._roundoff * weight > _TOLERANCE * sums[:, -1]
            one_by_one = (strange | inaccurate) & (count > 0)
            sums[count == 0] = 0
        some = np.flatnonzero(one_by_one)
        if len(some):
            own = None if own is None else own[some]
            sums[some] = self._line.window_sums(self._unit, points[some], low[some], high[some], own)
        return sums, np.zeros(len(points))

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

    def _add_side(self, sums, weight, points, start, stop, side):
        """Add the keys [start, stop) on one side of each query, which lie in two cells; tell where in more."""
        last_key = len(self._cell) - 1
        stop = np.maximum(start, stop)
        first, last = self._cell[np.minimum(start, last_key)], self._cell[np.maximum(stop - 1, 0)]
        border = np.clip(self._begin[last], start, stop)
        begin = self._prefix.take(start, axis=0)
        for cell, piece_start, piece_stop in ((first, start, border), (last, border, stop)):
            end = self._prefix.take(piece_stop, axis=0)
            parts = np.subtract(end, begin, out=begin)
            moments = parts[:, 0] + parts[:, 1]
            a = np.where(piece_stop > piece_start, points - self._middle.take(cell), 0) / self._unit
            powers = np.ones((moments.shape[2], len(a)))
            for p in range(1, len(powers)):
                np.multiply(powers[p - 1], a, out=powers[p])
            sums += np.einsum("mj,mcj->mc", powers.T @ self._expansion[side], moments)
            weight += moments[:, -1, 0]
            begin = end
        return (last - first > 1) & (stop > start)
