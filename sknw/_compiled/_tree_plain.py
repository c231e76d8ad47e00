"""Tree plain: sums of one target over leaves of keys, in a loop for each of the two kernels used most, compiled."""

from __future__ import annotations

import numpy as np

from sknw._compiled._exp2 import exp2
from sknw._compiled._jit import EXACT, SUMS, jit, use_wide_vectors
from sknw._compiled._tree_leaves import KEYS, LEAVES, point_of, weighed

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "a8771929267f"

_LOG2_E = float(np.log2(np.e))

# Squared distances that keys are at most apart are drawn out by this, for their rounding.
_MARGIN = 1 + 1e-9


@jit(SUMS)
def add_gaussian(scale, factor, keys, values, leaf, points, chosen, units, n_chosen, sums):
    """Add the values of a leaf, weighed by the Gaussian in units of that at a squared distance, to some sums."""
    use_wide_vectors()
    rate = -0.5 * _LOG2_E * factor
    for i in range(n_chosen):
        row, one, two = chosen[i], 0.0, 0.0
        point, unit = point_of(scale, points, row), units[i]
        for k in range(KEYS):
            square = -unit
            for j in range(len(scale)):
                step = keys[leaf, j, k] - point[j]
                square += weighed(scale, j, step * step)
            weight = exp2(rate * square)
            one += weight * values[leaf, 0, k]
            two += weight * values[leaf, 1, k]
        sums[row, 0] += one
        sums[row, 1] += two


@jit(SUMS)
def add_epanechnikov(scale, factor, keys, values, leaf, points, chosen, n_chosen, sums):
    """Add the values of a leaf, weighed by the Epanechnikov kernel, to some sums."""
    use_wide_vectors()
    for i in range(n_chosen):
        row, one, two = chosen[i], 0.0, 0.0
        point = point_of(scale, points, row)
        for k in range(KEYS):
            square = 0.0
            for j in range(len(scale)):
                step = keys[leaf, j, k] - point[j]
                square += weighed(scale, j, step * step)
            weight = max(1.0 - factor * square, 0.0)
            one += weight * values[leaf, 0, k]
            two += weight * values[leaf, 1, k]
        sums[row, 0] += one
        sums[row, 1] += two


@jit(EXACT)
def excludes(excluded, rows, n_rows, leaf):
    """Whether a leaf has a key that does not count for one of some queries."""
    found = False
    for i in range(n_rows):
        found |= excluded[rows[i]] // KEYS == leaf
    return found


@jit(EXACT)
def add_whole(scale, factor, reach, boxes, moments, corners, points, excluded, start, stop, near, n_near, sums):
    """Add leaves that a group of queries reaches as a whole, by the Epanechnikov kernel, and keep the others in `near`.

    There the kernel is a polynomial, so that sums over keys are sums of their powers times powers of the query. These
    are taken about the middle of the group.

    Returns
    -------
    n_near : int
        How many are kept.
    """
    n_features, rows, total, n_kept = len(scale), np.arange(start, stop), np.zeros(moments.shape[1:]), 0
    for place in range(n_near):
        leaf, farthest = near[place], 0.0
        block, i = leaf // LEAVES, leaf % LEAVES
        for j in range(n_features):
            step = max(boxes[1, j, block, i] - corners[0, j], corners[1, j] - boxes[0, j, block, i])
            farthest += weighed(scale, j, step * step)
        if farthest * _MARGIN > reach or excludes(excluded, rows, len(rows), leaf):
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
