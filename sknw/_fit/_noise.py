"""Noise: how far targets scatter about a fit, from leave-one-out errors and weights that are the noise's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sknw._algorithms import build
from sknw._fit._fit import Fit
from sknw._fit._leave_one_out import leave_one_out
from sknw._fit._predictions import predict
from sknw._fit._weights import attention_shares
from sknw._problem._problem import Problem
from sknw._tiles import map_tiles, row_batch

# A noise level counts as at least this share of that of all samples: intervals are divided by it.
_MIN_LEVEL = 1e-6

# Cumulative weights are compared with this margin for their rounding.
_ROUNDING = 1e-10

# What a query gets that no sample is in reach of: there is none, for the kernel is positive everywhere.
_FALLBACK = "nearest"


class Noise(NamedTuple):
    """The noise of one output.

    Parameters
    ----------
    errors : ndarray of shape (n_keys,)
        The leave-one-out errors of the targets.
    squares : Fit
        The weighted means of their squares, in squares of the unit.
    unit : float
    """

    errors: np.ndarray
    squares: Fit
    unit: float

    @classmethod
    def of(cls, problem: Problem, errors: np.ndarray) -> Noise:
        """That of errors, with the weights of a problem of weighted means, whose kernel is positive everywhere."""
        unit = float(np.abs(errors).max()) or 1.0
        return cls(errors, Fit(build("auto", problem.with_targets(np.square(errors / unit)[:, None]))), unit)


def noise_at_queries(noises: Sequence[Noise], queries: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
    """The standard deviation of targets about the fit at each query: (n_queries, n_outputs)."""
    means = [predict(noise.squares, queries, _FALLBACK, n_jobs)[0][:, 0] for noise in noises]
    return np.stack([np.sqrt(mean) * noise.unit for mean, noise in zip(means, noises, strict=True)], axis=1)


def noise_at_samples(noises: Sequence[Noise], n_jobs: int | None = None) -> np.ndarray:
    """That at each sample without its own error, and not much below that of all samples: (n_keys, n_outputs)."""
    return np.stack([noise.squares.once(_roots_at_samples, n_jobs=n_jobs) * noise.unit for noise in noises], axis=1)


def _roots_at_samples(squares, n_jobs=None):
    rows = squares.problem.rows
    overall = np.average(rows.targets[:, 0], weights=rows.counts)
    # Without any error, there is nothing to scale.
    least = _MIN_LEVEL * np.sqrt(overall) if overall > 0 else 1.0
    return np.maximum(np.sqrt(leave_one_out(squares, _FALLBACK, n_jobs).predictions[:, 0]), least)


def residual_variances(
    fit: Fit, noises: Sequence[Noise], queries: np.ndarray, fallback: str, n_jobs: int | None = None
) -> tuple[np.ndarray, int]:
    """The variances of targets about the fits, (n_queries, n_outputs), NaN where these are, or without any noise.

    And how many queries the fallback answered.
    """
    fits, n_unreached = predict(fit, queries, fallback, n_jobs)
    variances = np.full_like(fits, np.nan)
    if noises:
        np.copyto(variances, np.square(noise_at_queries(noises, queries, n_jobs)), where=~np.isnan(fits))
    return variances, n_unreached


def quantiles(
    fit: Fit, noises: Sequence[Noise], queries: np.ndarray, levels: np.ndarray, fallback: str, n_jobs: int | None = None
) -> tuple[np.ndarray, int]:
    """Quantiles of the targets, those of the errors about the fits: (n_queries, n_outputs, n_levels).

    NaN without any noise. And how many queries the fallback answered.
    """
    fits, n_unreached = predict(fit, queries, fallback, n_jobs)
    found = np.full((*fits.shape, len(levels)), np.nan)
    orders = [noise.errors.argsort(kind="stable") for noise in noises]

    def put(tile):
        for output, (order, noise) in enumerate(zip(orders, noises, strict=True)):
            shares, _ = attention_shares(noise.squares.problem, queries[tile], _FALLBACK)
            cumulative = shares[:, order].cumsum(axis=1)
            for k, level in enumerate(levels):
                least = max(level * (1 - _ROUNDING), _ROUNDING) * cumulative[:, -1:]
                place = (cumulative < least).sum(axis=1)
                found[tile, output, k] = fits[tile, output] + noise.errors[order[place]]

    map_tiles(put, len(queries), row_batch(len(fit.problem.rows)), n_jobs)
    return found, n_unreached
