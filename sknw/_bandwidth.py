"""Bandwidth rules: from a problem to its bandwidth.

A rule gives one multiple of the features' spreads. A constant feature has none: its bandwidth is inf, and it has no
influence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.utils import Bunch

from sknw._algorithms import Problem, batches, build, row_batch
from sknw._leave_one_out import squared_error

# Multiples of the spreads that are tried before the best is refined: six decades, so that neither a function that
# oscillates a thousand times over the data nor one that they say nothing about is out of range.
_LADDER = np.logspace(-4, 2, 31)

# Scores this close are equal: the difference is rounding.
_EQUAL = 1e-12


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


def _scott(problem, unit, error):
    n_features = np.isfinite(unit).sum()
    return unit * _n_rows(problem) ** (-1 / (n_features + 4)), None


def _silverman(problem, unit, error):
    n_features = np.isfinite(unit).sum()
    return unit * (_n_rows(problem) * (n_features + 2) / 4) ** (-1 / (n_features + 4)), None


def _loo(problem, unit, error):
    if np.isinf(unit).all():
        return unit, _report(unit[None], np.array([np.nan]), 0, "flat", "No feature varies: every fit is the mean.")
    tried = {multiple: error(unit * multiple) for multiple in _LADDER}
    best = _lowest(tried)
    around = np.searchsorted(_LADDER, best) + np.array([-1, 1])
    low, high = np.log(_LADDER[np.clip(around, 0, len(_LADDER) - 1)])

    def refine(log_multiple):
        multiple = np.exp(log_multiple)
        tried[multiple] = error(unit * multiple)
        return tried[multiple]

    minimize_scalar(refine, bounds=(low, high), method="bounded", options={"xatol": 1e-4})
    best = _lowest(tried)
    multiples = np.array(sorted(tried))
    scores = np.array([tried[multiple] for multiple in multiples])
    return unit * best, _report(
        np.multiply.outer(multiples, unit), scores, int(np.searchsorted(multiples, best)), *_verdict(best, scores)
    )


def _lowest(tried: dict) -> float:
    """The largest multiple with the lowest score."""
    lowest = min(tried.values())
    return max(multiple for multiple, score in tried.items() if score <= lowest * (1 + _EQUAL))


def _verdict(best, scores):
    if np.ptp(scores) <= _EQUAL * scores.max():
        return "flat", "Every bandwidth predicts equally well; the largest was taken."
    if best <= _LADDER[0] * (1 + 1e-3):
        return "at the bound", "The smallest bandwidth tried predicts best: the data are interpolated."
    if best >= _LADDER[-1] * (1 - 1e-3):
        return "at the bound", "The largest bandwidth tried predicts best: the fit is the mean of all labels."
    return "converged", "The leave-one-out error has its minimum inside the range searched."


def _report(bandwidths, scores, best_index, status, message):
    return BandwidthSearch(
        bandwidths=bandwidths,
        scores=scores,
        criterion="loo",
        best_index=best_index,
        best_score=float(scores[best_index]),
        n_evaluations=len(scores),
        status=status,
        message=message,
    )


#: (problem, unit, error) -> (bandwidth, report or None). `unit` is the features' spreads, inf for none, and
#: error(bandwidth) the squared leave-one-out error.
RULES: dict[str, Callable] = {"scott": _scott, "silverman": _silverman, "loo": _loo}


def choose_bandwidth(
    rule: str, problem: Problem, *, algorithm: str = "auto", fallback: str = "nearest", n_jobs: int | None = None
) -> tuple[float | np.ndarray, BandwidthSearch | None]:
    """The bandwidth that a rule of `RULES` gives a problem, and the report of a search.

    Parameters
    ----------
    problem : Problem
        In the units of the features: its bandwidth is 1.

    Returns
    -------
    bandwidth : ndarray of shape (n_features,), or float for a metric other than the Euclidean
    search : BandwidthSearch or None
    """
    # The error of a row that no other row reaches: that of a guess, where the fallback gives no number.
    finite = "mean" if fallback in ("nan", "raise") else fallback

    def error(bandwidth):
        trial = replace(problem, bandwidth=bandwidth if euclidean else bandwidth.item())
        return squared_error(build(algorithm, trial), finite, n_jobs)

    euclidean = problem.metric == "euclidean"
    unit = spreads(problem)
    unit[unit == 0] = np.inf
    bandwidth, search = RULES[rule](problem, unit, error)
    return (bandwidth if euclidean else bandwidth.item()), search
