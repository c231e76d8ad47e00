"""Features: columns without their units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._problem._rows import Rows


class Standardizer(NamedTuple):
    """Features in standard deviations about their means.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
    scale : ndarray of shape (n_features,)
        Their standard deviations, inf for one that does not vary.
    low, high : ndarray of shape (n_features,)
        Their ranges.
    """

    mean: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, rows: Rows) -> Standardizer:
        """The standardizer of the keys of rows that all have a weight."""
        low, high = rows.keys.min(axis=0), rows.keys.max(axis=0)
        # Of numbers that do not overflow, and about a sample, so that a feature that does not vary has no variance.
        unit = np.where(high > low, high / 2 - low / 2, 1)
        z = (rows.keys - low) / unit
        mean = np.average(z, axis=0, weights=rows.sample_weight)
        deviation = np.sqrt(np.average(np.square(z - mean), axis=0, weights=rows.sample_weight))
        return cls(low + unit * mean, np.where(deviation > 0, unit * deviation, np.inf), low, high)

    @property
    def varies(self) -> np.ndarray:
        """Which features do: (n_features,)."""
        return np.isfinite(self.scale)

    def beyond(self, X: np.ndarray) -> np.ndarray:
        """Which features of queries exceed their range: (n_queries, n_features)."""
        return (X < self.low) | (X > self.high)

    def __call__(self, X: np.ndarray, clip: bool = False) -> np.ndarray:
        """Features of queries or keys, those that do not vary zero; clipped, none exceeds its range."""
        X = np.clip(X, self.low, self.high) if clip else X
        return (X - self.mean) / self.scale
