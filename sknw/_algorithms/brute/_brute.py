"""Brute force: the definition, in tiles of queries and keys that fit a processor's cache.

Squared distances of coordinates come from one matrix product, |q|**2 + |k|**2 - 2 q.k, where it is faster and its
rounding harmless; else from differences, which are exact. Rows for which that is not enough are summed again as the
definition has them: in float64, from differences, in the log domain where the kernel has one.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import ClassVar

import numpy as np

from sknw._algorithms._boxes import split
from sknw._algorithms._protocol import Algorithm
from sknw._algorithms.brute._compiled_loop import CompiledLoop
from sknw._algorithms.brute._device_loop import DeviceLoop
from sknw._algorithms.brute._path import PairPath, keeps
from sknw._algorithms.brute._precision import DOUBLE, SINGLE
from sknw._compiled import _readiness
from sknw._compiled._readiness import is_usable
from sknw._problem._definition import nearest, put_exact_sums
from sknw._problem._problem import Problem
from sknw._problem._sums import Nearest, Sums
from sknw._tiles import add_products, batches, map_tiles

# Queries and keys in a tile: few enough that it stays in the cache between distance, kernel and sum, and enough that
# threads seldom ask for the interpreter's lock. It is held some 10 microseconds for a tile, which takes 300 or more.
_QUERIES, _KEYS = 256, 1024

# Below this many features, differences are as fast as a product in float64.
_FEW_FEATURES = 5

# About how many seconds NumPy takes for a pair; a third of that, if the kernel ends.
_PAIR = 9e-9


class Brute(Algorithm):
    """All pairs of queries and keys: time O(n_queries * n_keys), memory O(tile). Serves every problem.

    Parameters
    ----------
    problem : Problem
    """

    name: ClassVar[str] = "brute"

    _device_loop: DeviceLoop | None = None

    def __init__(self, problem: Problem):
        self.problem, self._conditions = problem, problem.conditions
        if problem.rows.device is not None:
            self._device_loop = DeviceLoop(problem)
            return
        self._precision = DOUBLE
        self._product: np.ndarray | None = None
        for precision in (SINGLE, DOUBLE):
            if _takes_product(problem, precision):
                self._precision, self._product = precision, _right_factor(problem, precision.dtype)
                break
        self._values: np.ndarray = problem.rows.values.astype(self._precision.dtype, copy=False)

    def __getstate__(self):
        return self.problem

    def __setstate__(self, state):
        Brute.__init__(self, state)

    def at(self, problem: Problem) -> Brute:
        """The algorithm for another bandwidth of the same rows, with what lies on a device."""
        other = Brute(problem)
        if self._device_loop is not None:
            other._device_loop = self._device_loop.at(problem)
        return other

    @staticmethod
    def refuses(problem: Problem) -> str | None:
        """Why it cannot serve this problem: only devices ask for something."""
        return None if problem.rows.device is None else DeviceLoop.refuses(problem)

    @staticmethod
    def cost(problem: Problem) -> float:
        """About how many seconds as many queries as keys take."""
        seconds = _seconds(problem, len(problem.rows))
        return 1e-4 + (CompiledLoop.cost(problem) if CompiledLoop.would_be_worth(problem, seconds) else seconds)

    @staticmethod
    def inner_loop(problem: Problem) -> str:
        """What as many queries as keys are summed with."""
        if problem.rows.device is not None:
            return "device"
        is_compiled = CompiledLoop.would_be_worth(problem, _seconds(problem, len(problem.rows))) and is_usable()
        return "compiled" if is_compiled else "numpy"

    def sums(self, queries: np.ndarray, excluded: np.ndarray | None = None, n_jobs: int | None = None) -> Sums:
        """Kernel sums, without the kernel matrix, with exact zeros where no key is in reach."""
        if self._device_loop is not None:
            return self._device_loop.sums(queries, excluded)
        order, distance = None, self.problem.distance
        if not len(queries):
            return self.problem.empty_sums(0)
        is_expanded, tile_sums = self.problem.basis.n_expanded(distance.n_coordinates), self._tile_sums
        if _PAIR * len(queries) * len(self._values) > _readiness.LEAST_SECONDS and CompiledLoop.is_worth(
            self.problem, _seconds(self.problem, len(queries))
        ):
            if not is_expanded:
                return self._compiled_loop.sums(queries, excluded, n_jobs)
            tile_sums = partial(self._compiled_loop.sums, n_jobs=None)
        # In several tiles, neighbours share an expansion point.
        if len(queries) > _QUERIES and is_expanded:
            leaves, _ = split(queries, distance.scaled_bandwidth, _QUERIES)
            order = leaves[leaves >= 0]
            queries, excluded = queries[order], None if excluded is None else excluded[order]
        tiles = map_tiles(
            lambda tile: tile_sums(queries[tile], None if excluded is None else excluded[tile]),
            len(queries),
            _QUERIES,
            n_jobs,
        )
        sums = Sums(*map(np.concatenate, zip(*tiles, strict=True)))
        return sums if order is None else sums.take(np.argsort(order))

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> Nearest:
        """The nearest keys, ties included."""
        if self._device_loop is not None:
            return self._device_loop.nearest(queries, excluded)
        return nearest(self.problem, queries, excluded)

    @staticmethod
    def offers_path(problem: Problem, n_indices: int) -> bool:
        """Whether it has a `path`: not on a device, nor if distances are quick, not kept, and the kernel ends."""
        if problem.rows.device is not None:
            return False
        quick = problem.distance.has_coordinates and problem.kernel.log_ratio is None
        return not quick or keeps(problem, n_indices)

    @staticmethod
    def path(problem: Problem, indices: np.ndarray) -> PairPath:
        """Sums of the keys of these indices, each without itself, at multiples of a problem's bandwidth."""
        return PairPath(problem, indices)

    @cached_property
    def _compiled_loop(self):
        return CompiledLoop(self.problem)

    def _tile_sums(self, queries, excluded):
        """Sums of a tile of queries."""
        distance, kernel, basis = self.problem.distance, self.problem.kernel, self.problem.basis
        n_keys, width = len(self._values), _QUERIES * _KEYS // len(queries)
        product, redo = self._product, np.zeros(len(queries), dtype=bool)
        if product is not None:
            factor, redo = self._left_factor(queries)
        point = basis.expansion_point(queries, distance.bounds)
        n_outputs = self._values.shape[1] - 1
        values = np.zeros((len(queries), basis.n_values(distance.n_coordinates, n_outputs)))
        buffer: np.ndarray = np.empty(len(queries) * min(width, n_keys), self._precision.dtype)
        for keys in batches(n_keys, width):
            tile = buffer[: len(queries) * (keys.stop - keys.start)].reshape(len(queries), -1)
            if product is None:
                tile = distance.squares(queries, keys, out=tile)
            else:
                np.matmul(factor, product[:, keys], out=tile)
                np.abs(tile, out=tile)
            tile = kernel.of_square(tile)
            if excluded is not None:
                hit = np.flatnonzero((excluded >= keys.start) & (excluded < keys.stop))
                tile[hit, excluded[hit] - keys.start] = 0
            columns = basis.columns(self._values[keys], basis.seen_from(distance.keys[keys], point))
            add_products(values, tile, columns)
        sums = Sums(values, np.zeros(len(queries)), np.tile(point, (len(queries), 1)))
        if kernel.log_ratio is not None:
            redo |= values[:, -1] < self._precision.underflow
            outside = distance.reference(queries)
            if outside.any():
                sums.log_scale[:] = -kernel.log_ratio(np.zeros_like(outside), outside)
        elif product is not None:
            redo |= values[:, -1] < self._precision.borderline
        redo |= basis.ill_conditioned(sums, self._conditions)
        if redo.any():
            put_exact_sums(self.problem, sums, np.flatnonzero(redo), queries, excluded)
        return sums

    def _left_factor(self, queries):
        """The queries' factor of the product, (n_queries, n_features + 2), and which queries are too far for it."""
        precision, distance = self._precision, self.problem.distance
        points = distance.centred(queries)
        lengths = np.square(points).sum(axis=1, keepdims=True)
        too_far = (lengths + distance.radius_square) * precision.rounding > precision.tolerance
        factor = np.hstack([points, np.ones_like(lengths), lengths])
        factor[too_far[:, 0]] = 0
        return factor.astype(precision.dtype), too_far[:, 0]


def _seconds(problem, n_queries):
    """About how many seconds NumPy takes for so many queries."""
    pair = _PAIR if problem.kernel.log_ratio is not None else _PAIR / 3
    n_further = problem.n_values - problem.rows.values.shape[1]
    return (pair + 3e-11 * n_further) * n_queries * float(len(problem.rows))


def _takes_product(problem, precision):
    """Whether squared distances may come from a product in this precision, and are faster so."""
    distance = problem.distance
    if not (distance.has_coordinates and problem.kernel.squared):
        return False
    if precision.dtype is np.float32:
        if problem.rows.keys.dtype != np.float32 or problem.basis.n_expanded(distance.n_coordinates):
            return False
    elif distance.n_coordinates < _FEW_FEATURES:
        return False
    return 2 * distance.radius_square * precision.rounding <= precision.tolerance


def _right_factor(problem, dtype):
    """The keys' factor of a product that gives squared distances: (n_features + 2, n_keys)."""
    keys = problem.distance.centred(problem.distance.keys).astype(dtype)
    lengths = np.square(keys, dtype=np.float64).sum(axis=1)
    return np.vstack([-2 * keys.T, lengths, np.ones(len(keys))]).astype(dtype)
