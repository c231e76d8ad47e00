"""The definition: rows of the kernel matrix and sums over them, whatever they cost. Algorithms fall back on it."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from sknw._accuracy import MIN_SHARE, TIED
from sknw._kernels import relative_weights
from sknw._problem._problem import Problem
from sknw._problem._sums import Nearest, Sums
from sknw._tiles import batches, row_batch

# Above so many values, products of matrices sum them faster, though over all keys.
MANY_VALUES = 200

_ZERO = np.zeros((1, 1))


def kernel_rows(
    problem: Problem, queries: np.ndarray, excluded: np.ndarray | None = None, factor: np.ndarray | float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the kernel matrix, zero for keys that do not count.

    Parameters
    ----------
    excluded : ndarray of shape (n_queries,), default=None
        For each query the index of one key that does not count.
    factor : ndarray of shape (n_queries, 1), default=1.0
        What squared distances are multiplied by, where each query has a bandwidth of its own.

    Returns
    -------
    rows : ndarray of shape (n_queries, n_keys)
    log_scale : ndarray of shape (n_queries,)
        ``rows * exp(log_scale)[:, None]`` is K, relative to K at `Distance.reference` of the query.
    """
    if problem.kernel.log_ratio is None:
        rows = problem.kernel.of_square(problem.distance.squares(queries) * factor)
        return problem.rows.exclude(rows, excluded, 0.0), np.zeros(len(queries))
    t0, dt = problem.distance.squares_from_reference(queries)
    return relative_rows(problem, dt * factor, excluded, t0 * factor)


def relative_rows(
    problem: Problem, dt: np.ndarray, excluded: np.ndarray | None, t0: np.ndarray = _ZERO
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the kernel matrix from squared distances t0 + dt, in units of the weight of the nearest key that counts.

    For a kernel that is positive everywhere. Overwrites dt.

    Returns
    -------
    rows : ndarray of shape (n_queries, n_keys)
    log_scale : ndarray of shape (n_queries,)
        The logarithm of the unit, relative to K at t0.
    """
    log_ratio = problem.kernel.log_ratio
    assert log_ratio is not None
    lowest = problem.rows.exclude(dt, excluded, np.inf).min(axis=1, keepdims=True)
    lowest[lowest == np.inf] = 0
    dt -= lowest
    rows = relative_weights(problem.kernel, t0 + lowest, problem.rows.exclude(dt, excluded, 0.0))
    return problem.rows.exclude(rows, excluded, 0.0), np.broadcast_to(log_ratio(t0, lowest), lowest.shape)[:, 0]


def exact_sums(problem: Problem, queries: np.ndarray, excluded: np.ndarray | None = None) -> Sums:
    """Kernel sums as the definition has them."""
    return sums_of_rows(problem, *kernel_rows(problem, queries, excluded))


def put_exact_sums(
    problem: Problem, sums: Sums, indices: np.ndarray, queries: np.ndarray, excluded: np.ndarray | None
) -> None:
    """Put the sums that the definition gives queries of these indices in their place."""
    for batch in batches(len(indices), row_batch(len(problem.rows))):
        some = indices[batch]
        sums.put(some, exact_sums(problem, queries[some], None if excluded is None else excluded[some]))


def sums_of_rows(problem: Problem, rows: np.ndarray, log_scale: np.ndarray) -> Sums:
    """Sums over rows of the kernel matrix, about the weighted means of the keys: nothing cancels there."""
    keys, sums = problem.distance.keys, problem.empty_sums(len(rows))
    sums.log_scale[:] = log_scale
    if sums.expansion_point.shape[1] == 0:
        sums.values[:] = rows @ problem.rows.values
        return sums
    rows = np.where(rows > MIN_SHARE * rows.max(axis=1, keepdims=True), rows, 0)
    total = rows @ problem.rows.relative_weight
    reached = np.flatnonzero(total > 0)
    if sums.values.shape[1] > MANY_VALUES:
        size = row_batch(keys.size)
    else:
        size = row_batch(sums.values.shape[1] * (int(np.count_nonzero(rows)) // max(len(reached), 1) + 1))
    for batch in batches(len(reached), size):
        queries = reached[batch]
        point = (rows[queries] * problem.rows.relative_weight / total[queries, None]) @ keys
        sums.expansion_point[queries] = point
        sums.values[queries] = sums_about(problem, point, rows[queries], keys, problem.rows.values)
    return sums


def sums_about(
    problem: Problem, expansion_point: np.ndarray, rows: np.ndarray, keys: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Sums over rows of the kernel matrix for these keys, about a point for each query: (n_queries, n_values)."""
    if problem.n_values > MANY_VALUES:
        z = problem.basis.seen_from(keys, expansion_point[:, None])
        return problem.basis.summed(values * rows[:, :, None], z)
    query, key = np.nonzero(rows)
    z = problem.basis.seen_from(keys[key], expansion_point[query])
    columns = problem.basis.columns(values[key] * rows[query, key][:, None], z)
    pairs = csr_array((np.ones(len(query)), (query, np.arange(len(query)))), shape=(len(rows), len(query)))
    return pairs @ columns


def nearest_rows(
    problem: Problem, queries: np.ndarray, excluded: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are one for the nearest keys, ties included, and zero for all others: (n_queries, n_keys).

    And the squared distances of these, less `Distance.reference` of the query: (n_queries,).
    """
    _, dt = problem.distance.squares_from_reference(queries)
    return nearest_rows_of(problem, dt, excluded)


def nearest_rows_of(problem: Problem, dt: np.ndarray, excluded: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """`nearest_rows` from squared distances, less `Distance.reference`, which are overwritten."""
    problem.rows.exclude(dt, excluded, np.inf)
    lowest = dt.min(axis=1, keepdims=True)
    tied = (dt <= lowest + TIED * np.abs(lowest)) & (dt < np.inf)
    return tied.astype(float), lowest[:, 0]


def nearest(problem: Problem, queries: np.ndarray, excluded: np.ndarray | None = None) -> Nearest:
    """The nearest keys, as the definition has them."""
    values, squares = np.empty((len(queries), problem.rows.values.shape[1])), np.empty(len(queries))
    for batch in batches(len(queries), row_batch(len(problem.rows))):
        rows, squares[batch] = nearest_rows(problem, queries[batch], None if excluded is None else excluded[batch])
        values[batch] = rows @ problem.rows.values
    return Nearest(squares, values)
