"""Tree sums: kernel sums of groups of neighbouring queries over leaves of neighbouring keys, compiled."""

from __future__ import annotations

import numpy as np

from sknw._compiled._jit import EXACT, SUMS, jit, use_wide_vectors
from sknw._compiled._tree_groups import (
    QUERIES,
    SHELLS,
    choose,
    choose_in_reach,
    fill_edges,
    fill_further,
    fill_group_gaps,
    fill_totals,
    find_near,
)
from sknw._compiled._tree_leaves import KEYS, LEAVES, fill_gaps, point_of, weighed
from sknw._compiled._weights import fill_weights

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "db62dde95e6c"


@jit(EXACT)
def fill_sums(scale, kernel, far, ends, leaves, terms, queries, sums):
    """Add up the sums of some queries, of which each QUERIES are a group.

    Parameters
    ----------
    scale : tuple of n_features numbers
        Floats that squared differences of coordinates are multiplied by, or any integers.
    kernel : (int, float)
        What `fill_weights` calls it, and a factor of squared distances.
    far : float
        What keys that are left out may weigh, in relation to a sum; zero for a kernel that ends.
    ends : (reach, highest)
        Of each group, the squared distance beyond which no key matters, and one within which each query has a key, or
        zero.
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
    keys, values, boxes, blocks, weight, _ = leaves
    (kind, factor), (reach, highest), (points, excluded, t0) = kernel, ends, queries
    near, shells, further = np.empty(len(weight), np.int64), np.empty(len(weight), np.int64), np.empty(SHELLS)
    corners, group = np.empty((2, len(scale))), np.empty((len(scale), QUERIES))
    edges, heights = np.empty(SHELLS), np.empty(SHELLS)
    chosen, rest = (np.empty(QUERIES, np.int64), np.empty(QUERIES)), (np.empty(QUERIES, np.int64), np.empty(QUERIES))
    gaps, bounds, totals, left_out = np.empty(QUERIES), np.empty(QUERIES), np.empty(QUERIES), np.empty(QUERIES)
    reached, spent, choices = (
        (gaps, bounds, np.full(QUERIES, np.inf)),
        (totals, left_out, np.zeros(QUERIES)),
        np.empty(QUERIES),
    )
    columns, squares, weights = np.empty((sums.shape[1], KEYS)), np.empty((QUERIES, KEYS)), np.empty((QUERIES, KEYS))
    for number in range(len(reach)):
        start, stop = number * QUERIES, min((number + 1) * QUERIES, len(points))
        n_near = find_near(
            scale, reach[number], points, start, stop, boxes, blocks, weight, corners, group, near, shells, further
        )
        left_out.fill(0.0)
        if far > 0:
            fill_edges(reach[number], highest[number], edges)
            _fill_rows(kind, factor, highest, number, 1, SHELLS, edges, heights)
            fill_further(heights, further)
        for place in range(n_near):
            leaf = near[place]
            fill_group_gaps(scale, boxes, leaf, group, t0, start, stop, gaps)
            if far > 0:
                if further[shells[place]] <= far * fill_totals(sums, start, stop, totals):
                    break
                _fill_rows(kind, factor, t0, start, stop - start, 1, gaps, bounds)
                n_chosen, _ = choose(
                    reached, weight[leaf], (far, 0.0), spent, t0, start, stop - start, choices, chosen, rest
                )
            else:
                n_chosen = choose_in_reach(gaps, reach[number], t0, start, stop - start, *chosen)
            _fill_columns(keys, values, leaf, terms, columns)
            for i in range(n_chosen):
                point = point_of(scale, points, chosen[0][i])
                fill_squares(scale, keys, leaf, point, chosen[1][i], squares, i)
            _fill_rows(kind, factor, chosen[1], 0, n_chosen, KEYS, squares.reshape(-1), weights.reshape(-1))
            _add(weights, n_chosen, chosen[0], columns, excluded, leaf, sums)


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
def _fill_columns(keys, values, leaf, terms, columns):
    """Make the columns that are summed over a leaf."""
    roots, factors, origin = terms
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
