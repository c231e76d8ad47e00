"""Metrics: ways to learn from the labels how far apart rows are.

A metric is a matrix A: the distance of rows x and z is |A (x - z)|. It is learned for the lowest leave-one-out error,
and with it the ridge of local lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from sknw._algorithms import Problem
from sknw._gradient import error_gradient, fitted_slopes
from sknw._leave_one_out import Settings, left_out_error
from sknw._metric_learning import Descent

# Bandwidths that are tried, in units of the root of the number of features, and the least and the largest that are
# found. With a wide one a feature has hardly any attention, but a slope.
_GRID = np.exp(np.linspace(-2, 4, 13))
_BOUNDS = float(np.exp(-5)), float(np.exp(9))

# What the best of these is multiplied by, once its ridge is known.
_STEPS = np.exp([-0.5, -0.25, 0, 0.25, 0.5])

# Ridges that are tried, that of the first bandwidths, and the bounds of those that are found.
_RIDGES = (0.003, 0.02, 0.1, 0.5, 2.5)
_FIRST_RIDGE = 0.1
_RIDGE_BOUNDS = float(np.exp(-7)), float(np.exp(4))

# Iterations from the better of two starts.
_ITERATIONS = 20

# Rows whose errors decide where a search begins, and where it ends.
_SCOUTS = 400
_JUDGES = 600

# It is enough if the logarithm of the error falls by less.
_TOLERANCE = 1e-4

# What a feature has to lower n times the logarithm of the error by, in units of log n: what a parameter is worth to the
# criterion of G. Schwarz (1978), Annals of Statistics 6 (2), 461-464; and what it should be worth to one who has looked
# at many.
_WORTHS = (1.0, 4.0)

# Bandwidths of weighted means are so much narrower than those of lines.
_WIDER = np.exp(0.7)

# Lines take time in proportion to the square of the number of features: with more than these there are only means.
MOST_FEATURES_OF_LINES = 60

# Of slopes: the powers of their outer product that are tried as metrics, the least share of a direction in it, and how
# often slopes are taken anew.
_POWERS = (0.5, 1.0)
_LEAST_DIRECTION = 1e-3
_REPEATS = 5

# Of a full matrix: the share of rows that are predicted but do not teach, and for how many iterations their error may
# rise before it is enough.
_HELD_OUT = 0.25
_PATIENCE = 8


class Metric(NamedTuple):
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


class Equal(NamedTuple):
    """One bandwidth for all features, from which all that is learned begins.

    Parameters
    ----------
    bandwidth, ridge : float
    error : float
        As far as some rows tell.
    """

    bandwidth: float
    ridge: float
    error: float


def _isotropic(problem: Problem, equal: Equal, settings: Settings) -> list[Metric]:
    """One bandwidth for all features."""
    return [Metric(np.eye(problem.X.shape[1]) / equal.bandwidth, equal.ridge)]


def _ard(problem: Problem, equal: Equal, settings: Settings) -> list[Metric]:
    """Automatic relevance determination: one bandwidth for each feature, and without those that are worth little."""
    scouts, judges = _some(problem, _SCOUTS), _some(problem, _JUDGES)
    unit = np.ones(problem.X.shape[1])
    start = np.log(np.full(len(unit), equal.bandwidth))
    if problem.degree == 0:
        descent = Descent(problem, unit, _BOUNDS, judges, settings, tolerance=_TOLERANCE)
        starts = [start, descent.slope_start(start)]
    else:
        mean = replace(problem, degree=0, ridge=0.0)
        narrow = np.log(np.full(len(unit), equal_bandwidths(mean, settings).bandwidth))
        narrow = Descent(mean, unit, _BOUNDS, scouts, settings, tolerance=_TOLERANCE).descend(narrow, _ITERATIONS)
        descent = Descent(problem, unit, _BOUNDS, judges, settings, _RIDGE_BOUNDS, _TOLERANCE)
        starts = [np.append(start, np.log(equal.ridge)), np.append(narrow + np.log(_WIDER), np.log(_FIRST_RIDGE))]
    logs, metrics = descent.from_starts(starts), []
    for worth in _WORTHS:
        kept = descent.drop(logs, worth * np.log(len(problem.y)))
        logs = logs if len(kept) == len(logs) else descent.descend(kept, _ITERATIONS)
        scales = 1 / descent.bandwidth(logs)
        metrics.append(Metric(np.diag(scales)[scales > 0], descent.ridge(logs)))
    return metrics


def _opg(problem: Problem, equal: Equal, settings: Settings) -> list[Metric]:
    """The outer product of gradients: directions in which the labels are steep count, turned as they may be.

    Y. Xia, H. Tong, W. K. Li and L.-X. Zhu (2002), An adaptive estimation of dimension reduction space, Journal of the
    Royal Statistical Society B 64 (3), 363-410, doi:10.1111/1467-9868.03411, take the slopes of local lines.
    """
    components, best = np.eye(problem.X.shape[1]), equal
    for _ in range(_REPEATS):
        seen = replace(problem.seen_by(components), degree=1)
        line = best if problem.degree == 1 else equal_bandwidths(seen, settings)
        slopes = fitted_slopes(replace(seen, bandwidth=line.bandwidth, ridge=line.ridge), settings.n_jobs) @ components
        values, vectors = np.linalg.eigh(np.einsum("n,nki,nkj->ij", problem.sample_weight, slopes, slopes))
        if values[-1] <= 0:
            break
        values = np.maximum(values / values[-1], _LEAST_DIRECTION)
        roots = [(vectors * values ** (power / 2)).T for power in _POWERS]
        tried = [equal_bandwidths(problem.seen_by(root), settings) for root in roots]
        found = int(np.argmin([each.error for each in tried]))
        if tried[found].error >= best.error:
            break
        components, best = roots[found], tried[found]
    return [Metric(components / best.bandwidth, best.ridge)]


def _mlkr(problem: Problem, equal: Equal, settings: Settings) -> list[Metric]:
    """Metric learning for kernel regression: any matrix, from that of "opg" if it can be, until held-out rows say stop.

    K. Q. Weinberger and G. Tesauro (2007), Metric learning for kernel regression, AISTATS, PMLR 2, 612-619.
    """
    first = _opg if problem.X.shape[1] <= MOST_FEATURES_OF_LINES else _isotropic
    start = first(problem, equal, settings)[0].components
    mean = replace(problem, degree=0, ridge=0.0)
    start = start / equal_bandwidths(mean.seen_by(start), settings).bandwidth
    n = len(problem.y)
    held_out = np.arange(n) % round(1 / _HELD_OUT) == 0
    if held_out.all() or not held_out.any():
        return [Metric(start, 0.0)]
    teachers, every = mean.part(np.flatnonzero(~held_out)), np.flatnonzero(held_out)
    best, waited = (np.inf, start), 0

    def error(flat):
        matrix = flat.reshape(start.shape)
        error, by_metric, _ = error_gradient(teachers.seen_by(matrix), np.arange(len(teachers.y)), points=teachers.X)
        return error, -(matrix @ by_metric).ravel()

    def watch(flat):
        nonlocal best, waited
        matrix = flat.reshape(start.shape)
        now = left_out_error(mean.seen_by(matrix), settings, every)
        best, waited = ((now, matrix.copy()), 0) if now < best[0] else (best, waited + 1)
        if waited > _PATIENCE:
            raise StopIteration

    watch(start.ravel())
    minimize(error, start.ravel(), jac=True, callback=watch, method="L-BFGS-B", options={"maxiter": 5 * _ITERATIONS})
    equal = equal_bandwidths(problem.seen_by(best[1]), settings)
    return [Metric(best[1] / equal.bandwidth, equal.ridge)]


#: What `AttentionRegressor` can learn: metrics to choose from, by rows that they have not seen. "isotropic" is always
#: among them.
METRICS: dict[str, Callable[[Problem, Equal, Settings], list[Metric]]] = {
    "isotropic": _isotropic,
    "ard": _ard,
    "opg": _opg,
    "mlkr": _mlkr,
}


def equal_bandwidths(problem: Problem, settings: Settings) -> Equal:
    """The best bandwidth for all features, and the ridge."""
    unit, rows = np.sqrt(problem.X.shape[1]), _some(problem, _SCOUTS)

    @cache
    def error(bandwidth, ridge):
        return left_out_error(replace(problem, bandwidth=bandwidth, ridge=ridge), settings, rows)

    ridges = _RIDGES if problem.degree else (0.0,)
    first = _FIRST_RIDGE if problem.degree else 0.0
    bandwidth = min(_GRID * unit, key=lambda bandwidth: error(bandwidth, first))
    for _ in range(2):
        ridge = min(ridges, key=lambda ridge: error(bandwidth, ridge))
        bandwidth = min(bandwidth * _STEPS, key=lambda bandwidth: error(bandwidth, ridge))
    return Equal(float(bandwidth), ridge, error(bandwidth, ridge))


def fitted_ridge(problem: Problem, components: np.ndarray, settings: Settings) -> Metric:
    """The metric of a given matrix, with the ridge that suits it."""
    seen, rows = problem.seen_by(components), _some(problem, _SCOUTS)
    ridges = _RIDGES if problem.degree else (0.0,)
    return Metric(components, min(ridges, key=lambda ridge: left_out_error(replace(seen, ridge=ridge), settings, rows)))


def untaught(problem: Problem) -> Metric:
    """The metric where there is nothing to learn: all features count alike."""
    n_features = problem.X.shape[1]
    return Metric(np.eye(n_features) / np.sqrt(n_features), _RIDGES[-1] if problem.degree else 0.0)


def _some(problem, most):
    """So many rows at most, evenly from all."""
    n = len(problem.y)
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))
