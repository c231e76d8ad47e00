"""Intervals: where the targets of queries are, by the jackknife+ and by quantiles."""

from __future__ import annotations

import numpy as np

from sknw._accuracy import MIN_WEIGHT
from sknw._fit._fallbacks import numeric_fallback
from sknw._fit._fit import Fit
from sknw._fit._leave_one_out import leave_one_out, left_out_errors
from sknw._fit._predictions import fits_from_sums
from sknw._fit._standard_errors import local_fits_of_keys, noise_fit, residual_noise
from sknw._fit._weights import attention_shares
from sknw._problem._monomials import monomials
from sknw._problem._sums import Sums
from sknw._tiles import map_tiles, row_batch

# Where less than this is left of a key, 1 - its leverage, the fit without it is made from sums of its own.
_MIN_LEFT = 0.1

# A noise level counts as at least this share of that of all samples: intervals are divided by it.
_MIN_NOISE = 1e-6

# Ranks and cumulative weights are compared with this margin for their rounding.
_ROUNDING = 1e-10


def intervals(
    fit: Fit, queries: np.ndarray, coverage: float, scaled: bool, fallback: str, n_jobs: int | None = None
) -> np.ndarray:
    """Jackknife+ intervals: (n_queries, n_outputs, 2).

    Parameters
    ----------
    coverage : float
    scaled : bool
        Whether errors are taken in units of the noise where they arose.
    fallback : str
        Of the samples' predictions, and of the noise at queries; "mean" if it gives no number. A query itself that no
        sample reaches has infinite ends.
    """
    rows, fallback = fit.problem.rows, numeric_fallback(fallback)
    ends = np.empty((len(queries), rows.targets.shape[1], 2))
    ends[:] = -np.inf, np.inf
    rank = np.ceil(coverage * (rows.n_samples + 1) - _ROUNDING)
    margins, unit = np.abs(fit.once(left_out_errors, fallback, n_jobs=n_jobs)), np.ones((len(queries), 1, 1))
    if rank > rows.n_samples:
        return ends
    if scaled:
        margins = margins / fit.once(_noise_at_samples, fallback, n_jobs=n_jobs)
        unit = residual_noise(fit, queries, fallback, n_jobs)[0][:, None]
    sums = fit.algorithm.sums(queries, n_jobs=n_jobs)
    reached = np.flatnonzero(sums.values[:, -1] >= MIN_WEIGHT)
    present = np.flatnonzero(~rows.zero_weight)

    def put(tile):
        indices = reached[tile]
        fits = _fits_without(fit, sums.take(indices), queries[indices], fallback)[:, present]
        margin = margins[present] * unit[indices]
        # The lower end is as far from the least as the upper end is from the greatest.
        ends[indices, :, 0] = -_of_rank(margin - fits, rows.counts[present], rank)
        ends[indices, :, 1] = _of_rank(fits + margin, rows.counts[present], rank)

    n_terms = len(monomials(sums.expansion_point.shape[1], fit.problem.basis.degree))
    map_tiles(put, len(reached), row_batch(len(rows) * (rows.targets.shape[1] + n_terms)), n_jobs)
    return ends


def _noise_at_samples(fit, fallback, n_jobs=None):
    """The noise level at each sample without its own error, and not much below that of all: (n_keys, n_outputs)."""
    noise, unit = fit.once(noise_fit, fallback, n_jobs=n_jobs)
    overall = np.sqrt(np.average(noise.problem.rows.targets, axis=0, weights=fit.problem.rows.counts))
    # Without any error, there is nothing to scale.
    overall = np.where(overall > 0, overall * unit, 1)
    levels = np.sqrt(leave_one_out(noise, fallback, n_jobs).predictions) * unit
    return np.maximum(levels, _MIN_NOISE * overall)


def _fits_without(fit: Fit, sums: Sums, queries: np.ndarray, fallback: str) -> np.ndarray:
    """Fits at queries in reach of a key, each without one sample of a row: (n_queries, n_keys, n_outputs).

    As refitting gives them; with a ridge, whose penalty is not computed again without the row.
    """
    fits, _ = fits_from_sums(fit, sums, queries, fallback)
    keys = local_fits_of_keys(fit.problem, sums, queries, fallback)
    without, left = keys.without(fits, np.maximum(fit.problem.rows.counts, 1))
    query, key = np.nonzero(left < _MIN_LEFT)
    if len(query):
        others = fit.algorithm.sums(queries[query], excluded=key)
        without[query, key] = fits_from_sums(fit, others, queries[query], fallback, excluded=key)[0]
    return without


def _of_rank(values: np.ndarray, counts: np.ndarray, rank: float) -> np.ndarray:
    """The number of this rank among values (n_queries, n_keys, n_outputs) of each output, which count this often."""
    if (counts == 1).all():
        place = int(rank) - 1
        return np.partition(values, place, axis=1)[:, place]
    order = values.argsort(axis=1)
    place = (counts[order].cumsum(axis=1) >= rank).argmax(axis=1)[:, None]
    return np.take_along_axis(values, np.take_along_axis(order, place, axis=1), axis=1)[:, 0]


def quantiles(
    fit: Fit, queries: np.ndarray, levels: np.ndarray, fallback: str, n_jobs: int | None = None
) -> tuple[np.ndarray, int]:
    """Quantiles of the targets under the kernel's weights: (n_queries, n_outputs, n_levels).

    And how many queries the fallback answered.
    """
    targets = fit.problem.rows.targets
    orders = targets.argsort(axis=0, kind="stable").T
    found = np.empty((len(queries), len(orders), len(levels)))

    def put(tile):
        shares, unreached = attention_shares(fit.problem, queries[tile], fallback)
        for output, order in enumerate(orders):
            cumulative = shares[:, order].cumsum(axis=1)
            for k, level in enumerate(levels):
                least = max(level * (1 - _ROUNDING), _ROUNDING) * cumulative[:, -1:]
                place = (cumulative < least).sum(axis=1)
                found[tile, output, k] = targets[order[place], output]
            found[tile, output][np.isnan(cumulative[:, -1])] = np.nan
        return len(unreached)

    return found, sum(map_tiles(put, len(queries), row_batch(len(targets)), n_jobs))
