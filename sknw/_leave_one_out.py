"""Leave-one-out: what each training row is predicted without itself, and the criteria that one pass of sums gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from sknw._algorithms import Algorithm, Problem, Sums, build, path_sums
from sknw._local_fit import levers, local_means
from sknw._pooling import pool

# A mean squared error is taken to be at least this share of the variance of the labels: below is rounding.
_ROUNDING = 1e-30

# Weights that differ by less are of the same fit, but for rounding.
_ALIKE = 1e-6

# Of labels without variance, it is taken to be this.
_LEAST = 1e-300


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


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Training rows as the others see them.

    Parameters
    ----------
    problem : Problem
    rows : ndarray of shape (n_rows,)
        Which training rows.
    predictions : ndarray of shape (n_rows, n_outputs)
        Fits to the labels, each made without the row itself.
    n_unreached : int
        How many rows the fallback answered.
    sums : Sums
        What they are predicted from.
    one : ndarray of shape (n_rows, n_columns)
        What one repetition of each row adds to that.

    Attributes
    ----------
    own : ndarray of shape (n_rows,)
        The weight of a row's own label in its fit: a diagonal element of the smoother's matrix.
    others : ndarray of shape (n_rows,)
        The weight of all others, 1 - own without its rounding.
    residuals : ndarray of shape (n_rows, n_outputs)
        Labels minus the fit to all rows.
    """

    problem: Problem
    rows: np.ndarray
    predictions: np.ndarray
    n_unreached: int
    sums: Sums
    one: np.ndarray

    own = property(lambda self: self._fit[0])
    others = property(lambda self: self._fit[1])
    residuals = property(lambda self: self._fit[2])

    @property
    def errors(self) -> np.ndarray:
        """Labels minus predictions."""
        return self.problem.y[self.rows] - self.predictions

    @cached_property
    def _fit(self):
        problem, sums = self.problem, self.sums
        without = np.asfortranarray(sums.columns) * np.exp(sums.log_scale)[:, None]
        whole = without + self.one
        known = whole[:, -1] > 0
        own, others = np.zeros(len(self.rows)), np.ones(len(self.rows))
        np.divide(self.one[:, -1], whole[:, -1], out=own, where=known)
        np.divide(without[:, -1], whole[:, -1], out=others, where=known)
        if problem.degree == 0:
            return own, others, others[:, None] * self.errors
        # A row without weight is no part of any fit.
        whole[~known] = sums.columns[~known]
        whole, queries = sums._replace(columns=whole), problem.keys[self.rows]
        own *= levers(problem, whole, queries).at(queries - sums.centre)
        residuals = problem.y[self.rows] - problem.offset - local_means(problem, whole, queries)
        residuals[~known] = self.errors[~known]
        others = 1 - own
        exact = self._others_by_lever(queries)
        same = np.flatnonzero(known & (problem.ridge == 0) & (np.abs(exact - others) < _ALIKE))
        others[same], residuals[same] = exact[same], exact[same, None] * self.errors[same]
        return own, others, residuals

    def _others_by_lever(self, queries):
        """The weight of all others with all its digits, if the fit without a row is of the same degree, and no ridge.

        NaN where there is no other.
        """
        problem, sums = self.problem, self.sums
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            weight = self.one[:, -1] * np.exp(-sums.log_scale) / sums.columns[:, -1]
            return 1 / (1 + weight * levers(problem, sums, queries).at(queries - sums.centre))


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
    sums, one = _with_repetitions(problem, rows, sums)
    predictions, n_unreached = pool(algorithm, sums, queries, fallback, excluded=rows)
    return LeftOut(problem, rows, predictions, n_unreached, sums, one)


def left_out_error(problem: Problem, settings: Settings, rows: np.ndarray) -> float:
    """The mean squared leave-one-out error of some training rows."""
    algorithm = build(settings.algorithm, problem)
    return _loo(problem, leave_one_out(algorithm, settings.fallback, settings.n_jobs, rows))


def leave_one_out_path(
    problem: Problem, shrinkage: np.ndarray, rows: np.ndarray, n_jobs: int | None = None
) -> list[LeftOut]:
    """The same at several bandwidths, those that `shrinkage` divides, from one pass over the distances.

    For a kernel that is positive everywhere.
    """
    path = []
    problems = [problem.at(problem.bandwidth / factor) for factor in shrinkage]
    for narrow, sums in zip(problems, path_sums(problems, shrinkage, rows, n_jobs), strict=True):
        sums, one = _with_repetitions(narrow, rows, sums)
        fits = narrow.offset + local_means(narrow, sums, narrow.keys[rows])
        fits = np.clip(fits, narrow.low, narrow.high) if narrow.degree == 0 else fits
        path.append(LeftOut(narrow, rows, fits, 0, sums, one))
    return path


def _with_repetitions(problem, rows, sums):
    """Sums to predict a row from, its further repetitions among them, and what one repetition of itself adds."""
    repetitions = np.maximum(problem.repetitions[rows], 1)[:, None]
    # Column by column in memory: that is faster while there are few.
    values = np.asfortranarray(problem.values.take(rows, axis=0))
    one = problem.kernel(np.zeros(1)) * values / repetitions
    one = problem.columns(one, problem.keys.take(rows, axis=0) - sums.centre if problem.degree else one)
    # Without its scale, the sum of a row far from all others is lost: it stays where no repetition is added.
    again = np.flatnonzero(repetitions > 1)
    if len(again):
        without = sums.columns[again] * np.exp(sums.log_scale[again])[:, None]
        sums.columns[again] = without + (repetitions[again] - 1) * one[again]
        sums.log_scale[again] = 0
    return sums, one


def output_scale(problem: Problem) -> np.ndarray:
    """What squared errors of each output are multiplied by, to be added: over several, a mean in units of variance."""
    if problem.y.shape[1] == 1:
        return np.ones(1)
    return 1 / np.where(problem.variances > 0, problem.variances, 1) / problem.y.shape[1]


def _mean_square(problem: Problem, rows: np.ndarray, errors: np.ndarray) -> float:
    squares = np.average(np.square(errors), axis=0, weights=problem.sample_weight[rows])
    return float(squares @ output_scale(problem))


def _loo(problem, left_out):
    return _mean_square(problem, left_out.rows, left_out.errors)


def _gcv(problem, left_out):
    free = np.average(left_out.others, weights=problem.repetitions[left_out.rows])
    if free * problem.n_rows < 1:
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
#: df is the trace of the smoother's matrix. "gcv" is infinite for df > n - 1, as "aicc" is for df >= n - 2: of so few
#: residuals, chance makes the quotient.
CRITERIA: dict[str, Callable[[Problem, LeftOut], float]] = {"loo": _loo, "gcv": _gcv, "aicc": _aicc}
