"""Standard errors: how far fits and targets stray, from sums of squared weights and leave-one-out errors."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sknw._accuracy import MIN_WEIGHT
from sknw._algorithms import ALGORITHMS, build
from sknw._algorithms._protocol import Algorithm
from sknw._fit._equivalent_kernels import EquivalentKernels, equivalent_kernels
from sknw._fit._fallbacks import numeric_fallback
from sknw._fit._fit import Fit
from sknw._fit._leave_one_out import leave_one_out, left_out_errors
from sknw._fit._predictions import fits_from_sums, predict, sums_in_batches
from sknw._fit._weights import attention_shares
from sknw._problem._bases import BASES
from sknw._problem._local_fit import LocalFits, local_fits
from sknw._problem._monomials import monomials
from sknw._problem._problem import Problem
from sknw._problem._reach import shares_of_keys
from sknw._problem._rows import Rows
from sknw._problem._sums import Sums
from sknw._tiles import batches, row_batch

# Where a sum of squares is this share of its parts, it may have lost too many of its digits.
_MIN_SHARE = 1e-6

# Where less than this is left of a key, 1 - its leverage, the fit without it has nothing in common with that to all.
MIN_LEFT = 0.1


class SquaredWeights(NamedTuple):
    """Sums of squared weights, each times the variance of its target.

    Parameters
    ----------
    algorithm : Algorithm or None
        Sums the squares; None stands for zero.
    log_unit : float
        Its sums times exp of this are those of the kernel's squares, squared weights and variances.
    variances : ndarray of shape (n_keys,)
        By which the square of a target's weight in a fit, all samples of its row counted, is to be multiplied.
    """

    algorithm: Algorithm | None
    log_unit: float
    variances: np.ndarray

    @classmethod
    def of(cls, fit: Fit, deviations: np.ndarray) -> SquaredWeights:
        """Those of a fit, from the standard deviations of targets, (n_keys,).

        A row that counts k times stands for k targets, whose deviations are independent.
        """
        problem, rows = fit.problem, fit.problem.rows
        deviations = np.where(rows.zero_weight, 0, deviations)
        unit, counts = deviations.max(), np.maximum(rows.counts, 1)
        variances = np.square(deviations) / counts
        if unit == 0:
            return cls(None, 0.0, variances)
        weight = np.square(rows.relative_weight * (deviations / unit)) / counts
        none = np.empty(0)
        frame = replace(rows.frame, low=none, high=none, largest_weight=weight.max())
        squared = Rows(rows.keys, np.empty((len(rows), 0)), weight, rows.counts, frame, device=rows.device)
        like = _fit_like(fit, replace(problem, rows=squared, kernel=problem.kernel.square))
        return cls(like.algorithm, float(np.log(weight.max()) + 2 * np.log(unit)), variances)


def predict_with_errors(
    fit: Fit, queries: np.ndarray, fallback: str, n_jobs: int | None = None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Fits at queries, and their standard errors by the leave-one-out errors of the samples.

    Returns
    -------
    fits : ndarray of shape (n_queries, n_outputs)
    errors : ndarray of shape (n_queries, n_outputs)
        NaN where no key is in reach, and everywhere if there is one sample only.
    n_unreached : int
        How many queries the fallback answered.
    """
    if fit.problem.rows.n_samples < 2:
        fits, n_unreached = predict(fit, queries, fallback, n_jobs)
        return fits, np.full_like(fits, np.nan), n_unreached
    squared_weights = fit.once(weights_by_error, numeric_fallback(fallback), n_jobs=n_jobs)
    return fits_and_errors(fit, squared_weights, queries, fallback, n_jobs)


def errors_of_left_out(fit: Fit, fallback: str, n_jobs: int | None = None) -> np.ndarray:
    """The standard errors of the samples' leave-one-out predictions: (n_keys, n_outputs).

    The other targets weigh in these as in the fits to all, but for a common factor. Zero for a sample that so little is
    left without that the factor has lost its digits.
    """
    left_out, keys = leave_one_out(fit, fallback, n_jobs), fit.problem.distance.keys
    _, errors, _ = fits_and_errors(fit, fit.once(weights_by_error, fallback, n_jobs=n_jobs), keys, fallback, n_jobs)
    own = np.abs(left_out.leverage[:, None] * left_out.errors)
    others = np.sqrt(np.maximum(errors - own, 0)) * np.sqrt(errors + own)
    left = left_out.one_minus_leverage[:, None]
    return np.divide(others, left, out=np.zeros_like(errors), where=(left >= MIN_LEFT) & (others > 0))


