"""Nearest: how far queries are from their nearest training row, and how far these are from theirs."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from sknw._algorithms import Problem, batches, row_batch

# With more features, a tree of keys looks at about all of them.
_MOST_FEATURES_OF_TREE = 10


class Nearest:
    """Distances to the nearest key.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem):
        self._problem = problem

    @cached_property
    def _tree(self) -> cKDTree | None:
        problem = self._problem
        if problem.metric != "euclidean" or problem.keys.shape[1] > _MOST_FEATURES_OF_TREE:
            return None
        return cKDTree(problem.centred(problem.keys[~problem.absent]))

    def distances(self, queries: np.ndarray) -> np.ndarray:
        """From each query to its nearest key, in bandwidths: (n_queries,)."""
        if self._tree is not None:
            return self._tree.query(self._problem.centred(queries))[0]
        return self._in_batches(queries, None)

    def share_beyond(self, share: float) -> float:
        """The least distance that at most this share of keys are further than from their nearest other key."""
        counts = self._problem.repetitions[~self._problem.absent]
        order = self._gaps.argsort()
        beyond = counts.sum() - counts[order].cumsum()
        return self._gaps[order][(beyond <= share * counts.sum()).argmax()]

    @cached_property
    def _gaps(self) -> np.ndarray:
        """From each key that is there to the nearest other. That of a repeated one is itself."""
        problem = self._problem
        if problem.n_rows < 2:
            raise ValueError("Distances between training rows need at least two with positive sample_weight, got one.")
        present = np.flatnonzero(~problem.absent)
        queries = problem.keys[present]
        if self._tree is not None:
            gaps = self._tree.query(problem.centred(queries), k=2)[0][:, 1]
        else:
            gaps = self._in_batches(queries, present)
        return np.where(problem.repetitions[present] > 1, 0, gaps)

    def _in_batches(self, queries, excluded):
        problem, least = self._problem, np.empty(len(queries))
        for some in batches(len(queries), row_batch(len(problem.y))):
            t = problem.squares(queries[some])
            problem.hide(t, None if excluded is None else excluded[some], np.inf)
            least[some] = t.min(axis=1)
        return np.sqrt(least)
