"""Weights: what each target weighs in the fit at a query."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, vstack

from sknw._accuracy import MIN_WEIGHT
from sknw._fit._equivalent_kernels import equivalent_kernels
from sknw._fit._fallbacks import FALLBACKS
from sknw._fit._fit import Fit
from sknw._problem._definition import kernel_rows
from sknw._problem._problem import Problem
from sknw._problem._reach import shares_of_keys
from sknw._tiles import batches, map_tiles, row_batch

# Queries whose sparse weights are made at a time, at the least: trees are slow with few.
_MIN_QUERIES = 1024

# Numbers in the sums that are held at a time.
_SUMS = 2**22


def attention_shares(problem: Problem, queries: np.ndarray, fallback: str) -> tuple[np.ndarray, np.ndarray]:
    """The shares of keys in the kernel sums, (n_queries, n_keys), and which queries the fallback answered."""
    rows, _ = kernel_rows(problem, queries)
    rows *= problem.rows.relative_weight
    unreached = np.flatnonzero(rows.sum(axis=1) < MIN_WEIGHT)
    if len(unreached):
        rows[unreached] = FALLBACKS[fallback].rows(problem, queries[unreached]) * problem.rows.relative_weight
    rows /= rows.sum(axis=1, keepdims=True)
    return rows, unreached


def attention_weights(
    fit: Fit, queries: np.ndarray, fallback: str, *, sparse: bool = False, n_jobs: int | None = None
) -> tuple[np.ndarray | csr_array, int]:
    """The weights of the targets in each fit.

    Returns
    -------
    weights : ndarray or csr_array of shape (n_queries, n_keys)
        In the dtype of the keys. Rows sum to 1; some weights of polynomials may be negative.
    n_unreached : int
        How many queries the fallback answered.
    """
    return (_sparse_weights if sparse else _dense_weights)(fit, queries, fallback, n_jobs)


def _dense_weights(fit, queries, fallback, n_jobs):
    weights, n_unreached = np.empty((len(queries), len(fit.problem.rows)), fit.problem.rows.keys.dtype), 0
    for batch in batches(len(queries), max(_MIN_QUERIES, _SUMS // fit.problem.n_values)):
        n_unreached += _put_weights(fit, queries[batch], fallback, n_jobs, weights[batch])
    return weights, n_unreached


def _put_weights(fit, queries, fallback, n_jobs, out):
    """Put weights in their place; how many queries the fallback answered."""
    effective = _EffectiveWeights(fit, queries, n_jobs)

    def put(tile):
        shares, unreached = attention_shares(fit.problem, queries[tile], fallback)
        of_keys = np.flatnonzero(effective.of_keys[tile])
        shares[of_keys] = shares_of_keys(fit.problem, queries[tile][of_keys])
        effective.multiply(shares, tile, unreached)
        out[tile] = shares
        return len(unreached)

    return sum(map_tiles(put, len(queries), row_batch(len(fit.problem.rows)), n_jobs))


def _sparse_weights(fit, queries, fallback, n_jobs):
    blocks, n_unreached = [], 0
    for batch in batches(len(queries), max(_MIN_QUERIES, row_batch(len(fit.problem.rows)))):
        shares, unreached = _sparse_shares(fit, queries[batch], fallback, n_jobs)
        effective = _EffectiveWeights(fit, queries[batch], n_jobs)
        of_keys = np.flatnonzero(effective.of_keys)
        shares = _with_rows(shares, of_keys, [csr_array(shares_of_keys(fit.problem, queries[batch][of_keys]))])
        effective.multiply_sparse(shares, unreached)
        blocks.append(shares.astype(fit.problem.rows.keys.dtype))
        n_unreached += len(unreached)
    return csr_array(vstack(blocks, format="csr")), n_unreached


def _sparse_shares(fit, queries, fallback, n_jobs):
    """Sparse shares of keys in the kernel sums, and which queries the fallback answered."""
    problem = fit.problem
    rows, _ = fit.algorithm.kernel_rows(queries, n_jobs)
    rows.data *= problem.rows.relative_weight[rows.indices]
    unreached = np.flatnonzero(rows.sum(axis=1) < MIN_WEIGHT)
    if len(unreached):
        stand_ins = [
            csr_array(FALLBACKS[fallback].rows(problem, queries[unreached[batch]]) * problem.rows.relative_weight)
            for batch in batches(len(unreached), row_batch(len(problem.rows)))
        ]
        rows = _with_rows(rows, unreached, stand_ins)
    rows.data /= np.repeat(rows.sum(axis=1), np.diff(rows.indptr))
    return rows, unreached


def _with_rows(rows, indices, blocks):
    """Sparse rows, with those of some indices replaced by the rows of blocks."""
    if not len(indices):
        return rows
    place = np.arange(rows.shape[0])
    place[indices] = len(place) + np.arange(len(indices))
    return csr_array(vstack([rows, *blocks], format="csr")[place])


class _EffectiveWeights:
    """What the shares of keys in the kernel sums of queries are multiplied by, to be their weights in a fit.

    That is the equivalent kernel of each query over the kernel: 1 for a weighted mean, and a polynomial for others.

    Parameters
    ----------
    fit : Fit
    queries : ndarray of shape (n_queries, n_coordinates)
    n_jobs : int or None

    Attributes
    ----------
    of_keys : ndarray of shape (n_queries,) of bool
        For which queries the shares are to be those of `shares_of_keys`.
    """

    def __init__(self, fit, queries, n_jobs):
        self._problem = problem = fit.problem
        self._are_shares = problem.basis.degree == 0
        self.of_keys = np.zeros(len(queries), dtype=bool)
        if not self._are_shares:
            sums = fit.algorithm.sums(queries, n_jobs=n_jobs)
            reached = np.flatnonzero(sums.values[:, -1] >= MIN_WEIGHT)
            local = equivalent_kernels(problem, sums.take(reached), queries[reached])
            self._terms, self._points = local.kernels.terms, sums.expansion_point.copy()
            self._points[reached] = local.sums.expansion_point
            self._coefficients = np.zeros((len(queries), len(self._terms)))
            self._coefficients[reached] = local.kernels.coefficients
            self.of_keys[reached] = local.of_keys

    def multiply(self, rows, batch, unreached):
        """Multiply these rows, except those that a fallback has made."""
        if not self._are_shares:
            coefficients = self._without_slopes(self._coefficients[batch], unreached)
            for row, factors, point in zip(rows, coefficients, self._points[batch], strict=True):
                row *= factors @ self._terms(self._problem.distance.keys - point)

    def multiply_sparse(self, rows, unreached):
        """Multiply sparse rows of all queries, except those that a fallback has made."""
        if not self._are_shares:
            coefficients = self._without_slopes(self._coefficients, unreached)
            query = np.repeat(np.arange(len(coefficients)), np.diff(rows.indptr))
            for pairs in batches(len(query), row_batch(len(self._terms))):
                z = self._problem.distance.keys[rows.indices[pairs]] - self._points[query[pairs]]
                rows.data[pairs] *= np.einsum("ni,in->n", coefficients[query[pairs]], self._terms(z))

    def _without_slopes(self, coefficients, unreached):
        coefficients = coefficients.copy()
        coefficients[unreached] = np.arange(len(self._terms)) == len(self._terms) - 1
        return coefficients
