"""Solve: least squares from sums, for a tile of samples."""

from __future__ import annotations

import numpy as np

from sknw._accuracy import MEAN_SQUARE, MIN_EIGENVALUE, PRODUCT_UNDERFLOW, VARIANCE
from sknw._compiled._jit import EXACT, jit, use_wide_vectors

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "816a5d53551a"


@jit(EXACT)
def solve_lines(here, moments, penalty, least, most, slopes, steps, told, faint):
    """Put the slopes of lines in place, and what they come to at the samples.

    Parameters
    ----------
    here : ndarray of shape (n_samples, n_terms)
        The coordinates of the samples.
    moments : ndarray of shape (n_samples, n_values)
        Sums of weights times products of 1 and of each coordinate with itself, those that follow and the targets. Made
        weighted means, but for the first, which is the sum of weights.
    penalty, least : ndarray of shape (n_terms,)
        What is added to the variances of coordinates, and the least sum that a slope is fitted by.
    most : float
        What the squares of inverses of correlations may add up to: those of more are left to what looks at eigenvalues.
    slopes : ndarray of shape (n_samples, 1 + n_outputs, n_terms)
        To be filled: those of equivalent kernels, and of the lines.
    steps : ndarray of shape (n_samples, 1 + n_outputs)
        To be filled: what equivalent kernels over the kernel are beyond 1, and lines beyond the means of targets.
    told : ndarray of shape (n_samples,) of bool
        To be filled: whether the sums tell these.
    faint : ndarray of shape (n_samples,) of bool
        To be filled: whether some coordinate hardly varies.
    """
    use_wide_vectors()
    n_right, n_terms = slopes.shape[1], slopes.shape[2]
    n_rows = n_terms + n_right
    matrix, right = np.empty((n_terms, n_terms)), np.empty((n_right, n_terms))
    scale, column = np.empty(n_terms), np.empty(n_terms)
    for k in range(len(moments)):
        told[k] = moments[k, 0] > PRODUCT_UNDERFLOW
        unit = 1 / moments[k, 0] if told[k] else 0.0
        for v in range(1, moments.shape[1]):
            moments[k, v] *= unit
        row, faint[k] = n_rows, False
        for a in range(n_terms):
            mean, square = moments[k, a + 1], moments[k, row]
            variance = square - mean * mean
            faint[k] |= variance + penalty[a] < least[a]
            told[k] &= MEAN_SQUARE * square <= VARIANCE * variance and not faint[k]
            scale[a] = 1 / np.sqrt(variance + penalty[a]) if told[k] else 0.0
            matrix[a, a] = 1.0
            for b in range(a + 1, n_terms):
                matrix[b, a] = (moments[k, row + b - a] - mean * moments[k, b + 1]) * scale[a]
            right[0, a] = (here[k, a] - mean) * scale[a]
            for o in range(1, n_right):
                b = n_terms + o - 1
                right[o, a] = (moments[k, row + b - a] - mean * moments[k, b + 1]) * scale[a]
            row += n_rows - 1 - a
        for a in range(n_terms):
            for b in range(a):
                matrix[b, a] = matrix[a, b] = matrix[a, b] * scale[a]
        told[k] &= _invert(matrix, column) < most
        for o in range(n_right):
            steps[k, o] = 0.0
            for a in range(n_terms):
                slope = 0.0
                for b in range(n_terms):
                    slope -= matrix[a, b] * right[o, b]
                steps[k, o] += slope * right[0, a]
                slopes[k, o, a] = slope * scale[a]


@jit(EXACT)
def _invert(matrix, column):
    """Put minus the inverse of a matrix of correlations in its place; the sum of its squares, if none is infinite."""
    n, square = len(matrix), 0.0
    for p in range(n):
        if not matrix[p, p] >= MIN_EIGENVALUE:
            return np.inf
        pivot = 1 / matrix[p, p]
        for i in range(n):
            column[i] = matrix[p, i]
        for i in range(n):
            factor = column[i] * pivot
            for j in range(n):
                matrix[i, j] -= factor * column[j]
            matrix[i, p] = factor
        for i in range(n):
            matrix[p, i] = column[i] * pivot
        matrix[p, p] = -pivot
    for i in range(n):
        for j in range(n):
            square += matrix[i, j] * matrix[i, j]
    return square
