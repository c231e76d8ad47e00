"""Gradient: leave-one-out errors of means and lines, and how they change with squared distances, sample by sample.

What is summed about each sample stays in the cache of a processor until its error is known and what follows from it.
The formulae are those of `_fit/_gradient.py`.
"""

from __future__ import annotations

import numpy as np

from sknw._accuracy import MEAN_SQUARE, MIN_EIGENVALUE, PRODUCT_UNDERFLOW, VARIANCE
from sknw._compiled._exp2 import exp2
from sknw._compiled._jit import EXACT, SUMS, jit, keep_short, use_wide_vectors
from sknw._compiled._kinds import CHUNK, KINDS, PADDING
from sknw._compiled._weights import fill_weights

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "31af40e12dbe"

_LOG2_E = float(np.log2(np.e))
_TINY = 1e-37
_ROOT3 = float(np.sqrt(3))
_GAUSSIAN, _EXPONENTIAL, _MATERN32, _LOGISTIC, _CAUCHY, _CONSTANT = (
    KINDS[name] for name in ("gaussian", "exponential", "matern32", "logistic", "cauchy", "constant")
)

# Inverses of correlations whose squares add up to more are left to what looks at eigenvalues.
_MAX_INVERSE = MIN_EIGENVALUE**-2 / 100


@jit(SUMS)
def add_errors(
    kind, from_nearest, samples, own, factors, keys, about, n_terms, weight, penalty, least, points, fits, slopes, sums
):
    """Leave-one-out fits of samples, and how their errors change with the squared distances of keys.

    Parameters
    ----------
    kind : int
        Of the kernel, up to `MAX_POSITIVE`.
    from_nearest : bool
        Whether sums are in units of the weight of the nearest key: in those of K(0) they may be too small for a float.
    samples : ndarray of shape (n_samples,)
        Their indices among the keys.
    own : ndarray of shape (n_samples,)
        What is left of a sample's own weight.
    factors : ndarray of shape (n_samples, n_outputs)
        What squared errors are multiplied by, to be added up.
    keys : ndarray of shape (n_chunks, n_coordinates + PADDING, CHUNK)
        Coordinates in bandwidths. Keys without weight fill up the last chunk.
    about : ndarray of shape (n_chunks, 1 + n_terms + n_outputs + PADDING, CHUNK)
        Ones, the coordinates that lines are fitted in, and the targets without their offset.
    n_terms : int
        How many of these are coordinates.
    weight : ndarray of shape (n_chunks, CHUNK)
    penalty, least : ndarray of shape (n_terms,)
        What is added to the variances of coordinates, and the least sum that a slope is fitted by.
    points : ndarray of shape (n_chunks, n_points + PADDING, CHUNK)
    fits, slopes : ndarray of shape (n_samples, n_outputs)
        To be filled: the fits, NaN where it takes more than these sums, and their derivatives by the logarithm of the
        ridge.
    sums : ndarray of shape (n_samples, n_points + PADDING)
        To be filled: those of changes times weights times points.

    Returns
    -------
    by_key : ndarray of shape (n_chunks, CHUNK)
        The sums of changes over samples.
    """
    n_rows, n_outputs = about.shape[1], fits.shape[1]
    t, kernel, change, by_key = (
        np.empty(weight.shape),
        np.empty(weight.shape),
        np.empty(weight.shape),
        np.zeros(weight.shape),
    )
    moments, inverse, solution = (
        np.empty((n_terms + 2, n_rows)),
        np.empty((n_terms, n_terms)),
        np.empty((n_terms, n_outputs + 1)),
    )
    combinations, here = np.empty((2, n_rows)), np.empty(n_rows)
    flat = t.reshape(-1), kernel.reshape(-1), change.reshape(-1)
    for k in range(len(samples)):
        chunk, place = divmod(samples[k], CHUNK)
        for a in range(n_rows):
            here[a] = about[chunk, a, place]
        fill_squares(keys, chunk, place, t)
        lowest = find_nearest(t, weight, chunk, place) if from_nearest and own[k] == 0 else 0.0
        _fill_kernel(kind, lowest, flat[0], flat[1], flat[2])
        kernel[chunk, place] *= own[k]
        fill_moments(kernel, weight, about, n_terms + 1, moments)
        if moments[0, 0] > PRODUCT_UNDERFLOW and solve(here, moments, penalty, least, inverse, solution):
            _fit(here, moments, penalty, solution, fits[k], slopes[k])
            _combine(here, moments, factors[k], solution, fits[k], slopes[k], combinations)
            _fill_changes(about, combinations, kernel, change, by_key)
            _fill_sums(change, weight, points, sums[k])
        else:
            fits[k].fill(np.nan)
    return by_key


@jit(SUMS)
def fill_squares(keys, chunk, place, t):
    """Squared distances of all keys from one."""
    use_wide_vectors()
    t.fill(0)
    for a in range(0, keys.shape[1] - PADDING, 4):
        q0, q1, q2, q3 = (
            keys[chunk, a, place],
            keys[chunk, a + 1, place],
            keys[chunk, a + 2, place],
            keys[chunk, a + 3, place],
        )
        for c in range(len(t)):
            for j in range(CHUNK):
                z0, z1, z2, z3 = (
                    keys[c, a, j] - q0,
                    keys[c, a + 1, j] - q1,
                    keys[c, a + 2, j] - q2,
                    keys[c, a + 3, j] - q3,
                )
                t[c, j] += z0 * z0 + z1 * z1 + z2 * z2 + z3 * z3


