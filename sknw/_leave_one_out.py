"""Leave-one-out: what each training row is predicted without itself, and the criteria that one pass of sums gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sknw._algorithms import Algorithm, Problem, map_tiles, path_sums
from sknw._kernels import LOWEST_LOG
from sknw._local_fit import levers, local_means
from sknw._pooling import pool

# A mean squared error is taken to be at least this share of the variance of the labels: below is rounding.
_ROUNDING = 1e-30

# Of labels without variance, it is taken to be this.
_LEAST = 1e-300

# Numbers in a tile of a gradient: few enough that it stays in the cache between its steps.
_TILE_NUMBERS = 2**17


class Settings(NamedTuple):
    """How a search computes errors.

    Parameters
    ----------
    algorithm : str
    fallback : str
        What a row counts as predicted that no other row reaches.
    n_jobs : int or None
    random_state : int, RandomState instance or None
        Draws samples.
    step : callable
        Called after each bandwidth that was tried.
    """

    algorithm: str
    fallback: str
    n_jobs: int | None = None
    random_state: int | np.random.RandomState | None = None
    step: Callable[[], None] = lambda: None


class LeftOut(NamedTuple):
    """Training rows as the others see them.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,)
        Which training rows.
    predictions : ndarray of shape (n_rows, n_outputs)
        Means of the labels, each made without the row itself.
    own : ndarray of shape (n_rows,)
        The weight of a row's own label in its fit: a diagonal element of the smoother's matrix.
    others : ndarray of shape (n_rows,)
        The weight of all others, 1 - own without its rounding.
    residuals : ndarray of shape (n_rows, n_outputs)
        Labels minus the fit to all rows.
    n_unreached : int
        How many rows the fallback answered.
    """

    rows: np.ndarray
    predictions: np.ndarray
    own: np.ndarray
    others: np.ndarray
    residuals: np.ndarray
    n_unreached: int


def leave_one_out(
    algorithm: Algorithm, fallback: str, n_jobs: int | None = None, rows: np.ndarray | None = None
) -> LeftOut:
    """Predictions of training rows, or of some of them, each made without itself.

    Integer sample weights count repetitions of a row, of which one is left out: a row of weight 3 leaves 2 behind.
    Other weights express importance, and the whole row is left out.

    Raises
    ------
    ValueError
        If nothing remains when one is left out.
    """
    problem = algorithm.problem
    if problem.n_rows < 2:
        raise ValueError("Leave-one-out needs at least two training rows with positive sample_weight, got one.")
    rows = np.arange(len(problem.y)) if rows is None else rows
    queries = problem.keys.take(rows, axis=0)
    sums = algorithm.sums(queries, excluded=rows, n_jobs=n_jobs)
    sums, own = _with_repetitions(problem, rows, sums)
    predictions, n_unreached = pool(algorithm, sums, queries, fallback, excluded=rows)
    return _left_out(problem, rows, predictions, sums, own, n_unreached)


def leave_one_out_path(
    problem: Problem, shrinkage: np.ndarray, rows: np.ndarray, n_jobs: int | None = None
) -> list[LeftOut]:
    """The same at several bandwidths, those that `shrinkage` divides, from one pass over the distances.

    For a kernel that is positive everywhere.
    """
    path = []
    problems = [problem.at(problem.bandwidth / factor) for factor in shrinkage]
    for narrow, sums in zip(problems, path_sums(problems, shrinkage, rows, n_jobs), strict=True):
        sums, own = _with_repetitions(narrow, rows, sums)
        fits = narrow.offset + local_means(narrow, sums, narrow.keys[rows])
        fits = np.clip(fits, narrow.low, narrow.high) if narrow.degree == 0 else fits
        path.append(_left_out(narrow, rows, fits, sums, own, 0))
    return path


def _with_repetitions(problem, rows, sums):
    """Sums to predict a row from, its further repetitions among them, and what one repetition of itself adds."""
    repetitions = np.maximum(problem.repetitions[rows], 1)[:, None]
    # Column by column in memory: that is faster while there are few.
    values = np.asfortranarray(problem.values.take(rows, axis=0))
    own = problem.kernel(np.zeros(1)) * values / repetitions
    own = problem.columns(own, problem.keys.take(rows, axis=0) - sums.centre if problem.degree else own)
    # Without its scale, the sum of a row far from all others is lost: it stays where no repetition is added.
    again = np.flatnonzero(repetitions > 1)
    if len(again):
        without = sums.columns[again] * np.exp(sums.log_scale[again])[:, None]
        sums.columns[again] = without + (repetitions[again] - 1) * own[again]
        sums.log_scale[again] = 0
    return sums, own


def _left_out(problem, rows, predictions, sums, one, n_unreached):
    without = np.asfortranarray(sums.columns) * np.exp(sums.log_scale)[:, None]
    whole = without + one
    total = whole[:, -1]
    known = total > 0
    own = np.divide(one[:, -1], total, out=np.zeros(len(rows)), where=known)
    others = np.divide(without[:, -1], total, out=np.ones(len(rows)), where=known)
    errors = problem.y[rows] - predictions
    if problem.degree == 0:
        return LeftOut(rows, predictions, own, others, others[:, None] * errors, n_unreached)
    # A row without weight is no part of any fit.
    whole[~known] = sums.columns[~known]
    whole, queries = sums._replace(columns=whole), problem.keys[rows]
    own *= levers(problem, whole, queries).at(queries - sums.centre)
    residuals = problem.y[rows] - problem.offset - local_means(problem, whole, queries)
    return LeftOut(rows, predictions, own, 1 - own, np.where(known[:, None], residuals, errors), n_unreached)


def _output_scale(problem: Problem) -> np.ndarray:
    """What squared errors of each output are multiplied by, to be added: over several, a mean in units of variance."""
    if problem.y.shape[1] == 1:
        return np.ones(1)
    return 1 / np.where(problem.variances > 0, problem.variances, 1) / problem.y.shape[1]


def _mean_square(problem: Problem, rows: np.ndarray, errors: np.ndarray) -> float:
    squares = np.average(np.square(errors), axis=0, weights=problem.sample_weight[rows])
    return float(squares @ _output_scale(problem))


def _loo(problem, left_out):
    return _mean_square(problem, left_out.rows, problem.y[left_out.rows] - left_out.predictions)


def _gcv(problem, left_out):
    free = np.average(left_out.others, weights=problem.repetitions[left_out.rows])
    if free == 0:
        return np.inf
    return _mean_square(problem, left_out.rows, left_out.residuals / free)


def _aicc(problem, left_out):
    n = problem.n_rows
    used = n * np.average(left_out.own, weights=problem.repetitions[left_out.rows])
    if n - used - 2 <= 0:
        return np.inf
    error = _mean_square(problem, left_out.rows, left_out.residuals)
    error = max(error, _ROUNDING * problem.variances.max(), _LEAST)
    return float(np.log(error) + 1 + 2 * (used + 1) / (n - used - 2))


#: Criteria by name: (problem, left_out) -> float, lower is better.
#:
#: - "loo": the mean squared leave-one-out error;
#: - "gcv": generalised cross-validation, mean squared residual / (1 - df / n)**2, of P. Craven and G. Wahba (1978),
#:   Smoothing noisy data with spline functions, Numerische Mathematik 31, 377-403, doi:10.1007/BF01404567;
#: - "aicc": log(mean squared residual) + 1 + 2 (df + 1) / (n - df - 2), of C. M. Hurvich, J. S. Simonoff and C.-L. Tsai
#:   (1998), Smoothing parameter selection in nonparametric regression using an improved Akaike information criterion,
#:   Journal of the Royal Statistical Society B 60, 271-293, doi:10.1111/1467-9868.00125.
#:
#: df is the trace of the smoother's matrix.
CRITERIA: dict[str, Callable[[Problem, LeftOut], float]] = {"loo": _loo, "gcv": _gcv, "aicc": _aicc}


def error_gradient(problem: Problem, rows: np.ndarray, n_jobs: int | None = None) -> tuple[float, np.ndarray]:
    """The squared leave-one-out error, and its derivatives by the logarithms of the bandwidths.

    For the Euclidean metric and a kernel that is positive everywhere. With w_ij the weight of key j in the prediction
    f_i of row i from the others, and z_ijk their distance in feature k, in bandwidths::

        d f_i / d log h_k = -2 sum_j w_ij (y_j - f_i) (d log K / dt)(t_ij) z_ijk**2,    t_ij = sum_k z_ijk**2

    K. Q. Weinberger and G. Tesauro (2007), Metric learning for kernel regression, AISTATS, PMLR 2, 612-619,
    https://proceedings.mlr.press/v2/weinberger07a.html, have it for the Gaussian.

    Parameters
    ----------
    problem : Problem
    rows : ndarray of shape (n_rows,)
        The training rows whose errors count.
    n_jobs : int, default=None
        Threads; None is one.

    Returns
    -------
    error : float
        As ``CRITERIA["loo"]``.
    gradient : ndarray of shape (n_features,)
        For the features that matter, those with a finite bandwidth.
    """
    points = problem.centred(problem.keys)
    columns = np.hstack([np.ones((len(points), 1)), points, np.square(points)])
    labels = problem.y - problem.offset
    share = problem.sample_weight[rows] / problem.sample_weight[rows].sum()

    def tile_error(tile):
        some = rows[tile]
        weights, slope = _others(problem, some)
        total = weights.sum(axis=1, keepdims=True)
        predictions = weights @ labels / total
        errors = labels[some] - predictions
        scaled = errors * share[tile, None] * _output_scale(problem)
        # Each weight's part of the derivative, but for the squared distance in a feature.
        by_total = 4 * scaled / total
        weights *= by_total @ labels.T - (by_total * predictions).sum(axis=1, keepdims=True)
        weights *= slope
        sums, first, second = np.split(weights @ columns, [1, 1 + points.shape[1]], axis=1)
        gradient = np.square(points[some]) * sums - 2 * points[some] * first + second
        return (scaled * errors).sum(), gradient.sum(axis=0)

    tiles = map_tiles(tile_error, len(rows), max(1, _TILE_NUMBERS // len(points)), n_jobs)
    error, gradient = (sum(parts) for parts in zip(*tiles, strict=True))
    return float(error), gradient


def _others(problem, rows):
    """What each key weighs in the prediction of a row by the others, and d log K / dt there."""
    kernel, repetitions = problem.kernel, np.maximum(problem.repetitions[rows], 1)
    once = np.flatnonzero(repetitions == 1)
    own = once, rows[once]
    t = problem.hide(problem.row_squares(rows), None, np.inf)
    t[own] = np.inf
    lowest = t.min(axis=1, keepdims=True)
    t -= lowest
    t = problem.hide(t, None, 0)
    t[own] = 0
    logs = kernel.log_ratio(lowest, t)
    weights = np.exp(np.maximum(logs, LOWEST_LOG, out=logs), out=logs)
    weights *= problem.weight
    weights[np.arange(len(rows)), rows] *= 1 - 1 / repetitions
    if not kernel.is_product:  # whose slope is the same everywhere
        t += lowest
    return weights, kernel.log_slope(t)
