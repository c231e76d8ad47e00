"""Radial bounds: how much of kernel sums comes from how far away, for a kernel that is positive everywhere."""

from __future__ import annotations

import numpy as np

from sknw._kernels import Kernel

_SHELLS = 128

# All shells together are at least so wide, where all keys are in one place.
_NARROWEST = 1e-100

# The inner edge of a shell is drawn in by this, for the rounding of distances.
_MARGIN = 1e-9


class RadialBounds:
    """Leaves of keys in shells, by their distance from each of some groups of queries.

    Parameters
    ----------
    kernel : Kernel
        With a `log_ratio`.
    gaps : ndarray of shape (n_groups, n_leaves)
        Squared distances that no query of the group and key of the leaf come below.
    middles : ndarray of shape (n_groups, n_leaves)
        Distances between the middles of group and leaf.
    weight : ndarray of shape (n_leaves,)
        Weights of the leaves.
    reach : ndarray of shape (n_groups,)
        Keys at a greater distance do not matter.
    """

    def __init__(self, kernel: Kernel, gaps: np.ndarray, middles: np.ndarray, weight: np.ndarray, reach: np.ndarray):
        self.reach = np.maximum(reach, _NARROWEST)
        self._edges = np.linspace(0, self.reach, _SHELLS + 1, axis=1)
        self._shells = self._shells_at(np.sqrt(gaps))
        edges = np.maximum(self._edges * (1 - _MARGIN) - _MARGIN, 0)
        # From the outside in: at most what this shell and those beyond it add to a sum, ...
        self._highest = self._beyond(self._shells, weight, edges, kernel)
        # ... and about what they add in the middle of the group.
        edges = self._edges + self._edges[:, 1:2] / 2
        self._likely = self._beyond(self._shells_at(middles), weight, edges, kernel)

    def _shells_at(self, u):
        return np.minimum(u * (_SHELLS / self.reach[:, None]), _SHELLS).astype(np.intp)

    def _beyond(self, shells, weight, u, kernel):
        """The sums over all shells from the last to each, whose keys are at a distance u: (n_groups, n_shells)."""
        places = shells + np.arange(len(shells))[:, None] * u.shape[1]
        weight = np.bincount(places.ravel(), np.broadcast_to(weight, shells.shape).ravel(), u.size).reshape(u.shape)
        return (weight * kernel.of_square(np.square(u)))[:, ::-1].cumsum(axis=1)

    def likely_cutoffs(self, share: float) -> np.ndarray:
        """The squared distances beyond which keys are likely to have less than this share in the sums: (n_groups,)."""
        beyond = (self._likely <= share * self._likely[:, -1:]).sum(axis=1)
        cutoffs = np.square(self._edges[np.arange(len(beyond)), _SHELLS + 1 - np.maximum(beyond, 1)])
        return np.where(beyond > 0, cutoffs, np.inf)

    def matter(self, errors: np.ndarray) -> np.ndarray:
        """Which leaves matter to sums of each group, if those that do not may add an error: (n_groups, n_leaves)."""
        beyond = (self._highest <= errors[:, None]).sum(axis=1)
        return self._shells <= _SHELLS - beyond[:, None]
