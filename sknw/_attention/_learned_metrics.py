"""Learned metrics: ways to learn from the targets how far apart samples are.

A metric is a matrix A: the distance of x and z is |A (x - z)|. It is learned for a low leave-one-out error and
simplicity, and with it the ridge of local lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from sknw._algorithms import serving
from sknw._fit._gradient import error_gradient, fitted_slopes
from sknw._fit._leave_one_out import left_out_of, mean_squares_of_path, mean_squares_with_ridges
from sknw._problem._bases import BASES
from sknw._problem._problem import Problem
from sknw._selection._criteria import SearchOptions
from sknw._selection._descent import BandwidthDescent

# Bandwidths that are tried, in units of the root of the number of features: powers of one ratio. First every fourth,
# then the neighbours of the best halfway to the next, and once its ridge is known, those next to it.
_RATIO = np.exp(0.25)
_EXPONENTS, _HALFWAY, _NEXT = range(-8, 17, 4), (-2, 0, 2), (-1, 0, 1)

# The least bandwidth and the largest that are found. With a wide one a feature has hardly any attention, but a slope.
_BOUNDS = float(np.exp(-5)), float(np.exp(9))

# Ridges that are tried, that of the first bandwidths, and the bounds of those that are found.
_RIDGES = (0.003, 0.02, 0.1, 0.5, 2.5)
_FIRST_RIDGE = 0.1
_RIDGE_BOUNDS = float(np.exp(-7)), float(np.exp(4))

# Iterations from the better of two starts, first with all features, then with those that are left.
_FIRST_ITERATIONS, _ITERATIONS = 5, 20

# Samples whose errors decide where to look, where a search begins, and where it ends.
_FIRST_ROWS = 200
_SEARCH_ROWS = 300
_VALIDATION_ROWS = 600

# It is enough if the logarithm of the error falls by less; on the way to a start, and to the end.
_FIRST_TOLERANCE, _TOLERANCE = 1e-3, 1e-4

# What a feature has to lower n times the logarithm of the error by, in units of log n: what a parameter is worth to the
# criterion of G. Schwarz (1978), Annals of Statistics 6 (2), 461-464; and what it should be worth to one who has looked
# at many.
_PENALTIES = (1.0, 4.0)

# Bandwidths of weighted means are so much narrower than those of lines.
_WIDER = np.exp(0.7)

# Lines take time in proportion to the square of the number of features: with more than these there are only means.
MAX_FEATURES_OF_LINES = 60

# Of slopes: the powers of their outer product that are tried as metrics, the least share of a direction in it, and how
# often slopes are taken anew.
_POWERS = (0.5, 1.0)
_LEAST_DIRECTION = 1e-3
_REPEATS = 5

# Of a full matrix: the share of samples that are predicted but not learned from, and for how many iterations the error
# of these may rise before it is enough.
_HELD_OUT = 0.25
_PATIENCE = 8


class LearnedMetric(NamedTuple):
    """What is learned.

    Parameters
    ----------
    components : ndarray of shape (n_components, n_features)
        The matrix A.
    ridge : float
    n_rounds : int, default=1
        Of boosting.
    """

    components: np.ndarray
    ridge: float
    n_rounds: int = 1


class Isotropic(NamedTuple):
    """One bandwidth for all features, from which all that is learned begins.

    Parameters
    ----------
    bandwidth, ridge : float
    error : float
        As far as some samples tell.
    """

    bandwidth: float
    ridge: float
    error: float


def _isotropic(problem: Problem, isotropic: Isotropic, options: SearchOptions) -> list[LearnedMetric]:
    """One bandwidth for all features."""
    return [LearnedMetric(np.eye(problem.rows.keys.shape[1]) / isotropic.bandwidth, isotropic.ridge)]


def _ard(problem: Problem, isotropic: Isotropic, options: SearchOptions) -> list[LearnedMetric]:
    """Automatic relevance determination: one bandwidth for each feature, and without those that are worth little."""
    search, validation = _evenly(problem, _SEARCH_ROWS), _evenly(problem, _VALIDATION_ROWS)
    n_features = problem.rows.keys.shape[1]
    start = np.log(np.full(n_features, isotropic.bandwidth))
    if _has_lines(problem):
        mean = _mean(problem)
        narrow = np.log(np.full(n_features, isotropic_bandwidth(mean, options).bandwidth))
        means = BandwidthDescent(mean, _BOUNDS, search, options, tolerance=_FIRST_TOLERANCE)
        narrow = means.descend(narrow, _ITERATIONS)
        starts = [np.append(start, np.log(isotropic.ridge)), np.append(narrow + np.log(_WIDER), np.log(_FIRST_RIDGE))]
        # Lines take time in proportion to the square of the number of features: those that only harm are left behind.
        first = BandwidthDescent(problem, _BOUNDS, search, options, _RIDGE_BOUNDS, _FIRST_TOLERANCE)
        logs = first.drop(first.descend(min(starts, key=first.error), _FIRST_ITERATIONS), 0.0)
        left = problem.with_bandwidth(np.where(first.active, problem.distance.bandwidth, np.inf))
        descent = BandwidthDescent(left, _BOUNDS, validation, options, _RIDGE_BOUNDS, _TOLERANCE)
        logs = descent.descend(logs, _ITERATIONS)
    else:
        descent = BandwidthDescent(problem, _BOUNDS, validation, options, tolerance=_TOLERANCE)
        logs = descent.from_starts([start, descent.slope_start(start)])
    metrics = []
    for penalty in _PENALTIES:
        kept = descent.drop(logs, penalty * np.log(len(problem.rows)))
        logs = logs if len(kept) == len(logs) else descent.descend(kept, _ITERATIONS)
        scales = 1 / descent.bandwidth(logs)
        metrics.append(LearnedMetric(np.diag(scales)[scales > 0], descent.ridge(logs)))
    return metrics


def _opg(problem: Problem, isotropic: Isotropic, options: SearchOptions) -> list[LearnedMetric]:
    """The outer product of gradients: directions in which the targets are steep count, turned as they may be.

    Y. Xia, H. Tong, W. K. Li and L.-X. Zhu (2002), An adaptive estimation of dimension reduction space, Journal of the
    Royal Statistical Society B 64 (3), 363-410, doi:10.1111/1467-9868.03411, take the slopes of local lines.
    """
    components, best = np.eye(problem.rows.keys.shape[1]), isotropic
    for _ in range(_REPEATS):
        projected = replace(problem.project(components), basis=BASES[1])
        line = best if _has_lines(problem) else isotropic_bandwidth(projected, options)
        fitted = replace(projected.with_bandwidth(line.bandwidth), ridge=line.ridge)
        slopes = fitted_slopes(fitted, options.n_jobs) @ components
        values, vectors = np.linalg.eigh(np.einsum("n,nki,nkj->ij", problem.rows.sample_weight, slopes, slopes))
        if values[-1] <= 0:
            break
        values = np.maximum(values / values[-1], _LEAST_DIRECTION)
        roots = [(vectors * values ** (power / 2)).T for power in _POWERS]
        tried = [isotropic_bandwidth(problem.project(root), options) for root in roots]
        found = int(np.argmin([each.error for each in tried]))
        if tried[found].error >= best.error:
            break
        components, best = roots[found], tried[found]
    return [LearnedMetric(components / best.bandwidth, best.ridge)]


def _mlkr(problem: Problem, isotropic: Isotropic, options: SearchOptions) -> list[LearnedMetric]:
    """Metric learning for kernel regression: any matrix, that of "opg" at first, until held-out samples end it.

    K. Q. Weinberger and G. Tesauro (2007), Metric learning for kernel regression, AISTATS, PMLR 2, 612-619.
    """
    first = _opg if problem.rows.keys.shape[1] <= MAX_FEATURES_OF_LINES else _isotropic
    start, mean = first(problem, isotropic, options)[0].components, _mean(problem)
    start = start / isotropic_bandwidth(mean.project(start), options).bandwidth
    held_out = np.arange(len(problem.rows)) % round(1 / _HELD_OUT) == 0
    if held_out.all() or not held_out.any():
        return [LearnedMetric(start, 0.0)]
    train, validation = mean.take(np.flatnonzero(~held_out)), np.flatnonzero(held_out)
    best, waited = (np.inf, start), 0

    def error(flat):
        matrix = flat.reshape(start.shape)
        indices = np.arange(len(train.rows))
        error, by_metric, _ = error_gradient(train.project(matrix), indices, points=train.rows.keys)
        return error, -(matrix @ by_metric).ravel()

    def watch(flat):
        nonlocal best, waited
        matrix = flat.reshape(start.shape)
        now = left_out_of(mean.project(matrix), *options.errors, validation).mean_square
        best, waited = ((now, matrix.copy()), 0) if now < best[0] else (best, waited + 1)
        if waited > _PATIENCE:
            raise StopIteration

    watch(start.ravel())
    minimize(error, start.ravel(), jac=True, callback=watch, method="L-BFGS-B", options={"maxiter": 5 * _ITERATIONS})
    isotropic = isotropic_bandwidth(problem.project(best[1]), options)
    return [LearnedMetric(best[1] / isotropic.bandwidth, isotropic.ridge)]


#: What `AttentionRegressor` can learn: metrics to choose from, by samples that they have not seen. "isotropic" is
#: always among them.
LEARNED_METRICS: dict[str, Callable[[Problem, Isotropic, SearchOptions], list[LearnedMetric]]] = {
    "isotropic": _isotropic,
    "ard": _ard,
    "opg": _opg,
    "mlkr": _mlkr,
}


def isotropic_bandwidth(problem: Problem, options: SearchOptions) -> Isotropic:
    """The best bandwidth for all features, and the ridge."""
    unit = np.sqrt(problem.rows.keys.shape[1])

    ridges, ridge = (_RIDGES, _FIRST_RIDGE) if _has_lines(problem) else ((0.0,), 0.0)
    problem = replace(problem, ridge=ridge)
    some = _evenly(problem, _SEARCH_ROWS)
    part = problem.take(some)

    @cache
    def errors(exponent):
        return mean_squares_with_ridges(problem.with_bandwidth(unit * _RATIO**exponent), ridges, *options.errors, some)

    def error(exponent, ridge):
        return errors(exponent)[ridges.index(ridge)]

    exponent = _best_exponent(part.with_bandwidth(unit), options)
    for _ in range(2):
        ridge = min(ridges, key=lambda ridge: error(exponent, ridge))
        exponent = min([exponent + step for step in _NEXT], key=lambda exponent: error(exponent, ridge))
    return Isotropic(float(unit * _RATIO**exponent), ridge, error(exponent, ridge))


def _best_exponent(problem, options):
    """Of the ratio of bandwidths, in the bandwidth of a problem: that with the least error, as far as a few rows tell.

    At several bandwidths at once, where an algorithm offers that.
    """
    indices = _evenly(problem, _FIRST_ROWS)
    offers = [each for each in serving(options.algorithm, problem).values() if each.offers_path(problem, len(indices))]
    path = offers[0].path(problem, indices) if offers else None
    known: dict[int, float] = {}

    def errors(multiples):
        if path is not None:
            return mean_squares_of_path(path, multiples, options.fallback, options.n_jobs)
        scaled = [problem.with_bandwidth(problem.distance.bandwidth * multiple) for multiple in multiples]
        algorithm, fallback, n_jobs = options.errors
        return [left_out_of(each, algorithm, fallback, n_jobs, indices).mean_square for each in scaled]

    def best(exponents):
        new = sorted((each for each in exponents if each not in known), reverse=True)
        known.update(zip(new, errors(_RATIO ** np.array(new)), strict=True))
        return min(exponents, key=known.__getitem__)

    exponent = best(_EXPONENTS)
    return best([exponent + step for step in _HALFWAY])


def given_metric(problem: Problem, components: np.ndarray, options: SearchOptions) -> LearnedMetric:
    """The metric of a given matrix, with the ridge that suits it."""
    ridges = _RIDGES if _has_lines(problem) else (0.0,)
    some = _evenly(problem, _SEARCH_ROWS)
    errors = mean_squares_with_ridges(problem.project(components), ridges, *options.errors, some)
    return LearnedMetric(components, ridges[int(np.argmin(errors))])


def uniform_metric(problem: Problem) -> LearnedMetric:
    """The metric where there is nothing to learn: all features count alike."""
    n_features = problem.rows.keys.shape[1]
    return LearnedMetric(np.eye(n_features) / np.sqrt(n_features), _RIDGES[-1] if _has_lines(problem) else 0.0)


def _has_lines(problem):
    return problem.basis.degree > 0


def _mean(problem):
    """The problem of the weighted mean."""
    return replace(problem, basis=BASES[0], ridge=0.0)


def _evenly(problem, most):
    """The indices of so many samples at most, evenly from all."""
    n = len(problem.rows)
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))
