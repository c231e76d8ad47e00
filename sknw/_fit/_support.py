"""Support: how far queries are from their nearest sample, and how far samples are from theirs."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from sknw._fit._fit import Fit
from sknw._tiles import batches, row_batch

# With more features, a tree of keys looks at about all of them.
_MAX_FEATURES_OF_TREE = 10


def nearest_distances(fit: Fit, queries: np.ndarray) -> np.ndarray:
    """Distances from queries to their nearest sample, in bandwidths: (n_queries,)."""
    tree = fit.once(_search_tree)
    if tree is not None:
        return tree.query(fit.problem.distance.centred(queries))[0]
    return _distances_in_batches(fit.problem, queries, None)


def distance_beyond(fit: Fit, share: float) -> float:
    """The least distance that at most this share of samples are further than from their nearest other sample.

    Zero if there is no other sample.
    """
    counts, gaps = fit.problem.rows.with_weight(fit.problem.rows.counts), fit.once(_gaps)
    order = gaps.argsort()
    beyond = counts.sum() - counts[order].cumsum()
    return gaps[order][(beyond <= share * counts.sum()).argmax()]


def _search_tree(fit, n_jobs=None):
    """A tree of the keys that have a weight; None where there are no coordinates, or too many."""
    rows, distance = fit.problem.rows, fit.problem.distance
    if not distance.has_coordinates or distance.n_coordinates > _MAX_FEATURES_OF_TREE:
        return None
    return cKDTree(distance.centred(rows.with_weight(distance.keys)))


def _gaps(fit, n_jobs=None):
    """Distances from rows that have a weight to the nearest other sample: zero for one that counts several times."""
    rows, distance = fit.problem.rows, fit.problem.distance
    if rows.n_samples < 2:
        return np.zeros(1)
    queries, tree = rows.with_weight(distance.keys), fit.once(_search_tree)
    if tree is not None:
        gaps = tree.query(distance.centred(queries), k=2)[0][:, 1]
    else:
        gaps = _distances_in_batches(fit.problem, queries, np.flatnonzero(~rows.zero_weight))
    return np.where(rows.with_weight(rows.counts) > 1, 0, gaps)


def _distances_in_batches(problem, queries, excluded):
    """Distances to the nearest key; for each query the index of one that does not count may be given."""
    least = np.empty(len(queries))
    for batch in batches(len(queries), row_batch(len(problem.rows))):
        t = problem.distance.squares(queries[batch])
        problem.rows.exclude(t, None if excluded is None else excluded[batch], np.inf)
        least[batch] = t.min(axis=1)
    return np.sqrt(least)
