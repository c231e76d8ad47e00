"""Ladder: the sums of keys, each without itself, at many bandwidths, by compiled loops."""

from __future__ import annotations

import numpy as np

from sknw._compiled import _readiness
from sknw._compiled._kinds import in_blocks, kind_of
from sknw._problem._problem import Problem
from sknw._tiles import map_tiles

# About what NumPy takes for a pair, and for it at each bandwidth.
_SECONDS, _SECONDS_OF_BANDWIDTH = 5e-9, 4e-9

# Pairs in a tile.
_PAIRS = 2**19

# Above so many values, products of matrices sum them as fast.
_MOST_VALUES = 8


def is_compiled(problem: Problem, n_indices: int, n_bandwidths: int) -> bool:
    """Whether compiled loops are to sum so many keys at so many bandwidths: means in coordinates."""
    if not problem.distance.has_coordinates or problem.basis.n_expanded(1) or problem.n_values > _MOST_VALUES:
        return False
    seconds = float(n_indices) * len(problem.rows) * (_SECONDS + _SECONDS_OF_BANDWIDTH * n_bandwidths)
    return (
        kind_of(problem.kernel) is not None
        and seconds >= _readiness.LEAST_SECONDS
        and _readiness.is_worth("ladder", seconds)
    )


class Ladder:
    """Means among all other keys, in coordinates.

    Parameters
    ----------
    problem : Problem
    indices : ndarray of shape (n_indices,)
        The keys whose sums are wanted.
    """

    def __init__(self, problem: Problem, indices: np.ndarray):
        self._kind, self._is_positive = kind_of(problem.kernel), problem.kernel.log_ratio is not None
        self._indices, self._n_values = indices, problem.n_values
        self._scales = np.broadcast_to(1 / problem.distance.scaled_bandwidth, problem.distance.n_coordinates).copy()
        # An even number of columns.
        columns = np.pad(problem.rows.values, [(0, 0), (0, self._n_values % 2)])
        self._keys, self._columns = in_blocks(problem.distance.keys), in_blocks(columns)
        self._counted = np.ascontiguousarray(in_blocks(~problem.rows.zero_weight[:, None])[:, 0])

    def sums(
        self, factors: np.ndarray, doubled: np.ndarray, limits: np.ndarray, n_jobs: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The lowest squared distance of each key, or zero for a compact kernel; and the sums in units of that.

        Parameters
        ----------
        factors : ndarray of shape (n_bandwidths,)
            What squared distances are multiplied by, in ascending order.
        doubled : ndarray of shape (n_bandwidths,) of bool
            Which are twice the one before, for a kernel that is squared then.
        limits : ndarray of shape (n_bandwidths,)
            By how much squared distances exceed the lowest at most to count.

        Returns
        -------
        lowest : ndarray of shape (n_indices,)
        sums : ndarray of shape (n_bandwidths * n_indices, n_values)
        """
        from sknw._compiled._ladder import put_sums  # it imports numba

        lowest = np.empty(len(self._indices))
        sums = np.empty((self._columns.shape[1], len(factors), len(lowest)))
        given = self._keys, self._scales, self._counted, self._columns, (factors, doubled, limits), self._is_positive

        def tile_sums(tile):
            # Always beside each other in memory: loops are compiled for each way to lie there.
            part = np.empty((*sums.shape[:2], tile.stop - tile.start))
            put_sums(self._kind, self._indices[tile], *given, lowest[tile], part)
            sums[:, :, tile] = part

        map_tiles(tile_sums, len(lowest), max(1, _PAIRS // (self._counted.size * len(factors))), n_jobs)
        return lowest, sums[: self._n_values].reshape(self._n_values, -1).T
