"""Rules: from a problem to its bandwidth.

A rule gives one multiple of the keys' spreads, or one for each feature. A constant feature has none: its bandwidth is
inf, and it has no influence.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch

from sknw._fit._fallbacks import numeric_fallback
from sknw._problem._problem import Problem
from sknw._selection._criteria import CRITERIA, SearchOptions
from sknw._selection._descent import BandwidthDescent
from sknw._selection._grid_search import GRID, GridSearch, n_errors, sample_keys, search, shrinkage

# Decimals of the logarithms of bandwidths that a descent finds. More would be those of its way.
_DIGITS = 3

# Iterations of a descent on all keys, after that on a sample.
_LAST_ITERATIONS = 8

# Ridges that are tried.
RIDGES = (0.0, 0.003, 0.03, 0.3)


class BandwidthSearch(Bunch):
    """What a search tried and found. A class of its own, so that a file of a fitted estimator names it as ours."""


def _effective_size(problem: Problem) -> float:
    """The number of samples that the weights amount to: counts, or the effective size of Kish (1965)."""
    weight = problem.rows.sample_weight
    if (problem.rows.counts == weight).all():
        return weight.sum()
    return weight.sum() ** 2 / np.square(weight).sum()


def _scott(problem, options):
    unit = problem.distance.bandwidth
    return unit * _effective_size(problem) ** (-1 / (np.isfinite(unit).sum() + 4)), None


def _silverman(problem, options):
    unit = problem.distance.bandwidth
    n_features = np.isfinite(unit).sum()
    return unit * (_effective_size(problem) * (n_features + 2) / 4) ** (-1 / (n_features + 4)), None


def _by(criterion):
    """The rule that takes the multiple of the spreads with the lowest criterion."""

    def rule(problem, options):
        unit = problem.distance.bandwidth
        if np.isinf(unit).all():
            message = "No feature varies: every fit is the mean."
            return unit, _report(np.atleast_1d(unit)[None], [np.nan], criterion, 0, "flat", message)
        found = search(problem, criterion, options)
        best, multiples = found.minimisers, np.array(sorted(found.scores))
        if len(best) == len(multiples):
            status, message = "flat", "Every bandwidth predicts equally well; the largest was taken."
        else:
            status, message = _status(problem, best[0], best[-1])
        scores = [found.scores[multiple] for multiple in multiples]
        place = int(np.searchsorted(multiples, best[-1]))
        message += _sampled(found.indices, problem)
        bandwidths = np.multiply.outer(multiples, np.atleast_1d(unit))
        return unit * best[-1], _report(bandwidths, scores, criterion, place, status, message)

    return rule


def _ard(problem, options):
    """Automatic relevance determination: one bandwidth a feature."""
    unit, bounds = problem.distance.bandwidth, (GRID[0], GRID[-1])
    varies = np.isfinite(unit)
    if varies.sum() < 2:
        return _by("loo")(problem, options)
    sample = sample_keys(problem, options)
    if sample is None:
        first, indices = problem, np.flatnonzero(~problem.rows.zero_weight)
        equal = GridSearch(first, "loo", options, indices)
    else:
        first, indices = problem.take(sample), np.arange(len(sample) // 2)
        equal = GridSearch(first, "loo", options, indices[: len(sample) // 4])
    equal.try_all(GRID)
    if len(equal.minimisers) == len(GRID):
        return _by("loo")(problem, options)  # flat
    descent = BandwidthDescent(first, bounds, indices, options)
    start = np.full(varies.sum(), np.log(equal.minimisers[-1]))
    logs = descent.from_starts([start, start + np.log(3), descent.slope_start(start)])
    kept = descent.drop(logs)
    logs = logs if len(kept) == len(logs) else descent.descend(kept)
    if sample is not None:
        left = problem.with_bandwidth(np.where(descent.active, unit, np.inf))
        descent = BandwidthDescent(left, bounds, sample[: n_errors(problem)], options)
        logs = descent.descend(logs + np.log(shrinkage(problem, sample, len(logs))), _LAST_ITERATIONS)
    logs = logs.round(_DIGITS)
    return descent.bandwidth(logs), _report_descent(descent, logs, varies, problem)


def _report_descent(descent, logs, varies, problem):
    descent.error(logs)
    bandwidths, scores = zip(*descent.tried, strict=True)
    best = int(np.flatnonzero((bandwidths == descent.bandwidth(logs)).all(axis=1))[0])
    multiples = np.exp(logs)
    status, message = _status(problem, multiples.min(), multiples.min())
    dropped = np.flatnonzero(varies & ~descent.active)
    if len(dropped):
        message += f" Dropped, with the bandwidth inf: feature {', '.join(map(str, dropped))}."
    message += _sampled(descent.indices, problem)
    return _report(bandwidths, scores, "loo", best, status, message)


def _sampled(indices, problem):
    n = np.count_nonzero(~problem.rows.zero_weight)
    return f" The errors are those of {len(indices)} rows, drawn from {n}." if len(indices) < n else ""


def _status(problem, smallest, largest):
    """The status and the message for the multiples with the lowest score."""
    if smallest <= GRID[0] * (1 + 1e-3):
        message = (
            "No bandwidth predicts better than the smallest that was tried: each row is predicted from its nearest. If "
            "that is not wanted, give a number."
        )
        return "at the bound", message + _duplicates(problem)
    if largest >= GRID[-1] * (1 - 1e-3):
        if not problem.basis.keeps_range:
            return "converged", f"One polynomial of degree {problem.basis.degree} for all rows predicts best."
        message = (
            "No bandwidth predicts better than the largest that was tried: the features tell nothing of the labels, "
            "and the fit is their mean. If that is not plausible, give a number."
        )
        return "at the bound", message
    return "converged", "The criterion has its minimum inside the range searched."


def _duplicates(problem):
    """What to know of rows that others equal."""
    if problem.distance.pairwise:
        return ""
    _, copies = np.unique(problem.rows.with_weight(problem.rows.keys), axis=0, return_counts=True)
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
        (problem, options) -> (bandwidth, report or None). The bandwidth of the problem is the spreads of its keys, inf
        for a feature that does not vary.
    by_feature : bool
        Whether it needs features that can be scaled one by one.
    """

    find: Callable
    by_feature: bool


