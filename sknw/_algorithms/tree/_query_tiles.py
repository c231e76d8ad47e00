"""Query tiles: groups of neighbouring queries, which are summed as one; and tiles of neighbouring groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sknw._algorithms._boxes import Boxes, split


class Queries(NamedTuple):
    """Some queries of a tile.

    Parameters
    ----------
    points : ndarray of shape (n_queries, n_coordinates)
    positions : ndarray of shape (n_queries,)
        Where in the tile they are.
    boxes : Boxes
        They hold the points.
    excluded : ndarray of shape (n_queries,), or None
        For each the index of a key that does not count.
    """

    points: np.ndarray
    positions: np.ndarray
    boxes: Boxes
    excluded: np.ndarray | None

    def take(self, indices: np.ndarray | slice, boxes: Boxes | None = None) -> Queries:
        """Some of the queries, each in a box of its own if no boxes are given."""
        points = self.points[indices]
        excluded = None if self.excluded is None else self.excluded[indices]
        return Queries(points, self.positions[indices], boxes or Boxes(points, points), excluded)


class Tile(NamedTuple):
    """Queries of neighbouring groups.

    Parameters
    ----------
    queries : Queries
        Those of all groups, in a box for each group.
    starts : ndarray of shape (n_groups,)
        The position of each group's first query.
    middles : ndarray of shape (n_groups, n_coordinates)
    radii : ndarray of shape (n_groups,)
        How far from the middle of its group a query is at most, in bandwidths.
    """

    queries: Queries
    starts: np.ndarray
    middles: np.ndarray
    radii: np.ndarray

    def groups(self) -> Iterator[Queries]:
        """The queries of each group."""
        stops = np.append(self.starts[1:], len(self.queries.points))
        for start, stop, low, high in zip(self.starts, stops, *self.queries.boxes, strict=True):
            yield self.queries.take(slice(start, stop), Boxes(low[None], high[None]))


class QueryTiles:
    """Queries, split into groups.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_coordinates)
    excluded : ndarray of shape (n_queries,), or None
        For each the index of a key that does not count.
    bandwidth : ndarray of shape (n_coordinates,), or ()
    size : int
        How many queries a group has at most.
    """

    def __init__(self, queries: np.ndarray, excluded: np.ndarray | None, bandwidth: np.ndarray, size: int):
        self._queries, self._excluded, self._bandwidth = queries, excluded, bandwidth
        members, boxes = split(queries, bandwidth, size)
        occupied = (members >= 0).any(axis=1)  # of equal queries, a leaf may have none but those that fill it up
        self._members, self._boxes = members[occupied], Boxes(boxes.low[occupied], boxes.high[occupied])

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self._members)

    def tile(self, groups: slice) -> tuple[np.ndarray, Tile]:
        """The indices of the queries in these groups, and their tile."""
        members, boxes = self._members[groups], Boxes(self._boxes.low[groups], self._boxes.high[groups])
        indices, counts = members[members >= 0], (members >= 0).sum(axis=1)
        starts, points = np.append(0, counts.cumsum()[:-1]), self._queries[indices]
        offsets = (points - boxes.middles.repeat(counts, axis=0)) / self._bandwidth
        radii = np.sqrt(np.maximum.reduceat(np.square(offsets).sum(axis=1), starts))
        excluded = None if self._excluded is None else self._excluded[indices]
        queries = Queries(points, np.arange(len(indices)), boxes, excluded)
        return indices, Tile(queries, starts, boxes.middles, radii)
