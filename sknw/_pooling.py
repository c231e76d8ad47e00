"""Pooling: from kernel sums to means, from kernel rows to weights, and what stands in where no key is in reach."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, vstack

from sknw._algorithms import Algorithm, Problem, Sums, batches, map_tiles, monomials, row_batch
from sknw._local_fit import levers, local_means

# Weights that sum to less than the smallest normal float have lost their digits, and are as good as none.
NOTHING = np.finfo(np.float64).tiny


# Sums that are held at a time.
_SUMS = 2**25


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
    algorithm: Algorithm, sums: Sums, queries: np.ndarray, fallback: str, excluded: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """The fits that kernel sums stand for: weighted means of the labels, or local polynomials.

    Parameters
    ----------
    sums : Sums
        From the algorithm.

    Returns
    -------
    fits : ndarray of shape (n_queries, n_outputs)
    n_unreached : int
        How many queries the fallback answered.
    """
    problem = algorithm.problem
    unreached = np.flatnonzero(sums.columns[:, -1] < NOTHING)
    reached = np.flatnonzero(sums.columns[:, -1] >= NOTHING) if len(unreached) else slice(None)
    fits = np.empty((len(queries), problem.y.shape[1]))
    fits[reached] = local_means(problem, sums.part(reached), queries[reached])
    if len(unreached):
        own = None if excluded is None else excluded[unreached]
        stand_ins = FALLBACKS[fallback].sums(algorithm, queries[unreached], own)
        fits[unreached] = stand_ins[:, :-1] / stand_ins[:, -1:]
    fits += problem.offset
    # A mean of labels lies between them; its rounding need not.
    return np.clip(fits, problem.low, problem.high, out=fits) if problem.degree == 0 else fits, len(unreached)


def smooth(
    algorithm: Algorithm, queries: np.ndarray, fallback: str, n_jobs: int | None = None
) -> tuple[np.ndarray, int]:
    """The fits at queries, and how many of them the fallback answered; as `pool`, for any number of columns."""
    fits, n_unreached = np.empty((len(queries), algorithm.problem.y.shape[1])), 0
    for some, sums in sums_in_batches(algorithm, queries, n_jobs):
        fits[some], unreached = pool(algorithm, sums, queries[some], fallback)
        n_unreached += unreached
    return fits, n_unreached


def sums_in_batches(
    algorithm: Algorithm, queries: np.ndarray, n_jobs: int | None = None
) -> Iterator[tuple[slice, Sums]]:
    """Kernel sums of all queries, of so many at a time that their columns are held."""
    for some in batches(len(queries), max(256, _SUMS // algorithm.problem.n_columns)):
        yield some, algorithm.sums(queries[some], n_jobs=n_jobs)


def attention(
    algorithm: Algorithm, queries: np.ndarray, fallback: str, *, sparse: bool = False, n_jobs: int | None = None
) -> tuple[np.ndarray | csr_array, int]:
    """The weights of the labels in each fit.

    Returns
    -------
    weights : ndarray or csr_array of shape (n_queries, n_keys)
        Rows sum to 1. For a degree above zero some may be negative.
    n_unreached : int
        How many queries the fallback answered.
    """
    problem = algorithm.problem
    dtype = problem.X.dtype
    if sparse and hasattr(algorithm, "rows"):
        return _sparse_attention(algorithm, queries, fallback, n_jobs)
    dense = np.empty((0 if sparse else len(queries), len(problem.y)), dtype)
    tilt = _Tilt(algorithm, queries, n_jobs)

    def batch_weights(batch):
        rows, unreached = shares(problem, queries[batch], fallback)
        tilt.multiply(rows, batch, unreached)
        if sparse:
            return csr_array(rows.astype(dtype)), len(unreached)
        dense[batch] = rows
        return None, len(unreached)

    blocks, unreached = zip(*map_tiles(batch_weights, len(queries), row_batch(len(problem.y)), n_jobs), strict=True)
    return csr_array(vstack(blocks)) if sparse else dense, sum(unreached)


def shares(problem: Problem, queries: np.ndarray, fallback: str) -> tuple[np.ndarray, np.ndarray]:
    """The shares of keys in the kernel sums, (n_queries, n_keys), and which queries the fallback answered."""
    rows, _ = problem.rows(queries)
    rows *= problem.weight
    unreached = np.flatnonzero(rows.sum(axis=1) < NOTHING)
    if len(unreached):
        rows[unreached] = FALLBACKS[fallback].rows(problem, queries[unreached]) * problem.weight
    rows /= rows.sum(axis=1, keepdims=True)
    return rows, unreached


def _sparse_attention(algorithm, queries, fallback, n_jobs):
    """As `attention`, by an algorithm that makes sparse rows itself."""
    problem = algorithm.problem
    rows, _ = algorithm.rows(queries, n_jobs)
    rows.data *= problem.weight[rows.indices]
    unreached = np.flatnonzero(rows.sum(axis=1) < NOTHING)
    if len(unreached):
        stand_ins = [
            csr_array(FALLBACKS[fallback].rows(problem, queries[unreached[batch]]) * problem.weight)
            for batch in batches(len(unreached), row_batch(len(problem.y)))
        ]
        place = np.arange(len(queries))
        place[unreached] = len(queries) + np.arange(len(unreached))
        rows = csr_array(vstack([rows, *stand_ins], format="csr")[place])
    rows.data /= np.repeat(rows.sum(axis=1), np.diff(rows.indptr))
    _Tilt(algorithm, queries, n_jobs).multiply_sparse(rows, unreached)
    return rows.astype(problem.X.dtype), len(unreached)


class _Tilt:
    """What the shares of keys in the kernel sums of queries are multiplied by, to be their weights in a local fit.

    Parameters
    ----------
    algorithm : Algorithm
    queries : ndarray of shape (n_queries, n_features)
    n_jobs : int or None
    """

    def __init__(self, algorithm, queries, n_jobs):
        self._problem = problem = algorithm.problem
        if problem.degree > 0:
            sums = algorithm.sums(queries, n_jobs=n_jobs)
            self._terms, self._centre = monomials(queries.shape[1], problem.degree), sums.centre
            self._coefficients = levers(problem, sums, queries).coefficients

    def multiply(self, rows, batch, unreached):
        """Multiply these rows, except those that a fallback has made."""
        if self._problem.degree > 0:
            coefficients = self._plain(self._coefficients[batch], unreached)
            for row, factors, centre in zip(rows, coefficients, self._centre[batch], strict=True):
                row *= factors @ self._terms(self._problem.keys - centre)

    def multiply_sparse(self, rows, unreached):
        """The same for sparse rows."""
        if self._problem.degree > 0:
            coefficients = self._plain(self._coefficients, unreached)
            query = np.repeat(np.arange(len(coefficients)), np.diff(rows.indptr))
            z = self._problem.keys[rows.indices] - self._centre[query]
            rows.data *= np.einsum("ni,in->n", coefficients[query], self._terms(z))

    def _plain(self, coefficients, unreached):
        coefficients = coefficients.copy()
        coefficients[unreached] = np.arange(len(self._terms)) == len(self._terms) - 1
        return coefficients
