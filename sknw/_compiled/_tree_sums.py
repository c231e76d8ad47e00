"""Tree sums: kernel sums of groups of neighbouring queries over leaves of neighbouring keys, compiled."""

from __future__ import annotations

import numpy as np

from sknw._compiled._jit import EXACT, SUMS, jit, use_wide_vectors
from sknw._compiled._kinds import KINDS
from sknw._compiled._tree_leaves import KEYS, LEAVES, MARGIN, fill_gaps, point_of, weighed
from sknw._compiled._tree_plain import add_epanechnikov, add_gaussian, add_whole, excludes
from sknw._compiled._weights import fill_weights

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "c7c4e9d35cce"

# Queries in a group, at most: neighbours, which look for leaves together.
QUERIES = 32

# Leaves are met in the order of shells, by their distance.
_SHELLS = 128

# Of what all far keys of a query may weigh, a leaf may have this share.
_SHARE = 1 / 64

_GAUSSIAN, _EPANECHNIKOV = KINDS["gaussian"], KINDS["epanechnikov"]


@jit(EXACT)
def fill_sums(scale, kernel, limits, leaves, terms, queries, sums):
    """Add up the sums of some queries, of which each QUERIES are a group.

    Parameters
    ----------
    scale : tuple of n_features numbers
        Floats that squared differences of coordinates are multiplied by, or any integers.
    kernel : (int, float)
        What `fill_weights` calls it, and a factor of squared distances.
    limits : (far, reach, highest)
        What keys that are left out may weigh, in relation to a sum. Of each group, the squared distance beyond which no
        key matters, and one within which each query has a key, or zero.
    leaves : (keys, values, boxes, blocks, weight, moments)
        The first four as `fill_near_squares` takes them; the total weight of each leaf; and sums over each of the
        values, of these times coordinates, and times their squares, about its middle:
        (n_leaves, 1 + 2 * n_features, n_outputs + 1).
    terms : (roots, factors, origin)
        Each column that is summed is a row of the values, or another column times a coordinate: its number, and that of
        the coordinate, or -1. Coordinates are seen from the origin.
    queries : (points, excluded, t0)
        Of shape (n_queries, n_features); for each the place of a key that does not count, or -1; and the squared
        distance whose kernel is the unit of its sums: of a near key, or zero.
    sums : ndarray of shape (n_queries, n_columns)
        Of zeros, to be added to.
    """
    (kind, factor), (far, reach, highest), (roots, factors, origin) = kernel, limits, terms
    keys, values, boxes, blocks, weight, moments = leaves
    points, excluded, t0 = queries
    near, shells, further = np.empty(len(weight), np.int64), np.empty(len(weight), np.int64), np.empty(_SHELLS)
    group, chosen, units = np.empty((len(scale), QUERIES)), np.empty(QUERIES, np.int64), np.empty(QUERIES)
    left_out, gaps, bounds = np.empty(QUERIES), np.empty(QUERIES), np.empty(QUERIES)
    columns, squares, weights = np.empty((sums.shape[1], KEYS)), np.empty((QUERIES, KEYS)), np.empty((QUERIES, KEYS))
    corners, some_excluded, last = np.empty((2, len(scale))), excluded.max() >= 0, sums.shape[1] - 1
    is_plain = kind in (_GAUSSIAN, _EPANECHNIKOV) and len(factors) == 2 and factors.max() < 0
    for number in range(len(reach)):
        start, stop = number * QUERIES, min((number + 1) * QUERIES, len(points))
        n_near = find_near(
            scale, reach[number], points, start, stop, boxes, blocks, weight, corners, group, near, shells, further
        )
        left_out.fill(0.0)
        if far > 0:
            _fill_further(kind, factor, reach[number], highest[number : number + 1], further)
        elif is_plain:
            n_near = add_whole(
                scale, factor, reach[number], boxes, moments, corners, points, excluded, start, stop, near, n_near, sums
            )
        for place in range(n_near):
            leaf, lowest = near[place], np.inf
            _fill_group_gaps(scale, boxes, leaf, group, t0, start, stop, gaps)
            if far > 0:
                for row in range(start, stop):
                    lowest = min(lowest, sums[row, last])
                if further[shells[place]] <= far * lowest:
                    break
                _fill_rows(kind, factor, t0, start, stop - start, 1, gaps, bounds)
                n_chosen = _choose(gaps, bounds, weight[leaf], far, sums, t0, start, stop, left_out, chosen, units)
            else:
                n_chosen = _choose_in_reach(gaps, reach[number], t0, start, stop, chosen, units)
            if not is_plain or (some_excluded and excludes(excluded, chosen, n_chosen, leaf)):
                _fill_columns(keys, values, leaf, roots, factors, origin, columns)
                for i in range(n_chosen):
                    fill_squares(scale, keys, leaf, point_of(scale, points, chosen[i]), units[i], squares, i)
                _fill_rows(kind, factor, units, 0, n_chosen, KEYS, squares.reshape(-1), weights.reshape(-1))
                _add(weights, n_chosen, chosen, columns, excluded, leaf, sums)
            elif kind == _GAUSSIAN:
                add_gaussian(scale, factor, keys, values, leaf, points, chosen, units, n_chosen, sums)
            else:
                add_epanechnikov(scale, factor, keys, values, leaf, points, chosen, n_chosen, sums)


