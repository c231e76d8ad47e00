"""Lines: leave-one-out fits of local lines at many bandwidths, from one pass over distances, sample by sample."""

from __future__ import annotations

import numpy as np

from sknw._accuracy import PRODUCT_UNDERFLOW
from sknw._compiled._gradient import fill_moments, fill_squares, find_nearest, solve
from sknw._compiled._jit import EXACT, SUMS, jit, use_wide_vectors
from sknw._compiled._kinds import CHUNK
from sknw._compiled._ladder import LEAST, MAX_SQUARES
from sknw._compiled._weights import fill_weights

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "5988a3b5a59f"


@jit(EXACT)
def put_fits(kind, samples, own, keys, about, weight, ladder, penalty, least, limits, fits):
    """Put leave-one-out fits of samples in their place, from the widest bandwidth to the last that these sums tell.

    Parameters
    ----------
    kind : int
        Of the kernel, up to `MAX_POSITIVE`.
    samples : ndarray of shape (n_samples,)
        Their indices among the keys.
    own : ndarray of shape (n_samples,)
        What is left of a sample's own weight.
    keys : ndarray of shape (n_chunks, n_coordinates + PADDING, CHUNK)
        Coordinates in bandwidths. Keys without weight fill up the last chunk.
    about : ndarray of shape (n_chunks, 1 + n_coordinates + n_outputs + PADDING, CHUNK)
        Ones, the coordinates and the targets without their offset.
    weight : ndarray of shape (n_chunks, CHUNK)
    ladder : (ndarray, ndarray), each of shape (n_bandwidths,)
        What squared distances are multiplied by, in ascending order; which of these are twice the one before, for a
        kernel that is squared then.
    penalty : ndarray of shape (n_coordinates,)
        What is added to the variances of coordinates.
    least : ndarray of shape (n_bandwidths, n_coordinates)
        The least sum of both that a slope is fitted by.
    limits : (float, float, float)
        What absolute weights may sum up to, in relation to their sum; above which number that counts as more; and the
        largest sum of their squares, over the shares, of a fit that these sums tell.
    fits : ndarray of shape (n_bandwidths, n_samples, n_outputs)
        To be filled, but for those that it takes more than these sums to tell, and those at narrower bandwidths.
    """
    n_terms, n_outputs, n_rows = len(penalty), fits.shape[2], about.shape[1]
    factors, are_doubled = ladder
    t, kernel, lever = np.empty(weight.shape), np.empty(weight.shape), np.empty(weight.shape)
    moments, inverse = np.empty((n_terms + 2, n_rows)), np.empty((n_terms, n_terms))
    solution, here = np.empty((n_terms, n_outputs + 1)), np.empty(n_rows)
    flat, n_squares = (t.reshape(-1), kernel.reshape(-1)), 0
    for k in range(len(samples)):
        chunk, place = divmod(samples[k], CHUNK)
        for a in range(n_rows):
            here[a] = about[chunk, a, place]
        fill_squares(keys, chunk, place, t)
        lowest = find_nearest(t, weight, chunk, place) if own[k] == 0 else 0.0
        _subtract(flat[0], lowest)
        for b in range(len(factors)):
            if are_doubled[b] and n_squares < MAX_SQUARES and b > 0:
                n_squares += 1
                _square(flat[1])
            else:
                n_squares = 0
                fill_weights(kind, factors[b], lowest, flat[0], flat[1])
            kernel[chunk, place] = own[k]  # K(0) is the unit where anything is left of it
            fill_moments(kernel, weight, about, n_terms + 1, moments)
            if moments[0, 0] <= PRODUCT_UNDERFLOW or not solve(here, moments, penalty, least[b], inverse, solution):
                break
            step = _largest_step(here, moments, solution, kernel, weight, about, limits, lever)
            if step < 0:
                break
            for output in range(n_outputs):
                slope = 0.0
                for a in range(n_terms):
                    slope += (here[a + 1] - moments[0, a + 1] / moments[0, 0]) * solution[a, output + 1]
                fits[b, k, output] = moments[0, 1 + n_terms + output] / moments[0, 0] + step * slope


@jit(EXACT)
def _subtract(t, lowest):
    """Squared distances beyond the lowest."""
    use_wide_vectors()
    for j in range(len(t)):
        t[j] = max(t[j] - lowest, 0.0)


@jit(EXACT)
def _square(kernel):
    """The kernel at 1 / sqrt(2) of the bandwidth."""
    use_wide_vectors()
    for j in range(len(kernel)):
        root = max(kernel[j], LEAST)
        kernel[j] = root * root


@jit(EXACT)
def _largest_step(here, moments, solution, kernel, weight, about, limits, lever):
    """What a line is drawn towards the mean by, as `largest_step` has it; less than zero where sums tell too little."""
    limit, more, most = limits
    total, square, constant = moments[0, 0], 1.0, 0.0
    for a in range(len(solution)):
        mean = moments[0, a + 1] / total
        square += solution[a, 0] * (here[a + 1] - mean)
        constant -= solution[a, 0] * mean
    if square > most:
        return -1.0
    if limit == np.inf or square <= limit * limit:
        return 1.0
    lever.fill(constant)
    for c in range(len(lever)):
        for a in range(len(solution)):
            for j in range(CHUNK):
                lever[c, j] += solution[a, 0] * about[c, a + 1, j]
    step = 1.0
    while step > 0:
        size, slope = _size(step, kernel, weight, lever)
        lower = step - (size - limit * total) / slope
        if size <= more * total or not (slope > 0 and lower < step):
            break
        step = max(lower, 0.0)
    return step


@jit(SUMS)
def _size(step, kernel, weight, lever):
    """The sum of absolute weights after a step, and its derivative."""
    use_wide_vectors()
    size = slope = 0.0
    for c in range(len(lever)):
        for j in range(CHUNK):
            share = kernel[c, j] * weight[c, j]
            at = 1.0 + step * lever[c, j]
            size += share * abs(at)
            slope += share * (lever[c, j] if at > 0 else -lever[c, j])
    return size, slope
