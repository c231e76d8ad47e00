"""Bandwidth rules: from a problem to its bandwidth.

A rule gives one multiple of the features' spreads, or one for each. A constant feature has none: its bandwidth is inf,
and it has no influence.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch

from sknw._algorithms import Problem, batches, row_batch
from sknw._leave_one_out import CRITERIA, Settings
from sknw._metric_learning import Descent
from sknw._trials import LADDER, Trials, as_bandwidth, draw, n_errors, search, shrinkage

# Decimals of the logarithms of bandwidths that a descent finds. More would be those of its way.
_DIGITS = 3

# Iterations of a descent on all rows, after that on a sample.
_LAST_ITERATIONS = 8


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


def _by(criterion):
    """The rule that takes the multiple of the spreads with the lowest criterion."""

    def rule(problem, unit, settings):
        if np.isinf(unit).all():
            message = "No feature varies: every fit is the mean."
            return unit, _report(unit[None], [np.nan], criterion, 0, "flat", message)
        trials = search(problem, unit, criterion, settings)
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


def _ard(problem, unit, settings):
    """Automatic relevance determination: one bandwidth a feature."""
    varies, bounds = np.isfinite(unit), (LADDER[0], LADDER[-1])
    if varies.sum() < 2:
        return _by("loo")(problem, unit, settings)
    sample = draw(problem, settings)
    if sample is None:
        some, rows = problem, np.flatnonzero(~problem.absent)
        trials = Trials(some, unit, "loo", settings, rows)
    else:
        some, rows = problem.part(sample), np.arange(len(sample) // 2)
        trials = Trials(some, unit, "loo", settings, rows[: len(sample) // 4])
    trials.try_all(LADDER)
    if len(trials.equal) == len(LADDER):
        return _by("loo")(problem, unit, settings)  # flat
    descent = Descent(some, unit, bounds, rows, settings)
    start = np.full(varies.sum(), np.log(trials.equal[-1]))
    logs = descent.from_starts([start, start + np.log(3), descent.slope_start(start)])
    kept = descent.drop(logs)
    logs = logs if len(kept) == len(logs) else descent.descend(kept)
    if sample is not None:
        unit = np.where(descent.active, unit, np.inf)
        descent = Descent(problem, unit, bounds, sample[: n_errors(problem)], settings)
        logs = descent.descend(logs + np.log(shrinkage(problem, sample, len(logs))), _LAST_ITERATIONS)
    logs = logs.round(_DIGITS)
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


def _sampled(rows, problem):
    n = np.count_nonzero(~problem.absent)
    return f" The errors are those of {len(rows)} rows, drawn from {n}." if len(rows) < n else ""


def _verdict(problem, smallest, largest):
    """The status and the message for the multiples with the lowest score."""
    if smallest <= LADDER[0] * (1 + 1e-3):
        message = (
            "No bandwidth predicts better than the smallest that was tried: each row is predicted from its nearest. If "
            "that is not wanted, give a number."
        )
        return "at the bound", message + _duplicates(problem)
    if largest >= LADDER[-1] * (1 - 1e-3):
        if problem.degree:
            return "converged", f"One polynomial of degree {problem.degree} for all rows predicts best."
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
    report : BandwidthSearch or None

    Warns
    -----
    UserWarning
        If no bandwidth predicts better than the smallest or the largest that was tried.
    """
    unit = spreads(problem)
    unit[unit == 0] = np.inf
    bandwidth, report = RULES[rule].find(problem, unit, settings._replace(fallback=_finite(settings.fallback)))
    if report is not None and report.status == "at the bound":
        warnings.warn(
            f"The search for bandwidth={rule!r} ended at its bound. {report.message}", UserWarning, stacklevel=3
        )
    return as_bandwidth(problem, bandwidth), report


def criterion_path(problem: Problem, bandwidths: np.ndarray, criterion: str, settings: Settings) -> np.ndarray:
    """A criterion of `CRITERIA` at each of these bandwidths, (n_bandwidths,) or (n_bandwidths, n_features)."""
    settings, rows = settings._replace(fallback=_finite(settings.fallback)), np.arange(len(problem.y))
    if bandwidths.ndim == 2:
        by_one = [Trials(problem, bandwidth, criterion, settings, rows) for bandwidth in bandwidths]
        return np.array([trials.try_one(1.0) for trials in by_one])
    n_units = problem.X.shape[1] if problem.metric == "euclidean" else 1
    trials = Trials(problem, np.ones(n_units), criterion, settings, rows)
    trials.try_all(np.unique(bandwidths))
    return np.array([trials.scores[bandwidth] for bandwidth in bandwidths])


def _finite(fallback):
    """The fallback for the error of a row that no other row reaches: a guess, where the user's gives no number."""
    return "mean" if fallback in ("nan", "raise") else fallback
