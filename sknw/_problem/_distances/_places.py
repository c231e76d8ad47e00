"""Places: where keys are, each once, however many rows are there."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import KDTree


class Places:
    """Keys that differ from each other.

    Parameters
    ----------
    keys : ndarray of shape (n_keys, n_coordinates)
    counted : ndarray of shape (n_keys,) of bool
        Which keys are there.

    Attributes
    ----------
    keys : ndarray of shape (n_places, n_coordinates)
    of_key : ndarray of shape (n_keys,)
        The number of each key's place; -1 of a key that is not there.
    """

    def __init__(self, keys: np.ndarray, counted: np.ndarray):
        there = np.flatnonzero(counted)
        self.keys, places = np.unique(keys[there], axis=0, return_inverse=True)
        self.of_key = np.full(len(keys), -1)
        self.of_key[there] = places.ravel()
        self._sums = csr_array((np.ones(len(there)), (self.of_key[there], there)), shape=(len(self.keys), len(keys)))
        self._trees: dict[bytes, KDTree] = {}

    def sum(self, values: np.ndarray) -> np.ndarray:
        """The sums of values of keys, (n_keys, n), at each place: (n_places, n)."""
        return self._sums @ values

    def nearest(self, points: np.ndarray, bandwidth: np.ndarray, n_places: int) -> np.ndarray:
        """The numbers of the nearest places to each point: (n_points, n_places).

        bandwidth : ndarray of shape (n_coordinates,), or ()
        """
        proportions = np.broadcast_to(bandwidth / np.max(bandwidth), points.shape[1:])
        name = proportions.tobytes()
        if name not in self._trees:
            self._trees[name] = KDTree(self.keys / proportions)
        _, places = self._trees[name].query(points / proportions, np.arange(1, n_places + 1))
        return places
