"""Local fits: the polynomials in a query's coordinates that kernel sums stand for, by weighted least squares.

A fit of degree p at a query is linear in the labels. Key j has the weight w_j * l(x_j) in it, where w_j is its share of
the kernel sum, and l a polynomial of degree p, the query's lever: 1 for the weighted mean, p = 0. With the covariances
C, under the shares, of the monomials g of coordinates, and their means m::

    l(x) = 1 + v . (g(x) - m),    v = (C + ridge)**-1 (g(query) - m)

Where C is singular, as among keys on a line or fewer keys than coefficients, the degree is reduced; for degree 1,
directions in which the keys in reach do not differ are left out. The weighted mean remains at worst.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._algorithms import Monomials, Problem, Sums, monomials

# Eigenvalues of a correlation matrix below this tell of monomials that depend on each other. A lower limit would let
# rounding into the fit.
_LEAST_EIGENVALUE = 1e-6


class Levers(NamedTuple):
    """What the weights of keys at queries are multiplied by, as polynomials.

    Parameters
    ----------
    slopes : ndarray of shape (n_queries, n_monomials)
        The factors v of all monomials but 1, of coordinates about the centre of the sums, the highest first.
    means : ndarray of shape (n_queries, n_monomials)
        The weighted means of these.
    terms : Monomials
        These, and 1.
    """

    slopes: np.ndarray
    means: np.ndarray
    terms: Monomials

    @property
    def coefficients(self) -> np.ndarray:
        """Of all monomials, 1 among them: (n_queries, n_monomials + 1)."""
        constant = 1 - np.einsum("mi,mi->m", self.slopes, self.means)
        return np.column_stack([self.slopes, constant])

    def at(self, z: np.ndarray) -> np.ndarray:
        """The lever of each query at a point of its own, (n_queries, n_features), about the centre: (n_queries,)."""
        return 1 + np.einsum("mi,mi->m", self.slopes, self.terms(z)[:-1].T - self.means)


def levers(problem: Problem, sums: Sums, queries: np.ndarray) -> Levers:
    """The levers of queries, from their sums."""
    means, _ = problem.moments(sums.columns, problem.degree)
    terms = monomials(queries.shape[1], problem.degree)
    here = terms(queries - sums.centre)[:-1].T
    return Levers(solve(problem, sums, (here - means)[:, :, None])[:, :, 0], means, terms)


def local_means(problem: Problem, sums: Sums, queries: np.ndarray) -> np.ndarray:
    """The fits at queries, (n_queries, n_outputs), without the offset of the labels."""
    n_outputs = problem.y.shape[1]
    if problem.degree == 0:
        return sums.columns[:, :-1] / sums.columns[:, -1:]
    label = label_means(problem, sums)
    slopes, means, _ = levers(problem, sums, queries)
    covariances = label[:, :-1] - means[:, :, None] * label[:, -1:]
    return label[:, -1] + np.einsum("mi,mik->mk", slopes, covariances).reshape(-1, n_outputs)


def label_means(problem: Problem, sums: Sums) -> np.ndarray:
    """Weighted means of labels times monomials: (n_queries, n_monomials, n_outputs), those of the labels last."""
    n_outputs = problem.y.shape[1]
    n_terms = len(monomials(problem.keys.shape[1], problem.degree))
    return (sums.columns[:, : n_terms * n_outputs] / sums.columns[:, -1:]).reshape(-1, n_terms, n_outputs)


class LocalRows(NamedTuple):
    """Keys in the local fits of queries.

    Parameters
    ----------
    weights : ndarray of shape (n_queries, n_keys)
        What the labels weigh in the fit at the query.
    residuals : ndarray of shape (n_queries, n_keys, n_outputs)
        Labels minus the polynomial that was fitted about the query, at the key.
    leverages : ndarray of shape (n_queries, n_keys)
        By how much that polynomial moves, at a key, with the key's own label.
    """

    weights: np.ndarray
    residuals: np.ndarray
    leverages: np.ndarray

    def without(self, fits: np.ndarray, repetitions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The fits to all rows but one repetition of each, (n_queries, n_keys, n_outputs), and 1 - its leverage.

        By the formula for least squares without a row: the coefficients change by the solution for the row's terms,
        times its residual, divided by 1 - leverage. Of no use where that is about zero.
        """
        left = 1 - self.leverages / repetitions
        share = np.divide(self.weights / repetitions, left, out=np.zeros_like(left), where=left > 0)
        return fits[:, None] - share[:, :, None] * self.residuals, left


