"""Plane: sums over two features for a kernel that is a product over features, the Gaussian, from Chebyshev series.

What `_chebyshev.py` does along a line, in rectangular cells: a cell of keys is known by its values summed with products
of Chebyshev polynomials, one of each feature, and the two features are expanded one after the other. A query for which
the bound on the error is too large is summed over the keys that a search tree finds in its reach.

Reference: L. Greengard and J. Strain (1991), The fast Gauss transform, SIAM Journal on Scientific and Statistical
Computing 12 (1), 79-94, doi:10.1137/0912004.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import toeplitz
from scipy.spatial import KDTree

from sknw._accuracy import CHEBYSHEV, WINDOW
from sknw._algorithms.cells._kernel_series import TERMS, KernelSeries, cutoff, log_unit, max_cell_width, polynomials
from sknw._kernels import relative_weights
from sknw._problem._definition import kernel_rows, nearest
from sknw._problem._sums import Nearest, Sums

# Cells, empty ones too, times columns of values: each takes two kilobytes, for a moment six.
_MAX_CELLS = 80_000


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
        Of a cell, powers of two, so that the offsets of keys and queries in their cells are exact.
    indices : ndarray of shape (n_with_weight,)
        The keys of the problem that have a weight.
    """

    def __init__(self, problem):
        self.width, self._first, self.shape = _grid(problem)
        self.indices = np.flatnonzero(~problem.rows.zero_weight)

    def locate(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cell of each point, from the first of the keys, and its offset there, from -1 to 1: (n, 2) each."""
        position = points / self.width
        cell = np.floor(position)
        return cell - self._first, 2 * (position - cell) - 1

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

    def nearest(self, problem, queries: np.ndarray, excluded: np.ndarray | None) -> Nearest:
        """The nearest keys, ties included."""
        return nearest(problem, queries, excluded)

    def moments(self, problem) -> np.ndarray:
        """Sums of values times polynomials over the keys of each cell: (n_cells, TERMS, n_cells, n_columns, TERMS)."""
        cell, offset = self.locate(problem.distance.keys[self.indices])
        number = np.ravel_multi_index(cell.T.astype(int), self.shape)
        order = np.argsort(number, kind="stable")
        number, offset, values = number[order], offset[order], problem.rows.values[self.indices[order]]
        begin = np.flatnonzero(np.diff(number, prepend=-1))
        n_columns = values.shape[1]
        moments = np.zeros((self.shape[0], TERMS, self.shape[1], n_columns, TERMS))
        for start, stop in zip(begin, np.append(begin[1:], len(number)), strict=True):
            first, second = (polynomials(x) for x in offset[start:stop].T)
            weighted = (second[:, None] * values[start:stop].T).reshape(-1, stop - start)
            i, j = np.unravel_index(number[start], self.shape)
            moments[i, :, j] = (first @ weighted.T).reshape(TERMS, TERMS, n_columns).swapaxes(1, 2)
        return moments


class Plane:
    """Sums over keys in two features from a series for each cell.

    Parameters
    ----------
    problem : Problem
        With two features that matter, and of degree zero.
    keys : PlaneCells
    """

    needs = "is a product over features, if there are two, and reaches across few cells"

    def __init__(self, problem, keys: PlaneCells):
        self._problem, self.keys = problem, keys
        kernel, bandwidth = problem.kernel, np.broadcast_to(problem.distance.scaled_bandwidth, 2)
        self._series = [
            KernelSeries(kernel, width / one, min(int(np.ceil(cutoff(kernel) * one / width)) + 1, n))
            for width, one, n in zip(keys.width, bandwidth, keys.shape, strict=True)
        ]
        self._cell_sums, self._bound = self._expand(keys.moments(problem))
        # For the queries that are summed key by key.
        self._total_weight = problem.rows.values[:, -1].sum()
        points = problem.distance.centred(problem.distance.keys[keys.indices])
        self._search = KDTree(points, balanced_tree=False, compact_nodes=False)

    def at(self, problem) -> Plane:
        """Sums at another bandwidth, for which the keys are in other cells."""
        return Plane(problem, PlaneCells(problem))

    @staticmethod
    def serves(problem) -> bool:
        """Whether these are the sums of a problem."""
        kernel = problem.kernel
        if not kernel.is_product or not kernel.squared or max_cell_width(kernel) == 0:
            return False
        return _n_numbers(problem) <= _MAX_CELLS

    @staticmethod
    def cost(problem) -> float:
        """About how many seconds as many queries as keys take."""
        return 5e-3 + 3e-5 * _n_numbers(problem) + 6e-6 * len(problem.rows)

    # ---- prepared in fit

    def _expand(self, moments):
        """The series of the sums in each cell, in the shape of the moments, and bounds on the errors of these sums."""
        bound = self._error_bounds(moments[:, 0, :, -1, 0])  # the first polynomials are one, the last value the weight
        for series in self._series:
            n_cells, shape = len(moments), moments.shape
            moments = moments.reshape(n_cells, TERMS, -1)
            reach = series.reach
            across = np.hstack([series.matrix(distance).T for distance in range(reach, -reach - 1, -1)])
            sums = np.empty_like(moments)
            for i in range(n_cells):
                low, high = max(i - reach, 0), min(i + reach + 1, n_cells)
                columns = slice((low - i + reach) * TERMS, (high - i + reach) * TERMS)
                np.matmul(across[:, columns], moments[low:high].reshape(-1, moments.shape[2]), out=sums[i])
            # The other feature comes first now.
            moments = np.ascontiguousarray(sums.reshape(shape).transpose(2, 4, 0, 3, 1))
        return moments, bound

    def _error_bounds(self, mass):
        """Bounds on the errors of the sums in each cell, from what the keys of each weigh."""

        def across(axis, numbers):
            n_cells = mass.shape[axis]
            return toeplitz(np.pad(numbers, (0, max(n_cells - len(numbers), 0)))[:n_cells])

        first, second = self._series
        bound = across(0, first.error) @ mass @ across(1, second.max_weight)
        bound += across(0, first.max_weight + first.error) @ mass @ across(1, second.error)
        met = across(0, np.ones_like(first.error)) @ mass @ across(1, np.ones_like(second.error))
        return bound + max(first.weight_beyond, second.weight_beyond) * (mass.sum() - met)

    # ---- sums

    def sums(self, points: np.ndarray, excluded: np.ndarray | None) -> Sums:
        """Kernel sums for queries in the order of cells; excluded is the index of a key that does not count."""
        problem, cells = self._problem, self.keys
        cell, offset = cells.locate(points)
        inside = ((cell >= 0) & (cell < cells.shape)).all(axis=1)
        begin = np.flatnonzero((np.diff(cell, axis=0, prepend=np.nan) != 0).any(axis=1))
        sums, bound = problem.empty_sums(len(points)), np.full(len(points), np.inf)
        sums.log_scale[:] = log_unit(problem, points)
        for start, stop in zip(begin, np.append(begin[1:], len(points)), strict=True):
            if inside[start]:
                i, j = cell[start].astype(int)
                first, second = (polynomials(x) for x in offset[start:stop].T)
                series = (first.T @ self._cell_sums[i, :, j].reshape(TERMS, -1)).reshape(stop - start, -1, TERMS)
                sums.values[start:stop] = np.einsum("mct,tm->mc", series, second)
                bound[start:stop] = self._bound[i, j]
        exact = np.zeros(len(points), dtype=bool)
        if excluded is not None:
            counts = ~problem.rows.zero_weight[excluded]
            # A key that is not at the query has another weight than that which is taken off.
            exact = counts & (problem.distance.keys[excluded] != points).any(axis=1)
            bound += counts * 2.0**-50 * sums.values[:, -1]
            sums.values[:] -= problem.kernel(0.0) * np.where(counts[:, None], problem.rows.values[excluded], 0)
        for i in np.flatnonzero(exact | ~(bound <= CHEBYSHEV * sums.values[:, -1])):
            key = None if excluded is None else excluded[i : i + 1]
            sums.values[i], sums.log_scale[i] = self._exact_sums(points[i : i + 1], key)
        return sums

    def _exact_sums(self, point, excluded):
        """Sums for one query over the keys in its reach, in units of the largest weight."""
        problem, indices = self._problem, self.keys.indices
        distance, log_ratio = problem.distance, problem.kernel.log_ratio
        if distance.reference(point)[0] > 0:
            rows, log_scale = kernel_rows(problem, point, excluded)
            return rows[0] @ problem.rows.values, log_scale[0]
        (centred,) = distance.centred(point)
        u, near = self._search.query(centred, k=min(2, len(indices)))
        u, near = np.atleast_1d(u), indices[np.atleast_1d(near)]
        counts = near != excluded if excluded is not None else np.ones(len(near), dtype=bool)
        if not counts.any():
            return 0.0, 0.0
        u, closest = u[counts][:1], near[counts][0]
        share = problem.rows.values[closest, -1] / self._total_weight
        reach = u + problem.kernel.step(u, -np.log(WINDOW * share))
        keys = indices[self._search.query_ball_point(centred, reach[0] * (1 + 1e-9))]
        keys = keys if excluded is None else keys[keys != excluded]
        t = distance.squares(point, keys)[0]
        lowest = t.min()
        weights = relative_weights(problem.kernel, np.full(1, lowest), t - lowest)
        return weights @ problem.rows.values[keys], log_ratio(np.zeros(1), np.full(1, lowest))[0]


def _grid(problem):
    """The width of a cell in each feature, a power of two; the first cell with keys; and the number of cells."""
    bandwidth = np.broadcast_to(problem.distance.scaled_bandwidth, 2)
    width = 2.0 ** np.floor(np.log2(max_cell_width(problem.kernel) * bandwidth))
    keys = problem.distance.keys[~problem.rows.zero_weight]
    first, last = np.floor(keys.min(axis=0) / width), np.floor(keys.max(axis=0) / width)
    # More than can be counted is as good as too many.
    return width, first, np.minimum(last - first + 1, 2 * _MAX_CELLS).astype(int)


def _n_numbers(problem):
    """How many cells there are, times how many values are summed in each."""
    return _grid(problem)[2].prod() * problem.rows.values.shape[1]