def effective_sizes(fit: Fit, queries: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
    """How many targets of equal weight vary as much in the mean as those in reach, zero if none is: (n_queries,)."""
    mean, squared_weights = fit.once(_equal_weights, n_jobs=n_jobs)
    _, errors, _ = fits_and_errors(mean, [squared_weights], queries, "nan", n_jobs)
    errors = errors[:, 0]
    return np.where(np.isnan(errors), 0, errors**-2)


def weights_by_error(fit: Fit, fallback: str, n_jobs: int | None = None) -> list[SquaredWeights]:
    """The squared weights of a fit for each output, with leave-one-out errors for the deviations of targets."""
    errors = fit.once(left_out_errors, fallback, n_jobs=n_jobs)
    return [SquaredWeights.of(fit, deviations) for deviations in np.abs(errors.T)]


def _equal_weights(fit, n_jobs=None):
    """The weighted mean with the kernel's weights, whatever the fit is, and the squares of these."""
    mean = fit if fit.problem.basis == BASES[0] else _fit_like(fit, _mean_problem(fit.problem))
    return mean, SquaredWeights.of(mean, np.ones(len(fit.problem.rows)))


def _mean_problem(problem):
    return replace(problem, basis=BASES[0], ridge=0.0)


def _fit_like(fit, problem):
    """A fit of another problem by the same kind of algorithm, or where it refuses, by that of "auto"."""
    name = fit.algorithm.name
    return Fit(build(name if ALGORITHMS[name].refuses(problem) is None else "auto", problem))


def fits_and_errors(
    fit: Fit, squared_weights: list[SquaredWeights], queries: np.ndarray, fallback: str, n_jobs: int | None = None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Fits at queries, their standard errors, and how many queries the fallback answered.

    With the effective weight l_j of target j in a fit, and the variance s_j of the target, an error is the square root
    of sum_j l_j**2 s_j: (n_queries, len(squared_weights)). It is NaN where no key is in reach.
    """
    fits, n_unreached = np.empty((len(queries), fit.problem.rows.targets.shape[1])), 0
    errors = np.empty((len(queries), len(squared_weights)))
    for batch, sums in sums_in_batches(fit, queries, n_jobs):
        for output, squared in enumerate(squared_weights):
            errors[batch, output] = _standard_errors(fit.problem, squared, sums, queries[batch], n_jobs)
        fits[batch], unreached = fits_from_sums(fit, sums, queries[batch], fallback)
        n_unreached += unreached
    return fits, errors, n_unreached


def _standard_errors(problem, squared, sums, queries, n_jobs):
    total = sums.values[:, -1]
    # Where the kernel does not state its logarithm, its squares vanish before the kernel does.
    least = MIN_WEIGHT if problem.kernel.log_ratio is not None else np.sqrt(MIN_WEIGHT)
    reached = np.flatnonzero(total >= least)
    errors = np.full(len(queries), np.nan)
    errors[reached] = 0
    if squared.algorithm is None or len(reached) == 0:
        return errors
    queries = queries[reached]
    local = equivalent_kernels(problem, sums.take(reached), queries)
    squares, sums = squared.algorithm.sums(queries, n_jobs=n_jobs), local.sums
    total, lost = _sums_of_squares(problem, local, squares)
    with np.errstate(divide="ignore"):
        logs = (np.log(total) + squares.log_scale + squared.log_unit) / 2
    errors[reached] = np.exp(logs - np.log(sums.values[:, -1]) - sums.log_scale)
    n_terms = len(monomials(sums.expansion_point.shape[1], problem.basis.degree))
    for batch in batches(len(lost), row_batch(len(problem.rows) * n_terms)):
        redo = lost[batch]
        weights = local_fits_of_keys(problem, local.take(redo), queries[redo], "nan").weights
        errors[reached[redo]] = np.sqrt(np.square(weights) @ squared.variances)
    return errors


def _sums_of_squares(problem: Problem, local: EquivalentKernels, squares: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squared effective weights, (n_queries,), and where they have to be made from the keys.

    That is where the equivalent kernel is large at keys of hardly any weight, as where the others are almost on a line.
    """
    terms, kernels = local.kernels.terms, local.kernels
    step = squares.expansion_point - local.sums.expansion_point
    coefficients = terms.shifted(kernels.coefficients, step)
    _, weights = problem.basis.blocks(squares)
    moments = weights[:, terms.products.ravel()].reshape(-1, *terms.products.shape)
    total = np.einsum("mi,mij,mj->m", coefficients, moments, coefficients)
    size = np.einsum("mi,mij,mj->m", *map(np.abs, (coefficients, moments, coefficients)))
    return np.maximum(total, 0), np.flatnonzero((total < _MIN_SHARE * size) | local.of_keys)


def local_fits_of_keys(problem: Problem, local: EquivalentKernels, queries: np.ndarray, fallback: str) -> LocalFits:
    """All keys in the fits of queries, from the equivalent kernels of these."""
    shares, _ = attention_shares(problem, queries, fallback)
    shares[local.of_keys] = shares_of_keys(problem, queries[local.of_keys])
    targets, keys = problem.rows.targets - problem.rows.frame.offset, problem.distance.keys
    return local_fits(problem.basis, local.sums, local.kernels, problem.conditions, shares, keys, targets)
