"""Plane: sums over two features for a kernel that is a product over features, the Gaussian, from Chebyshev series.

What `_expansions.py` does along a line, in square cells: a cell of keys is known by its values summed with products of
Chebyshev polynomials, one of each feature, and the two features are expanded one after the other. A query for which the
bound on the error is too large is summed over the keys that a search tree finds in its reach.

Reference: L. Greengard and J. Strain (1991), The fast Gauss transform, SIAM Journal on Scientific and Statistical
Computing 12 (1), 79-94, doi:10.1137/0912004.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import toeplitz
from scipy.spatial import KDTree

from sknw._algorithms._problem import Problem, Sums
from sknw._algorithms._series import TERMS, Series, fallen, polynomials, widest
from sknw._kernels import LOWEST_LOG

# Cells, empty ones too, times columns of values: each takes two kilobytes, for a moment six.
_MOST_CELLS = 80_000

# A query is summed key by key if the bound on the error of its weights exceeds this, in relation to their sum.
_TOLERANCE = 5e-13

# What the keys beyond the reach of such a query may weigh, in relation to those in it.
_DROPPED = 1e-13


class Plane:
    """Keys in square cells, and their sums from a series for each cell.

    Parameters
    ----------
    problem : Problem
        With two features that matter, and of degree zero.
    """

    needs = "is a product over features, if there are two, and reaches across few cells"

    def __init__(self, problem: Problem):
        self._problem = problem
        self._width, self._first, self._shape = _cells(problem)
        present = np.flatnonzero(~problem.absent)
        cell, place = self._locate(problem.keys[present])
        number = np.ravel_multi_index(cell.T.astype(int), self._shape)
        order = np.argsort(number, kind="stable")
        begin = np.flatnonzero(np.diff(number[order], prepend=-1))
        kernel, unit = problem.kernel, np.broadcast_to(problem.unit, 2)
        self._series = [
            Series(kernel, width / one, min(int(np.ceil(fallen(kernel) * one / width)) + 1, n))
            for width, one, n in zip(self._width, unit, self._shape, strict=True)
        ]
        values = problem.values[present[order]]
        mass = np.zeros(self._shape)
        mass.flat[number[order][begin]] = np.add.reduceat(values[:, -1], begin)
        self._bound = self._error_bounds(mass)
        self._local = self._expand(self._sum_moments(number[order], begin, place[order], values))
        # For the queries that are summed key by key.
        self._present = present
        self._total = problem.values[:, -1].sum()
        self._search = KDTree(problem.centred(problem.keys[present]), balanced_tree=False, compact_nodes=False)

    @staticmethod
    def serves(problem: Problem) -> bool:
        kernel = problem.kernel
        if not kernel.is_product or not kernel.squared or widest(kernel) == 0:
            return False
        return _cells(problem)[2].prod() * (problem.y.shape[1] + 1) <= _MOST_CELLS

    @staticmethod
    def cost(problem: Problem) -> float:
        n_cells = _cells(problem)[2].prod() * (problem.y.shape[1] + 1)
        return 5e-3 + 3e-5 * n_cells + 6e-6 * len(problem.y)

    # ---- what Cells asks of its keys

    def points(self, queries: np.ndarray) -> np.ndarray:
        return queries

    def order(self, points: np.ndarray) -> np.ndarray:
        """Points in the order of cells."""
        cell, _ = self._locate(points)
        return np.lexsort((cell[:, 1], cell[:, 0]))

    def places(self, keys: np.ndarray) -> np.ndarray:
        return keys

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None) -> np.ndarray:
        return self._problem.nearest_sums(queries, excluded)

    # ---- prepared in fit

    def _locate(self, points):
        """The cell of each point, from the first of the keys, and its place there, from -1 to 1: (n, 2) each."""
        position = points / self._width
        cell = np.floor(position)
        return cell - self._first, 2 * (position - cell) - 1

    def _sum_moments(self, number, begin, place, values):
        """Sums of values times polynomials over the keys of each cell: (cells, TERMS, cells, n_columns, TERMS)."""
        n_columns = values.shape[1]
        moments = np.zeros((self._shape[0], TERMS, self._shape[1], n_columns, TERMS))
        for start, stop in zip(begin, np.append(begin[1:], len(number)), strict=True):
            first, second = (polynomials(x) for x in place[start:stop].T)
            weighted = (second[:, None] * values[start:stop].T).reshape(-1, stop - start)
            i, j = np.unravel_index(number[start], self._shape)
            moments[i, :, j] = (first @ weighted.T).reshape(TERMS, TERMS, n_columns).swapaxes(1, 2)
        return moments

    def _expand(self, moments):
        """The series of the sums in each cell, in the shape of the moments."""
        for series in self._series:
            n_cells, shape = len(moments), moments.shape
            moments = moments.reshape(n_cells, TERMS, -1)
            reach = series.reach
            across = np.hstack([series.matrix(distance).T for distance in range(reach, -reach - 1, -1)])
            local = np.empty_like(moments)
            for i in range(n_cells):
                low, high = max(i - reach, 0), min(i + reach + 1, n_cells)
                columns = slice((low - i + reach) * TERMS, (high - i + reach) * TERMS)
                np.matmul(across[:, columns], moments[low:high].reshape(-1, moments.shape[2]), out=local[i])
            # The other feature comes first now.
            moments = np.ascontiguousarray(local.reshape(shape).transpose(2, 4, 0, 3, 1))
        return moments

    def _error_bounds(self, mass):
        """Bounds on the errors of the sums in each cell."""

        def across(axis, numbers):
            n_cells = self._shape[axis]
            return toeplitz(np.pad(numbers, (0, max(n_cells - len(numbers), 0)))[:n_cells])

        first, second = self._series
        bound = across(0, first.error) @ mass @ across(1, second.largest)
        bound += across(0, first.largest + first.error) @ mass @ across(1, second.error)
        met = across(0, np.ones_like(first.error)) @ mass @ across(1, np.ones_like(second.error))
        return bound + max(first.beyond, second.beyond) * (mass.sum() - met)

    # ---- sums

    def sums(self, points: np.ndarray, own: np.ndarray | None) -> Sums:
        """Kernel sums for queries in the order of cells; own is a key that does not count."""
        problem = self._problem
        cell, place = self._locate(points)
        inside = ((cell >= 0) & (cell < self._shape)).all(axis=1)
        begin = np.flatnonzero((np.diff(cell, axis=0, prepend=np.nan) != 0).any(axis=1))
        sums, bound = np.zeros((len(points), problem.values.shape[1])), np.full(len(points), np.inf)
        for start, stop in zip(begin, np.append(begin[1:], len(points)), strict=True):
            if inside[start]:
                i, j = cell[start].astype(int)
                first, second = (polynomials(x) for x in place[start:stop].T)
                local = (first.T @ self._local[i, :, j].reshape(TERMS, -1)).reshape(stop - start, -1, TERMS)
                sums[start:stop] = np.einsum("mct,tm->mc", local, second)
                bound[start:stop] = self._bound[i, j]
        exact = np.zeros(len(points), dtype=bool)
        if own is not None:
            there = ~problem.absent[own]
            exact = there & (problem.keys[own] != points).any(axis=1)
            bound += there * 2.0**-50 * sums[:, -1]
            sums -= problem.kernel(0.0) * np.where(there[:, None], problem.values[own], 0)
        log_scale = np.zeros(len(points))
        for i in np.flatnonzero(exact | ~(bound <= _TOLERANCE * sums[:, -1])):
            sums[i], log_scale[i] = self._exact_sums(points[i : i + 1], None if own is None else own[i : i + 1])
        return Sums(sums, log_scale, np.zeros((len(points), 0)))

    def _exact_sums(self, point, own):
        """Sums for one query over the keys in its reach, in units of the largest weight."""
        problem = self._problem
        log_ratio = problem.kernel.log_ratio
        assert log_ratio is not None
        centred = problem.centred(point)
        if np.square(centred).sum() > 16 * problem.radius_square:
            rows, log_scale = problem.rows(point, own)
            return rows[0] @ problem.values, log_scale[0]
        distance, near = self._search.query(centred[0], k=min(2, len(self._present)))
        distance, near = np.atleast_1d(distance), self._present[np.atleast_1d(near)]
        counts = near != own if own is not None else np.ones(len(near), dtype=bool)
        if not counts.any():
            return 0.0, 0.0
        u, nearest = distance[counts][:1], near[counts][0]
        share = problem.values[nearest, -1] / self._total
        reach = u + problem.kernel.step(u, -np.log(_DROPPED * share))
        keys = self._present[self._search.query_ball_point(centred[0], reach[0] * (1 + 1e-9))]
        keys = keys if own is None else keys[keys != own]
        t = problem.squares(point, keys)[0]
        lowest = t.min()
        logs = log_ratio(np.full(1, lowest), t - lowest)
        weights = np.exp(logs, out=np.zeros_like(logs), where=logs > LOWEST_LOG)
        return weights @ problem.values[keys], log_ratio(np.zeros(1), np.full(1, lowest))[0]


def _cells(problem):
    """The width of a cell in each feature, a power of two; the first cell with keys; and the number of cells."""
    width = 2.0 ** np.floor(np.log2(widest(problem.kernel) * np.broadcast_to(problem.unit, 2)))
    keys = problem.keys[~problem.absent]
    first, last = np.floor(keys.min(axis=0) / width), np.floor(keys.max(axis=0) / width)
    # More than can be counted is as good as too many.
    return width, first, np.minimum(last - first + 1, 2 * _MOST_CELLS).astype(int)
