"""Boxes: points split into groups of neighbours, and the boxes around them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist


class Boxes(NamedTuple):
    """Boxes along the axes.

    Parameters
    ----------
    low, high : ndarray of shape (n_boxes, n_coordinates)
    """

    low: np.ndarray
    high: np.ndarray

    @property
    def hull(self) -> Boxes:
        """The box around all, as the only one."""
        return Boxes(self.low.min(axis=0, keepdims=True), self.high.max(axis=0, keepdims=True))

    @property
    def middles(self) -> np.ndarray:
        """The middle of each box: (n_boxes, n_coordinates)."""
        return self.low / 2 + self.high / 2

    @property
    def middle(self) -> np.ndarray:
        """The middle of the box around all: (n_coordinates,)."""
        return self.low.min(axis=0) / 2 + self.high.max(axis=0) / 2


def exact_squares(queries: np.ndarray, keys: np.ndarray, bandwidth: np.ndarray) -> np.ndarray:
    """Squared distances in bandwidths, (n_queries, n_keys), by the arithmetic of `Euclidean.squares`."""
    if bandwidth.ndim:
        return cdist(queries, keys, "sqeuclidean", w=bandwidth**-2.0)
    t = cdist(queries, keys, "sqeuclidean")
    return np.divide(t, bandwidth**2, out=t)


def proportions(bandwidth: np.ndarray) -> np.ndarray:
    """Bandwidths in units of the largest, in single precision: the same bits for every multiple of them."""
    single = (bandwidth / bandwidth.max()).astype(np.float32)
    return np.maximum(single, np.finfo(np.float32).tiny).astype(np.float64)


def split(points: np.ndarray, bandwidth: np.ndarray, size: int) -> tuple[np.ndarray, Boxes]:
    """Split points at the median of the coordinate that is widest in bandwidths, until leaves have at most `size`.

    Only the proportions of the bandwidths matter.

    Returns
    -------
    leaves : ndarray of shape (n_leaves, n_members)
        Indices of points; -1 fills leaves up.
    boxes : Boxes
    """
    n_points, units = len(points), proportions(bandwidth)
    n_leaves = 2 ** max(0, int(np.ceil(np.log2(n_points / size))))
    n_fill = -n_points % n_leaves
    points = np.concatenate([points, points[np.arange(n_fill) * n_points // max(n_fill, 1)]]).T
    leaves = np.arange(points.shape[1])[None]
    while len(leaves) < n_leaves:
        blocks = points[:, leaves]
        widest = (np.ptp(blocks, axis=2).T / units).argmax(axis=1)
        half = leaves.shape[1] // 2
        halves = np.argpartition(blocks[widest, np.arange(len(leaves))], half, axis=1)
        leaves = np.take_along_axis(leaves, halves, axis=1).reshape(-1, half)
    blocks = points[:, leaves]
    return np.where(leaves < n_points, leaves, -1), Boxes(blocks.min(axis=2).T, blocks.max(axis=2).T)
