"""Tree groups: neighbouring queries that look for leaves of keys together, compiled."""

from __future__ import annotations

import numpy as np

from sknw._compiled._jit import EXACT, jit, keep_short, use_wide_vectors
from sknw._compiled._tree_leaves import KEYS, LEAVES, MARGIN, fill_gaps, point_of, weighed

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "38c1f129605d"

# Queries in a group, at most.
QUERIES = 32

# Leaves are met in the order of shells, by their distance.
SHELLS = 128

# Of what all far keys of a query may weigh, a leaf may have this share.
_SHARE = 1 / 64

# What single precision may be off by: an exponent, in relation to the largest square in it, and a weight, at least.
_ROUNDING, _LEAST = 2.0**-22, 2.0**-115

# The largest relative error of a weight in single precision.
_MAX_ERROR = 0.1


@jit(EXACT)
def find_near(scale, reach, points, start, stop, boxes, blocks, weight, corners, group, near, shells, further):
    """Fill in the leaves that may matter to a group, the nearest first, and their weight by shells; say how many."""
    keep_short()
    of_blocks, of_leaves = np.empty(blocks.shape[3]), np.empty(LEAVES)
    for j in range(len(scale)):
        corners[0, j], corners[1, j] = np.inf, -np.inf
        for row in range(start, stop):
            group[j, row - start] = points[row, j]
            corners[0, j], corners[1, j] = min(corners[0, j], points[row, j]), max(corners[1, j], points[row, j])
    low, high = point_of(scale, corners, 0), point_of(scale, corners, 1)
    found, shell_of, starts = np.empty(len(near), np.int64), np.empty(len(near), np.int64), np.zeros(SHELLS, np.int64)
    further.fill(0.0)
    n_near = 0
    fill_gaps(scale, blocks, 0, low, high, of_blocks)
    for block in range(len(of_blocks)):
        if of_blocks[block] > reach:
            continue
        fill_gaps(scale, boxes, block, low, high, of_leaves)
        for i in range(LEAVES):
            leaf = block * LEAVES + i
            if of_leaves[i] <= reach and weight[leaf] > 0:
                # The reach is zero where all keys are in one place.
                shell = min(int(of_leaves[i] / reach * SHELLS), SHELLS - 1) if of_leaves[i] > 0 else 0
                found[n_near], shell_of[n_near] = leaf, shell
                starts[shell] += 1
                further[shell] += weight[leaf]
                n_near += 1
    end = n_near
    for shell in range(SHELLS - 1, -1, -1):  # from counts to where they start
        end -= starts[shell]
        starts[shell] = end
    for i in range(n_near):
        shell = shell_of[i]
        near[starts[shell]], shells[starts[shell]] = found[i], shell
        starts[shell] += 1
    return n_near


@jit(EXACT)
def fill_group_gaps(scale, boxes, leaf, group, t0, start, stop, gaps):
    """Fill in squared distances that the keys of a leaf have at least from each query, less t0 if they are more."""
    block, i = leaf // LEAVES, leaf % LEAVES
    for row in range(stop - start):
        gaps[row] = 0.0
    for j in range(len(scale)):
        low, high = boxes[0, j, block, i], boxes[1, j, block, i]
        for row in range(stop - start):
            below, above = low - group[j, row], group[j, row] - high
            step = max(below if below > above else above, 0.0)
            gaps[row] += MARGIN * weighed(scale, j, step * step)
    for row in range(stop - start):
        gaps[row] = max(gaps[row] - t0[start + row], 0.0)


@jit(EXACT)
def fill_exponents(scale, factor, boxes, leaf, group, n_rows, exponents):
    """Fill in squared distances in bandwidths that the keys of a leaf have at most from each query; say the largest."""
    block, i, largest = leaf // LEAVES, leaf % LEAVES, 0.0
    for row in range(n_rows):
        exponents[row] = 0.0
    for j in range(len(scale)):
        low, high = boxes[0, j, block, i], boxes[1, j, block, i]
        for row in range(n_rows):
            step = max(group[j, row] - low, high - group[j, row])
            exponents[row] += factor * weighed(scale, j, step * step)
    for row in range(n_rows):
        largest = max(largest, exponents[row])
    return largest


