"""Cells: exact sums over one or two features, by the method that suits the kernel: one feature in O((n + m) log n)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sknw._algorithms._expansions import Expansions
from sknw._algorithms._line import Line
from sknw._algorithms._moments import Moments
from sknw._algorithms._plane import Plane
from sknw._algorithms._problem import Problem, Sums
from sknw._algorithms._scans import Scans
from sknw._algorithms._tiles import map_tiles

# Queries in a tile: few enough that it stays in the cache.
_TILE = 2**12

# By the number of features.
_METHODS: dict[int, tuple] = {1: (Moments, Scans, Expansions), 2: (Plane,)}


def _n_features(problem):
    return int(np.isfinite(np.broadcast_to(problem.bandwidth, problem.X.shape[1:])).sum())


def _method_for(problem):
    return next((method for method in _METHODS[_n_features(problem)] if method.serves(problem)), None)


@dataclass(frozen=True, eq=False)
class Cells:
    """Sums over keys in cells, by the first method that serves the problem.

    Parameters
    ----------
    problem : Problem
    """

    problem: Problem
    name = "cells"

    def __post_init__(self):
        _ = self._method  # preparation belongs to fit

    def __getstate__(self):
        return {"problem": self.problem}

    @staticmethod
    def refuses(problem: Problem) -> str | None:
        """Why it cannot serve this problem, or None."""
        if problem.metric != "euclidean":
            return f"it needs metric='euclidean', and the metric is {problem.metric!r}."
        n_features = _n_features(problem)
        if n_features not in _METHODS:
            return f"it needs one or two features with a finite bandwidth, and there are {n_features}."
        if problem.degree > 0 and n_features > 1:
            return (
                f"it needs one feature with a finite bandwidth for degree={problem.degree}, and there are {n_features}."
            )
        if _method_for(problem) is None:
            kinds = ", or ".join(method.needs for method in _METHODS[n_features])
            return f"it needs a kernel that {kinds}, and {problem.kernel.name!r} is not one."
        return None

    @staticmethod
    def cost(problem: Problem) -> float:
        """About how many seconds as many queries as keys take."""
        return _method_for(problem).cost(problem)

    def sums(self, queries: np.ndarray, excluded: np.ndarray | None = None, n_jobs: int | None = None) -> Sums:
        """Kernel sums, for a degree above zero about a centre of each query's own."""
        points = self._keys.points(queries)
        order = self._keys.order(points)
        sums = Sums.empty(self.problem, len(points))
        places = None if excluded is None else self._keys.places(excluded)

        def tile_sums(tile):
            some = order[tile]
            own = None if places is None else places[some]
            sums.fill(some, self._method.sums(points.take(some, axis=0), own))

        map_tiles(tile_sums, len(points), _TILE, n_jobs)
        return sums

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> np.ndarray:
        """Sums of the values of the nearest keys, ties included: (n_queries, n_outputs + 1)."""
        return self._keys.nearest(queries, excluded)

    @cached_property
    def _keys(self) -> Line | Plane:
        problem = self.problem
        if _n_features(problem) > 1:
            return Plane(problem)
        if "line" not in problem.shared:
            problem.shared["line"] = Line(problem)
        return problem.shared["line"]

    @cached_property
    def _method(self) -> Moments | Scans | Expansions | Plane:
        return self._keys if isinstance(self._keys, Plane) else _method_for(self.problem)(self.problem, self._keys)
