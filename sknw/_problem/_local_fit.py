"""Local fits: what kernel sums say at queries, by weighted least squares in the terms of a basis.

A fit of degree p at a query is linear in the targets. Key j has the effective weight w_j * l(x_j) in it, where w_j is
its share of the kernel sum. The polynomial l of degree p is the equivalent kernel over the kernel (J. Fan and I.
Gijbels, 1996, Local Polynomial Modelling and Its Applications, section 3.2.2), and 1 for the weighted mean, p = 0. With
the covariances C, under the shares, of the monomials g of coordinates, and their means m::

    l(x) = 1 + v . (g(x) - m),    v = (C + penalty)**-1 (g(query) - m)

Where C is singular, as among keys on a line or fewer keys than coefficients, the degree is reduced; for degree 1,
directions in which the keys in reach do not differ are left out. The weighted mean remains at worst.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._accuracy import MEAN_SQUARE, MIN_EIGENVALUE
from sknw._problem._conditions import Conditions
from sknw._problem._monomials import Monomials, monomials
from sknw._problem._sums import Sums


class EquivalentKernel(NamedTuple):
    """The polynomials l of some queries, with which their kernel weights are multiplied to be effective weights.

    Parameters
    ----------
    slopes : ndarray of shape (n_queries, n_monomials)
        The factors v of all monomials but 1, of coordinates about the expansion point of the sums, the highest first.
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
        """The factors of all monomials, 1 among them: (n_queries, n_monomials + 1)."""
        constant = 1 - np.einsum("mi,mi->m", self.slopes, self.means)
        return np.column_stack([self.slopes, constant])

    def at(self, z: np.ndarray) -> np.ndarray:
        """The value for each query at a point of its own, (n_queries, n_coordinates): (n_queries,)."""
        return 1 + np.einsum("mi,mi->m", self.slopes, self.terms(z)[:-1].T - self.means)


