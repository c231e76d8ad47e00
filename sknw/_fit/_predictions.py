"""Predictions: from kernel sums to fits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sknw._accuracy import MIN_WEIGHT
from sknw._fit._equivalent_kernels import equivalent_kernels
from sknw._fit._fallbacks import FALLBACKS
from sknw._fit._fit import Fit
from sknw._problem._problem import Problem
from sknw._problem._sums import Sums
from sknw._tiles import batches

# Numbers in the sums that are held at a time.
_SUMS = 2**22


def predict(fit: Fit, queries: np.ndarray, fallback: str, n_jobs: int | None = None) -> tuple[np.ndarray, int]:
    """The fits at queries, (n_queries, n_outputs), and how many of these the fallback answered."""
    fits, n_unreached = np.empty((len(queries), fit.algorithm.problem.rows.targets.shape[1])), 0
    for batch, sums in sums_in_batches(fit, queries, n_jobs):
        fits[batch], unreached = fits_from_sums(fit, sums, queries[batch], fallback)
        n_unreached += unreached
    return fits, n_unreached


def sums_in_batches(fit: Fit, queries: np.ndarray, n_jobs: int | None = None) -> Iterator[tuple[slice, Sums]]:
    """Kernel sums of all queries, of so many at a time as can be held."""
    problem = fit.algorithm.problem
    n_values = problem.basis.n_values(problem.distance.n_coordinates, problem.rows.targets.shape[1])
    for batch in batches(len(queries), max(256, _SUMS // n_values)):
        yield batch, fit.algorithm.sums(queries[batch], n_jobs=n_jobs)


def fits_from_sums(
    fit: Fit, sums: Sums, queries: np.ndarray, fallback: str, excluded: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """The fits that kernel sums stand for.

    Parameters
    ----------
    sums : Sums
        At the queries.
    excluded : ndarray of shape (n_queries,), default=None
        For each query the index of a row of which one sample does not count, as the sums were made.

    Returns
    -------
    fits : ndarray of shape (n_queries, n_outputs)
    n_unreached : int
        How many queries the fallback answered.
    """
    problem = fit.algorithm.problem
    frame, basis = problem.rows.frame, problem.basis
    unreached = np.flatnonzero(sums.values[:, -1] < MIN_WEIGHT)
    if len(unreached) == 0 or basis.degree == 0:
        fits = fits_in_reach(problem, sums, queries, excluded)
    else:
        reached = np.flatnonzero(sums.values[:, -1] >= MIN_WEIGHT)
        fits = np.empty((len(queries), len(frame.offset)))
        without = None if excluded is None else excluded[reached]
        fits[reached] = fits_in_reach(problem, sums.take(reached), queries[reached], without)
    if len(unreached):
        alone = None if excluded is None else excluded[unreached]
        stand_ins = FALLBACKS[fallback].sums(fit.algorithm, queries[unreached], alone)
        fits[unreached] = stand_ins[:, :-1] / stand_ins[:, -1:]
    fits += frame.offset
    # A mean of targets lies between them; its rounding need not.
    return np.clip(fits, frame.low, frame.high, out=fits) if basis.keeps_range else fits, len(unreached)


def fits_in_reach(problem: Problem, sums: Sums, queries: np.ndarray, excluded: np.ndarray | None = None) -> np.ndarray:
    """The same for queries that have a key in reach, without the offset of the targets."""
    if problem.basis.degree == 0:
        with np.errstate(all="ignore"):  # where no key is in reach, the numbers are nothing
            return sums.values[:, :-1] / sums.values[:, -1:]
    return within_limit(problem, equivalent_kernels(problem, sums, queries, excluded).fits(problem.basis))


def within_limit(problem: Problem, fits: np.ndarray) -> np.ndarray:
    """Fits, without the offset of the targets. What the limit says of them, rounding must not exceed."""
    if problem.limit == np.inf:
        return fits
    frame = problem.rows.frame
    margin = (problem.limit - 1) / 2 * (frame.high - frame.low)
    return np.clip(fits, frame.low - frame.offset - margin, frame.high - frame.offset + margin)