@jit(SUMS)
def find_nearest(t, weight, chunk, place):
    """The squared distance of the nearest key that counts, but for that at `place`."""
    use_wide_vectors()
    lowest, here = np.inf, t[chunk, place]
    t[chunk, place] = np.inf
    for c in range(len(t)):
        for j in range(CHUNK):
            lowest = min(lowest, t[c, j] if weight[c, j] > 0 else np.inf)
    t[chunk, place] = here
    return lowest if lowest < np.inf else 0.0


@jit(EXACT)
def _fill_kernel(kind, lowest, t, kernel, slope):
    """The kernel at squared distances t, in units of that at the lowest, and the derivative of its logarithm by t."""
    use_wide_vectors()
    if kind != _EXPONENTIAL:
        for j in range(len(t)):
            slope[j] = max(t[j] - lowest, 0.0)
        fill_weights(kind, 1.0, lowest, slope, kernel)
        _fill_slopes(kind, t, slope)
        return
    u0 = np.sqrt(lowest)
    for j in range(len(t)):  # one root and one quotient for both
        u = np.sqrt(t[j])
        both = u + u0 + _TINY
        inverse = 1 / (both * (u + _TINY))
        kernel[j] = exp2(-_LOG2_E * (max(t[j] - lowest, 0.0) * inverse * (u + _TINY)))
        slope[j] = -0.5 * both * inverse if u > 0 else 0.0


@jit(EXACT)
def _fill_slopes(kind, t, slope):
    """The derivatives of the logarithms of kernels by t, zero at zero where there is none."""
    use_wide_vectors()
    if kind == _GAUSSIAN:
        slope.fill(-0.5)
    elif kind == _MATERN32:
        for j in range(len(t)):
            slope[j] = -1.5 / (1 + _ROOT3 * np.sqrt(t[j]))
    elif kind == _CAUCHY:
        for j in range(len(t)):
            slope[j] = -1 / (1 + t[j])
    elif kind == _CONSTANT:
        slope.fill(0)
    else:
        speed = 1.0 if kind == _LOGISTIC else 2.0
        for j in range(len(t)):
            u = np.sqrt(t[j])
            decay = exp2(-_LOG2_E * speed * u)
            slope[j] = -0.5 * (1 - decay) / ((1 + decay) * u) if u > 0 else 0.0


@jit(SUMS)
def fill_moments(kernel, weight, about, n_rows, moments):
    """The sums of kernel times weight times the products of the first rows of `about` with those that follow."""
    use_wide_vectors()
    share, left, right = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    moments.fill(0)
    for c in range(len(kernel)):
        for j in range(CHUNK):
            share[j] = kernel[c, j] * weight[c, j]
        for a in range(0, n_rows, 2):
            for j in range(CHUNK):
                left[j], right[j] = share[j] * about[c, a, j], share[j] * about[c, a + 1, j]
            for b in range(a, about.shape[1] - PADDING, 4):
                a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = 0.0
                for j in range(CHUNK):
                    a0 += left[j] * about[c, b, j]
                    a1 += left[j] * about[c, b + 1, j]
                    a2 += left[j] * about[c, b + 2, j]
                    a3 += left[j] * about[c, b + 3, j]
                    b0 += right[j] * about[c, b, j]
                    b1 += right[j] * about[c, b + 1, j]
                    b2 += right[j] * about[c, b + 2, j]
                    b3 += right[j] * about[c, b + 3, j]
                for k, (one, other) in enumerate(((a0, b0), (a1, b1), (a2, b2), (a3, b3))):
                    moments[a, b + k] += one
                    moments[a + 1, b + k] += other


@jit(EXACT)
def solve(here, moments, penalty, least, inverse, solution):
    """The slopes of the equivalent kernel and of the lines; whether the sums tell them."""
    keep_short()
    n_terms, total = len(inverse), moments[0, 0]
    scale = np.empty(n_terms)
    for a in range(n_terms):
        mean, square = moments[0, a + 1] / total, moments[a + 1, a + 1] / total
        variance = square - mean * mean
        if MEAN_SQUARE * square > VARIANCE * variance or variance + penalty[a] < least[a]:
            return False
        scale[a] = 1 / np.sqrt(variance + penalty[a])
    for a in range(n_terms):
        inverse[a, a] = 1
        for b in range(a + 1, n_terms):
            product = moments[0, a + 1] / total * moments[0, b + 1] / total
            inverse[a, b] = inverse[b, a] = (moments[a + 1, b + 1] / total - product) * scale[a] * scale[b]
    if not _invert(inverse):
        return False
    right = np.empty(n_terms)
    for k in range(solution.shape[1]):
        for a in range(n_terms):
            if k == 0:
                right[a] = here[a + 1] - moments[0, a + 1] / total
            else:
                product = moments[0, a + 1] / total * moments[0, n_terms + k] / total
                right[a] = moments[a + 1, n_terms + k] / total - product
            right[a] *= scale[a]
        for a in range(n_terms):
            found = 0.0
            for b in range(n_terms):
                found += inverse[a, b] * right[b]
            solution[a, k] = found * scale[a]
    return True


