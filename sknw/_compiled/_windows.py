"""Windows: sums over the keys in reach of each query for kernels that are polynomials and end, compiled.

Sorted keys are cut into blocks of one size, and these are gathered in cells that are no wider than the bandwidth. Of a
window, the blocks that hold its two ends and the query are summed key by key; the whole blocks between these are the
end of one cell and the beginning of the next. A kernel is a polynomial there, and so are the sums over these blocks as
a function of the query: their coefficients are known for every beginning and every end of a cell. Nothing is
subtracted.
"""

from __future__ import annotations

import numpy as np

from sknw._compiled._jit import EXACT, SUMS, jit, use_wide_vectors

_BUILT_ON = "2afc299c2200"

#: Keys in a block: a number that is known when loops over them are compiled.
BLOCK = 16


@jit(SUMS)
def cut_cells(first, last, bandwidth, begin, end):
    """Fill `begin` and `end` with the first block of the cell that each block is in, and with the next cell's.

    first, last : arrays of shape (n_blocks,), the least key of each block, and the greatest
    """
    n_blocks, start = len(first), 0
    for b in range(n_blocks):
        if last[b] - first[start] > bandwidth:
            end[start:b] = b
            start = b
        begin[b] = start
    end[start:] = n_blocks


@jit(SUMS)
def sum_blocks(keys, origin, bandwidth, moments):
    """Fill `moments` with sums of values * r**p over each block, for its keys r bandwidths from the origin of the cell.

    keys : array of shape (n_blocks, 1 + n_values, BLOCK), coordinates and values; what fills up has the value zero
    origin : array of shape (n_blocks,)
    moments : array of shape (n_blocks, n_values, n_powers)
    """
    use_wide_vectors()
    n_blocks, n_values, n_powers = moments.shape
    product, r = np.empty(BLOCK), np.empty(BLOCK)
    for b in range(n_blocks):
        for j in range(BLOCK):
            r[j] = (keys[b, 0, j] - origin[b]) / bandwidth
        for v in range(n_values):
            for j in range(BLOCK):
                product[j] = keys[b, 1 + v, j]
            for p in range(n_powers):
                total = 0.0
                for j in range(BLOCK):
                    total += product[j]
                    product[j] *= r[j]
                moments[b, v, p] = total


@jit(EXACT)
def add_up(moments, begin, end, expansion, sums):
    """Fill `sums` with the polynomials of the sums over each block and those before it in its cell, or behind it.

    Rounding errors are carried along.

    expansion : array of shape (n_powers, n_powers), from moments to coefficients
    sums : array of shape (2, *moments.shape)
    """
    n_blocks, n_values, n_powers = moments.shape
    total, lost = np.empty((n_values, n_powers)), np.empty((n_values, n_powers))
    for which in range(2):
        for i in range(n_blocks):
            b = n_blocks - 1 - i if which else i
            if (end[b] == b + 1) if which else (begin[b] == b):
                total.fill(0.0)
                lost.fill(0.0)
            for v in range(n_values):
                for p in range(n_powers):
                    added = moments[b, v, p] + lost[v, p]
                    after = total[v, p] + added
                    carried = after - total[v, p]
                    lost[v, p] = (total[v, p] - (after - carried)) + (added - carried)
                    total[v, p] = after
                for k in range(n_powers):
                    coefficient = 0.0
                    for p in range(n_powers - k):
                        coefficient += expansion[k, p] * total[v, p]
                    sums[which, b, v, k] = coefficient


