"""Pairs: sums over all pairs of queries and keys, in blocks of keys that stay in a processor's cache.

The number of features is that of a tuple, which is known when a function is compiled, so that the loop over them is
unrolled. Of the kernels, the Gaussian and the Epanechnikov have a loop of their own.
"""

from __future__ import annotations

import numpy as np

from sknw._compiled._exp2 import exp2
from sknw._compiled._jit import EXACT, SUMS, jit, use_wide_vectors
from sknw._compiled._kinds import BLOCK, KINDS
from sknw._compiled._weights import fill_weights

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "5e8fffbdd93c"

_GAUSSIAN = KINDS["gaussian"]
_LOG2_E = float(np.log2(np.e))


@jit(EXACT)
def sum_pairs(dims, products, kernel, others, queries, keys, columns, left_out, t0, sums):
    """Add the sums of columns over all keys, weighed by the kernel, to those of each query.

    dims : tuple of as many numbers as there are features, whatever they are
    products : bool
        Whether squared distances come from products. Queries have two columns more then, 1 and the square of their
        length; keys are multiplied by -2, and also have two, the square of their length and 1.
    kernel : (int, float), what `fill_weights` calls it, and a factor of squared distances
    others : None if the kernel has a loop of its own, else True: to compile all the others takes most of the time
    queries : (n_queries, n_features, or two more)
    keys : (n_blocks, n_features, or two more, BLOCK)
    columns : (n_blocks, n_columns, BLOCK), zero for keys that fill the last block up
    left_out : (n_queries,), for each query the number of a key that does not count, or -1
    t0 : (n_queries,), the squared distance at which the kernel is the unit of each query's sums
    sums : (n_queries, n_columns)
    """
    use_wide_vectors()
    t, weights = np.empty(BLOCK, keys.dtype), np.empty(BLOCK, keys.dtype)
    for k in range(len(keys)):
        for i in range(len(queries)):
            _fill_squares(dims, products, queries, i, keys, k, t)
            _add(kernel, others, t0[i], t, left_out[i] - k * BLOCK, columns, k, weights, sums, i)


@jit(EXACT)
def sum_moments(dims, products, kernel, others, queries, keys, values, left_out, t0, terms, sums):
    """The same for columns that are values times monomials of the coordinates, about one point for all queries.

    values : (n_blocks, n_outputs + 1, BLOCK), targets times weights, and weights
    terms : (coordinates, point, factors, parents, n_lower)
        The coordinates of keys, of the shape of `keys`; what they are seen from; and, for each monomial, the number of
        a coordinate and that of a later monomial whose product it is, but for the last, which is one. The last
        `n_lower` belong to targets too.
    """
    use_wide_vectors()
    coordinates, point, factors, parents, n_lower = terms
    n_terms, n_outputs = len(factors), values.shape[1] - 1
    t, weights = np.empty(BLOCK, keys.dtype), np.empty(BLOCK, keys.dtype)
    columns = np.empty((1, n_lower * n_outputs + n_terms, BLOCK))
    for k in range(len(keys)):
        _fill_moments(coordinates[k], point, factors, parents, values[k], n_lower, columns[0])
        for i in range(len(queries)):
            _fill_squares(dims, products, queries, i, keys, k, t)
            _add(kernel, others, t0[i], t, left_out[i] - k * BLOCK, columns, 0, weights, sums, i)


@jit(EXACT)
def sum_products(kernel, others, squares, columns, left_out, t0, sums):
    """The same from squared distances: (n_blocks, n_queries, BLOCK)."""
    use_wide_vectors()
    t, weights = np.empty(BLOCK, squares.dtype), np.empty(BLOCK, squares.dtype)
    for k in range(len(squares)):
        for i in range(squares.shape[1]):
            for j in range(BLOCK):
                t[j] = max(squares[k, i, j], t.dtype.type(0))
            _add(kernel, others, t0[i], t, left_out[i] - k * BLOCK, columns, k, weights, sums, i)


@jit(EXACT)
def find_nearest(dims, products, queries, keys, left_out, lowest):
    """Fill `lowest` with the least squared distance of each query from the keys that count."""
    use_wide_vectors()
    t = np.empty(BLOCK, keys.dtype)
    for k in range(len(keys)):
        for i in range(len(queries)):
            _fill_squares(dims, products, queries, i, keys, k, t)
            hit = left_out[i] - k * BLOCK
            if 0 <= hit < BLOCK:
                t[hit] = np.inf
            for j in range(BLOCK):
                lowest[i] = min(lowest[i], t[j])


