"""Pooling: from kernel sums to means, from kernel rows to weights, and what stands in where no key is in reach."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, vstack

from sknw._algorithms import Algorithm, batches, map_tiles, row_batch

# Weights that sum to less than the smallest normal float have lost their digits, and are as good as none.
_NOTHING = np.finfo(np.float64).tiny


class _Fallback(NamedTuple):
    """What stands in for a query without a key in reach."""

    # (problem, queries) -> kernel rows
    rows: Callable
    # (algorithm, queries, excluded) -> sums
    sums: Callable
    # How a warning says it.
    phrase: str


def _mean_rows(problem, queries):
    return problem.hide(np.ones((len(queries), len(problem.y))), None, 0.0)


def _mean_sums(algorithm, queries, excluded):
    values = algorithm.problem.values
    if excluded is None:
        return np.tile(values.sum(axis=0), (len(queries), 1))
    # What is before the excluded key and what is behind it, so that nothing is subtracted.
    zero = np.zeros((1, values.shape[1]))
    before = np.concatenate([zero, values.cumsum(axis=0)])
    behind = np.concatenate([values[::-1].cumsum(axis=0)[::-1], zero])
    return before[excluded] + behind[excluded + 1]


def _raise(problem, queries):
    raise ValueError(
        f"A query has no training row in reach of the kernel {problem.kernel.name!r}, and fallback='raise'. "
        "Widen the bandwidth, or choose another fallback."
    )


FALLBACKS = {
    "nearest": _Fallback(
        lambda problem, queries: problem.nearest_rows(queries),
        lambda algorithm, queries, excluded: algorithm.nearest(queries, excluded),
        "they get the value of the nearest row",
    ),
    "mean": _Fallback(_mean_rows, _mean_sums, "they get the mean of the training labels"),
    "nan": _Fallback(
        lambda problem, queries: np.full((len(queries), len(problem.y)), np.nan),
        lambda algorithm, queries, excluded: np.full((len(queries), algorithm.problem.values.shape[1]), np.nan),
        "they get NaN",
    ),
    "raise": _Fallback(_raise, lambda algorithm, queries, excluded: _raise(algorithm.problem, queries), ""),
}


def warn_unreached(n_unreached: int, n_queries: int, kernel: str, fallback: str) -> None:
    """Tell the caller of a public method how many queries the fallback answered."""
    if n_unreached:
        warnings.warn(
            f"{n_unreached} of {n_queries} queries have no training row in reach of the kernel {kernel!r}: "
            f"{FALLBACKS[fallback].phrase} (fallback={fallback!r}). Widen the bandwidth, or choose another fallback.",
            UserWarning,
            stacklevel=3,
        )


def pool(
    algorithm: Algorithm, sums: np.ndarray, queries: np.ndarray, fallback: str, excluded: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """The weighted means of the labels that kernel sums stand for.

    Parameters
    ----------
    sums : ndarray of shape (n_queries, n_outputs + 1)
        From the algorithm.

    Returns
    -------
    means : ndarray of shape (n_queries, n_outputs)
    n_unreached : int
        How many queries the fallback answered.
    """
    problem = algorithm.problem
    unreached = np.flatnonzero(sums[:, -1] < _NOTHING)
    if len(unreached):
        sums, own = sums.copy(), None if excluded is None else excluded[unreached]
        sums[unreached] = FALLBACKS[fallback].sums(algorithm, queries[unreached], own)
    means = problem.offset + sums[:, :-1] / sums[:, -1:]
    # A mean of labels lies between them; its rounding need not.
    return np.clip(means, problem.low, problem.high, out=means), len(unreached)


def attention(
    algorithm: Algorithm, queries: np.ndarray, fallback: str, *, sparse: bool = False, n_jobs: int | None = None
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
    if sparse and hasattr(algorithm, "rows"):
        return _sparse_attention(algorithm, queries, fallback, n_jobs)
    dense = np.empty((0 if sparse else len(queries), len(problem.y)), dtype)

    def batch_weights(batch):
        rows, _ = problem.rows(queries[batch])
        rows *= problem.weight
        unreached = np.flatnonzero(rows.sum(axis=1) < _NOTHING)
        if len(unreached):
            rows[unreached] = FALLBACKS[fallback].rows(problem, queries[batch][unreached]) * problem.weight
        rows /= rows.sum(axis=1, keepdims=True)
        if sparse:
            return csr_array(rows.astype(dtype)), len(unreached)
        dense[batch] = rows
        return None, len(unreached)

    blocks, unreached = zip(*map_tiles(batch_weights, len(queries), row_batch(len(problem.y)), n_jobs), strict=True)
    return csr_array(vstack(blocks)) if sparse else dense, sum(unreached)


def _sparse_attention(algorithm, queries, fallback, n_jobs):
    """As `attention`, by an algorithm that makes sparse rows itself."""
    problem = algorithm.problem
    rows, _ = algorithm.rows(queries, n_jobs)
    rows.data *= problem.weight[rows.indices]
    unreached = np.flatnonzero(rows.sum(axis=1) < _NOTHING)
    if len(unreached):
        stand_ins = [
            csr_array(FALLBACKS[fallback].rows(problem, queries[unreached[batch]]) * problem.weight)
            for batch in batches(len(unreached), row_batch(len(problem.y)))
        ]
        place = np.arange(len(queries))
        place[unreached] = len(queries) + np.arange(len(unreached))
        rows = csr_array(vstack([rows, *stand_ins], format="csr")[place])
    rows.data /= np.repeat(rows.sum(axis=1), np.diff(rows.indptr))
    return rows.astype(problem.X.dtype), len(unreached)
