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
    """Leaves of keys in shells, by their distance from a group of queries.

    Parameters
    ----------
    kernel : Kernel
        With a `log_ratio`.
    gaps : ndarray of shape (n_leaves,)
        Squared distances that no query and key of the leaf come below.
    middles : ndarray of shape (n_leaves,)
        Distances between the middles of group and leaf.
    weight : ndarray of shape (n_leaves,)
        Weights of the leaves.
    reach : float
        Keys at a greater distance do not matter.
    """

    def __init__(self, kernel: Kernel, gaps: np.ndarray, middles: np.ndarray, weight: np.ndarray, reach: float):
        self.gaps, self.reach = gaps, max(reach, _NARROWEST)
        self._edges = np.linspace(0, self.reach, _SHELLS + 1)
        self._shells = self._shells_at(np.sqrt(gaps))
        edges = np.maximum(self._edges * (1 - _MARGIN) - _MARGIN, 0)
        highest = np.bincount(self._shells, weight, _SHELLS + 1) * kernel.of_square(np.square(edges))
        # From the outside in: at most what this shell and those beyond it add to a sum, ...
        self._highest = highest[::-1].cumsum()
        likely = np.bincount(self._shells_at(middles), weight, _SHELLS + 1)
        likely *= kernel.of_square(np.square(self._edges + self.reach / _SHELLS / 2))
        # ... and about what they add in the middle of the group.
        self._likely = likely[::-1].cumsum()

    def _shells_at(self, u):
        return np.minimum(u * (_SHELLS / self._edges[-1]), _SHELLS).astype(np.intp)

    def likely_cutoff(self, share: float) -> float:
        """The squared distance beyond which keys are likely to have less than this share in the sums."""
        beyond = int(self._likely.searchsorted(share * self._likely[-1], "right"))
        return float(np.square(self._edges[_SHELLS + 1 - beyond])) if beyond else np.inf

    def matter(self, error: float) -> np.ndarray:
        """Which leaves matter to sums, if those that do not may add this error."""
        return self._shells <= _SHELLS - int(self._highest.searchsorted(error, "right"))