@jit(EXACT)
def locate(points, gone, first, last, largest_square, start, single, whole):
    """Find the blocks that the window of each query consists of.

    points : array of shape (n,), in ascending order
    gone : array of shape (n,)
        The rank of a key at the query that does not count, or -1.
    first, last : arrays of shape (n_blocks,), the least key of each block, and the greatest
    largest_square : float, the largest squared distance in reach
    start : int, a block before which no key is in reach
    single : array of shape (n, 3)
        Filled with blocks that are summed key by key, or -1: the query's own, and those at both ends of the window that
        are not in reach as a whole.
    whole : array of shape (n, 4)
        Filled with the first block, and that behind the last, of those that are, on the left and on the right.
    """
    n_blocks = len(first)
    low = middle = high = start
    for i in range(len(points)):
        q = points[i]
        while low < n_blocks and last[low] < q and (q - last[low]) ** 2 > largest_square:
            low += 1
        while middle < n_blocks and last[middle] < q:
            middle += 1
        while high < n_blocks and (first[high] <= q or (first[high] - q) ** 2 <= largest_square):
            high += 1
        own = gone[i] // BLOCK if gone[i] >= 0 else middle
        # Where all its keys are on the right of the query, they are so as a whole.
        is_single = own < high and (gone[i] >= 0 or first[own] < q)
        left, right = min(own, high), own + is_single
        left_end = low < left and (q - first[low]) ** 2 > largest_square
        right_end = right < high and (last[high - 1] - q) ** 2 > largest_square
        single[i, 0] = own if is_single else -1
        single[i, 1] = low if left_end else -1
        single[i, 2] = high - 1 if right_end else -1
        whole[i, 0], whole[i, 1] = low + left_end, left
        whole[i, 2], whole[i, 3] = right, high - right_end


@jit(SUMS)
def add_keys(points, single, gone, keys, kernel, error_of_weight, values, error):
    """Add to `values` the sums over the keys in reach in single blocks, and to `error` bounds on those of the weights.

    keys : array of shape (n_blocks, 1 + n_values, BLOCK)
    kernel : (polynomial, even, unit, largest_square)
        K by powers of u, or of u * u if it is even, the highest first; one over the bandwidth; the largest squared
        distance in reach.
    """
    use_wide_vectors()
    polynomial, even, unit, largest_square = kernel
    n_values, weight = values.shape[1], np.empty(BLOCK)
    for i in range(len(points)):
        mass = 0.0
        for each in range(3):
            b = single[i, each]
            if b < 0:
                continue
            for j in range(BLOCK):
                d = points[i] - keys[b, 0, j]
                square = d * d
                u = square * unit * unit if even else abs(d) * unit
                w = 0.0
                for coefficient in polynomial:
                    w = w * u + coefficient
                inside = square <= largest_square
                weight[j] = w if inside else 0.0
                mass += keys[b, n_values, j] if inside else 0.0
            if each == 0 and gone[i] >= 0:
                weight[gone[i] - BLOCK * b] = 0.0
            for v in range(n_values):
                part = 0.0
                for j in range(BLOCK):
                    part += weight[j] * keys[b, 1 + v, j]
                values[i, v] += part
        error[i] += error_of_weight * mass


@jit(SUMS)
def add_blocks(points, whole, cells, left, right, kernel, mass, error_of_weight, values, error):
    """Add to `values` the sums over whole blocks, and to `error` bounds on those of the weights.

    cells : (begin, end, origin), of the cell that each block is in
    left, right : arrays of shape (2, n_blocks, n_values, n_powers)
        What `add_up` gives, for cells on the left of a query, and on its right.
    kernel : (polynomial, unit)
        Of the polynomial the number of coefficients matters: one that is known when loops are compiled.
    mass : array of shape (n_blocks + 1,), running sums of the weights
    """
    begin, end, origin = cells
    polynomial, unit = kernel
    n_values, n_powers = values.shape[1], len(polynomial)
    power, running_error = np.ones(n_powers), len(mass) * 2.0**-51
    for i in range(len(points)):
        for side in range(2):
            sums = right if side else left
            b, stop = whole[i, 2 * side], whole[i, 2 * side + 1]
            if b < stop:
                error[i] += error_of_weight * (mass[stop] - mass[b] + running_error * mass[stop])
            while b < stop:
                behind = min(stop, end[b])
                which, at = (0, behind - 1) if b == begin[b] else (1, b)
                a = (points[i] - origin[b]) * unit
                for k in range(1, n_powers):
                    power[k] = power[k - 1] * a
                for v in range(n_values):
                    part = 0.0
                    for k in range(n_powers):
                        part += power[k] * sums[which, at, v, k]
                    values[i, v] += part
                b = behind