class LocalFits(NamedTuple):
    """Keys in the fits of queries.

    Parameters
    ----------
    weights : ndarray of shape (n_queries, n_keys)
        The effective weight of each target in the fit at the query.
    residuals : ndarray of shape (n_queries, n_keys, n_outputs)
        Targets minus the polynomial that was fitted about the query, at the key.
    leverages : ndarray of shape (n_queries, n_keys)
        By how much that polynomial moves, at a key, with the key's own target.
    """

    weights: np.ndarray
    residuals: np.ndarray
    leverages: np.ndarray

    def without(self, fits: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The fits without one sample of each key, (n_queries, n_keys, n_outputs), and 1 - its leverage.

        By the formula for least squares without a row: the coefficients change by the solution for the row's terms,
        times its residual, divided by 1 - leverage. Of no use where that is about zero.
        """
        left = 1 - self.leverages / counts
        share = np.divide(self.weights / counts, left, out=np.zeros_like(left), where=left > 0)
        return fits[:, None] - share[:, :, None] * self.residuals, left


def equivalent_kernel(basis, sums: Sums, queries: np.ndarray, conditions: Conditions) -> EquivalentKernel:
    """The equivalent kernels of queries, relative to their kernel, from their sums."""
    means, _ = basis.moments(sums, basis.degree)
    z = basis.seen_from(queries, sums.expansion_point)
    terms = monomials(z.shape[1], basis.degree)
    right = (terms(z)[:-1].T - means)[:, :, None]
    return EquivalentKernel(solve(basis, sums, right, conditions)[:, :, 0], means, terms)


def target_means(basis, sums: Sums) -> np.ndarray:
    """Weighted means of targets times monomials, of 1 last: (n_queries, n_monomials, n_outputs)."""
    return basis.blocks(sums)[0] / sums.values[:, -1:, None]


def fits(basis, sums: Sums, queries: np.ndarray, conditions: Conditions) -> np.ndarray:
    """The fits at queries, (n_queries, n_outputs), without the offset of the targets."""
    target = target_means(basis, sums)
    slopes, means, _ = equivalent_kernel(basis, sums, queries, conditions)
    covariances = target[:, :-1] - means[:, :, None] * target[:, -1:]
    return target[:, -1] + np.einsum("mi,mik->mk", slopes, covariances)


def local_fits(
    basis,
    sums: Sums,
    queries: np.ndarray,
    conditions: Conditions,
    shares: np.ndarray,
    keys: np.ndarray,
    targets: np.ndarray,
) -> LocalFits:
    """The keys in the fits of queries, from their sums and the shares, (n_queries, n_keys), of keys in these.

    targets : ndarray of shape (n_keys, n_outputs), without their offset
    """
    slopes, means, terms = equivalent_kernel(basis, sums, queries, conditions)
    z = np.stack([basis.seen_from(keys, point) for point in sums.expansion_point])
    values = terms(z.reshape(shares.size, z.shape[2]))[:-1].reshape(len(terms) - 1, *shares.shape).swapaxes(0, 1)
    deviations = values - means[:, :, None]
    inverse = solve(basis, sums, np.tile(np.eye(means.shape[1]), (len(means), 1, 1)), conditions)
    target = target_means(basis, sums)
    gradient = inverse @ (target[:, :-1] - means[:, :, None] * target[:, -1:])
    return LocalFits(
        shares * (1 + np.einsum("mi,min->mn", slopes, deviations)),
        targets - target[:, None, -1] - deviations.swapaxes(1, 2) @ gradient,
        shares * (1 + np.einsum("min,min->mn", deviations, inverse @ deviations)),
    )


def solve(basis, sums: Sums, right: np.ndarray, conditions: Conditions) -> np.ndarray:
    """(C + penalty)**-1 times right-hand sides of shape (n_queries, n_monomials, n), of a lower degree if need be."""
    solution = np.zeros_like(right)
    rows = np.arange(len(right))
    for degree in range(basis.degree, 0, -1):
        terms = monomials(sums.expansion_point.shape[1], degree)
        means, products = basis.moments(sums if len(rows) == len(right) else sums.take(rows), degree)
        covariance = products - means[:, :, None] * means[:, None]
        least = terms(np.atleast_2d(np.sqrt(conditions.take(rows).least_variances)))[:-1].T ** 2
        # Below this, a variance is the rounding of a mean square.
        least = np.maximum(least, MEAN_SQUARE * products.diagonal(axis1=1, axis2=2))
        # Terms that are constant everywhere are no part of the polynomial.
        kept = [k for k, factors in enumerate(terms.factors[:-1]) if conditions.varies[list(factors)].all()]
        places = np.array(kept, dtype=int) - len(terms) + 1 + right.shape[1]
        if degree == basis.degree == 1 and len(kept) == right.shape[1]:  # all there is, without copies
            return _solve_scaled(covariance, conditions.penalty, least, right, truncate=True)[0]
        part, covariance = right[rows[:, None], places], covariance[:, kept][:, :, kept]
        if degree == 1:
            penalty = np.broadcast_to(conditions.penalty, conditions.varies.shape)[kept]
            solution[rows[:, None], places] = _solve_scaled(covariance, penalty, least[:, kept], part, truncate=True)[0]
            break
        about_mean = terms.about(means)[:, kept][:, :, kept]
        centred = about_mean @ covariance @ about_mean.swapaxes(1, 2)
        found, known = _solve_scaled(centred, 0.0, least[:, kept], about_mean @ part, truncate=False)
        solution[rows[known, None], places] = (about_mean.swapaxes(1, 2) @ found)[known]
        rows = rows[~known]
    return solution


def _solve_scaled(
    covariance: np.ndarray, penalty: np.ndarray | float, least: np.ndarray, right: np.ndarray, truncate: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(covariance + penalty)**-1 times right-hand sides, by the correlations of the terms.

    Parameters
    ----------
    covariance : ndarray of shape (n_queries, n_terms, n_terms)
    penalty : ndarray of shape (n_terms,), or 0
        Added to the diagonal.
    least : ndarray of shape (n_queries, n_terms)
        Variances below which a term counts as constant: its part of the solution is zero.
    right : ndarray of shape (n_queries, n_terms, n)
    truncate : bool
        Whether directions in which the terms do not differ are left out, where they depend on each other.

    Returns
    -------
    solution : ndarray of shape (n_queries, n_terms, n)
    known : ndarray of shape (n_queries,) of bool
        Which solutions are: all, if `truncate` is true; else those of terms that do not depend on each other.
    """
    diagonal = covariance.diagonal(axis1=1, axis2=2)
    varies = (diagonal >= least) & (diagonal > 0)
    scale = np.where(varies, 1 / np.sqrt(np.where(varies, diagonal + penalty, 1)), 0)
    correlation = covariance * (scale[:, :, None] * scale[:, None])
    terms = np.arange(correlation.shape[1])
    correlation[:, terms, terms] = varies
    inverses, known = _inverses(correlation)
    right = right * scale[:, :, None]
    if known.all():
        return inverses @ right * scale[:, :, None], known
    solution = np.zeros_like(right)
    solution[known] = inverses @ right[known]
    if truncate:
        singular = np.flatnonzero(~known)
        if len(singular):
            solution[singular] = _truncated(correlation[singular], right[singular])
        known = np.ones(len(right), dtype=bool)
    solution *= scale[:, :, None]
    return solution, known


def _truncated(correlation, right):
    """Solutions without the directions of small eigenvalues."""
    values, vectors = np.linalg.eigh(correlation)
    inverse = np.divide(1, values, out=np.zeros_like(values), where=values > MIN_EIGENVALUE)
    return vectors @ (vectors.swapaxes(1, 2) @ right * inverse[:, :, None])


def _inverses(matrices):
    """The inverses of those symmetric matrices that have no small eigenvalue, and which these are."""
    if matrices.shape[1] == 1:
        known = matrices[:, 0, 0] > MIN_EIGENVALUE
        return 1 / matrices[known], known
    try:
        inverses = np.linalg.inv(matrices)
    except np.linalg.LinAlgError:  # for one that is singular
        values = np.maximum(np.linalg.eigvalsh(matrices), MIN_EIGENVALUE**2)
        known = (values**-2).sum(axis=1) < MIN_EIGENVALUE**-2
        return np.linalg.inv(matrices[known]), known
    # The length of an inverse is at least the inverse of the least eigenvalue.
    known = np.einsum("mij,mij->m", inverses, inverses) < MIN_EIGENVALUE**-2
    return inverses if known.all() else inverses[known], known
