"""Intervals: where the targets of queries are, by the jackknife+."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from sknw._accuracy import MIN_WEIGHT
from sknw._fit._equivalent_kernels import equivalent_kernels
from sknw._fit._fallbacks import numeric_fallback
from sknw._fit._fit import Fit
from sknw._fit._leave_one_out import left_out_errors
from sknw._fit._noise import Noise, noise_at_queries, noise_at_samples
from sknw._fit._predictions import fits_from_sums
from sknw._fit._standard_errors import MIN_LEFT, errors_of_left_out, local_fits_of_keys, weights_by_error
from sknw._problem._monomials import monomials
from sknw._problem._sums import Sums
from sknw._tiles import map_tiles, row_batch

# Where the limit changes a fit, a key whose absolute weight is less than this changes nothing about that.
_MAX_WEIGHT = 1e-6

# Ranks are compared with this margin for their rounding.
_ROUNDING = 1e-10


def intervals(
    fit: Fit,
    queries: np.ndarray,
    coverage: float,
    noises: Sequence[Noise] | None,
    fallback: str,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Jackknife+ intervals, at least as wide as a band of the fit's standard errors: (n_queries, n_outputs, 2).

    Parameters
    ----------
    coverage : float
    noises : sequence of Noise, or None
        Of each output, where errors are taken in units of what is to be expected where they arose.
    fallback : str
        Of the samples' predictions; "mean" if it gives no number. A query itself that no sample reaches has infinite
        ends.
    """
    rows, fallback = fit.problem.rows, numeric_fallback(fallback)
    ends = np.empty((len(queries), rows.targets.shape[1], 2))
    ends[:] = -np.inf, np.inf
    rank = min(np.ceil(coverage * (rows.n_samples + 1) - _ROUNDING), rows.n_samples)
    if rows.n_samples < least_samples(coverage):
        return ends
    margins = np.abs(fit.once(left_out_errors, fallback, n_jobs=n_jobs))
    squared_weights = fit.once(weights_by_error, fallback, n_jobs=n_jobs)
    variances = np.stack([each.variances for each in squared_weights], axis=1)
    if noises is not None:
        uncertainty = fit.once(errors_of_left_out, fallback, n_jobs=n_jobs)
        margins = margins / np.hypot(noise_at_samples(noises, n_jobs), uncertainty)
        noise = noise_at_queries(noises, queries, n_jobs)
    sums = fit.algorithm.sums(queries, n_jobs=n_jobs)
    reached = np.flatnonzero(sums.values[:, -1] >= MIN_WEIGHT)
    present = np.flatnonzero(~rows.zero_weight)

    def put(tile):
        indices = reached[tile]
        fits, without, weights = _fits_without(fit, sums.take(indices), queries[indices], fallback)
        without, errors = without[:, present], np.sqrt(np.square(weights) @ variances)
        margin = margins[present] * (1 if noises is None else np.hypot(noise[indices], errors)[:, None])
        # The lower end is as far from the least as the upper end is from the greatest.
        low = -_of_rank(margin - without, rows.counts[present], rank)
        high = _of_rank(without + margin, rows.counts[present], rank)
        band = ndtri((1 + coverage) / 2) * errors
        ends[indices, :, 0], ends[indices, :, 1] = np.minimum(low, fits - band), np.maximum(high, fits + band)

    n_terms = len(monomials(sums.expansion_point.shape[1], fit.problem.basis.degree))
    map_tiles(put, len(reached), row_batch(len(rows) * (rows.targets.shape[1] + n_terms)), n_jobs)
    return ends


def least_samples(coverage: float) -> int:
    """How many samples an interval needs to have ends: two for an error, and errors enough to leave some outside."""
    return max(2, int(np.ceil((coverage - _ROUNDING) / (1 - coverage))))


def _fits_without(
    fit: Fit, sums: Sums, queries: np.ndarray, fallback: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fits at queries in reach of a key, the same without one sample of a row, and the weights of targets in the fits.

    As refitting gives them; with a ridge, whose penalty is not computed again without the row.

    Returns
    -------
    fits : ndarray of shape (n_queries, n_outputs)
    without : ndarray of shape (n_queries, n_keys, n_outputs)
    weights : ndarray of shape (n_queries, n_keys)
    """
    problem = fit.problem
    local = equivalent_kernels(problem, sums, queries)
    keys, offset = local_fits_of_keys(problem, local, queries, fallback), problem.rows.frame.offset
    fits = local.fits(problem.basis) + offset
    without, left = keys.without(fits, np.maximum(problem.rows.counts, 1))
    # Where the limit is met, or directions are softly left out, that is otherwise without a sample that matters.
    changed = (local.is_drawn | local.of_keys)[:, None] & (np.abs(keys.weights) > _MAX_WEIGHT)
    query, key = np.nonzero((left < MIN_LEFT) | changed)
    if len(query):
        others = _without_one(problem, local.sums.take(query), fit.algorithm.sums(queries[query], excluded=key), key)
        without[query, key] = fits_from_sums(fit, others, queries[query], fallback, excluded=key)[0]
    return fits, without, keys.weights


def _without_one(problem, sums, others, key):
    """Sums without one sample of a row, from those with and those without the row."""
    kept = 1 - 1 / np.maximum(problem.rows.counts[key], 1)
    parts = (each._replace(values=each.values * share[:, None]) for each, share in ((sums, kept), (others, 1 - kept)))
    return next(parts).merge(next(parts), problem.basis)


def _of_rank(values: np.ndarray, counts: np.ndarray, rank: float) -> np.ndarray:
    """The number of this rank among values (n_queries, n_keys, n_outputs) of each output, which count this often."""
    if (counts == 1).all():
        place = int(rank) - 1
        return np.partition(values, place, axis=1)[:, place]
    order = values.argsort(axis=1)
    place = (counts[order].cumsum(axis=1) >= rank).argmax(axis=1)[:, None]
    return np.take_along_axis(values, np.take_along_axis(order, place, axis=1), axis=1)[:, 0]