@jit(EXACT)
def _fill_rows(kind, factor, t0, start, n_rows, size, squares, weights):
    """Fill in the weights of rows of squared distances less t0, each of which has its own t0, and so many squares."""
    first = 0
    for row in range(1, n_rows + 1):
        if row == n_rows or t0[start + row] != t0[start + first]:
            some = slice(first * size, row * size)
            fill_weights(kind, factor, t0[start + first], squares[some], weights[some])
            first = row


@jit(EXACT)
def _fill_further(kind, factor, reach, highest, further):
    """Replace the weight of each shell by what it and those behind it add to a sum at most."""
    edges, heights, beyond = np.empty(_SHELLS), np.empty(_SHELLS), 0.0
    for shell in range(_SHELLS):
        edges[shell] = max(reach * (shell / _SHELLS) * MARGIN - highest[0], 0.0)
    _fill_rows(kind, factor, highest, 0, 1, _SHELLS, edges, heights)
    for shell in range(_SHELLS - 1, -1, -1):
        beyond += further[shell] * heights[shell]
        further[shell] = beyond


@jit(EXACT)
def find_near(scale, reach, points, start, stop, boxes, blocks, weight, corners, group, near, shells, further):
    """Fill in the leaves that may matter to a group, the nearest first, and their weight by shells; say how many."""
    of_blocks, of_leaves = np.empty(blocks.shape[3]), np.empty(LEAVES)
    for j in range(len(scale)):
        corners[0, j], corners[1, j] = np.inf, -np.inf
        for row in range(start, stop):
            group[j, row - start] = points[row, j]
            corners[0, j], corners[1, j] = min(corners[0, j], points[row, j]), max(corners[1, j], points[row, j])
    low, high = point_of(scale, corners, 0), point_of(scale, corners, 1)
    found, shell_of, starts = np.empty(len(near), np.int64), np.empty(len(near), np.int64), np.zeros(_SHELLS, np.int64)
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
                shell = min(int(of_leaves[i] / reach * _SHELLS), _SHELLS - 1)
                found[n_near], shell_of[n_near] = leaf, shell
                starts[shell] += 1
                further[shell] += weight[leaf]
                n_near += 1
    end = n_near
    for shell in range(_SHELLS - 1, -1, -1):  # from counts to where they start
        end -= starts[shell]
        starts[shell] = end
    for i in range(n_near):
        shell = shell_of[i]
        near[starts[shell]], shells[starts[shell]] = found[i], shell
        starts[shell] += 1
    return n_near


