"""Sums: what every algorithm gives, for some queries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._accuracy import MIN_WEIGHT, TIED

# Rows for each column of which it is faster to put them column by column.
_MANY = 16


class Sums(NamedTuple):
    """Kernel sums, in a unit for each query that lets nothing underflow.

    Parameters
    ----------
    values : ndarray of shape (n_queries, n_values)
        ``values * exp(log_scale)[:, None] == K @ basis.columns(rows.values, keys - expansion_point)``, where K is the
        kernel matrix; for a query far outside all samples it is relative to K at the squared distance
        `Distance.reference` of the query, which no number would hold.
    log_scale : ndarray of shape (n_queries,)
        Zero, or about the logarithm of the largest weight.
    expansion_point : ndarray of shape (n_queries, n_features), or (n_queries, 0)
        What the coordinates of keys are seen from by each query, if the basis looks at them.
    """

    values: np.ndarray
    log_scale: np.ndarray
    expansion_point: np.ndarray

    @classmethod
    def empty(cls, n_queries: int, n_values: int, n_coordinates: int) -> Sums:
        """Sums over no keys, to put others in."""
        # Column by column in memory, for they are used so.
        return cls(np.zeros((n_values, n_queries)).T, np.zeros(n_queries), np.zeros((n_queries, n_coordinates)))

    def put(self, indices: np.ndarray | slice, sums: Sums) -> None:
        """Put the sums of some queries in their place."""
        self.log_scale[indices], self.expansion_point[indices] = sums.log_scale, sums.expansion_point
        if len(sums.values) < _MANY * sums.values.shape[1]:
            self.values[indices] = sums.values
            return
        for column, part in zip(self.values.T, sums.values.T, strict=True):
            column[indices] = part

    def take(self, indices: np.ndarray | slice) -> Sums:
        """The sums of some queries."""
        return Sums(self.values[indices], self.log_scale[indices], self.expansion_point[indices])

    def merge(self, other: Sums, basis) -> Sums:
        """The sums over the keys of two blocks, from those over each. The rows of both have one frame.

        basis : Polynomial
        """
        log_scales = [np.where(each.values[:, -1] > 0, each.log_scale, -np.inf) for each in (self, other)]
        log_scale = np.maximum(*log_scales)
        log_scale[log_scale == -np.inf] = 0
        parts = [
            Sums(each.values * np.exp(scale - log_scale)[:, None], log_scale, each.expansion_point)
            for each, scale in zip((self, other), log_scales, strict=True)
        ]
        # About the mean of both nothing cancels.
        share = parts[0].values[:, -1:] / np.maximum(parts[0].values[:, -1:] + parts[1].values[:, -1:], MIN_WEIGHT)
        point = share * basis.centre(parts[0]) + (1 - share) * basis.centre(parts[1])
        return Sums(sum(basis.recentred(part, point).values for part in parts), log_scale, point)


class Nearest(NamedTuple):
    """The nearest keys of some queries, ties included.

    Parameters
    ----------
    squares : ndarray of shape (n_queries,)
        Their squared distances in bandwidths, less `Distance.reference` of the query; inf where no key counts.
    values : ndarray of shape (n_queries, n_outputs + 1)
        The sums of their values.
    """

    squares: np.ndarray
    values: np.ndarray

    def merge(self, other: Nearest) -> Nearest:
        """The nearest keys of two blocks, from those of each. The rows of both have one frame."""
        lowest = np.minimum(self.squares, other.squares)
        highest = lowest + TIED * np.abs(lowest)
        return Nearest(lowest, sum((each.squares <= highest)[:, None] * each.values for each in (self, other)))
