"""Groups: neighbouring queries that are summed as one; tiles of neighbouring groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sknw._algorithms._leaves import Boxes, split


class Queries(NamedTuple):
    """Queries, their rows in the result, boxes that hold them, and for each a key that does not count."""

    points: np.ndarray
    rows: np.ndarray
    boxes: Boxes
    excluded: np.ndarray | None

    def part(self, some: np.ndarray | slice, boxes: Boxes | None = None) -> Queries:
        """Some of the queries, each in a box of its own if no boxes are given."""
        points = self.points[some]
        excluded = None if self.excluded is None else self.excluded[some]
        return Queries(points, self.rows[some], boxes or Boxes(points, points), excluded)


class Tile(NamedTuple):
    """Queries of neighbouring groups: where each group starts, its middle, and its radius in bandwidths."""

    queries: Queries
    starts: np.ndarray
    middles: np.ndarray
    radii: np.ndarray

    def groups(self) -> Iterator[Queries]:
        """The queries of each group."""
        stops = np.append(self.starts[1:], len(self.queries.points))
        for start, stop, low, high in zip(self.starts, stops, *self.queries.boxes, strict=True):
            yield self.queries.part(slice(start, stop), Boxes(low[None], high[None]))


class Groups:
    """Queries, split into groups.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_features)
    excluded : ndarray of shape (n_queries,) or None
    unit : ndarray
        The bandwidths.
    size : int
        How many queries a group has at most.
    """

    def __init__(self, queries: np.ndarray, excluded: np.ndarray | None, unit: np.ndarray, size: int):
        self._queries, self._excluded, self._unit = queries, excluded, unit
        self._members, self._boxes = split(queries, unit, size)

    def __len__(self) -> int:
        return len(self._members)

    def tile(self, some: slice) -> tuple[np.ndarray, Tile]:
        """Which queries are in these groups, and their tile."""
        members, boxes = self._members[some], Boxes(self._boxes.low[some], self._boxes.high[some])
        numbers, counts = members[members >= 0], (members >= 0).sum(axis=1)
        starts, points = np.append(0, counts.cumsum()[:-1]), self._queries[numbers]
        offsets = (points - boxes.middles.repeat(counts, axis=0)) / self._unit
        radii = np.sqrt(np.maximum.reduceat(np.square(offsets).sum(axis=1), starts))
        own = None if self._excluded is None else self._excluded[numbers]
        return numbers, Tile(Queries(points, np.arange(len(numbers)), boxes, own), starts, boxes.middles, radii)