@jit(SUMS, inline=True)
def _fill_squares(dims, products, queries, i, keys, k, t):
    """Squared distances of a query from the keys of a block."""
    n_features = len(dims)
    if products:
        for j in range(BLOCK):
            square = queries[i, n_features + 1] + keys[k, n_features, j]
            for f in range(n_features):
                square += queries[i, f] * keys[k, f, j]
            t[j] = max(square, t.dtype.type(0))
    else:
        for j in range(BLOCK):
            square = t.dtype.type(0)
            for f in range(n_features):
                step = queries[i, f] - keys[k, f, j]
                square += step * step
            t[j] = square


@jit(EXACT)
def _fill_moments(coordinates, point, factors, parents, values, n_lower, columns):
    """The columns of a block of keys that are summed for polynomials, as `Polynomial.columns` has them."""
    use_wide_vectors()
    n_terms, n_outputs = len(factors), len(values) - 1
    terms = columns[n_lower * n_outputs :]
    for term in range(n_terms - 1, -1, -1):
        if term == n_terms - 1:
            terms[term] = 1.0
        else:
            for j in range(BLOCK):
                z = coordinates[factors[term], j] - point[factors[term]]
                terms[term, j] = terms[parents[term], j] * z
    for lower in range(n_lower):
        for output in range(n_outputs):
            for j in range(BLOCK):
                columns[lower * n_outputs + output, j] = terms[n_terms - n_lower + lower, j] * values[output, j]
    for term in range(n_terms):
        for j in range(BLOCK):
            terms[term, j] *= values[n_outputs, j]


@jit(EXACT, inline=True)
def _add(kernel, others, t0, t, hit, columns, k, weights, sums, i):
    """Add to the sums of a query those over a block of keys, of which that of the number `hit` does not count."""
    kind, factor = kernel
    number = t.dtype.type
    if 0 <= hit < BLOCK:
        t[hit] = number(1e36)  # as good as infinite, and its root is a number
    if others is None:
        if kind == _GAUSSIAN:
            scale = -0.5 * _LOG2_E * factor
            _add_gaussian(number(scale), number(scale * t0), t, columns, k, weights, sums, i)
        else:
            _add_epanechnikov(number(factor), t, columns, k, weights, sums, i)
    else:
        if t0 > 0:
            for j in range(BLOCK):
                t[j] -= number(t0)
        fill_weights(kind, number(factor), number(t0), t, weights)
        if 0 <= hit < BLOCK:
            weights[hit] = number(0)
        _add_products(weights, columns, k, 0, sums, i)


@jit(SUMS, inline=True)
def _add_gaussian(scale, unit, t, columns, k, weights, sums, i):
    """The Gaussian."""
    one = two = t.dtype.type(0)
    for j in range(BLOCK):
        weight = exp2(scale * t[j] - unit)
        weights[j] = weight
        one += weight * columns[k, 0, j]
        two += weight * columns[k, 1, j]
    sums[i, 0] += one
    sums[i, 1] += two
    _add_products(weights, columns, k, 2, sums, i)


@jit(SUMS, inline=True)
def _add_epanechnikov(factor, t, columns, k, weights, sums, i):
    """The Epanechnikov kernel."""
    one = two = t.dtype.type(0)
    for j in range(BLOCK):
        weight = max(t.dtype.type(1) - factor * t[j], t.dtype.type(0))
        weights[j] = weight
        one += weight * columns[k, 0, j]
        two += weight * columns[k, 1, j]
    sums[i, 0] += one
    sums[i, 1] += two
    _add_products(weights, columns, k, 2, sums, i)


@jit(SUMS)
def _add_products(weights, columns, k, first, sums, i):
    """Columns from one on, four at a time."""
    use_wide_vectors()
    zero, n_columns = weights.dtype.type(0), columns.shape[1]
    n_fours = (n_columns - first) // 4 * 4
    for c in range(first, first + n_fours, 4):
        one = two = three = four = zero
        for j in range(BLOCK):
            weight = weights[j]
            one += weight * columns[k, c, j]
            two += weight * columns[k, c + 1, j]
            three += weight * columns[k, c + 2, j]
            four += weight * columns[k, c + 3, j]
        sums[i, c] += one
        sums[i, c + 1] += two
        sums[i, c + 2] += three
        sums[i, c + 3] += four
    for c in range(first + n_fours, n_columns):
        one = zero
        for j in range(BLOCK):
            one += weights[j] * columns[k, c, j]
        sums[i, c] += one
