"""Cells: exact sums over one or two features, by the method that suits the kernel: one feature in O((n + m) log n)."""

from __future__ import annotations

import numpy as np

from sknw._algorithms._protocol import Algorithm
from sknw._algorithms.cells._chebyshev import ChebyshevSums
from sknw._algorithms.cells._plane import Plane
from sknw._algorithms.cells._plane_cells import PlaneCells
from sknw._algorithms.cells._prefix_sums import PrefixSums
from sknw._algorithms.cells._recurrences import Recurrences
from sknw._algorithms.cells._sorted_keys import SortedKeys, loop_name
from sknw._compiled._readiness import is_usable, is_worth, would_be_worth
from sknw._problem._definition import nearest
from sknw._problem._problem import Problem
from sknw._problem._sums import Nearest, Sums
from sknw._tiles import map_tiles

# By the number of features: how keys are kept, and methods, of which the first that serves a problem is taken.
_METHODS: dict[int, tuple] = {1: (SortedKeys, (PrefixSums, Recurrences, ChebyshevSums)), 2: (PlaneCells, (Plane,))}


class Cells(Algorithm):
    """Sums over keys in cells, by the first method that serves the problem.

    Parameters
    ----------
    problem : Problem
    method : PrefixSums, Recurrences, ChebyshevSums or Plane, default=None
        That of the problem, if it is made.
    """

    name = "cells"

    def __init__(self, problem: Problem, method=None):
        self.problem = problem
        _is_compiled(problem, 0.5)
        if method is None:
            keys, _ = _METHODS[_n_features(problem)]
            method = _method_for(problem)(problem, keys(problem))
        self._method, self._keys = method, method.keys

    def __getstate__(self):
        return self.problem

    def __setstate__(self, problem):
        Cells.__init__(self, problem)

    def at(self, problem) -> Cells:
        """Cells for another bandwidth of the same rows, which need not be sorted again."""
        return Cells(problem, self._method.at(problem) if _have_same_keys(problem, self.problem) else None)

    @staticmethod
    def refuses(problem: Problem) -> str | None:
        """Why it cannot serve this problem, or None."""
        if problem.rows.device is not None:
            return "it does not run on a device: give it NumPy arrays."
        if not problem.distance.has_coordinates:
            return f"it needs metric='euclidean', and the metric is {problem.distance.metric!r}."
        n_features, degree = _n_features(problem), problem.basis.degree
        if n_features not in _METHODS:
            return f"it needs one or two features with a finite bandwidth, and there are {n_features}."
        if degree > 0 and n_features > 1:
            return f"it needs one feature with a finite bandwidth for degree={degree}, and there are {n_features}."
        if problem.rows.zero_weight.all():
            return "it needs a sample with a positive weight, and there is none."
        if _method_for(problem) is None:
            kinds = ", or ".join(method.needs for method in _METHODS[n_features][1])
            return f"it needs a kernel that {kinds}, and {problem.kernel.name!r} is not one."
        return None

    @staticmethod
    def cost(problem: Problem) -> float:
        """About how many seconds as many queries as keys take."""
        return _method_for(problem).cost(problem)

    @staticmethod
    def inner_loop(problem: Problem) -> str:
        """What as many queries as keys are summed with."""
        compiled = _compiles(problem) and would_be_worth(loop_name(problem.kernel), Cells.cost(problem))
        return "compiled" if compiled and is_usable() else "numpy"

    @staticmethod
    def is_log_linear(problem: Problem) -> bool:
        """Whether it serves the problem at any bandwidth, in a time about proportional to the rows: in one feature."""
        return Cells.refuses(problem) is None and _n_features(problem) == 1

    def sums(self, queries: np.ndarray, excluded: np.ndarray | None = None, n_jobs: int | None = None) -> Sums:
        """Kernel sums, for a degree above zero about an expansion point of each query's own."""
        points = self._keys.points(queries)
        compiled = _is_compiled(self.problem, 0.5 * len(points) / len(self.problem.rows))
        # Compiled loops take queries in any order.
        method, order = (self._method.compiled, None) if compiled else (self._method, self._keys.order(points))
        sums = self.problem.empty_sums(len(points))
        ranks = None if excluded is None else self._keys.ranks(excluded)

        def tile_sums(tile):
            idx = tile if order is None else order[tile]
            sums.put(idx, method.sums(points[idx], None if ranks is None else ranks[idx]))

        map_tiles(tile_sums, len(points), method.tile if compiled else self._keys.tile, n_jobs)
        return sums

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> Nearest:
        """The nearest keys, ties included."""
        if isinstance(self._keys, SortedKeys):
            return self._keys.nearest(self.problem, queries, excluded)
        return nearest(self.problem, queries, excluded)


def _n_features(problem):
    """How many features have a finite bandwidth."""
    return int(np.isfinite(np.broadcast_to(problem.distance.bandwidth, problem.rows.keys.shape[1:])).sum())


def _compiles(problem):
    """Whether there are compiled loops for a problem."""
    return problem.basis.degree == 0 and hasattr(_method_for(problem), "compiled")


def _is_compiled(problem, share):
    """Whether compiled loops do a share of the work for as many queries as keys."""
    return _compiles(problem) and is_worth(loop_name(problem.kernel), share * Cells.cost(problem))


def _have_same_keys(problem, other):
    """Whether two problems differ in their bandwidth alone, and by that in no coordinate."""
    return (
        problem.rows is other.rows
        and problem.distance.coordinates is other.distance.coordinates
        and (problem.kernel, problem.basis) == (other.kernel, other.basis)
    )


def _method_for(problem):
    """The first method that serves a problem, or None."""
    _, methods = _METHODS[_n_features(problem)]
    return next((method for method in methods if method.serves(problem)), None)
