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
from sknw._selection._criteria import CRITERIA, SearchOptions, are_lowest
from sknw._selection._descent import BandwidthDescent
from sknw._selection._grid_search import GRID, GridSearch, grid, n_errors, sample_keys, search, shrinkage
from sknw._selection._outcomes import at_the_largest, at_the_smallest, decided_by_copies, dropped, sampled

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
            status, message = _outcome(problem, best[0], best[-1], found.indices, options)
        scores = [found.scores[multiple] for multiple in multiples]
        place = int(np.searchsorted(multiples, best[-1]))
        message += sampled(problem, found.indices)
        bandwidths = np.multiply.outer(multiples, np.atleast_1d(unit))
        return unit * best[-1], _report(bandwidths, scores, criterion, place, status, message)

    return rule


def _ard(problem, options):
    """Automatic relevance determination: one bandwidth a feature, for a low error and simplicity."""
    if problem.rows.device is not None:
        raise ValueError(
            f"bandwidth='ard' does not run on a device: give it NumPy arrays; X is an array of {problem.rows.device}. "
            "to_device moves a fitted estimator."
        )
    unit, bounds = problem.distance.bandwidth, (GRID[0], GRID[-1])
    varies = np.isfinite(unit)
    if varies.sum() < 2:
        return _by("loo")(problem, options)
    problem = replace(problem, limit=np.inf)  # only without it, the error has a gradient
    sample = sample_keys(problem, options)
    if sample is None:
        first, indices = problem, np.flatnonzero(~problem.rows.zero_weight)
        equal = GridSearch(first, "loo", options, indices)
    else:
        first, indices = problem.take(sample), np.arange(len(sample) // 2)
        equal = GridSearch(first, "loo", options, indices[: len(sample) // 4])
    multiples = grid(first)
    equal.try_all(multiples)
    if len(equal.minimisers) == len(multiples):
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
    return descent.bandwidth(logs), _report_descent(descent, logs, varies, problem, options)


def _report_descent(descent, logs, varies, problem, options):
    descent.error(logs)
    bandwidths, scores = zip(*descent.tried, strict=True)
    best = int(np.flatnonzero((bandwidths == descent.bandwidth(logs)).all(axis=1))[0])
    multiples = np.exp(logs)
    status, message = _outcome(problem, multiples.min(), multiples.min(), descent.indices, options)
    message += dropped(np.flatnonzero(varies & ~descent.active), options) + sampled(problem, descent.indices)
    return _report(bandwidths, scores, "loo", best, status, message)


def _outcome(problem, smallest, largest, indices, options):
    """The status and the message for the multiples with the lowest score."""
    if largest >= GRID[-1] * (1 - 1e-3):
        if not problem.basis.keeps_range:
            return "converged", f"One polynomial of degree {problem.basis.degree} for all rows predicts best."
        return "at the bound", at_the_largest(problem, GRID[-1], indices, options)
    if smallest <= GRID[0] * (1 + 1e-3):
        return "at the bound", at_the_smallest(problem)
    return "converged", "The criterion has its minimum inside the range searched."


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
        If no bandwidth predicts better than the smallest or the largest that was tried, or if integer weights were
        taken for counts, and that decided.
    """
    problem, report, warning = _chosen(rule, problem, options)
    if warning:
        warnings.warn(warning, UserWarning, stacklevel=3)
    return problem, report


def _chosen(rule, problem, options):
    """The problem at the bandwidth of a rule, the report of a search, and what to warn of, if anything."""
    options = options._replace(fallback=numeric_fallback(options.fallback))
    bandwidth, report = RULES[rule].find(problem, options)
    problem = problem.with_bandwidth(bandwidth)
    if report is None:
        return problem, None, ""
    at_bound = report.status == "at the bound"
    copies = decided_by_copies(problem, options, at_bound) if options.doubt_counts else ""
    if copies:
        report.message += f" {copies}"
    if at_bound:
        return problem, report, f"The search for bandwidth={rule!r} ended at its bound. {report.message}"
    return problem, report, copies


def choose_ridge(rule: str | None, problem: Problem, options: SearchOptions) -> tuple[Problem, BandwidthSearch | None]:
    """The problem with the ridge of `RIDGES` that has the lowest criterion, and the report of its bandwidth's search.

    Parameters
    ----------
    rule : str or None
        By which each ridge gets a bandwidth of its own; None keeps that of the problem.
    """
    found, scores, criterion = [], [], "loo"
    for ridge in RIDGES:
        penalised, report, warning = replace(problem, ridge=ridge), None, ""
        if rule is not None:
            penalised, report, warning = _chosen(rule, penalised, options)
        if report is None:
            scores.append(criterion_path(penalised, np.ones(1), criterion, options)[0])
        else:
            scores.append(report.best_score)
            criterion = report.criterion
        found.append((penalised, report, warning))
    # Of equal ones, the largest.
    lowest = np.flatnonzero(are_lowest(np.array(scores), criterion, problem.rows))
    penalised, report, warning = found[lowest[-1] if len(lowest) else 0]
    if warning:
        warnings.warn(warning, UserWarning, stacklevel=3)
    return penalised, report


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
