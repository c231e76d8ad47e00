"""Ladder: the sums of keys, each without itself, at many bandwidths, from one pass over their distances."""

from __future__ import annotations

import numpy as np

from sknw._compiled._jit import EXACT, SUMS, jit, use_wide_vectors
from sknw._compiled._kinds import BLOCK
from sknw._compiled._weights import fill_weights

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "7cb51f03e658"

# A Gaussian at h / sqrt(2) is the square of that at h. Each square doubles the relative error, so that after so many
# the exponential is computed anew. What is squared is raised to the second, which changes no digit of a sum: squares of
# less would be too small for a float, which is slow.
MAX_SQUARES, LEAST = 10, 1e-150

# A squared distance that counts for none.
_FAR = 1e300

# Below this share of keys that are near enough to count, these alone are looked at, if there are more bandwidths.
_SPARSE, _FEW_BANDWIDTHS = 0.0625, 8


@jit(EXACT)
def put_sums(kind, samples, keys, scales, counted, columns, ladder, from_nearest, lowest, sums):
    """Put the sums of columns over all keys, weighed by the kernel, of samples that are left out themselves.

    Parameters
    ----------
    kind : int
        Of the kernel, from `_kinds.kind_of`.
    samples : ndarray of shape (n_samples,)
        Their indices among the keys.
    keys : ndarray of shape (n_blocks, n_coordinates, BLOCK)
    scales : ndarray of shape (n_coordinates,)
        What differences of coordinates are multiplied by.
    counted : ndarray of shape (n_blocks, BLOCK) of bool
        The keys that have a weight, which those that fill up the last block have not.
    columns : ndarray of shape (n_blocks, n_values, BLOCK)
        An even number of them, zero for keys without a weight.
    ladder : (ndarray, ndarray, ndarray), each of shape (n_bandwidths,)
        What squared distances are multiplied by, in ascending order; which of these are twice the one before, for a
        kernel that is squared then; and by how much squared distances exceed the lowest at most to count.
    from_nearest : bool
        Whether sums are in units of the kernel at the lowest squared distance, else of that at zero.
    lowest : ndarray of shape (n_samples,)
        To be filled: the lowest squared distances, or zero.
    sums : ndarray of shape (n_values, n_bandwidths, n_samples)
        To be filled.
    """
    factors, are_doubled, limits = ladder
    t, weights, some = np.empty(counted.shape), np.empty(counted.size), np.empty((len(sums), len(factors)))
    near = np.empty((len(sums) + 1, counted.size))
    for k in range(len(samples)):
        block, place = divmod(samples[k], BLOCK)
        _fill_squares(keys, scales, block, place, t)
        t[block, place] = _FAR
        lowest[k] = _subtract_lowest(t, counted) if from_nearest else 0.0
        n_dense = _n_dense(t, limits)
        some.fill(0)
        for b in range(len(t)):
            hit = place if b == block else -1
            _add_dense(kind, lowest[k], t[b], hit, columns[b], factors[:n_dense], are_doubled, weights[:BLOCK], some)
        if n_dense < len(factors):
            n_near = _gather(t, columns, limits[n_dense], near)
            _add_near(kind, lowest[k], near, n_near, n_dense, factors, limits, weights, some)
        for v in range(len(some)):
            for b in range(len(factors)):
                sums[v, b, k] = some[v, b]


@jit(SUMS)
def _fill_squares(keys, scales, block, place, t):
    """Squared distances of all keys from one."""
    use_wide_vectors()
    t.fill(0)
    for b in range(len(t)):
        for f in range(keys.shape[1]):
            here, scale = keys[block, f, place], scales[f]
            for j in range(BLOCK):
                step = (keys[b, f, j] - here) * scale
                t[b, j] += step * step


@jit(SUMS)
def _subtract_lowest(t, counted):
    """Subtract the lowest squared distance of a key that counts, and give it; zero if no other key counts."""
    use_wide_vectors()
    lowest = _FAR
    for b in range(len(t)):
        for j in range(BLOCK):
            lowest = min(lowest, t[b, j] if counted[b, j] else _FAR)
    lowest = lowest if lowest < _FAR else 0.0
    for b in range(len(t)):
        for j in range(BLOCK):
            t[b, j] = max(t[b, j] - lowest, 0.0)
    return lowest


@jit(SUMS)
def _n_dense(t, limits):
    """At how many of the bandwidths more than a share of the keys is within the limit, which descends."""
    use_wide_vectors()
    low, high = 0, len(limits)
    if high <= _FEW_BANDWIDTHS or limits[high - 1] == np.inf:
        return high
    while low < high:
        middle = (low + high) // 2
        n_near, limit = 0, limits[middle]
        for b in range(len(t)):
            for j in range(BLOCK):
                n_near += 1 if t[b, j] <= limit else 0
        low, high = (middle + 1, high) if n_near > _SPARSE * t.size else (low, middle)
    return low


@jit(SUMS)
def _add_dense(kind, lowest, t, hit, columns, factors, are_doubled, weights, sums):
    """Add the sums over a block of keys at these bandwidths, without the key at the place `hit`."""
    use_wide_vectors()
    n_squares = MAX_SQUARES
    for k in range(len(factors)):
        first = 0
        if are_doubled[k] and n_squares < MAX_SQUARES:
            n_squares, first = n_squares + 1, 2
            one = other = 0.0
            for j in range(BLOCK):
                weight = max(weights[j], LEAST)
                weight *= weight
                one += weight * columns[0, j]
                other += weight * columns[1, j]
                weights[j] = weight
            sums[0, k] += one
            sums[1, k] += other
        else:
            n_squares = 0
            fill_weights(kind, factors[k], lowest, t, weights)
            if hit >= 0:
                weights[hit] = 0
        for v in range(first, len(sums) - 1, 2):
            one = other = 0.0
            for j in range(BLOCK):
                one += weights[j] * columns[v, j]
                other += weights[j] * columns[v + 1, j]
            sums[v, k] += one
            sums[v + 1, k] += other


@jit(EXACT)
def _gather(t, columns, limit, near):
    """Put the squared distances within a limit, and the columns of their keys, beside each other; give their number."""
    size = 0
    for b in range(len(t)):
        for j in range(BLOCK):
            if t[b, j] <= limit:
                near[0, size] = t[b, j]
                for v in range(columns.shape[1]):
                    near[v + 1, size] = columns[b, v, j]
                size += 1
    return size


@jit(SUMS)
def _add_near(kind, lowest, near, size, first, factors, limits, weights, sums):
    """Add the sums over so many such keys at the bandwidths from the first on."""
    for k in range(first, len(factors)):
        kept = 0
        for j in range(size):
            if near[0, j] <= limits[k]:
                for v in range(len(near)):
                    near[v, kept] = near[v, j]
                kept += 1
        size = kept
        fill_weights(kind, factors[k], lowest, near[0, :size], weights[:size])
        for v in range(len(sums)):
            total = 0.0
            for j in range(size):
                total += weights[j] * near[v + 1, j]
            sums[v, k] += total
