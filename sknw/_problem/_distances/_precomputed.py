"""Precomputed: distances that were computed elsewhere, from each query to all keys."""

from __future__ import annotations

import numpy as np

from sknw._problem._distances._distance import Distance
from sknw._problem._rows import Rows


class Precomputed(Distance):
    """Distances that X holds: a point is the row of its distances to all keys."""

    takes_params = False
    pairwise = True

    def distances(self, queries, keys):
        """Distances from points to the keys of these indices: (n_queries, n_keys)."""
        return queries[:, keys]

    def take(self, rows, indices):
        """Distances to the keys of these rows, which have these indices here."""
        keys = np.ascontiguousarray(rows.keys[:, indices])
        frame = rows.frame if rows.is_block else None
        return super().take(
            Rows(keys, rows.targets, rows.sample_weight, rows.counts, frame, device=rows.device), indices
        )