#: Rules by name.
RULES: dict[str, Rule] = {
    "scott": Rule(_scott, by_feature=True),
    "silverman": Rule(_silverman, by_feature=True),
    **{criterion: Rule(_by(criterion), by_feature=False) for criterion in CRITERIA},
    "ard": Rule(_ard, by_feature=True),
}


def choose_bandwidth(rule: str, problem: Problem, options: SearchOptions) -> tuple[Problem, BandwidthSearch | None]:
    """The problem at the bandwidth that a rule of `RULES` gives, and the report of a search.

    Parameters
    ----------
    problem : Problem
        At the spreads of its keys.

    Warns
    -----
    UserWarning
        If no bandwidth predicts better than the smallest or the largest that was tried.
    """
    bandwidth, report = RULES[rule].find(problem, options._replace(fallback=numeric_fallback(options.fallback)))
    if report is not None and report.status == "at the bound":
        warnings.warn(
            f"The search for bandwidth={rule!r} ended at its bound. {report.message}", UserWarning, stacklevel=3
        )
    return problem.with_bandwidth(bandwidth), report


def choose_ridge(rule: str | None, problem: Problem, options: SearchOptions) -> tuple[Problem, BandwidthSearch | None]:
    """The problem with the ridge of `RIDGES` that has the lowest criterion, and the report of its bandwidth's search.

    Parameters
    ----------
    rule : str or None
        By which each ridge gets a bandwidth of its own; None keeps that of the problem.
    """
    found = []
    for ridge in RIDGES:
        penalised, report = replace(problem, ridge=ridge), None
        if rule is not None:
            penalised, report = choose_bandwidth(rule, penalised, options)
        score = criterion_path(penalised, np.ones(1), "loo", options)[0] if report is None else report.best_score
        found.append((score, -ridge, penalised, report))
    # Of equal ones, the largest.
    return min(found, key=lambda item: item[:2])[2:]


def criterion_path(problem: Problem, bandwidths: np.ndarray, criterion: str, options: SearchOptions) -> np.ndarray:
    """A criterion of `CRITERIA` at multiples of the problem's bandwidth, (n_bandwidths,).

    Or at one bandwidth for each feature, (n_bandwidths, n_features).
    """
    options = options._replace(fallback=numeric_fallback(options.fallback))
    indices = np.flatnonzero(~problem.rows.zero_weight)
    if bandwidths.ndim == 2:
        each = [GridSearch(problem.with_bandwidth(h), criterion, options, indices) for h in bandwidths]
        return np.array([search.try_one(1.0) for search in each])
    search = GridSearch(problem, criterion, options, indices)
    search.try_all(np.unique(bandwidths))
    return np.array([search.scores[bandwidth] for bandwidth in bandwidths])
