"""Tree Gaussian: sums of one target weighed by the Gaussian, over leaves of neighbouring keys, compiled."""

from __future__ import annotations

import numpy as np

from sknw._accuracy import TREE_PRODUCT
from sknw._compiled._exp2 import exp2
from sknw._compiled._jit import EXACT, SUMS, jit, keep_short, use_wide_vectors
from sknw._compiled._tree_groups import (
    QUERIES,
    SHELLS,
    choose,
    excludes,
    fill_edges,
    fill_exponents,
    fill_further,
    fill_group_gaps,
    fill_totals,
    find_near,
)
from sknw._compiled._tree_leaves import KEYS, LEAVES, point_of, weighed

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "fd6ad6951af2"

_RATE = -0.5 * float(np.log2(np.e))

# The largest squared distance in bandwidths that products tell.
_MAX_EXPONENT = TREE_PRODUCT * 2.0**51


@jit(EXACT)
def fill_gaussian_sums(scale, factor, shares, ends, leaves, seen, queries, sums):
    """Add up the sums of some queries, of which each QUERIES are a group; as `fill_sums`, but for what follows.

    Parameters
    ----------
    shares : (far, rough)
        What keys that are left out may weigh, in relation to a sum, and the errors of those summed in single precision.
    seen : ((about, values), (about, values))
        What `_add_products` takes, in double and in single precision.
    """
    keys, values, boxes, blocks, weight, _ = leaves
    (reach, highest), (points, excluded, t0), (double, single) = ends, queries, seen
    near, shells, further = np.empty(len(weight), np.int64), np.empty(len(weight), np.int64), np.empty(SHELLS)
    corners, group = np.empty((2, len(scale))), np.empty((len(scale), QUERIES))
    edges, heights = np.empty(SHELLS), np.empty(SHELLS)
    chosen, rest = (np.empty(QUERIES, np.int64), np.empty(QUERIES)), (np.empty(QUERIES, np.int64), np.empty(QUERIES))
    gaps, bounds, exponents, choices = np.empty(QUERIES), np.empty(QUERIES), np.empty(QUERIES), np.empty(QUERIES)
    totals, left_out, rounded = np.empty(QUERIES), np.empty(QUERIES), np.empty(QUERIES)
    reached, spent = (gaps, bounds, exponents), (totals, left_out, rounded)
    slopes, slopes_single = np.empty(len(scale)), np.empty(len(scale), np.float32)
    for number in range(len(reach)):
        start, stop = number * QUERIES, min((number + 1) * QUERIES, len(points))
        n_near = find_near(
            scale, reach[number], points, start, stop, boxes, blocks, weight, corners, group, near, shells, further
        )
        left_out.fill(0.0)
        rounded.fill(0.0)
        fill_edges(reach[number], highest[number], edges)
        _fill_powers(factor, edges, heights)
        fill_further(heights, further)
        for place in range(n_near):
            leaf = near[place]
            if further[shells[place]] <= shares[0] * fill_totals(sums, start, stop, totals):
                break
            fill_group_gaps(scale, boxes, leaf, group, t0, start, stop, gaps)
            _fill_powers(factor, gaps, bounds)
            largest = fill_exponents(scale, factor, boxes, leaf, group, stop - start, exponents)
            by_differences = largest > _MAX_EXPONENT or excludes(excluded, start, stop, leaf)
            if by_differences:
                exponents.fill(np.inf)
            n_chosen, n_rest = choose(
                reached, weight[leaf], shares, spent, t0, start, stop - start, choices, chosen, rest
            )
            if by_differences:
                _add_differences(scale, factor, keys, values, leaf, points, excluded, chosen, n_chosen, sums)
            else:
                _add_products(scale, factor, boxes, double, leaf, points, chosen, n_chosen, slopes, sums)
                _add_products(scale, factor, boxes, single, leaf, points, rest, n_rest, slopes_single, sums)


@jit(EXACT)
def _fill_powers(factor, squares, powers):
    """The Gaussian at squared distances."""
    use_wide_vectors()
    for i in range(len(squares)):
        powers[i] = exp2(_RATE * factor * squares[i])


@jit(SUMS)
def _add_products(scale, factor, boxes, seen, leaf, points, chosen, n_chosen, slopes, sums):
    """Add the values of a leaf, weighed by the Gaussian in units of that at a squared distance, to some sums.

    Squared distances are taken from products of coordinates, seen from the middle of the leaf.

    Parameters
    ----------
    seen : (about, values)
        Such coordinates of keys, and the logarithms to base two of their weights at the middle:
        (n_leaves, n_features + 1, KEYS). And (n_leaves, 2, KEYS).
    slopes : ndarray of shape (n_features,)
        To be used, of the dtype of both.
    """
    use_wide_vectors()
    (about, values), (rows, units) = seen, chosen
    number, n_features, block, place = about.dtype.type, len(scale), leaf // LEAVES, leaf % LEAVES
    for i in range(n_chosen):
        row, one, two, square = rows[i], number(0), number(0), -units[i]
        for j in range(n_features):
            step = points[row, j] - (boxes[0, j, block, place] + boxes[1, j, block, place]) / 2
            square += weighed(scale, j, step * step)
            slopes[j] = -2 * _RATE * factor * weighed(scale, j, step)
        constant = number(_RATE * factor * square)
        for k in range(KEYS):
            power = constant + about[leaf, n_features, k]
            for j in range(n_features):
                power += slopes[j] * about[leaf, j, k]
            weight = exp2(power)
            one += weight * values[leaf, 0, k]
            two += weight * values[leaf, 1, k]
        sums[row, 0] += one
        sums[row, 1] += two


@jit(SUMS)
def _add_differences(scale, factor, keys, values, leaf, points, excluded, chosen, n_chosen, sums):
    """The same, by differences of coordinates and without the key that does not count."""
    keep_short()
    rows, units = chosen
    for i in range(n_chosen):
        row, one, two = rows[i], 0.0, 0.0
        point, unit, hit = point_of(scale, points, row), units[i], excluded[row] - leaf * KEYS
        for k in range(KEYS):
            square = -unit
            for j in range(len(scale)):
                step = keys[leaf, j, k] - point[j]
                square += weighed(scale, j, step * step)
            weight = 0.0 if k == hit else exp2(_RATE * factor * square)
            one += weight * values[leaf, 0, k]
            two += weight * values[leaf, 1, k]
        sums[row, 0] += one
        sums[row, 1] += two
