"""Metrics: ways to learn how far apart rows are, from their labels.

A metric is a matrix A: the distance of rows x and z is |A (x - z)|. It is learned for the lowest leave-one-out error,
and the ridge of local lines with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from sknw._algorithms import Problem
from sknw._gradient import Fits, error_gradient
from sknw._leave_one_out import Settings
from sknw._metric_learning import Descent


class Metric(NamedTuple):
    """What is learned.

    Parameters
    ----------
    components : ndarray of shape (n_components, n_features)
        The matrix A, in units of the standardised features.
    ridge : float
    """

    components: np.ndarray
    ridge: float


# Bandwidths that are tried, in units of the root of the number of features, and the least and the largest that are
# found. With a wide one a feature has hardly any attention, but a slope.
_GRID = np.exp(np.linspace(-2, 2, 9))
_BOUNDS = np.exp([-5, 9])

# Ridges that are tried, and the bounds of those that are found.
_RIDGES = (0.02, 0.1, 0.5, 2.5)
_RIDGE_BOUNDS = np.exp([-7, 4])

# Iterations from the better of two starts.
_ITERATIONS = 20

# Rows whose errors decide where a search begins.
_SCOUTS = 250

# Bandwidths of weighted means are so much narrower than those of lines.
_WIDER = np.exp(0.7)


def _isotropic(problem: Problem, settings: Settings) -> Metric:
    """One bandwidth for all features."""
    bandwidth, ridge = _equal_bandwidths(problem, _scouts(problem))
    return Metric(np.eye(problem.X.shape[1]) / bandwidth, ridge)


def _ard(problem: Problem, settings: Settings) -> Metric:
    """Automatic relevance determination: one bandwidth for each feature."""
    n_features, rows = problem.X.shape[1], _scouts(problem)
    unit, every = np.ones(n_features), np.arange(len(problem.y))
    bandwidth, ridge = _equal_bandwidths(problem, rows)
    starts = [np.full(n_features, np.log(bandwidth))]
    ridges = _RIDGE_BOUNDS if problem.degree else None
    if problem.degree:
        mean = replace(problem, degree=0, ridge=0.0)
        start = np.full(n_features, np.log(_equal_bandwidths(mean, rows)[0]))
        narrow = Descent(mean, unit, _BOUNDS, every, settings).descend(start, _ITERATIONS)
        starts = [np.append(starts[0], np.log(ridge)), np.append(narrow + np.log(_WIDER), np.log(0.1))]
    descent = Descent(problem, unit, _BOUNDS, every, settings, ridges)
    if not problem.degree:
        starts.append(descent.slope_start(starts[0]))
    logs = descent.from_starts(starts)
    return _of_descent(descent, logs)


def _of_descent(descent, logs):
    scales = 1 / descent.bandwidth(logs)
    return Metric(np.diag(scales)[scales > 0], descent.ridge(logs))


METRICS: dict[str, Callable[[Problem, Settings], Metric]] = {
    "isotropic": _isotropic,
    "ard": _ard,
}


def _scouts(problem):
    """Some rows, evenly from all."""
    n = len(problem.y)
    return np.unique(np.linspace(0, n - 1, min(n, _SCOUTS)).astype(int))


def _equal_bandwidths(problem, rows):
    """The bandwidth for all features, and the ridge, of the lowest error."""
    unit = np.sqrt(problem.X.shape[1])

    def error(bandwidth, ridge):
        return error_gradient(replace(problem, bandwidth=bandwidth, ridge=ridge), rows)[0]

    bandwidth = min(_GRID * unit, key=lambda bandwidth: error(bandwidth, _RIDGES[1] if problem.degree else 0.0))
    if not problem.degree:
        return bandwidth, 0.0
    return bandwidth, min(_RIDGES, key=lambda ridge: error(bandwidth, ridge))
