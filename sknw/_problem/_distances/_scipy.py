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
    """Distances by a metric of `scipy.spatial.distance.cdist`, or by a function of two rows."""

    # Left out, cdist estimates these from queries and keys together: a prediction would depend on its neighbours in X.
    required_params: ClassVar = {"mahalanobis": "VI", "seuclidean": "V"}

    def distances(self, queries, keys):
        """Distances from points to the keys of these indices: (n_queries, n_keys).

        Raises
        ------
        ValueError
            If one is negative, infinite or no number.
        """
        distances = cdist(queries, self.keys[keys], self.metric, **self.metric_params)
        lowest = distances.min(initial=0.0)
        if not (lowest >= -_ROUNDING and distances.max(initial=0.0) < np.inf):
            shown = lowest if not lowest >= -_ROUNDING else np.inf
            raise ValueError(f"metric={self.metric!r} must give finite, non-negative distances; got {shown}.")
        return np.maximum(distances, 0, out=distances)
