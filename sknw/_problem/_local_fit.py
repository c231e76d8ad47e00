"""Local fits: what kernel sums say at queries, by weighted least squares in the terms of a basis.

A fit of degree p at a query is linear in the targets. Key j has the effective weight w_j * l(x_j) in it, where w_j is
its share of the kernel sum. The polynomial l of degree p is the equivalent kernel over the kernel (J. Fan and I.
Gijbels, 1996, Local Polynomial Modelling and Its Applications, section 3.2.2), and 1 for the weighted mean, p = 0. With
the covariances C, under the shares, of the monomials g of coordinates, and their means m::

    l(x) = 1 + v . (g(x) - m),    v = (C + penalty)**-1 (g(query) - m)

Where C is singular, as among keys on a line or fewer keys than coefficients, directions in which the keys in reach do
not differ are left out, softly: first those of the parabola, then those of the line. At worst, the weighted mean
remains.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._accuracy import MEAN_SQUARE, MIN_EIGENVALUE, NO_EIGENVALUE, NO_EIGENVALUE_OF_FAST_SUMS
from sknw._problem._conditions import Conditions
from sknw._problem._monomials import Monomials, monomials
from sknw._problem._sums import Sums
from sknw._tiles import batches

# Up to so many terms, inverses are made; for more, solutions, and so many probes of how large inverses would be.
_FEW_TERMS, _PROBES = 8, 4

# Less is no variance: a float would not hold its inverse square.
_NO_VARIANCE = 1e-150

# Numbers in matrices that are solved at a time.
_NUMBERS = 2**18


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


def equivalent_kernel(
    basis,
    sums: Sums,
    queries: np.ndarray,
    conditions: Conditions,
    degree: int | None = None,
    of_keys: bool = False,
) -> tuple[EquivalentKernel, np.ndarray, np.ndarray]:
    """The equivalent kernels of queries, relative to their kernel, from their sums.

    Parameters
    ----------
    degree : int, default=None
        That of the basis, or a lower one.
    of_keys : bool, default=False
        Whether the sums have all their digits.

    Returns
    -------
    kernels : EquivalentKernel
    slopes : ndarray of shape (n_queries, n_monomials, n_outputs)
        The factors of the same monomials in the polynomials that are fitted to the targets.
    vague : ndarray of shape (n_queries,) of bool
        Where it takes sums with all their digits to tell in which directions the keys in reach differ.
    """
    degree = basis.degree if degree is None else degree
    means = basis.means(sums, degree)
    z = basis.seen_from(queries, sums.expansion_point)
    terms = monomials(z.shape[1], degree)
    covariances = _covariances(target_means(basis, sums), means)
    right = np.dstack([terms(z)[:-1].T - means, covariances])  # both need the same inverse
    solution, vague = solve(basis, sums, right, conditions, degree, of_keys)
    return EquivalentKernel(solution[:, :, 0], means, terms), solution[:, :, 1:], vague


def are_faint(basis, sums: Sums, conditions: Conditions) -> np.ndarray:
    """Which sums tell of keys of hardly any weight only, or of none, by which a slope hangs: (n_queries,)."""
    means, squares = basis.means(sums, 1), basis.mean_squares(sums)
    variances = squares - np.square(means)
    return ((variances + conditions.penalty < conditions.least_variances) & conditions.varies).any(axis=1)


def target_means(basis, sums: Sums) -> np.ndarray:
    """Weighted means of targets times monomials, of 1 last: (n_queries, n_monomials, n_outputs)."""
    return basis.blocks(sums)[0] / sums.values[:, -1:, None]


def fits_of_kernels(basis, sums: Sums, kernels: EquivalentKernel) -> np.ndarray:
    """The fits of equivalent kernels, (n_queries, n_outputs), without the offset of the targets."""
    target = target_means(basis, sums)
    return target[:, -1] + np.einsum("mi,mik->mk", kernels.slopes, _covariances(target, kernels.means))


def _covariances(target, means):
    """Those of targets and monomials of these means, the highest degree of which may be lower than that of targets."""
    return target[:, -means.shape[1] - 1 : -1] - means[:, :, None] * target[:, -1:]


def local_fits(
    basis,
    sums: Sums,
    kernels: EquivalentKernel,
    conditions: Conditions,
    shares: np.ndarray,
    keys: np.ndarray,
    targets: np.ndarray,
) -> LocalFits:
    """The keys in the fits of queries, from their sums and the shares, (n_queries, n_keys), of keys in these.

    targets : ndarray of shape (n_keys, n_outputs), without their offset
    """
    slopes, means, terms = kernels
    z = np.stack([basis.seen_from(keys, point) for point in sums.expansion_point])
    values = terms(z.reshape(shares.size, z.shape[2]))[:-1].reshape(len(terms) - 1, *shares.shape).swapaxes(0, 1)
    deviations = values - means[:, :, None]
    inverse, _ = solve(basis, sums, np.tile(np.eye(means.shape[1]), (len(means), 1, 1)), conditions)
    target = target_means(basis, sums)
    gradient = inverse @ _covariances(target, means)
    return LocalFits(
        shares * (1 + np.einsum("mi,min->mn", slopes, deviations)),
        targets - target[:, None, -1] - deviations.swapaxes(1, 2) @ gradient,
        shares * (1 + np.einsum("min,min->mn", deviations, inverse @ deviations)),
    )


def solve(
    basis,
    sums: Sums,
    right: np.ndarray,
    conditions: Conditions,
    degree: int | None = None,
    of_keys: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """(C + penalty)**-1 times right-hand sides of shape (n_queries, n_monomials, n).

    A parabola is what it has beyond the line, so that where the keys in reach say nothing of it, the line remains.

    Parameters
    ----------
    degree : int, default=None
        That of the basis, or a lower one.
    of_keys : bool, default=False
        Whether the sums have all their digits.

    Returns
    -------
    solution : ndarray of shape (n_queries, n_monomials, n)
    vague : ndarray of shape (n_queries,) of bool
        Where it takes sums with all their digits to tell in which directions the keys in reach differ.
    """
    degree = basis.degree if degree is None else degree
    if degree == 0 or not conditions.varies.any():
        return np.zeros_like(right), np.zeros(len(right), dtype=bool)
    size = max(1, _NUMBERS // right.shape[1] ** 2)
    if len(right) > size:
        some = batches(len(right), size)
        parts = [solve(basis, sums.take(part), right[part], conditions.take(part), degree, of_keys) for part in some]
        solutions, vague = zip(*parts, strict=True)
        return np.concatenate(solutions), np.concatenate(vague)
    least_eigenvalue = NO_EIGENVALUE if of_keys else NO_EIGENVALUE_OF_FAST_SUMS
    terms = monomials(sums.expansion_point.shape[1], degree)
    means, products = basis.moments(sums, degree)
    covariance = products - means[:, :, None] * means[:, None]
    # Below this, a variance is the rounding of a mean square.
    least = MEAN_SQUARE * products.diagonal(axis1=1, axis2=2)
    # Terms that are constant everywhere are no part of the polynomial.
    kept = [k for k, factors in enumerate(terms.factors[:-1]) if conditions.varies[list(factors)].all()]
    if degree == 1 and len(kept) == right.shape[1]:  # all there is, without copies
        return _solve_scaled(covariance, least, right, least_eigenvalue, conditions.penalty)
    solution, part = np.zeros_like(right), right[:, kept]
    covariance, least = covariance[:, kept][:, :, kept], least[:, kept]
    if degree == 1:
        penalty = np.broadcast_to(conditions.penalty, conditions.varies.shape)[kept]
        solution[:, kept], vague = _solve_scaled(covariance, least, part, least_eigenvalue, penalty)
        return solution, vague
    about_mean = terms.about(means)[:, kept][:, :, kept]
    covariance = about_mean @ covariance @ about_mean.swapaxes(1, 2)
    # By the places of the linear terms among those kept, the squares and products of which the others are.
    place = len(kept) - np.count_nonzero(conditions.varies) + np.cumsum(conditions.varies) - 1
    pairs = place[[terms.factors[k] for k in kept if len(terms.factors[k]) == 2]]
    found, vague = _solve_by_degree(covariance, least, about_mean @ part, least_eigenvalue, pairs)
    solution[:, kept] = about_mean.swapaxes(1, 2) @ found
    return solution, vague


def _solve_by_degree(covariance, least, right, least_eigenvalue, pairs):
    """Solutions for terms of which the first are products of pairs of the others, which are linear: the line first."""
    n_quadratic = len(pairs)
    quadratic, linear = slice(n_quadratic), slice(n_quadratic, None)
    both = np.concatenate([covariance[:, linear, quadratic], right[:, linear]], axis=2)
    found, vague = _solve_scaled(covariance[:, linear, linear], least[:, linear], both, least_eigenvalue)
    slopes, line = found[:, :, :n_quadratic], found[:, :, n_quadratic:]
    across = covariance[:, quadratic, linear]
    diagonal = covariance.diagonal(axis1=1, axis2=2)
    # About their mean, two places have the same square, which has no variance then.
    squares = diagonal[:, quadratic] + diagonal[:, pairs[:, 0]] * diagonal[:, pairs[:, 1]]
    beyond = covariance[:, quadratic, quadratic] - across @ slopes
    right = right[:, quadratic] - across @ line
    bend, also = _solve_scaled(beyond, least[:, quadratic], right, least_eigenvalue, unit=squares)
    return np.concatenate([bend, line - slopes @ bend], axis=1), vague | also


def _solve_scaled(
    covariance: np.ndarray,
    least: np.ndarray,
    right: np.ndarray,
    least_eigenvalue: float,
    penalty: np.ndarray | float = 0.0,
    unit: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(covariance + penalty)**-1 times right-hand sides, by the correlations of the terms.

    Directions in which the terms hardly differ, where they depend on each other, are softly left out.

    Parameters
    ----------
    covariance : ndarray of shape (n_queries, n_terms, n_terms)
    least : ndarray of shape (n_queries, n_terms)
        Variances below which a term counts as constant: its part of the solution is zero.
    right : ndarray of shape (n_queries, n_terms, n)
    least_eigenvalue : float
        Of the correlations: about and below it, a direction is left out.
    penalty : ndarray of shape (n_terms,), or 0
        Added to the diagonal.
    unit : ndarray of shape (n_queries, n_terms), default=None
        What makes of the diagonal numbers up to one; itself by default.

    Returns
    -------
    solution : ndarray of shape (n_queries, n_terms, n)
    vague : ndarray of shape (n_queries,) of bool
        Which terms depend on each other nearly, but not quite.
    """
    diagonal = covariance.diagonal(axis1=1, axis2=2)
    size = diagonal if unit is None else unit
    varies = size > np.maximum(least, _NO_VARIANCE)
    scale = np.where(varies, 1 / np.sqrt(np.where(varies, size + penalty, 1)), 0)
    correlation = covariance * (scale[:, :, None] * scale[:, None])
    terms, vague = np.arange(correlation.shape[1]), np.zeros(len(right), dtype=bool)
    correlation[:, terms, terms] = np.where(varies, 1 if unit is None else diagonal * np.square(scale), 1)
    right = right * scale[:, :, None]
    solution, known = _solve_directly(correlation, right)
    if known.all():
        return solution * scale[:, :, None], vague
    rest = np.flatnonzero(~known)
    values, vectors = np.linalg.eigh(correlation[rest])
    values = np.maximum(values, 0)  # less is rounding
    inverse = values / (np.square(values) + least_eigenvalue**2)
    solution[rest] = vectors @ (vectors.swapaxes(1, 2) @ right[rest] * inverse[:, :, None])
    vague[rest] = ((values > NO_EIGENVALUE / 100) & (values < MIN_EIGENVALUE)).any(axis=1)
    return solution * scale[:, :, None], vague


