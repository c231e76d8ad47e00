"""Conditions: what a distance tells a basis of its coordinates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Conditions(NamedTuple):
    """What is known of coordinates before a query is: where they count as constant, and what slopes are penalised by.

    Parameters
    ----------
    least_variances : ndarray of shape (n_coordinates,), or (n_queries, n_coordinates)
        Variances among the keys in reach below which a coordinate is constant there.
    varies : ndarray of shape (n_coordinates,) of bool
        Which coordinates vary at all.
    penalty : ndarray of shape (n_coordinates,), or 0
        Added to the variances among the keys in reach. Only for degree 1.
    least_known : ndarray of shape (n_coordinates,), or (n_queries, n_coordinates)
        Variances that need not be known any better than that they are below this.
    """

    least_variances: np.ndarray
    varies: np.ndarray
    penalty: np.ndarray | float
    least_known: np.ndarray

    def take(self, indices: np.ndarray | slice) -> Conditions:
        """The conditions of some queries."""
        if self.least_variances.ndim == 1:
            return self
        least_variances, least_known = self.least_variances[indices], self.least_known[indices]
        return self._replace(least_variances=least_variances, least_known=least_known)
