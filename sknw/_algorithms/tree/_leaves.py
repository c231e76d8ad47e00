"""Leaves: few neighbouring keys each, and the boxes around them."""

from __future__ import annotations

from copy import copy

import numpy as np

from sknw._algorithms._boxes import Boxes, exact_squares, split
from sknw._problem._problem import Problem

# Rounding of a box's squared distance, in relation to it, stays far below this.
_MARGIN = 1e-9

# Leaves in a block.
_BLOCK = 32


class Leaves:
    """The keys that have a weight, in the order of leaves.

    Parameters
    ----------
    problem : Problem
    size : int
        How many keys a leaf has at most.

    Attributes
    ----------
    order : ndarray of shape (n_places,)
        The index of the key at each place.
    keys, values : ndarrays of shape (n_places, n_coordinates), (n_places, n_outputs + 1)
        Those at each place.
    columns : ndarray of shape (n_outputs + 1, n_places)
        The values, a row each column.
    single_columns, scale : ndarrays of shape (n_outputs + 1, n_places), (n_outputs + 1,)
        The columns in single precision, in units of the scale.
    counts, weight, heaviest : ndarrays of shape (n_leaves,)
        How many keys each leaf has, their total weight, and the weight of the heaviest.
    radii : ndarray of shape (n_leaves,)
        How far from the middle of its leaf a key is at most, in bandwidths.
    """

    def __init__(self, problem: Problem, size: int):
        rows, keys, bandwidth = problem.rows, problem.distance.keys, problem.distance.scaled_bandwidth
        with_weight = np.flatnonzero(~rows.zero_weight)
        leaves, self.boxes = split(keys[with_weight], bandwidth, size)
        filled = leaves >= 0
        self.order = with_weight[leaves[filled]]
        # The places of the keys of each leaf, filled up with -1; and the place of each key, -1 for one without weight.
        self._members = np.where(filled, np.cumsum(filled).reshape(leaves.shape) - 1, -1)
        self._place = np.full(len(rows), -1)
        self._place[self.order] = np.arange(len(self.order))
        self.keys: np.ndarray = keys[self.order]
        self.values: np.ndarray = rows.values[self.order]
        self.columns = np.ascontiguousarray(self.values.T)
        largest = np.abs(self.values).max(axis=0)
        self.scale = np.where(largest > 0, largest, 1.0)
        self.single_columns = (self.columns / self.scale[:, None]).astype(np.float32)
        self.counts = filled.sum(axis=1)
        weight = np.where(filled, self.values[self._members, -1], 0)
        self.weight, self.heaviest = weight.sum(axis=1), weight.max(axis=1)
        # The boxes, a row each coordinate; those of blocks of leaves, which are neighbours; their middles.
        self._corners = np.array([self.boxes.low.T, self.boxes.high.T])
        in_blocks = self._corners.reshape(2, len(self._corners[0]), -1, min(_BLOCK, len(leaves)))
        self._blocks = np.array([in_blocks[0].min(axis=2), in_blocks[1].max(axis=2)])
        self._middles = self.boxes.middles
        self._set_bandwidth(bandwidth)

    def _set_bandwidth(self, bandwidth):
        self._bandwidth = bandwidth
        radii = np.square((self.boxes.high - self.boxes.low) / 2 / bandwidth).sum(axis=1)
        self.radii = np.sqrt(radii) * (1 + _MARGIN)

    def with_bandwidth(self, bandwidth: np.ndarray) -> Leaves:
        """The leaves at another bandwidth, whose proportions are the same."""
        other = copy(self)
        other._set_bandwidth(bandwidth)
        return other

    def gaps(self, boxes: Boxes, leaves: np.ndarray) -> np.ndarray:
        """Squared distances in bandwidths from boxes to leaves: (n_boxes, n_leaves)."""
        return self._gaps(boxes, self._corners.take(leaves, axis=2))

    def _gaps(self, boxes, corners):
        low, high = corners
        total = np.zeros((len(boxes.low), low.shape[1]))
        gap, other = np.empty_like(total), np.empty_like(total)
        bandwidth = np.broadcast_to(self._bandwidth, len(low))
        for feature in range(len(low)):
            np.subtract(low[feature], boxes.high[:, feature, None], out=gap)
            np.subtract(boxes.low[:, feature, None], high[feature], out=other)
            np.maximum(np.maximum(gap, other, out=gap), 0, out=gap)
            gap /= bandwidth[feature]
            total += np.square(gap, out=gap)
        return total

    def between_middles(self, boxes: Boxes) -> np.ndarray:
        """Squared distances in bandwidths between the middles of boxes and leaves: (n_boxes, n_leaves)."""
        return exact_squares(boxes.middles, self._middles, self._bandwidth)

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

    def exclude(self, matrix: np.ndarray, places: np.ndarray, excluded: np.ndarray | None, fill: float) -> np.ndarray:
        """Fill, in a matrix of shape (n_queries, n_places), what does not count.

        places : ndarray of shape (n_places,), in ascending order
        excluded : ndarray of shape (n_queries,), the index of one key for each query, or None
        """
        if excluded is not None:
            place = self._place[excluded]
            column = np.minimum(np.searchsorted(places, place), len(places) - 1)
            found = np.flatnonzero(places[column] == place)
            matrix[found, column[found]] = fill
        return matrix
