"""Series: moments of keys in cells, and the series of queries' cells, compiled."""

from __future__ import annotations

import numpy as np

from sknw._compiled._jit import SUMS, jit, use_wide_vectors

_BUILT_ON = "2afc299c2200"

# Keys that are worked on together: their Chebyshev polynomials stay in the cache, and are computed several at a time.
_BLOCK = 64

# Terms of a series: a number that is known when loops over them are compiled.
TERMS = 16


@jit(SUMS)
def sum_moments(x, values, before, cell, width, moments):
    """Add up values times Chebyshev polynomials of the offsets of keys in their cells.

    x : array of shape (n_keys,), in ascending order
    values : array of shape (n_keys, n_values)
    before : array of shape (n_cells + 1,), how many keys are before each cell
    cell : array of shape (n_cells,), the numbers of the cells, which are `width` wide
    moments : array of shape (n_values, n_cells + 1, n_terms), which is added to
    """
    use_wide_vectors()
    n_values = len(moments)
    offset, last, this, value = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK), np.empty((n_values, _BLOCK))
    for i in range(len(cell)):
        for start in range(before[i], before[i + 1], _BLOCK):
            size = min(before[i + 1] - start, _BLOCK)
            for j in range(_BLOCK):
                key = min(start + j, start + size - 1)
                offset[j] = 2 * (x[key] / width - cell[i]) - 1
                last[j], this[j] = offset[j], 1.0
                for v in range(n_values):
                    value[v, j] = values[key, v] if j < size else 0.0
            for k in range(TERMS):
                for v in range(n_values):
                    total = 0.0
                    for j in range(_BLOCK):
                        total += this[j] * value[v, j]
                    moments[v, i, k] += total
                for j in range(_BLOCK):
                    after = 2 * offset[j] * this[j] - last[j]
                    last[j] = this[j]
                    this[j] = after


@jit(SUMS)
def evaluate(points, cells, series, bound, limits, excluded, keys, at_zero, values, found):
    """Fill `values` with the series of each point's cell, and `found` with whether it has one that is exact enough.

    points : array of shape (n,), in any order
    cells : (number, row, start, step, width)
        The numbers of cells that have keys, in ascending order; which series is that of each, or -1; and, for every so
        many numbers of cells (a step), how many cells are before them.
    series : array of shape (n_series, n_values, TERMS)
    bound : array of shape (n_series,), on the errors of weights
    limits : (low, high, tolerance)
        Points beyond these are not found; errors are tolerated up to this share of a sum.
    excluded : array of shape (n,), or (0,) for none
        The rank of a key that does not count, or -1. A point that is not at this key is not found.
    keys : (x, values), of keys by their rank
    at_zero : float, K(0)
    """
    use_wide_vectors()
    number, row, start, step, width = cells
    low, high, tolerance = limits
    x, key_values = keys
    n_values, terms = series.shape[1], np.empty(TERMS)
    for i in range(len(points)):
        found[i] = False
        position = points[i] / width
        cell = np.floor(position)
        group = np.floor((cell - number[0]) / step)
        if not (low <= points[i] <= high and 0 <= group < len(start) - 1):
            continue
        at, n = start[int(group)], start[int(group) + 1] - start[int(group)]
        while n > 1:
            half = n // 2
            at = at + half if number[at + half] <= cell else at
            n -= half
        if n == 0 or number[at] != cell or row[at] < 0:
            continue
        s = row[at]
        terms[0], terms[1] = 1.0, 2 * (position - cell) - 1
        for k in range(2, TERMS):
            terms[k] = 2 * terms[k // 2] * terms[k - k // 2] - terms[k % 2]
        for v in range(n_values):
            total = 0.0
            for k in range(TERMS):
                total += series[s, v, k] * terms[k]
            values[i, v] = total
        error, gone = bound[s], excluded[i] if len(excluded) else -1
        if gone >= 0:
            if x[gone] != points[i]:
                continue
            error += 2.0**-50 * values[i, n_values - 1]
            for v in range(n_values):
                values[i, v] -= at_zero * key_values[gone, v]
        found[i] = error <= tolerance * values[i, n_values - 1]
