"""Tree leaves: distances to leaves of keys and to the keys in them, compiled.

What depends on the number of features takes a tuple, `scale`, of so many numbers, so that it is compiled for it.
Squared differences of coordinates are multiplied by them if they are floats, and left as they are if they are integers.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from sknw._compiled._jit import EXACT, SUMS, jit

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "2afc299c2200"

# Keys in a leaf: a constant, so that loops over them have no rest.
KEYS = 64

# Leaves in a block.
LEAVES = 32

# Squared distances that boxes and keys are at least apart are drawn in by this, for their rounding.
MARGIN = 1 - 1e-9


def point_of(scale, points, i):
    """The point of a row, as a tuple like `scale`."""
    raise NotImplementedError("It is called by compiled functions.")


_POINTS = {
    1: lambda scale, points, i: (points[i, 0],),
    2: lambda scale, points, i: (points[i, 0], points[i, 1]),
    3: lambda scale, points, i: (points[i, 0], points[i, 1], points[i, 2]),
    4: lambda scale, points, i: (points[i, 0], points[i, 1], points[i, 2], points[i, 3]),
    5: lambda scale, points, i: (points[i, 0], points[i, 1], points[i, 2], points[i, 3], points[i, 4]),
    6: lambda scale, points, i: (points[i, 0], points[i, 1], points[i, 2], points[i, 3], points[i, 4], points[i, 5]),
}


@overload(point_of)
def _point_of(scale, points, i):
    return _POINTS[len(scale)]


def weighed(scale, j, square):
    """What the square of a difference in one coordinate adds to a squared distance."""
    raise NotImplementedError("It is called by compiled functions.")


@overload(weighed, jit_options={"fastmath": EXACT, "error_model": "numpy"})
def _weighed(scale, j, square):
    if isinstance(scale.dtype, types.Integer):
        return lambda scale, j, square: square
    return lambda scale, j, square: scale[j] * square


@jit(EXACT)
def fill_gaps(scale, boxes, block, low, high, gaps):
    """Fill `gaps` with squared distances that no point in a box, and none in those of a block, come below."""
    for i in range(len(gaps)):
        gaps[i] = 0.0
    for j in range(len(scale)):
        low_j, high_j = low[j], high[j]
        for i in range(len(gaps)):
            below, above = boxes[0, j, block, i] - high_j, low_j - boxes[1, j, block, i]
            step = max(below if below > above else above, 0.0)
            gaps[i] += MARGIN * weighed(scale, j, step * step)


@jit(EXACT)
def fill_near_squares(scale, keys, values, boxes, blocks, points, excluded, slack, squares):
    """Fill in the squared distance of a key, of which no key is nearer by more than `slack`; inf if there is none.

    keys : ndarray of shape (n_leaves, n_features, KEYS)
        Leaves are filled up with keys that have no values.
    values : ndarray of shape (n_leaves, n_outputs + 1, KEYS)
    boxes, blocks : ndarrays of shape (2, n_features, n_blocks, LEAVES), (2, n_features, 1, n_blocks)
        The lowest and highest corners of leaves, and of blocks of them.
    points : ndarray of shape (n_queries, n_features)
    excluded : ndarray of shape (n_queries,) of int
        For each the place of a key that does not count, or -1.
    squares : ndarray of shape (n_queries,)
    """
    of_blocks, of_leaves = np.empty(blocks.shape[3]), np.empty(LEAVES)
    for row in range(len(points)):
        point, square, nearest = point_of(scale, points, row), np.inf, 0
        fill_gaps(scale, blocks, 0, point, point, of_blocks)
        for block in range(len(of_blocks)):
            nearest = block if of_blocks[block] < of_blocks[nearest] else nearest
        # The nearest leaf of the nearest block, then whatever may be nearer.
        for number in range(-1, len(of_blocks)):
            block, best = nearest if number < 0 else number, 0
            if of_blocks[block] >= square - slack:
                continue
            fill_gaps(scale, boxes, block, point, point, of_leaves)
            for i in range(LEAVES):
                best = i if of_leaves[i] < of_leaves[best] else best
            for i in range(-1, LEAVES):
                leaf = best if i < 0 else i
                if of_leaves[leaf] < square - slack:
                    leaf += block * LEAVES
                    square = min(square, _nearest_in_leaf(scale, keys, values, leaf, point, excluded[row]))
        squares[row] = square


@jit(SUMS)
def _nearest_in_leaf(scale, keys, values, leaf, point, excluded):
    """The least squared distance of a key in a leaf, inf if none counts."""
    last, lowest = values.shape[1] - 1, np.inf
    for i in range(KEYS):
        total = 0.0
        for j in range(len(scale)):
            step = keys[leaf, j, i] - point[j]
            total += weighed(scale, j, step * step)
        counts = (values[leaf, last, i] > 0) & (leaf * KEYS + i != excluded)
        lowest = min(lowest, total if counts else np.inf)
    return lowest


@jit(EXACT)
def add_nearest(scale, keys, values, boxes, blocks, points, excluded, squares, sums):
    """Add up the values of the keys whose squared distances are at most so much."""
    of_blocks, of_leaves = np.empty(blocks.shape[3]), np.empty(LEAVES)
    for row in range(len(points)):
        point, highest = point_of(scale, points, row), squares[row]
        fill_gaps(scale, blocks, 0, point, point, of_blocks)
        for block in range(len(of_blocks) if highest < np.inf else 0):
            if of_blocks[block] > highest:
                continue
            fill_gaps(scale, boxes, block, point, point, of_leaves)
            for i in range(LEAVES * KEYS):
                leaf, place, total = block * LEAVES + i // KEYS, block * LEAVES * KEYS + i, 0.0
                if of_leaves[i // KEYS] > highest:
                    continue
                for j in range(len(scale)):
                    step = keys[leaf, j, i % KEYS] - point[j]
                    total += weighed(scale, j, step * step)
                if total <= highest and place != excluded[row]:
                    for column in range(sums.shape[1]):
                        sums[row, column] += values[leaf, column, i % KEYS]