@jit(EXACT)
def _invert(a):
    """Put the inverse of a matrix of correlations in its place; whether it has no small eigenvalue."""
    keep_short()
    n, square = len(a), 0.0
    column = np.empty(n)
    for k in range(n):
        if a[k, k] < MIN_EIGENVALUE:
            return False
        pivot = 1 / a[k, k]
        for i in range(n):
            column[i] = a[max(i, k), min(i, k)]
        for i in range(n):
            factor = column[i] * pivot
            for j in range(i + 1):
                a[i, j] -= factor * column[j]
        for i in range(n):
            a[max(i, k), min(i, k)] = column[i] * pivot
        a[k, k] = -pivot
    for i in range(n):
        for j in range(i + 1):
            a[i, j] = a[j, i] = -a[i, j]
            square += a[i, j] * a[i, j] * (1 if i == j else 2)
    return square < _MAX_INVERSE


@jit(EXACT)
def _fit(here, moments, penalty, solution, fits, slopes):
    """The fits, and their derivatives by the logarithm of the ridge."""
    keep_short()
    n_terms, total = len(solution), moments[0, 0]
    for k in range(len(fits)):
        column = 1 + n_terms + k
        fits[k], slopes[k] = moments[0, column] / total, 0.0
        for a in range(n_terms):
            fits[k] += (here[a + 1] - moments[0, a + 1] / total) * solution[a, k + 1]
            slopes[k] -= solution[a, 0] * penalty[a] * solution[a, k + 1]


@jit(EXACT)
def _combine(here, moments, factors, solution, fits, slopes, combinations):
    """What rows of `about` are multiplied by to be the residuals that count and the equivalent kernel.

    In the place after the last of the latter: what the ridge adds.
    """
    keep_short()
    n_terms, total = len(solution), moments[0, 0]
    residuals, kernel = combinations
    combinations.fill(0)
    kernel[0] = 1
    for a in range(n_terms):
        kernel[a + 1] = solution[a, 0]
        kernel[0] -= solution[a, 0] * moments[0, a + 1] / total
    for k in range(len(fits)):
        column = 1 + n_terms + k
        factor = 4 * factors[k] * (here[column] - fits[k]) / total
        residuals[column] = factor
        residuals[0] -= factor * moments[0, column] / total
        for a in range(n_terms):
            residuals[a + 1] -= factor * solution[a, k + 1]
            residuals[0] += factor * solution[a, k + 1] * moments[0, a + 1] / total
        kernel[-1] += factor * slopes[k]


@jit(SUMS)
def _fill_changes(about, combinations, kernel, change, by_key):
    """Changes by each squared distance; from the slopes of the kernel's logarithm, in whose place they are put."""
    use_wide_vectors()
    residual, lever = np.empty(CHUNK), np.empty(CHUNK)
    first, second, constant = combinations[0], combinations[1], combinations[1, -1]
    for c in range(len(kernel)):
        residual.fill(0)
        lever.fill(0)
        for a in range(0, about.shape[1] - PADDING, 5):
            f0, f1, f2, f3, f4 = first[a], first[a + 1], first[a + 2], first[a + 3], first[a + 4]
            g0, g1, g2, g3, g4 = second[a], second[a + 1], second[a + 2], second[a + 3], second[a + 4]
            for j in range(CHUNK):
                r0, r1, r2 = about[c, a, j], about[c, a + 1, j], about[c, a + 2, j]
                r3, r4 = about[c, a + 3, j], about[c, a + 4, j]
                residual[j] += f0 * r0 + f1 * r1 + f2 * r2 + f3 * r3 + f4 * r4
                lever[j] += g0 * r0 + g1 * r1 + g2 * r2 + g3 * r3 + g4 * r4
        for j in range(CHUNK):
            change[c, j] *= (residual[j] * lever[j] + constant) * kernel[c, j]
            by_key[c, j] += change[c, j]


@jit(SUMS)
def _fill_sums(change, weight, points, sums):
    """The sums of change times weight times each row of points."""
    use_wide_vectors()
    share = np.empty(CHUNK)
    sums.fill(0)
    for c in range(len(change)):
        for j in range(CHUNK):
            share[j] = change[c, j] * weight[c, j]
        for a in range(0, points.shape[1] - PADDING, 5):
            s0 = s1 = s2 = s3 = s4 = 0.0
            for j in range(CHUNK):
                s0 += share[j] * points[c, a, j]
                s1 += share[j] * points[c, a + 1, j]
                s2 += share[j] * points[c, a + 2, j]
                s3 += share[j] * points[c, a + 3, j]
                s4 += share[j] * points[c, a + 4, j]
            for k, total in enumerate((s0, s1, s2, s3, s4)):
                sums[a + k] += total