def _solve_directly(matrices, right):
    """Solutions for symmetric matrices, and which of these have no small eigenvalue. Others have no solution here."""
    n_terms = matrices.shape[1]
    if n_terms == 1:
        known = matrices[:, 0, 0] > MIN_EIGENVALUE
        return right / np.where(known, matrices[:, 0, 0], 1)[:, None, None], known
    limit = MIN_EIGENVALUE**-2
    if n_terms <= _FEW_TERMS:
        inverses = _inverses(matrices)
        # The length of an inverse is at least the inverse of the least eigenvalue.
        known = np.einsum("mij,mij->m", inverses, inverses) < limit
        inverses[~known] = 0
        return inverses @ right, known
    # Of a large inverse, a few products tell its length.
    probes = np.random.default_rng(0).normal(size=(n_terms, _PROBES)) / np.sqrt(n_terms)
    sides = np.concatenate([np.broadcast_to(probes, (len(matrices), *probes.shape)), right], axis=2)
    try:
        found = np.linalg.solve(matrices, sides)
    except np.linalg.LinAlgError:  # for one that is singular
        found = np.linalg.solve(matrices + MIN_EIGENVALUE**2 * np.eye(n_terms), sides)
    known = np.square(found[:, :, :_PROBES]).sum(axis=(1, 2)) < limit / n_terms
    return found[:, :, _PROBES:], known


def _inverses(matrices):
    """The inverses of symmetric, positive definite matrices, all at once; those of others are large."""
    a = np.moveaxis(matrices, 0, 2).copy(order="C")
    for k in range(len(a)):
        pivot = 1 / np.maximum(a[k, k], MIN_EIGENVALUE**2)
        column = a[:, k].copy()
        row = column * pivot
        a -= column[:, None] * row
        a[k], a[:, k], a[k, k] = row, row, -pivot
    return -np.moveaxis(a, 2, 0)
