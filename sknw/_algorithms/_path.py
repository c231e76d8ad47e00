"""Path: the sums of one problem at many bandwidths, from one pass over its distances."""

from __future__ import annotations

import numpy as np

from sknw._algorithms._problem import Problem, Sums
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
    problems: list[Problem], shrinkage: np.ndarray, rows: np.ndarray, n_jobs: int | None = None
) -> list[Sums]:
    """Kernel sums of training rows, each without itself, at several bandwidths.

    Parameters
    ----------
    problems : list of Problem
        One problem at all bandwidths, with a kernel that is positive everywhere.
    shrinkage : ndarray of shape (n_bandwidths,)
        Ascending, from one: the bandwidths are that of the first problem divided by these.
    rows : ndarray of shape (n_rows,)
    """
    problem, path = problems[0], [Sums.empty(each, len(rows)) for each in problems]
    log_ratio = problem.kernel.log_ratio
    assert log_ratio is not None
    # One by one: BLAS is slow where a matrix has but two columns.
    values = np.ascontiguousarray(problem.values.T)

    def tile_sums(tile):
        t = problem.hide(problem.row_squares(rows[tile], shrinkage[-1]), rows[tile], np.inf)
        lowest = t.min(axis=1, keepdims=True)
        lowest[lowest == np.inf] = 0
        t = problem.hide(t - lowest, rows[tile], 0)
        centre = problem.centre_of(problem.keys[rows[tile]])
        columns = values if problem.degree == 0 else problem.columns(problem.values, problem.keys - centre).T
        for k, weights in enumerate(_weights(problem, rows[tile], lowest, t, shrinkage)):
            path[k].log_scale[tile] = log_ratio(np.zeros_like(lowest), lowest * shrinkage[k] ** 2)[:, 0]
            if problem.degree == 0:
                for column, numbers in enumerate(columns):
                    path[k].columns[tile, column] = weights @ numbers
                continue
            path[k].columns[tile], path[k].centre[tile] = weights @ columns.T, centre
            again = np.flatnonzero(problems[k].blurred(path[k].columns[tile]))
            if len(again):
                exact = problems[k].sums_of_rows(weights[again], path[k].log_scale[tile][again])
                path[k].fill(np.arange(len(rows))[tile][again], exact)

    map_tiles(tile_sums, len(rows), max(1, _TILE_NUMBERS // len(problem.y)), n_jobs)
    return path


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
