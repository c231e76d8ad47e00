"""Scipy: every metric of `scipy.spatial.distance.cdist`, by its name or as a function of two rows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.spatial.distance import cdist

from sknw._problem._distances._distance import Distance

#: Metrics of cdist, but the Euclidean, whose value for a pair of rows depends on this pair alone.
METRICS = (
    "braycurtis",
    "canberra",
    "chebyshev",
    "cityblock",
    "correlation",
    "cosine",
    "dice",
    "hamming",
    "jaccard",
    "jensenshannon",
    "mahalanobis",
    "minkowski",
    "rogerstanimoto",
    "russellrao",
    "seuclidean",
    "sokalsneath",
    "sqeuclidean",
    "yule",
)

# Rounding takes the cosine distance of equal vectors a little below zero.
_ROUNDING = 1e-7


class Scipy(Distance):
    """Distances by a metric of `scipy.spatial.distance.cdist`, or by a function of two rows.

    They may take long: those between keys that are computed for the spreads are kept, where they are few enough, for
    the search that begins there. At another bandwidth they are let go.

    Parameters
    ----------
    kept : ndarray of shape (n_keys, n_keys), default=None
        The distances between keys, if they are known.
    """

    #: 128 megabytes.
    max_kept_pairs = 2**24
    # Left out, cdist estimates these from queries and keys together: a prediction would depend on its neighbours in X.
    required_params: ClassVar = {"mahalanobis": "VI", "seuclidean": "V"}

    def __init__(self, rows, bandwidth=None, metric="", metric_params=None, kept=None):
        self._kept = kept
        super().__init__(rows, bandwidth, metric, metric_params)

    def take(self, rows, indices):
        """Distances to the keys of these rows, which have these indices here."""
        kept = None if self._kept is None else self._kept[np.ix_(indices, indices)]
        return Scipy(rows, self.bandwidth, self.metric, self.metric_params, kept)

    def spreads(self):
        """What bandwidths are multiples of: the root of half the mean squared distance of two samples."""
        if len(self.keys) ** 2 <= self.max_kept_pairs:
            self._kept = self.distances(self.keys, slice(None))
        return super().spreads()

    def squares_of_keys(self, indices):
        """`squares` of keys of these indices from all keys."""
        return super().squares_of_keys(indices) if self._kept is None else self._in_bandwidths(self._kept[indices])

    def distances(self, queries, keys):
        """Distances from points to the keys of these indices: (n_queries, n_keys).

        Raises
        ------
        ValueError
            If one is negative, infinite or no number.
        """
        measure = _call if callable(self.metric) else cdist
        distances = measure(queries, self.keys[keys], self.metric, **self.metric_params)
        lowest = distances.min(initial=0.0)
        if not (lowest >= -_ROUNDING and distances.max(initial=0.0) < np.inf):
            shown = lowest if not lowest >= -_ROUNDING else np.inf
            raise ValueError(f"metric={self.metric!r} must give finite, non-negative distances; got {shown}.")
        return np.maximum(distances, 0, out=distances)


def _call(queries, keys, metric, **metric_params):
    """What cdist gives for a function of two rows, but each row is taken from its array once."""
    distances, keys = np.empty((len(queries), len(keys))), list(keys)
    for row, query in zip(distances, queries, strict=True):
        row[:] = [metric(query, key, **metric_params) for key in keys]
    return distances
