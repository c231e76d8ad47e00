"""Tree Epanechnikov: sums of one target by the Epanechnikov kernel, over leaves of neighbouring keys, compiled."""

from __future__ import annotations

import numpy as np

from sknw._compiled._jit import EXACT, SUMS, jit, use_wide_vectors
from sknw._compiled._tree_groups import QUERIES, SHELLS, choose_in_reach, excludes, fill_group_gaps, find_near
from sknw._compiled._tree_leaves import KEYS, LEAVES, point_of, weighed

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "5cdbbb5dfccc"

# Squared distances that keys are at most apart are drawn out by this, for their rounding.
_MARGIN = 1 + 1e-9


@jit(EXACT)
def fill_epanechnikov_sums(scale, factor, reach, leaves, queries, sums):
    """Add up the sums of some queries, of which each QUERIES are a group, as `fill_sums` does."""
    keys, values, boxes, blocks, weight, moments = leaves
    points, excluded, t0 = queries
    near, shells, further = np.empty(len(weight), np.int64), np.empty(len(weight), np.int64), np.empty(SHELLS)
    corners, group, gaps = np.empty((2, len(scale))), np.empty((len(scale), QUERIES)), np.empty(QUERIES)
    rows, units = np.empty(QUERIES, np.int64), np.empty(QUERIES)
    for number in range(len(reach)):
        start, stop = number * QUERIES, min((number + 1) * QUERIES, len(points))
        n_near = find_near(
            scale, reach[number], points, start, stop, boxes, blocks, weight, corners, group, near, shells, further
        )
        n_near = _add_whole(
            scale, factor, reach[number], boxes, moments, corners, points, excluded, start, stop, near, n_near, sums
        )
        for place in range(n_near):
            leaf = near[place]
            fill_group_gaps(scale, boxes, leaf, group, t0, start, stop, gaps)
            n_chosen = choose_in_reach(gaps, reach[number], t0, start, stop - start, rows, units)
            if excludes(excluded, start, stop, leaf):
                _add(scale, factor, keys, values, leaf, points, excluded, rows, n_chosen, sums)
            else:
                _add(scale, factor, keys, values, leaf, points, None, rows, n_chosen, sums)


@jit(SUMS)
def _add(scale, factor, keys, values, leaf, points, excluded, rows, n_chosen, sums):
    """Add the values of a leaf, weighed by the Epanechnikov kernel, to some sums.

    Without the key that does not count. Where there is none, `excluded` is None: that is compiled for itself, for to
    look for one takes a third longer.
    """
    use_wide_vectors()
    for i in range(n_chosen):
        row, one, two, hit = rows[i], 0.0, 0.0, -1
        point = point_of(scale, points, row)
        if excluded is not None:
            hit = excluded[row] - leaf * KEYS
        for k in range(KEYS):
            square = 0.0
            for j in range(len(scale)):
                step = keys[leaf, j, k] - point[j]
                square += weighed(scale, j, step * step)
            weight = max(1.0 - factor * square, 0.0)
            if excluded is not None:
                weight = 0.0 if k == hit else weight
            one += weight * values[leaf, 0, k]
            two += weight * values[leaf, 1, k]
        sums[row, 0] += one
        sums[row, 1] += two


@jit(EXACT)
def _add_whole(scale, factor, reach, boxes, moments, corners, points, excluded, start, stop, near, n_near, sums):
    """Add leaves that a group of queries reaches as a whole, by the Epanechnikov kernel, and keep the others in `near`.

    There the kernel is a polynomial, so that sums over keys are sums of their powers times powers of the query. These
    are taken about the middle of the group.

    Returns
    -------
    n_near : int
        How many are kept.
    """
    n_features, total, n_kept = len(scale), np.zeros(moments.shape[1:]), 0
    for place in range(n_near):
        leaf, farthest = near[place], 0.0
        block, i = leaf // LEAVES, leaf % LEAVES
        for j in range(n_features):
            step = max(boxes[1, j, block, i] - corners[0, j], corners[1, j] - boxes[0, j, block, i])
            farthest += weighed(scale, j, step * step)
        if farthest * _MARGIN > reach or excludes(excluded, start, stop, leaf):
            near[n_kept] = leaf
            n_kept += 1
            continue
        for column in range(total.shape[1]):
            total[0, column] += moments[leaf, 0, column]
            for j in range(n_features):
                step = (boxes[0, j, block, i] + boxes[1, j, block, i]) / 2 - (corners[0, j] + corners[1, j]) / 2
                once = moments[leaf, 1 + j, column] + step * moments[leaf, 0, column]
                twice = moments[leaf, 1 + n_features + j, column] + step * (moments[leaf, 1 + j, column] + once)
                total[1 + j, column] += once
                total[1 + n_features + j, column] += twice
    for row in range(start, stop if n_kept < n_near else start):
        for column in range(total.shape[1]):
            square = 0.0
            for j in range(n_features):
                step = points[row, j] - (corners[0, j] + corners[1, j]) / 2
                twice = total[1 + n_features + j, column] - step * (2 * total[1 + j, column] - step * total[0, column])
                square += weighed(scale, j, twice)
            sums[row, column] += total[0, column] - factor * square
    return n_kept
