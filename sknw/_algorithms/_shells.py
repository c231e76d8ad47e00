"""Shells: how much of a kernel's sums comes from how far away, for a kernel that is positive everywhere."""

from __future__ import annotations

import numpy as np

from sknw._kernels import Kernel

_SHELLS = 128

# All shells together are at least so wide, where all keys are in one place.
_NARROWEST = 1e-100


class Shells:
    """Leaves of keys by their distance from a group of queries.

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
    top : float
        Keys at a greater distance do not matter.
    """

    def __init__(self, kernel: Kernel, gaps: np.ndarray, middles: np.ndarray, weight: np.ndarray, top: float):
        self.gaps, self.top = gaps, max(top, _NARROWEST)
        self._edges = np.linspace(0, self.top, _SHELLS + 1)
        self._number = self._numbers(np.sqrt(gaps))
        edges = np.maximum(self._edges * (1 - 1e-9) - 1e-9, 0)
        most = np.bincount(self._number, weight, _SHELLS + 1) * kernel.of_square(np.square(edges))
        # From the outside in: at most what this shell and those beyond it add to a sum, ...
        self._most = most[::-1].cumsum()
        likely = np.bincount(self._numbers(middles), weight, _SHELLS + 1)
        likely *= kernel.of_square(np.square(self._edges + self.top / _SHELLS / 2))
        # ... and about what they add in the middle of the group.
        self._likely = likely[::-1].cumsum()

    def _numbers(self, u):
        return np.minimum(u * (_SHELLS / self._edges[-1]), _SHELLS).astype(np.intp)

    def likely(self, share: float) -> float:
        """The squared distance beyond which keys are likely to have less than this share in the sums."""
        beyond = int(self._likely.searchsorted(share * self._likely[-1], "right"))
        return float(np.square(self._edges[_SHELLS + 1 - beyond])) if beyond else np.inf

    def matter(self, most: float) -> np.ndarray:
        """Which leaves matter to sums if those that do not may add `most`."""
        return self._number <= _SHELLS - int(self._most.searchsorted(most, "right"))
