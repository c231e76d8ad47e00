"""Path: the sums of one problem at many bandwidths, from one pass over its distances."""

from __future__ import annotations

import numpy as np

from sknw._algorithms._problem import Problem
from sknw._algorithms._tiles import map_tiles
from sknw._kernels import LOWEST_LOG

# A Gaussian at h / sqrt(2) is the square of that at h. Each square doubles the relative error, so that after so many
# the exponential is computed anew.
_SQUARES = 10

# Numbers in a tile: few enough that it stays in the cache between bandwidths.
_TILE_NUMBERS = 2**17

# Weights below this, in relation to the largest of their row, are raised to it before every third square, which changes
# no digit of a sum: after three, they would be too small for a float, which is slow on many a processor.
_TINY = 1e-38
_BETWEEN = 3


def path_sums(
    problem: Problem, shrinkage: np.ndarray, rows: np.ndarray, n_jobs: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel sums of training rows, each without itself, at the bandwidths that `shrinkage` divides.

    Parameters
    ----------
    problem : Problem
        With a kernel that is positive everywhere.
    shrinkage : ndarray of shape (n_bandwidths,)
        Ascending: the bandwidths are ``problem.bandwidth / shrinkage``.
    rows : ndarray of shape (n_rows,)

    Returns
    -------
    sums : ndarray of shape (n_bandwidths, n_rows, n_outputs + 1)
    log_scale : ndarray of shape (n_bandwidths, n_rows)
        As in `Algorithm.sums`.
    """
    sums = np.empty((len(shrinkage), len(rows), problem.values.shape[1]))
    log_scale = np.empty((len(shrinkage), len(rows)))
    log_ratio = problem.kernel.log_ratio
    assert log_ratio is not None
    # One by one: BLAS is slow where a matrix has but two columns.
    columns = np.ascontiguousarray(problem.values.T)

    def tile_sums(tile):
        t = problem.hide(problem.row_squares(rows[tile], shrinkage[-1]), rows[tile], np.inf)
        lowest = t.min(axis=1, keepdims=True)
        lowest[lowest == np.inf] = 0
        t = problem.hide(t - lowest, rows[tile], 0)
        for k, weights in enumerate(_weights(problem, rows[tile], lowest, t, shrinkage)):
            for column, values in enumerate(columns):
                sums[k, tile, column] = weights @ values
            log_scale[k, tile] = log_ratio(np.zeros_like(lowest), lowest * shrinkage[k] ** 2)[:, 0]

    map_tiles(tile_sums, len(rows), max(1, _TILE_NUMBERS // len(problem.y)), n_jobs)
    return sums, log_scale


def _weights(problem, rows, lowest, t, shrinkage):
    """Kernel rows at each bandwidth, in units of the weight of the nearest key."""
    log_ratio = problem.kernel.log_ratio
    weights, squares = t, _SQUARES
    for k, factor in enumerate(np.square(shrinkage)):
        doubled = k > 0 and abs(factor / shrinkage[k - 1] ** 2 - 2) < 1e-12
        if problem.kernel.is_product and doubled and squares < _SQUARES:
            if squares % _BETWEEN == 0:
                np.maximum(weights, _TINY, out=weights)
            np.square(weights, out=weights)
            squares += 1
        else:
            logs = log_ratio(lowest * factor, t * factor)
            weights = np.exp(np.maximum(logs, LOWEST_LOG, out=logs), out=logs)
            problem.hide(weights, rows, 0)
            squares = 0
        yield weights
