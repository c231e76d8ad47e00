"""Rows: squared distances of points from all keys, for a tile of points at a time, and what is made of them.

Sums over keys are then products of matrices.
"""

from __future__ import annotations

import numpy as np

from sknw._compiled._jit import EXACT, SUMS, jit, use_wide_vectors
from sknw._compiled._kinds import CHUNK, PADDING

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "5daf27087cf3"

# What is squared is raised to this, which changes no digit of a sum: squares of less would be too small for a float,
# which is slow.
_LEAST = 1e-150


@jit(SUMS)
def fill_squares(points, keys, t):
    """Put squared distances in place.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_coordinates + PADDING)
    keys : ndarray of shape (n_chunks, n_coordinates + PADDING, CHUNK)
    t : ndarray of shape (n_points, n_chunks, CHUNK)
        To be filled.
    """
    use_wide_vectors()
    for c in range(len(keys)):
        for k in range(len(points)):
            for a in range(0, keys.shape[1] - PADDING, 4):
                q0, q1, q2, q3 = points[k, a], points[k, a + 1], points[k, a + 2], points[k, a + 3]
                for j in range(CHUNK):
                    z0, z1 = keys[c, a, j] - q0, keys[c, a + 1, j] - q1
                    z2, z3 = keys[c, a + 2, j] - q2, keys[c, a + 3, j] - q3
                    before = t[k, c, j] if a > 0 else 0.0
                    t[k, c, j] = before + (z0 * z0 + z1 * z1 + z2 * z2 + z3 * z3)


@jit(EXACT)
def subtract_lowest(counted, t, lowest):
    """Subtract from squared distances, (n_points, n_chunks, CHUNK), the lowest of each point.

    counted : ndarray of shape (n_chunks, CHUNK)
        Positive for keys that count.
    lowest : ndarray of shape (n_points,)
        To be filled: zero where no key counts.
    """
    use_wide_vectors()
    nearest = np.empty(CHUNK)
    for k in range(len(t)):
        nearest.fill(np.inf)
        for c in range(len(counted)):
            for j in range(CHUNK):
                other = t[k, c, j] if counted[c, j] > 0 else np.inf
                nearest[j] = other if other < nearest[j] else nearest[j]
        least = np.inf
        for j in range(CHUNK):
            least = nearest[j] if nearest[j] < least else least
        least = least if least < np.inf else 0.0
        for c in range(len(counted)):
            for j in range(CHUNK):
                beyond = t[k, c, j] - least
                t[k, c, j] = beyond if beyond > 0 else 0.0
        lowest[k] = least


@jit(EXACT)
def square_rows(rows):
    """Make of rows those at 1 / sqrt(2) of the bandwidth, for a Gaussian."""
    use_wide_vectors()
    for k in range(len(rows)):
        for j in range(rows.shape[1]):
            root = rows[k, j] if rows[k, j] > _LEAST else _LEAST
            rows[k, j] = root * root


@jit(SUMS)
def fill_moments(rows, weight, about, centres, moments):
    """Put sums over rows of the kernel matrix in place, about a point for each, where nothing cancels.

    Parameters
    ----------
    rows : ndarray of shape (n_points, n_chunks, CHUNK)
    weight : ndarray of shape (n_chunks, CHUNK)
    about : ndarray of shape (n_chunks, n_rows + PADDING, CHUNK)
        Ones, coordinates and targets.
    centres : ndarray of shape (n_points, n_terms)
    moments : ndarray of shape (n_points, n_values)
        To be filled: products of 1 and of each coordinate with itself and those that follow.
    """
    use_wide_vectors()
    n_terms, n_rows = centres.shape[1], about.shape[1] - PADDING
    z, share = np.empty((n_rows, CHUNK)), np.empty(CHUNK)
    moments.fill(0.0)
    for k in range(len(rows)):
        for c in range(len(weight)):
            for a in range(n_rows):
                centre = centres[k, a - 1] if 0 < a <= n_terms else 0.0
                for j in range(CHUNK):
                    z[a, j] = about[c, a, j] - centre
            v = 0
            for a in range(n_terms + 1):
                for j in range(CHUNK):
                    share[j] = rows[k, c, j] * weight[c, j] * z[a, j]
                for b in range(a, n_rows):
                    total = 0.0
                    for j in range(CHUNK):
                        total += share[j] * z[b, j]
                    moments[k, v] += total
                    v += 1