def local_rows(problem: Problem, sums: Sums, queries: np.ndarray, shares: np.ndarray) -> LocalRows:
    """The keys in the fits of queries, from their sums and the shares, (n_queries, n_keys), of keys in these."""
    labels = problem.y - problem.offset
    if problem.degree == 0:
        return LocalRows(shares, labels - local_means(problem, sums, queries)[:, None], shares)
    slopes, means, terms = levers(problem, sums, queries)
    z = problem.keys - sums.centre[:, None]
    deviations = terms(z.reshape(-1, z.shape[2]))[:-1].reshape(-1, *shares.shape).swapaxes(0, 1) - means[:, :, None]
    inverse = solve(problem, sums, np.tile(np.eye(means.shape[1]), (len(means), 1, 1)))
    label = label_means(problem, sums)
    gradient = inverse @ (label[:, :-1] - means[:, :, None] * label[:, -1:])
    return LocalRows(
        shares * (1 + np.einsum("mi,min->mn", slopes, deviations)),
        labels - label[:, None, -1] - deviations.swapaxes(1, 2) @ gradient,
        shares * (1 + np.einsum("min,min->mn", deviations, inverse @ deviations)),
    )


def solve(problem: Problem, sums: Sums, right: np.ndarray) -> np.ndarray:
    """(C + ridge)**-1 times right-hand sides of shape (n_queries, n_monomials, n), rank-safe."""
    solution = np.zeros_like(right)
    rows = np.arange(len(right))
    for degree in range(problem.degree, 0, -1):
        terms = monomials(problem.keys.shape[1], degree)
        means, products = problem.moments(sums.columns[rows], degree)
        covariance = products - means[:, :, None] * means[:, None]
        least = terms.of(np.sqrt(problem.least_variances))[:-1] ** 2
        # Those that are constant everywhere are no part of the polynomial.
        at = [k for k, factors in enumerate(terms.factors[:-1]) if (problem.extent[list(factors)] > 0).all()]
        places = np.array(at, dtype=int) - len(terms) + 1 + right.shape[1]
        some, covariance = right[rows[:, None], places], covariance[:, at][:, :, at]
        penalty = problem.ridge * problem.variances_of_keys[at] if problem.ridge else 0.0
        if degree == 1:
            solution[rows[:, None], places] = _solve_scaled(covariance, penalty, least[at], some, truncate=True)[0]
            break
        about_mean = terms.about(means)[:, at][:, :, at]
        moved = about_mean @ covariance @ about_mean.swapaxes(1, 2)
        found, known = _solve_scaled(moved, penalty, least[at], about_mean @ some, truncate=False)
        solution[rows[known, None], places] = (about_mean.swapaxes(1, 2) @ found)[known]
        rows = rows[~known]
    return solution


def _solve_scaled(covariance, penalty, least, right, truncate):
    """The solutions, by the correlations; and which are known: all, if to `truncate` these is allowed."""
    diagonal = covariance.diagonal(axis1=1, axis2=2)
    varies = (diagonal >= least) & (diagonal > 0)
    scale = np.where(varies, 1 / np.sqrt(np.where(varies, diagonal + penalty, 1)), 0)
    correlation = covariance * scale[:, :, None] * scale[:, None]
    at = np.arange(correlation.shape[1])
    correlation[:, at, at] = varies
    found = np.zeros_like(right)
    inverse, clear = _inverses(correlation)
    found[clear] = inverse @ (right * scale[:, :, None])[clear]
    known = clear.copy() if not truncate else np.full(len(right), True)
    hard = np.flatnonzero(~clear & truncate)
    if len(hard):
        values, vectors = np.linalg.eigh(correlation[hard])
        inverse = np.divide(1, values, out=np.zeros_like(values), where=values > _LEAST_EIGENVALUE)
        across = vectors.swapaxes(1, 2) @ (right[hard] * scale[hard, :, None])
        found[hard] = vectors @ (across * inverse[:, :, None])
    found *= scale[:, :, None]
    return found, known


def _inverses(matrices):
    """The inverses of those symmetric matrices that have no small eigenvalue, and which these are."""
    if matrices.shape[1] == 1:
        clear = matrices[:, 0, 0] > _LEAST_EIGENVALUE
        return 1 / matrices[clear], clear
    try:
        inverses = np.linalg.inv(matrices)
    except np.linalg.LinAlgError:  # for one that is singular
        values = np.maximum(np.linalg.eigvalsh(matrices), _LEAST_EIGENVALUE**2)
        clear = (values**-2).sum(axis=1) < _LEAST_EIGENVALUE**-2
        return np.linalg.inv(matrices[clear]), clear
    # The length of an inverse is at least the inverse of the least eigenvalue.
    clear = np.einsum("mij,mij->m", inverses, inverses) < _LEAST_EIGENVALUE**-2
    return inverses[clear], clear
