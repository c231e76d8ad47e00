"""Windows: the sums of `PrefixSums` by compiled loops, which need prefix sums of few keys only."""

from __future__ import annotations

from typing import Any

import numpy as np

from sknw._accuracy import PREFIX_SUMS
from sknw._problem._sums import Sums
from sknw._tiles import batches

# Queries whose numbers stay in the cache from one loop to the next.
_BATCH = 2**12


class Windows:
    """Sums over windows of sorted keys, from the keys themselves at both ends of a window and polynomials between.

    Parameters
    ----------
    method : PrefixSums
        For a degree of zero. It sums what may be inaccurate.
    """

    #: Queries that are sorted and worked on together: many, for all together look at most keys.
    tile = 2**17

    def __init__(self, method):
        from sknw._compiled._windows import BLOCK, add_up, cut_cells, sum_blocks

        self._method, x, values = method, method.keys.x, method.keys.values
        n_blocks = -(-len(x) // BLOCK)
        # What fills up the last block has no weight.
        self._blocks = np.zeros((n_blocks, 1 + values.shape[1], BLOCK))
        n_full, n_rest = divmod(len(x), BLOCK)
        for row, column in zip(self._blocks.transpose(1, 0, 2), (x, *values.T), strict=True):
            row[:n_full] = column[: n_full * BLOCK].reshape(n_full, BLOCK)
            row[n_full:, :n_rest] = column[n_full * BLOCK :]
        self._blocks[n_full:, 0, n_rest:] = x[-1]
        self._first, self._last = self._blocks[:, 0, [0, -1]].T.copy()
        self._mass = np.concatenate([[0.0], self._blocks[:, -1].sum(axis=1).cumsum()])
        begin, end = np.empty((2, n_blocks), dtype=np.intp)
        cut_cells(self._first, self._last, method.bandwidth, begin, end)
        self._cells = begin, end, self._first[begin] / 2 + self._last[end - 1] / 2
        moments = np.empty((n_blocks, values.shape[1], len(method.polynomial)))
        sum_blocks(self._blocks, self._cells[2], method.bandwidth, moments)
        even = not method.polynomial[1::2].any()
        sides = np.empty((1 if even else 2, 2, *moments.shape))
        for side, expansion in zip(sides, method.expansion, strict=False):
            add_up(moments, begin, end, expansion, side)
        self._left, self._right = sides[0], sides[-1]
        unit = 1 / method.bandwidth
        coefficients = tuple(method.polynomial[:: 2 if even else 1][::-1].tolist())
        self._kernel: Any = coefficients, even, unit, _largest_square(method.bandwidth)
        self._kernel_of_blocks: Any = tuple(method.polynomial.tolist()), unit

    def sums(self, points: np.ndarray, excluded: np.ndarray | None) -> Sums:
        """Kernel sums for queries in any order; excluded is the rank of a key that does not count."""
        order, sums = np.argsort(points), self._method.keys.powers.empty(len(points))
        for batch in batches(len(points), _BATCH):
            idx = order[batch]
            sums.put(idx, self._sorted_sums(points[idx], None if excluded is None else excluded[idx]))
        return sums

    def _sorted_sums(self, points, excluded):
        from sknw._compiled._windows import add_blocks, add_keys, locate

        method, n = self._method, len(points)
        gone, redo = np.full(n, -1, dtype=np.intp), np.zeros(n, dtype=bool)
        if excluded is not None:
            at_query = (excluded >= 0) & (method.keys.x[excluded] == points)
            gone[at_query] = excluded[at_query]
            redo = (excluded >= 0) & ~at_query
        single, whole = np.empty((n, 3), dtype=np.intp), np.empty((n, 4), dtype=np.intp)
        start = np.searchsorted(self._last, points[0] - 2 * method.bandwidth)
        locate(points, gone, self._first, self._last, self._kernel[-1], start, single, whole)
        sums, error = method.keys.powers.empty(n), np.zeros(n)
        add_keys(points, single, gone, self._blocks, self._kernel, method.error(1.0), sums.values, error)
        blocks = self._cells, self._left, self._right, self._kernel_of_blocks, self._mass
        add_blocks(points, whole, *blocks, method.error(2.0), sums.values, error)
        redo = np.flatnonzero(redo | (error > PREFIX_SUMS * sums.values[:, -1]))
        if len(redo):
            low, high = method.window(points[redo])
            sums.put(redo, method.sum_key_by_key(points[redo], low, high, None if excluded is None else excluded[redo]))
        return sums


def _largest_square(bandwidth):
    """The largest squared distance that is not beyond the bandwidth, by the very arithmetic of `Distance.squares`."""
    square = bandwidth**2
    while np.nextafter(square, np.inf) / bandwidth**2 <= 1:
        square = np.nextafter(square, np.inf)
    return square
