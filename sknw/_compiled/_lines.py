"""Lines: steps that hold the limit of lines fitted about samples."""

from __future__ import annotations

import numpy as np

from sknw._compiled._jit import SUMS, jit, use_wide_vectors
from sknw._compiled._kinds import CHUNK

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "5daf27087cf3"


@jit(SUMS)
def put_steps(some, rows, weight, about, means, slopes, limit, more, steps):
    """Put what lines are drawn towards the mean by, as `largest_step` has it.

    Parameters
    ----------
    some : ndarray of int
        Which samples.
    rows : ndarray of shape (n_samples, n_chunks, CHUNK)
        Of the kernel matrix.
    weight : ndarray of shape (n_chunks, CHUNK)
    about : ndarray of shape (n_chunks, n_rows, CHUNK)
        Ones, the coordinates of keys, and more.
    means : ndarray of shape (n_samples, n_terms + n_outputs)
        Of coordinates, and more.
    slopes : ndarray of shape (n_samples, n_terms)
        Of equivalent kernels.
    limit, more : float
        What absolute weights may sum up to, in relation to their sum; above which number that counts as more.
    steps : ndarray of shape (n_samples,)
        To be filled.
    """
    use_wide_vectors()
    lever, share = np.empty(weight.shape), np.empty(weight.shape)
    for k in some:
        constant = total = 0.0
        for a in range(slopes.shape[1]):
            constant -= slopes[k, a] * means[k, a]
        for c in range(len(lever)):
            for j in range(CHUNK):
                lever[c, j] = constant
                share[c, j] = rows[k, c, j] * weight[c, j]
                total += share[c, j]
            for a in range(slopes.shape[1]):
                for j in range(CHUNK):
                    lever[c, j] += slopes[k, a] * about[c, a + 1, j]
        step = 1.0
        while step > 0:
            size = slope = 0.0
            for c in range(len(lever)):
                for j in range(CHUNK):
                    at = 1.0 + step * lever[c, j]
                    size += share[c, j] * abs(at)
                    slope += share[c, j] * (lever[c, j] if at > 0 else -lever[c, j])
            lower = step - (size - limit * total) / slope
            if size <= more * total or not (slope > 0 and lower < step):
                break
            step = max(lower, 0.0)
        steps[k] = step