@jit(EXACT)
def fill_edges(reach, highest, edges):
    """Fill in the squared distances where shells begin, less the highest that is a unit of sums."""
    keep_short()
    for shell in range(SHELLS):
        edges[shell] = max(reach * (shell / SHELLS) * MARGIN - highest, 0.0)


@jit(EXACT)
def fill_further(heights, further):
    """Replace the weight of each shell by what it and those behind it add to a sum at most."""
    keep_short()
    beyond = 0.0
    for shell in range(SHELLS - 1, -1, -1):
        beyond += further[shell] * heights[shell]
        further[shell] = beyond


@jit(EXACT)
def fill_totals(sums, start, stop, totals):
    """Fill in the sums of weights so far; say the lowest."""
    keep_short()
    lowest, last = np.inf, sums.shape[1] - 1
    for row in range(start, stop):
        totals[row - start] = sums[row, last]
        lowest = min(lowest, sums[row, last])
    return lowest


@jit(EXACT)
def choose(reached, weight, shares, spent, t0, start, n_rows, choices, chosen, rest):
    """Choose the queries to which a leaf matters, and the rest of them, for which single precision will do.

    Without branches, which nobody could predict.

    Parameters
    ----------
    reached : (gaps, bounds, exponents)
        Squared distances that keys are at least beyond the units of sums, their weights, and the squared distances in
        bandwidths that keys are at most from each query: infinite for double precision.
    weight : float
        That of the leaf.
    shares : (far, rough)
        What keys that are left out may weigh, in relation to a sum, and the errors of single precision.
    spent : (totals, left_out, rounded)
        The sums of weights so far, and what of both was used.
    choices : ndarray of shape (QUERIES,)
        To be used.
    chosen, rest : (rows, units)
        To be filled: which queries, and the units of their sums.

    Returns
    -------
    n_chosen, n_rest : int
    """
    use_wide_vectors()
    (gaps, bounds, exponents), (far, rough), (totals, left_out, rounded) = reached, shares, spent
    for i in range(n_rows):
        bound, total, is_near = bounds[i] * weight, totals[i], gaps[i] == 0
        error = _ROUNDING * (4 + exponents[i])
        inexact = bound * error + weight * _LEAST
        matters = is_near | (bound > min(_SHARE * far * total, far * total - left_out[i]))
        is_exact = is_near | (error > _MAX_ERROR)
        is_exact |= inexact > min(_SHARE * rough * total, rough * total - rounded[i])
        left_out[i] += 0.0 if matters else bound
        rounded[i] += inexact if matters & (not is_exact) else 0.0
        choices[i] = (1.0 if is_exact else 2.0) if matters else 0.0
    n_chosen, n_rest = 0, 0
    for i in range(n_rows):
        chosen[0][n_chosen], chosen[1][n_chosen] = start + i, t0[start + i]
        rest[0][n_rest], rest[1][n_rest] = start + i, t0[start + i]
        n_chosen += choices[i] == 1.0
        n_rest += choices[i] == 2.0
    return n_chosen, n_rest


@jit(EXACT)
def choose_in_reach(gaps, reach, t0, start, n_rows, rows, units):
    """Choose the queries to which a leaf matters, by a kernel that ends; say how many."""
    n_chosen = 0
    for i in range(n_rows):
        rows[n_chosen], units[n_chosen] = start + i, t0[start + i]
        n_chosen += gaps[i] <= reach
    return n_chosen


@jit(EXACT)
def excludes(excluded, start, stop, leaf):
    """Whether a leaf has a key that does not count for one of the queries from start to stop."""
    keep_short()
    found = False
    for row in range(start, stop):
        found |= excluded[row] // KEYS == leaf
    return found