@jit(EXACT)
def _fill_group_gaps(scale, boxes, leaf, group, t0, start, stop, gaps):
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
def _choose(gaps, bounds, weight, far, sums, t0, start, stop, left_out, chosen, units):
    """Choose the queries to which a leaf matters: without branches, which nobody could predict."""
    n_chosen, last = 0, sums.shape[1] - 1
    for i in range(stop - start):
        bound, allowed = bounds[i] * weight, far * sums[start + i, last]
        matters = (gaps[i] == 0) | (bound > min(_SHARE * allowed, allowed - left_out[i]))
        left_out[i] += 0.0 if matters else bound
        chosen[n_chosen], units[n_chosen] = start + i, t0[start + i]
        n_chosen += matters
    return n_chosen


@jit(EXACT)
def _choose_in_reach(gaps, reach, t0, start, stop, chosen, units):
    """The same for a kernel that ends."""
    n_chosen = 0
    for i in range(stop - start):
        chosen[n_chosen], units[n_chosen] = start + i, t0[start + i]
        n_chosen += gaps[i] <= reach
    return n_chosen


@jit(EXACT)
def _fill_columns(keys, values, leaf, roots, factors, origin, columns):
    """Make the columns that are summed over a leaf."""
    for column in range(len(columns) - 1, -1, -1):
        root, j = roots[column], factors[column]
        if j < 0:
            for k in range(KEYS):
                columns[column, k] = values[leaf, root, k]
        else:
            for k in range(KEYS):
                columns[column, k] = columns[root, k] * (keys[leaf, j, k] - origin[j])


@jit(EXACT)
def fill_squares(scale, keys, leaf, point, t0, squares, row):
    """Fill in the squared distances of the keys of a leaf, less t0."""
    use_wide_vectors()
    for i in range(KEYS):
        total = -t0
        for j in range(len(scale)):
            step = keys[leaf, j, i] - point[j]
            total += weighed(scale, j, step * step)
        squares[row, i] = total


@jit(SUMS)
def _add(weights, n_chosen, chosen, columns, excluded, leaf, sums):
    """Add the weighted columns of a leaf to the sums of the chosen queries."""
    use_wide_vectors()
    for i in range(n_chosen):
        row = chosen[i]
        place = excluded[row] - leaf * KEYS
        if 0 <= place < KEYS:
            weights[i, place] = 0.0
        for column in range(0, len(columns) - 1, 2):  # two at a time: the weights are read once
            one, two = 0.0, 0.0
            for k in range(KEYS):
                one += weights[i, k] * columns[column, k]
                two += weights[i, k] * columns[column + 1, k]
            sums[row, column] += one
            sums[row, column + 1] += two
        if len(columns) % 2:
            one, last = 0.0, len(columns) - 1
            for k in range(KEYS):
                one += weights[i, k] * columns[last, k]
            sums[row, last] += one


@jit(EXACT)
def tell_edges(scale, keys, boxes, blocks, points, rows, reach, edge, told):
    """Tell, of the queries of some rows, whether the squared distance of a key is about the reach by so much."""
    of_blocks, of_leaves, squares = np.empty(blocks.shape[3]), np.empty(LEAVES), np.empty((1, KEYS))
    for row in rows:
        point = point_of(scale, points, row)
        fill_gaps(scale, blocks, 0, point, point, of_blocks)
        for block in range(len(of_blocks)):
            if of_blocks[block] > reach + edge:
                continue
            fill_gaps(scale, boxes, block, point, point, of_leaves)
            for i in range(LEAVES):
                if of_leaves[i] <= reach + edge:
                    fill_squares(scale, keys, block * LEAVES + i, point, reach, squares, 0)
                    for k in range(KEYS):
                        told[row] |= abs(squares[0, k]) <= edge
