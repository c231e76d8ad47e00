"""Tree split: points in the order of leaves, compiled."""

from __future__ import annotations

import numpy as np

from sknw._compiled._jit import EXACT, jit

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "2afc299c2200"


@jit(EXACT)
def split(points, units, size):
    """Put points in such an order, in place, that each `size` of them are neighbours: a leaf.

    They are split across the widest coordinate, in these units, until leaves are left. Only the last leaf has fewer
    points, and leaves whose numbers have the same higher bits are neighbours.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features)
    units : ndarray of shape (n_features,)
    size : int

    Returns
    -------
    order : ndarray of shape (n_points,)
        Which point is where.
    """
    order = np.arange(len(points))
    starts, stops = np.empty(64, np.int64), np.empty(64, np.int64)
    starts[0], stops[0], n_left = 0, len(points), 1
    while n_left:
        n_left -= 1
        start, stop = starts[n_left], stops[n_left]
        half = size
        while 2 * half < stop - start:
            half *= 2
        if half >= stop - start:
            continue
        middle = start + half
        _partition(points, order, _widest(points, units, start, stop), start, stop, middle)
        starts[n_left], stops[n_left] = start, middle
        starts[n_left + 1], stops[n_left + 1] = middle, stop
        n_left += 2
    return order


@jit(EXACT)
def _widest(points, units, start, stop):
    """The coordinate of these points whose range is the widest."""
    widest, feature = -1.0, 0
    for j in range(points.shape[1]):
        low = high = points[start, j]
        for i in range(start + 1, stop):
            low, high = min(low, points[i, j]), max(high, points[i, j])
        width = (high - low) / units[j]
        if width > widest:
            widest, feature = width, j
    return feature


@jit(EXACT)
def _partition(points, order, feature, start, stop, middle):
    """Swap points until none before the middle has a larger coordinate than any after it."""
    low, high = start, stop - 1
    while low < high:
        quarter = (high - low) // 4
        one, two = points[low + quarter, feature], points[high - quarter, feature]
        pivot = max(min(one, two), min(max(one, two), points[(low + high) // 2, feature]))
        i, j = low, high
        while i <= j:
            while points[i, feature] < pivot:
                i += 1
            while points[j, feature] > pivot:
                j -= 1
            if i <= j:
                for k in range(points.shape[1]):
                    points[i, k], points[j, k] = points[j, k], points[i, k]
                order[i], order[j] = order[j], order[i]
                i, j = i + 1, j - 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return
