"""Sums of all pairs on the device that the samples came from.

Keys and what is summed are sent once, queries with each call, and only sums come back. What single precision may get
wrong, and weights that underflow, are made again in double precision on the device; queries far outside and sums of
lines and parabolas that have lost digits, as the definition has them, in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sknw._accuracy import DEVICE_BORDERLINE_SINGLE, DEVICE_SINGLE, PRODUCT_UNDERFLOW
from sknw._algorithms._boxes import split
from sknw._algorithms.brute._device_formulas import FORMULAS, formula_of
from sknw._algorithms.brute._device_pairs import Keys, Task, columns_of_pairs, function_of
from sknw._arrays import to_numpy
from sknw._problem._definition import nearest, put_exact_sums
from sknw._problem._monomials import monomials
from sknw._problem._problem import Problem
from sknw._problem._sums import Nearest, Sums
from sknw._tiles import batches

# Queries that share an expansion point, and numbers in a tile of their products.
_NEIGHBOURS = 256
_TILE_NUMBERS = 2**24

# Of more columns than this, products of matrices sum them faster.
_FEW_COLUMNS = 8

# What single precision can hold the inverse squares of bandwidths in.
_SINGLE_RANGE = (1e-30, 1e30)


class DeviceLoop:
    """Sums of all pairs for samples that came from a device.

    Parameters
    ----------
    problem : Problem
        One that `refuses` has nothing against.
    sent : dict, default=None
        What a loop for another bandwidth of the same keys has sent, by precision.
    """

    def __init__(self, problem: Problem, sent: dict | None = None):
        formula = formula_of(problem.kernel)
        assert problem.rows.device is not None
        assert formula is not None
        self._problem, self._device, self._kernel = problem, problem.rows.device, formula.name
        self._sent: dict[str, tuple[Keys, np.ndarray]] = {} if sent is None else sent

    @staticmethod
    def refuses(problem: Problem) -> str | None:
        """Why no device can serve a problem, in a sentence; or None."""
        if not problem.distance.has_coordinates:
            return f"on a device it needs metric='euclidean', and the metric is {problem.distance.metric!r}."
        if formula_of(problem.kernel) is None:
            names = ", ".join(repr(name) for name in FORMULAS if " " not in name)
            return f"on a device it needs one of the kernels {names}, and the kernel is {problem.kernel.name!r}."
        if not problem.basis.keeps_range and not problem.rows.device.has_float64:
            return f"lines and parabolas need double precision, which {problem.rows.device} has not."
        return None

    def at(self, problem: Problem) -> DeviceLoop:
        """The loop for another bandwidth of the same rows."""
        mine = self._problem
        same = problem.distance.coordinates is mine.distance.coordinates and problem.rows is mine.rows
        return DeviceLoop(problem, self._sent if same else None)

    def sums(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> Sums:
        """Kernel sums, with exact zeros where no key is in reach."""
        problem, log_ratio, dtype = self._problem, self._problem.kernel.log_ratio, self._dtype(excluded)
        sums = problem.empty_sums(len(queries))
        if not len(queries) or dtype is None or problem.rows.zero_weight.all():
            put_exact_sums(problem, sums, np.arange(len(queries)), queries, excluded)
            return sums
        in_double = self._device.has_float64
        if sums.expansion_point.shape[1] or (in_double and sums.values.shape[1] > _FEW_COLUMNS):
            dtype, in_double = np.float64, False
            self._put_products(sums, queries, excluded)
        else:
            sums.values[:] = self._columns("sums", dtype, queries, excluded)
        outside, least = np.zeros(len(queries)), 0.0
        if log_ratio is not None:
            outside, least = problem.distance.reference(queries), PRODUCT_UNDERFLOW
            sums.log_scale[:] = -log_ratio(np.zeros_like(outside), outside)
        if dtype == np.float32:
            least = DEVICE_BORDERLINE_SINGLE if log_ratio is None else DEVICE_SINGLE
        redo = sums.values[:, -1] < least
        redo |= problem.basis.ill_conditioned(sums, problem.conditions)
        again = redo & (outside == 0) & in_double
        self._put_double(sums, np.flatnonzero(again), queries, excluded, dtype == np.float32)
        put_exact_sums(problem, sums, np.flatnonzero(redo & ~again), queries, excluded)
        return sums

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> Nearest:
        """The nearest keys, ties included."""
        problem = self._problem
        is_hard = problem.distance.reference(queries).any() or problem.rows.zero_weight.all()
        if not self._device.has_float64 or is_hard:
            return nearest(problem, queries, excluded)
        lowest = self._columns("lowest", np.float64, queries, excluded)[:, 0]
        finite = np.where(lowest < np.inf, lowest, -1)
        return Nearest(lowest, self._columns("nearest", np.float64, queries, excluded, finite))

    def _dtype(self, excluded):
        """The type of numbers that sums are made in at first, or None where none serves."""
        kernel, factors, in_double = self._problem.kernel, self._factors(), self._device.has_float64
        # A last digit may decide where a kernel jumps; and about bandwidths, by errors of samples left out.
        in_single = not (kernel.is_flat and kernel.support < np.inf) and (excluded is None or not in_double)
        in_single &= self._problem.rows.keys.dtype == np.float32
        if in_single and factors.min() > _SINGLE_RANGE[0] and factors.max() < _SINGLE_RANGE[1]:
            return np.float32
        return np.float64 if in_double else None

    def _factors(self):
        """What squared differences are multiplied by: a factor for each coordinate, or one."""
        return np.atleast_1d(self._problem.distance.scaled_bandwidth) ** -2.0

    def _task(self, kind):
        return Task(kind, self._kernel, self._problem.distance.scaled_bandwidth.ndim == 1)

    def _keys(self, dtype):
        """Keys on the device, and what was taken from their coordinates."""
        name = np.dtype(dtype).name
        if name not in self._sent:
            rows, distance, put = self._problem.rows, self._problem.distance, self._device.put
            numbers = np.flatnonzero(~rows.zero_weight)
            centre = np.zeros_like(distance.middle)
            if dtype == np.float32:
                # Nothing is rounded: from far away, coordinates in single precision are multiples of a few last digits.
                low, high = distance.bounds
                centre = np.where(np.abs(distance.middle) > 2 * (high - low), distance.middle.astype(dtype), 0)
            points = (distance.keys[numbers] - centre).astype(dtype)
            values = rows.values[numbers].astype(dtype)
            self._sent[name] = Keys(put(points.T), put(numbers.astype(np.int32)), put(values.T)), centre
        return self._sent[name]

    def _points(self, queries, centre, dtype):
        with np.errstate(over="ignore"):  # infinitely far is out of reach, or outside
            return (queries - centre).astype(dtype)

    def _columns(self, kind, dtype, queries, excluded, lowest=None):
        """What a kind of task gives for queries: (n_queries, n_columns)."""
        keys, centre = self._keys(dtype)
        points = self._points(queries, centre, dtype)
        return columns_of_pairs(
            self._device, self._task(kind), keys, self._factors().astype(dtype), points, excluded, lowest
        )

    def _put_double(self, sums, indices, queries, excluded, was_single):
        """Put sums in double precision in their place, in units of the nearest key's weight where weights underflow."""
        if len(indices) and was_single:
            left_out = None if excluded is None else excluded[indices]
            sums.values[indices] = self._columns("sums", np.float64, queries[indices], left_out)
            indices = indices[sums.values[indices, -1] < PRODUCT_UNDERFLOW]
        log_ratio = self._problem.kernel.log_ratio
        if log_ratio is None or not len(indices):
            return
        queries, excluded = queries[indices], None if excluded is None else excluded[indices]
        lowest = self._columns("lowest", np.float64, queries, excluded)[:, 0]
        lowest[lowest == np.inf] = 0
        sums.values[indices] = self._columns("relative sums", np.float64, queries, excluded, lowest)
        sums.log_scale[indices] = log_ratio(np.zeros_like(lowest), lowest)

    def _put_products(self, sums, queries, excluded):
        """Put sums and expansion points of neighbouring queries in their place: weights times columns, in tiles."""
        problem, device, (keys, _) = self._problem, self._device, self._keys(np.float64)
        xp, factors, n_keys = device.namespace, device.put(self._factors()), keys.points.shape[1]
        weigh = function_of(device, self._task("weights"))
        leaves, _ = split(queries, problem.distance.scaled_bandwidth, _NEIGHBOURS)
        for leaf in leaves:
            some = leaf[leaf >= 0]
            left_out = np.full(len(some), -1) if excluded is None else excluded[some]
            points, left_out = device.put(queries[some].T), device.put(left_out.astype(np.int32))
            sums.expansion_point[some] = problem.basis.expansion_point(queries[some], problem.distance.bounds)
            total = 0.0
            for block in batches(n_keys, max(1, _TILE_NUMBERS // max(problem.n_values, _NEIGHBOURS))):
                part = Keys(keys.points[:, block], keys.numbers[block], keys.values[:, block])
                weights = weigh(points, left_out, points[0, ...], factors, *part)
                columns = xp.stack(self._summed(part, sums.expansion_point[some[0]]), axis=1)
                total = total + xp.matmul(weights, columns)
            sums.values[some] = to_numpy(total)

    def _summed(self, keys, expansion_point):
        """What is summed for keys about an expansion point, as `Polynomial.columns` has it: n_values arrays."""
        degree, n_coordinates = self._problem.basis.degree, keys.points.shape[0]
        terms: dict[tuple[int, ...], Any] = {(): keys.values[-1, ...]}  # with the weight of each key
        z = [keys.points[k, ...] - float(middle) for k, middle in enumerate(expansion_point)]
        powers = monomials(n_coordinates, 2 * degree).factors
        for factors in powers[-2::-1]:
            terms[factors] = terms[factors[1:]] * z[factors[0]]
        lower = monomials(n_coordinates, degree).factors
        targets = [
            self._power(z, factors, keys.values[k, ...]) for factors in lower for k in range(keys.values.shape[0] - 1)
        ]
        return [*targets, *(terms[factors] for factors in powers)]

    @staticmethod
    def _power(z, factors, values):
        for factor in factors:
            values = values * z[factor]
        return values
