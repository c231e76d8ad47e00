"""The noise's bandwidth: that with which the sizes of leave-one-out errors are predicted best from each other.

One that suits the fit need not suit its errors: a line that is straight everywhere is best fitted with a wide
bandwidth, though targets may scatter more at one end of it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sknw._fit._fit import Fit
from sknw._fit._leave_one_out import left_out_errors
from sknw._fit._noise import Noise
from sknw._kernels import KERNELS
from sknw._problem._bases import BASES
from sknw._problem._problem import Problem
from sknw._selection._criteria import SearchOptions
from sknw._selection._grid_search import GridSearch, sample_keys, shrinkage

# Positive everywhere, so that something is known of the noise wherever a query is.
_KERNEL = KERNELS["gaussian"]

# Multiples of the keys' spread that are tried. A bandwidth half as wide again changes little.
_MULTIPLES = 2.0 ** np.arange(-8, 5)

# Sizes of errors count as larger by this share of their mean: those of zero have no logarithm.
_LEAST_SIZE = 1e-3

# This criterion takes no narrow bandwidth by chance, as leave-one-out does where there are few errors.
_CRITERION = "aicc"

# Draws samples, where there are many: an estimator from a file has the noise that it had.
_SEED = 0


def choose_noise(fit: Fit, fallback: str, n_jobs: int | None = None) -> list[Noise]:
    """The noise of each output, with a bandwidth of its own; none if there is one sample only.

    That is a multiple of the fit's, so that a feature without influence on the fit has none on the noise.

    fallback : str
        One that gives a number.
    """
    if fit.problem.rows.n_samples < 2:
        return []
    errors = fit.once(left_out_errors, fallback, n_jobs=n_jobs)
    means = replace(fit.problem, kernel=_KERNEL, basis=BASES[0], ridge=0.0, limit=np.inf)
    unit = means.with_bandwidth(means.distance.bandwidth * _spread(means))
    return [Noise.of(unit.with_bandwidth(_bandwidth(unit, each, n_jobs)), each) for each in errors.T]


def _bandwidth(unit: Problem, errors: np.ndarray, n_jobs: int | None) -> float | np.ndarray:
    """The multiple of the problem's bandwidth that suits the logarithms of the errors' sizes."""
    sizes, options = np.abs(errors), SearchOptions("auto", "nearest", n_jobs, _SEED)
    mean = np.average(sizes, weights=unit.rows.counts)
    problem, factor = unit.with_targets((np.log(sizes / mean + _LEAST_SIZE) if mean > 0 else sizes)[:, None]), 1.0
    sample = sample_keys(problem, options)
    if sample is not None:
        problem, factor = problem.take(sample), shrinkage(problem, sample, max(problem.distance.n_coordinates, 1))
    search = GridSearch(problem, _CRITERION, options, np.flatnonzero(~problem.rows.zero_weight))
    search.try_all(_MULTIPLES)
    return unit.distance.bandwidth * search.minimisers[-1] * factor


def _spread(problem):
    """Over how many bandwidths the keys are spread: the geometric mean of features that vary."""
    distance = problem.distance
    spreads = np.atleast_1d(distance.spreads())
    with np.errstate(invalid="ignore"):
        ratios = spreads / distance.bandwidth
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    return float(np.exp(np.log(ratios).mean())) if len(ratios) else 1.0
