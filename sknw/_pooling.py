"""Pooling: from kernel sums to means, from kernel rows to weights, and what stands in where no key is in reach."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.sparse import csr_array, vstack

from sknw._algorithms import Brute, Problem, batches, map_tiles, row_batch

# Weights that sum to less than the smallest normal float have lost their digits, and are as good as none.
_NOTHING = np.finfo(np.float64).tiny

# Squared distances that differ by less, in relation to the least, differ by rounding: their keys are equally near.
_TIED = 1e-13


def _nearest(problem, queries, excluded):
    _, dt = problem.split_squares(queries)
    problem.hide(dt, excluded, np.inf)
    lowest = dt.min(axis=1, keepdims=True)
    return (dt <= lowest + _TIED * np.abs(lowest)).astype(float)


def _mean(problem, queries, excluded):
    return problem.hide(np.ones((len(queries), len(problem.y))), excluded, 0.0)


def _nan(problem, queries, excluded):
    return np.full((len(queries), len(problem.y)), np.nan)


#: What stands in for the kernel rows of queries without a key in reach, (problem, queries, excluded) -> rows, and how
#: a warning says it. "raise" has no such rows.
FALLBACKS = {
    "nearest": (_nearest, "they get the value of the nearest row"),
    "mean": (_mean, "they get the mean of the training labels"),
    "nan": (_nan, "they get NaN"),
    "raise": (None, ""),
}


def _stand_in(problem, queries, excluded, fallback):
    rows, _ = FALLBACKS[fallback]
    if rows is None:
        raise ValueError(
            f"A query has no training row in reach of the kernel {problem.kernel.name!r}, and fallback={fallback!r}. "
            "Widen the bandwidth, or choose another fallback."
        )
    return rows(problem, queries, excluded)


def warn_unreached(n_unreached: int, n_queries: int, kernel: str, fallback: str) -> None:
    """Tell the caller of a public method how many queries the fallback answered."""
    if n_unreached:
        warnings.warn(
            f"{n_unreached} of {n_queries} queries have no training row in reach of the kernel {kernel!r}: "
            f"{FALLBACKS[fallback][1]} (fallback={fallback!r}). Widen the bandwidth, or choose another fallback.",
            UserWarning,
            stacklevel=3,
        )


def pool(
    problem: Problem, sums: np.ndarray, queries: np.ndarray, fallback: str, excluded: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """The weighted means of the labels that kernel sums stand for.

    Parameters
    ----------
    sums : ndarray of shape (n_queries, n_outputs + 1)
        From an algorithm.

    Returns
    -------
    means : ndarray of shape (n_queries, n_outputs)
    n_unreached : int
        How many queries the fallback answered.
    """
    unreached = np.flatnonzero(sums[:, -1] < _NOTHING)
    if len(unreached):
        sums = sums.copy()
    for batch in batches(len(unreached), row_batch(len(problem.y))):
        some = unreached[batch]
        rows = _stand_in(problem, queries[some], None if excluded is None else excluded[some], fallback)
        sums[some] = rows @ problem.values
    means = problem.offset + sums[:, :-1] / sums[:, -1:]
    # A mean of labels lies between them; its rounding need not.
    return np.clip(means, problem.low, problem.high, out=means), len(unreached)


def attention(
    algorithm: Brute, queries: np.ndarray, fallback: str, *, sparse: bool = False, n_jobs: int | None = None
) -> tuple[np.ndarray | csr_array, int]:
    """The weights of the labels in each mean.

    Returns
    -------
    weights : ndarray or csr_array of shape (n_queries, n_keys)
        Rows sum to 1.
    n_unreached : int
        How many queries the fallback answered.
    """
    problem = algorithm.problem
    dtype = problem.X.dtype
    dense = np.empty((0 if sparse else len(queries), len(problem.y)), dtype)

    def batch_weights(batch):
        rows, _ = algorithm.rows(queries[batch])
        rows *= problem.weight
        unreached = np.flatnonzero(rows.sum(axis=1) < _NOTHING)
        if len(unreached):
            rows[unreached] = _stand_in(problem, queries[batch][unreached], None, fallback) * problem.weight
        rows /= rows.sum(axis=1, keepdims=True)
        if sparse:
            return csr_array(rows.astype(dtype)), len(unreached)
        dense[batch] = rows
        return None, len(unreached)

    blocks, unreached = zip(*map_tiles(batch_weights, len(queries), row_batch(len(problem.y)), n_jobs), strict=True)
    return csr_array(vstack(blocks)) if sparse else dense, sum(unreached)
