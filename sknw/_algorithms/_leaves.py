"""Leaves: few neighbouring keys each, and the boxes around them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from sknw._algorithms._problem import Problem

# Rounding of a box's squared distance, in relation to it, stays far below this.
_MARGIN = 1e-9

# Leaves in a block.
_BLOCK = 32


class Boxes(NamedTuple):
    """Corners of boxes: one row each."""

    low: np.ndarray
    high: np.ndarray

    @property
    def hull(self) -> Boxes:
        """The box around all, as the only one."""
        return Boxes(self.low.min(axis=0, keepdims=True), self.high.max(axis=0, keepdims=True))

    @property
    def middles(self) -> np.ndarray:
        return self.low / 2 + self.high / 2

    @property
    def middle(self) -> np.ndarray:
        """The middle of the box around all."""
        return self.low.min(axis=0) / 2 + self.high.max(axis=0) / 2


def exact_squares(queries: np.ndarray, keys: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Squared distances in bandwidths, by the arithmetic of `Problem.squares`."""
    if unit.ndim:
        return cdist(queries, keys, "sqeuclidean", w=unit**-2.0)
    t = cdist(queries, keys, "sqeuclidean")
    return np.divide(t, unit**2, out=t)


def split(points: np.ndarray, unit: np.ndarray, size: int) -> tuple[np.ndarray, Boxes]:
    """Split points at the median of their widest feature, in units, until leaves have at most `size`.

    Returns
    -------
    leaves : ndarray of shape (n_leaves, n_members)
        Indices of points; -1 fills leaves up.
    boxes : Boxes
    """
    n_points = len(points)
    n_leaves = 2 ** max(0, int(np.ceil(np.log2(n_points / size))))
    n_fill = -n_points % n_leaves
    points = np.concatenate([points, points[np.arange(n_fill) * n_points // max(n_fill, 1)]]).T
    leaves = np.arange(points.shape[1])[None]
    while len(leaves) < n_leaves:
        blocks = points[:, leaves]
        widest = (np.ptp(blocks, axis=2).T / unit).argmax(axis=1)
        half = leaves.shape[1] // 2
        halves = np.argpartition(blocks[widest, np.arange(len(leaves))], half, axis=1)
        leaves = np.take_along_axis(leaves, halves, axis=1).reshape(-1, half)
    blocks = points[:, leaves]
    return np.where(leaves < n_points, leaves, -1), Boxes(blocks.min(axis=2).T, blocks.max(axis=2).T)


class Leaves:
    """The keys that are there, in the order of leaves.

    Parameters
    ----------
    problem : Problem
    size : int
        How many keys a leaf has at most.
    """

    def __init__(self, problem: Problem, size: int):
        self._unit = problem.unit
        present = np.flatnonzero(~problem.absent)
        leaves, self.boxes = split(problem.keys[present], self._unit, size)
        there = leaves >= 0
        # The keys in this order; and the places in it that make up a leaf, filled up with -1.
        self.order = present[leaves[there]]
        self._members = np.where(there, np.cumsum(there).reshape(leaves.shape) - 1, -1)
        # How many keys each leaf has.
        self.counts = there.sum(axis=1)
        # The place of each key in this order, -1 for one that is not there.
        self.place = np.full(len(problem.y), -1)
        self.place[self.order] = np.arange(len(self.order))
        self.keys: np.ndarray = problem.keys[self.order]
        self.values: np.ndarray = problem.values[self.order]
        # The same, a row each column.
        self.columns = np.ascontiguousarray(self.values.T)
        # The largest of each column, or 1: single precision has less range.
        largest = np.abs(self.values).max(axis=0)
        self.scale = np.where(largest > 0, largest, 1.0)
        self.single_columns = (self.columns / self.scale[:, None]).astype(np.float32)
        # The boxes, a row each feature; those of blocks of leaves, which are neighbours; their middles.
        self._corners = np.array([self.boxes.low.T, self.boxes.high.T])
        in_blocks = self._corners.reshape(2, len(self._corners[0]), -1, min(_BLOCK, len(leaves)))
        self._blocks = np.array([in_blocks[0].min(axis=2), in_blocks[1].max(axis=2)])
        self._middles = self.boxes.middles
        # How far from its middle the keys of a leaf are at most, in bandwidths.
        self.radii = np.sqrt(np.square((self.boxes.high - self.boxes.low) / 2 / self._unit).sum(axis=1)) * (1 + _MARGIN)
        weight = np.where(self._members >= 0, self.values[self._members, -1], 0)
        # The total weight of the keys in each leaf, and the weight of the heaviest.
        self.weight, self.heaviest = weight.sum(axis=1), weight.max(axis=1)

    def gaps(self, boxes: Boxes, leaves: np.ndarray) -> np.ndarray:
        """Squared distances in bandwidths from boxes to leaves: (n_boxes, n_leaves)."""
        return self._gaps(boxes, self._corners.take(leaves, axis=2))

    def _gaps(self, boxes, corners):
        low, high = corners
        total = np.zeros((len(boxes.low), low.shape[1]))
        gap, other = np.empty_like(total), np.empty_like(total)
        unit = np.broadcast_to(self._unit, len(low))
        for feature in range(len(low)):
            np.subtract(low[feature], boxes.high[:, feature, None], out=gap)
            np.subtract(boxes.low[:, feature, None], high[feature], out=other)
            np.maximum(np.maximum(gap, other, out=gap), 0, out=gap)
            gap /= unit[feature]
            total += np.square(gap, out=gap)
        return total

    def between_middles(self, boxes: Boxes) -> np.ndarray:
        """Squared distances in bandwidths between the middles of boxes and leaves: (n_boxes, n_leaves)."""
        return exact_squares(boxes.middles, self._middles, self._unit)

    def within(self, boxes: Boxes, reach: float | np.ndarray) -> np.ndarray:
        """The leaves whose squared distance from one of the boxes is at most `reach`, of shape (n_boxes, 1) or one."""
        reach = np.asarray(reach) * (1 + _MARGIN)
        blocks = np.flatnonzero(self._gaps(boxes.hull, self._blocks)[0] <= reach.max())
        size = self._corners.shape[2] // self._blocks.shape[2]
        leaves = (blocks[:, None] * size + np.arange(size)).ravel()
        return leaves[(self.gaps(boxes, leaves) <= reach).any(axis=0)]

    def places(self, leaves: np.ndarray) -> np.ndarray:
        """The places of the keys in these leaves."""
        places = self._members.take(leaves, axis=0)
        return places[places >= 0]

    def hide(self, rows: np.ndarray, places: np.ndarray, excluded: np.ndarray | None, fill: float) -> np.ndarray:
        """Fill, in rows of these keys, what does not count."""
        if excluded is not None:
            own = self.place[excluded]
            column = np.minimum(np.searchsorted(places, own), len(places) - 1)
            found = np.flatnonzero(places[column] == own)
            rows[found, column[found]] = fill
        return rows
