"""Bandwidth rules: from a problem to its bandwidth.

A rule gives one multiple of the features' spreads, or one for each. A constant feature has none: its bandwidth is inf,
and it has no influence.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.utils import Bunch, check_random_state

from sknw._algorithms import ALGORITHMS, Problem, batches, build, row_batch
from sknw._leave_one_out import CRITERIA, Settings, leave_one_out, leave_one_out_path
from sknw._metric_learning import Descent

# Multiples of the spreads that are tried before the best are refined: six decades, so that neither a function that
# oscillates a thousand times over the data nor one that they say nothing about is out of range. Each is the one before
# times the root of two, for which a Gaussian is a square (see `_algorithms/_path.py`).
_LADDER = 100 * 2.0 ** (np.arange(-40, 1) / 2)

# Basins of the criterion that are refined, the lowest first.
_BASINS = 4

# How well the logarithm of the best multiple is known in the end: where all rows count; and where those of a sample do,
# whose choice matters more.
_EXACT, _SAMPLED = 1e-4, 1e-2

# Scores this close are equal: the difference is rounding.
_EQUAL = 1e-12

# Beyond this many rows, a search is made on a sample of them, by the errors of a part (a quarter, or half for one
# bandwidth a feature), and refined by errors among all rows: so many, or fewer, for no more pairs of rows than that.
_MOST_ROWS = 2000
_MOST_ERRORS = 1000
_MOST_PAIRS = 5e8

# Iterations of a descent on all rows, after that on a sample.
_LAST_ITERATIONS = 8

# Where a bandwidth takes n log n, the errors of a sample among all rows are enough throughout.
_MOST_ROWS_IN_CELLS = 20_000


class BandwidthSearch(Bunch):
    """What a search tried and found. A class of its own, so that a file of a fitted estimator names it as ours."""


def spreads(problem: Problem) -> np.ndarray:
    """The weighted standard deviation of each feature, (n_features,), zero for a constant one.

    For a metric other than the Euclidean a single one, (1,): the root of half the mean squared distance of two rows,
    which for one feature and the Euclidean metric is the same number.
    """
    weight = problem.sample_weight / problem.sample_weight.sum()
    if problem.metric == "euclidean":
        X = problem.X[~problem.absent].astype(np.float64)
        X = X - X[0]  # a large offset would leave the variance few digits
        deviations = X - weight[~problem.absent] @ X
        # Not the root itself: squares of small numbers underflow.
        scale = np.abs(deviations).max(axis=0)
        scale[np.ptp(X, axis=0) == 0] = 0
        relative = np.divide(deviations, scale, out=np.zeros_like(deviations), where=scale > 0)
        return scale * np.sqrt(weight[~problem.absent] @ np.square(relative))
    mean = 0.0
    for batch in batches(len(problem.y), row_batch(len(problem.y))):
        squares = problem.squares(problem.keys[batch])
        mean += weight[batch] @ squares @ weight
    return np.sqrt([mean / 2])


def _n_rows(problem: Problem) -> float:
    """The number of rows that the weights amount to: repetitions, or the effective size of Kish (1965)."""
    weight = problem.sample_weight
    if (problem.repetitions == weight).all():
        return weight.sum()
    return weight.sum() ** 2 / np.square(weight).sum()


def _scott(problem, unit, settings):
    n_features = np.isfinite(unit).sum()
    return unit * _n_rows(problem) ** (-1 / (n_features + 4)), None


def _silverman(problem, unit, settings):
    n_features = np.isfinite(unit).sum()
    return unit * (_n_rows(problem) * (n_features + 2) / 4) ** (-1 / (n_features + 4)), None


class _Trials:
    """Multiples of a unit that have been tried, and their scores.

    Parameters
    ----------
    problem : Problem
    unit : ndarray of shape (n_features,), or (1,) for a metric other than the Euclidean
    criterion : str
    settings : Settings
    rows : ndarray of shape (n_rows,)
        The training rows whose errors count.
    """

    def __init__(self, problem: Problem, unit: np.ndarray, criterion: str, settings: Settings, rows: np.ndarray):
        self._unit, self._criterion, self._settings = unit, CRITERIA[criterion], settings
        self._problem = problem.at(_as_bandwidth(problem, unit))
        # Neighbours in memory are neighbours on the line, if the keys are on one.
        self.rows = rows[np.argsort(self._problem.keys[rows, 0])]
        self.scores: dict[float, float] = {}

    def try_all(self, multiples: np.ndarray) -> None:
        """Compute the criterion at these multiples, in ascending order."""
        if not self._by_path():
            for multiple in multiples:
                self.try_one(multiple)
            return
        largest = self._problem.at(_as_bandwidth(self._problem, self._unit * multiples[-1]))
        path = leave_one_out_path(largest, multiples[-1] / multiples[::-1], self.rows, self._settings.n_jobs)
        for multiple, left_out in zip(multiples[::-1], path, strict=True):
            self.scores[multiple] = self._criterion(self._problem, left_out)
            self._settings.step()

    def try_one(self, multiple: float) -> float:
        """Compute the criterion at a multiple."""
        algorithm, fallback, n_jobs, _, step = self._settings
        problem = self._problem.at(_as_bandwidth(self._problem, self._unit * multiple))
        # To choose takes longer than what cells need for few rows, and so does all else for many.
        fitted = build("cells" if _in_cells(problem, algorithm) else algorithm, problem)
        left_out = leave_one_out(fitted, fallback, n_jobs, self.rows)
        self.scores[multiple] = self._criterion(self._problem, left_out)
        step()
        return self.scores[multiple]

    def _by_path(self):
        """Whether one pass over all distances is faster than a pass for each bandwidth."""
        wanted = self._settings.algorithm
        if self._problem.kernel.log_ratio is None or wanted not in ("auto", "brute"):
            return False
        return wanted == "brute" or not _in_cells(self._problem, wanted)

    def refine(self, basins: int, tolerance: float) -> None:
        """Look for the minimum between the neighbours of each of the lowest local minima.

        tolerance : of the logarithm of the multiple
        """
        multiples = np.array(sorted(self.scores))
        scores = np.array([self.scores[multiple] for multiple in multiples])
        around = np.pad(scores, 1, constant_values=np.inf)
        bottoms = np.flatnonzero((scores <= around[:-2]) & (scores <= around[2:]) & np.isfinite(scores))
        bottoms = bottoms[~_settled(scores)[bottoms]]
        for k in bottoms[np.argsort(scores[bottoms], kind="stable")][:basins]:
            bounds = np.log(multiples[[max(k - 1, 0), min(k + 1, len(multiples) - 1)]])
            minimize_scalar(self._try_power, bounds=bounds, method="bounded", options={"xatol": tolerance})

    def interpolate(self) -> None:
        """Try the vertex of the parabola through the lowest score and its neighbours."""
        multiples = np.array(sorted(self.scores))
        scores = np.array([self.scores[multiple] for multiple in multiples])
        k = int(scores.argmin())
        if 0 < k < len(scores) - 1:
            x, y = np.log(multiples[k - 1 : k + 2]), scores[k - 1 : k + 2]
            second, first, _ = np.polyfit(x - x[1], y - y[1], 2)
            if second > 0:
                self.try_all(np.exp([x[1] - first / (2 * second)]))

    def _try_power(self, power):
        # A minimiser can do nothing with infinity.
        highest = max(score for score in self.scores.values() if np.isfinite(score))
        return min(self.try_one(float(np.exp(power))), highest)

    @property
    def equal(self) -> list[float]:
        """The multiples with the lowest score, in ascending order."""
        scores = np.array(list(self.scores.values()))
        finite = scores[np.isfinite(scores)]
        if not len(finite):
            return sorted(self.scores)
        limit = finite.min() + _EQUAL * np.median(np.abs(finite))
        return sorted(multiple for multiple, score in self.scores.items() if score <= limit)


def _settled(scores):
    """Which scores, from either end, are those of a criterion that no longer changes: there is nothing to find."""
    margin = _EQUAL * np.median(np.abs(scores[np.isfinite(scores)])) if np.isfinite(scores).any() else 0.0
    equal = np.isclose(scores[1:], scores[:-1], rtol=0, atol=margin)
    from_start, from_end = np.logical_and.accumulate(equal), np.logical_and.accumulate(equal[::-1])[::-1]
    settled = np.zeros(len(scores), dtype=bool)
    for run in (from_start, from_end):
        settled[1:] |= run
        settled[:-1] |= run
    return settled


def _in_cells(problem, algorithm):
    """Whether sums take n log n at any bandwidth."""
    one = np.isfinite(problem.bandwidth).sum() == 1
    return bool(one and algorithm in ("auto", "cells") and ALGORITHMS["cells"].refuses(problem) is None)


def _as_bandwidth(problem, unit):
    return unit if problem.metric == "euclidean" else float(unit[0])


def _by(criterion):
    """The rule that takes the multiple of the spreads with the lowest criterion."""

    def rule(problem, unit, settings):
        if np.isinf(unit).all():
            message = "No feature varies: every fit is the mean."
            return unit, _report(unit[None], [np.nan], criterion, 0, "flat", message)
        trials = _search(problem, unit, criterion, settings)
        equal, multiples = trials.equal, np.array(sorted(trials.scores))
        if len(equal) == len(multiples):
            status, message = "flat", "Every bandwidth predicts equally well; the largest was taken."
        else:
            status, message = _verdict(problem, equal[0], equal[-1])
        scores = [trials.scores[multiple] for multiple in multiples]
        best = int(np.searchsorted(multiples, equal[-1]))
        message += _sampled(trials.rows, problem)
        return unit * equal[-1], _report(np.multiply.outer(multiples, unit), scores, criterion, best, status, message)

    return rule


def _search(problem, unit, criterion, settings):
    """The trials of a search."""
    present = np.flatnonzero(~problem.absent)
    in_cells = _in_cells(problem.at(_as_bandwidth(problem, unit)), settings.algorithm)
    most = _MOST_ROWS_IN_CELLS if in_cells else _MOST_ROWS
    if len(present) <= most:
        trials = _Trials(problem, unit, criterion, settings, np.arange(len(problem.y)))
        trials.try_all(_LADDER)
        trials.refine(_BASINS, _EXACT)
        return trials
    random = check_random_state(settings.random_state)
    sample = random.choice(present, most, replace=False)
    if in_cells:
        trials = _Trials(problem, unit, criterion, settings, sample)
        trials.try_all(_LADDER)
        trials.refine(_BASINS, _SAMPLED)
    else:
        first = _Trials(problem.part(sample), unit, criterion, settings, np.arange(most // 4))
        first.try_all(_LADDER)
        n_features = np.isfinite(unit).sum()
        start = first.equal[-1] * (len(present) / most) ** (-1 / (n_features + 4))
        rows = sample[: _n_errors(len(present))]
        trials = _Trials(problem, unit, criterion, settings, rows)
        _walk(trials, start)
        trials.interpolate()
    return trials


def _walk(trials, start):
    """Try multiples in steps down the criterion until its minimum is inside."""
    step = np.sqrt(2)
    trials.try_all(start * step ** np.arange(-2.0, 3.0))
    for _ in range(30):
        multiples = sorted(trials.scores)
        best = min(multiples, key=trials.scores.__getitem__)
        if best == multiples[0] > _LADDER[0]:
            trials.try_one(best / step)
        elif best == multiples[-1] < _LADDER[-1]:
            trials.try_one(best * step)
        else:
            return


def _ard(problem, unit, settings):
    """Automatic relevance determination: one bandwidth a feature."""
    varies, bounds = np.isfinite(unit), (_LADDER[0], _LADDER[-1])
    if varies.sum() < 2:
        return _by("loo")(problem, unit, settings)
    present = np.flatnonzero(~problem.absent)
    many = len(present) > _MOST_ROWS
    if many:
        sample = check_random_state(settings.random_state).choice(present, _MOST_ROWS, replace=False)
        some, rows = problem.part(sample), np.arange(_MOST_ROWS // 2)
    else:
        some, rows = problem, present
    trials = _Trials(some, unit, "loo", settings, rows[: _MOST_ROWS // 4])
    trials.try_all(_LADDER)
    if len(trials.equal) == len(_LADDER):
        return _by("loo")(problem, unit, settings)  # flat
    descent = Descent(some, unit, bounds, rows, settings)
    start = np.full(varies.sum(), np.log(trials.equal[-1]))
    logs = descent.from_starts([start, start + np.log(3), descent.slope_start(start)])
    kept = descent.drop(logs)
    logs = logs if len(kept) == len(logs) else descent.descend(kept)
    if many:
        unit = np.where(descent.active, unit, np.inf)
        descent = Descent(problem, unit, bounds, sample[: _n_errors(len(present))], settings)
        logs = descent.descend(logs - np.log(len(present) / _MOST_ROWS) / (len(logs) + 4), _LAST_ITERATIONS)
    return descent.bandwidth(logs), _report_descent(descent, logs, varies, problem)


def _report_descent(descent, logs, varies, problem):
    descent.error(logs)
    bandwidths, scores = zip(*descent.tried, strict=True)
    best = int(np.flatnonzero((bandwidths == descent.bandwidth(logs)).all(axis=1))[0])
    multiples = np.exp(logs)
    status, message = _verdict(problem, multiples.min(), multiples.min())
    dropped = np.flatnonzero(varies & ~descent.active)
    if len(dropped):
        message += f" Dropped, with the bandwidth inf: feature {', '.join(map(str, dropped))}."
    message += _sampled(descent.rows, problem)
    return _report(bandwidths, scores, "loo", best, status, message)


def _n_errors(n):
    """How many rows of a sample are predicted from all n rows."""
    return max(200, int(min(_MOST_ERRORS, _MOST_PAIRS / n)))


def _sampled(rows, problem):
    n = np.count_nonzero(~problem.absent)
    return f" The errors are those of {len(rows)} rows, drawn from {n}." if len(rows) < n else ""


def _verdict(problem, smallest, largest):
    """The status and the message for the multiples with the lowest score."""
    if smallest <= _LADDER[0] * (1 + 1e-3):
        message = (
            "No bandwidth predicts better than the smallest that was tried: each row is predicted from its nearest. If "
            "that is not wanted, give a number."
        )
        return "at the bound", message + _duplicates(problem)
    if largest >= _LADDER[-1] * (1 - 1e-3):
        message = (
            "No bandwidth predicts better than the largest that was tried: the features tell nothing of the labels, "
            "and the fit is their mean. If that is not plausible, give a number."
        )
        return "at the bound", message
    return "converged", "The criterion has its minimum inside the range searched."


def _duplicates(problem):
    """What to know of rows that others equal."""
    if problem.metric == "precomputed":
        return ""
    _, copies = np.unique(problem.X[~problem.absent], axis=0, return_counts=True)
    share = copies[copies > 1].sum() / copies.sum()
    if share == 0:
        return ""
    return (
        f" {share:.0%} of the rows have a duplicate, from which they are predicted. To leave out all copies of a row "
        "together, search with GridSearchCV and GroupKFold."
    )


def _report(bandwidths, scores, criterion, best, status, message):
    return BandwidthSearch(
        bandwidths=np.array(bandwidths),
        scores=np.array(scores),
        criterion=criterion,
        best_index=best,
        best_score=float(scores[best]),
        n_evaluations=len(scores),
        status=status,
        message=message,
    )


class Rule(NamedTuple):
    """How a bandwidth is found.

    Parameters
    ----------
    find : callable
        (problem, unit, settings) -> (bandwidth, report or None). `unit` is the features' spreads, inf for none.
    by_feature : bool
        Whether it needs features that can be scaled one by one: the Euclidean metric.
    """

    find: Callable
    by_feature: bool


RULES: dict[str, Rule] = {
    "scott": Rule(_scott, by_feature=True),
    "silverman": Rule(_silverman, by_feature=True),
    **{criterion: Rule(_by(criterion), by_feature=False) for criterion in CRITERIA},
    "ard": Rule(_ard, by_feature=True),
}


def choose_bandwidth(
    rule: str, problem: Problem, settings: Settings
) -> tuple[float | np.ndarray, BandwidthSearch | None]:
    """The bandwidth that a rule of `RULES` gives a problem, and the report of a search.

    Parameters
    ----------
    problem : Problem
        Its bandwidth has no influence.

    Returns
    -------
    bandwidth : ndarray of shape (n_features,), or float for a metric other than the Euclidean
    search : BandwidthSearch or None

    Warns
    -----
    UserWarning
        If no bandwidth predicts better than the smallest or the largest that was tried.
    """
    unit = spreads(problem)
    unit[unit == 0] = np.inf
    bandwidth, search = RULES[rule].find(problem, unit, settings._replace(fallback=_finite(settings.fallback)))
    if search is not None and search.status == "at the bound":
        warnings.warn(
            f"The search for bandwidth={rule!r} ended at its bound. {search.message}", UserWarning, stacklevel=3
        )
    return _as_bandwidth(problem, bandwidth), search


def criterion_path(problem: Problem, bandwidths: np.ndarray, criterion: str, settings: Settings) -> np.ndarray:
    """A criterion of `CRITERIA` at each of these bandwidths, (n_bandwidths,) or (n_bandwidths, n_features)."""
    settings, rows = settings._replace(fallback=_finite(settings.fallback)), np.arange(len(problem.y))
    if bandwidths.ndim == 2:
        by_one = [_Trials(problem, bandwidth, criterion, settings, rows) for bandwidth in bandwidths]
        return np.array([trials.try_one(1.0) for trials in by_one])
    n_units = problem.X.shape[1] if problem.metric == "euclidean" else 1
    trials = _Trials(problem, np.ones(n_units), criterion, settings, rows)
    trials.try_all(np.unique(bandwidths))
    return np.array([trials.scores[bandwidth] for bandwidth in bandwidths])


def _finite(fallback):
    """The fallback for the error of a row that no other row reaches: a guess, where the user's gives no number."""
    return "mean" if fallback in ("nan", "raise") else fallback
