"""Outcomes: what is to be said of the bandwidth that a search found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sknw._fit._leave_one_out import left_out_of
from sknw._problem._problem import Problem
from sknw._selection._criteria import SearchOptions

# One error is clearly lower than another if the logarithm of their quotient, times the number of samples, exceeds this:
# of labels that are noise, one in some two hundred has such a line.
_EVIDENCE = 8.0

# With fewer samples than this, nothing can be said of what features tell.
_FEW_SAMPLES = 10

# Where no mean of near samples helps, each feature is looked at by itself, at these multiples of its spread, if they
# are no more than so many, by so many errors at most.
_MULTIPLES = (0.1, 0.3, 1.0)
_MAX_FEATURES = 60
_MAX_ERRORS = 500

# Repetitions decided where rows have most of the weight in their own fits, and the error of the search is less than a
# share of that without whole rows; or where the latter is lower by a factor at a bandwidth that is wider by one of
# some, and the search ended at its smallest, or that is wider by so much. A few real repetitions do less. Of so few
# rows with counts that are so small, nothing is said unless the search ended at its smallest.
_LOWER = 0.9
_WIDER = 4.0 ** np.arange(11)
_FAR_WIDER = 256
_SHARE = 1 / 16
_FEW_ROWS, _SMALL_COUNT = 30, 10


def at_the_smallest(problem: Problem) -> str:
    """What to know of a fit that is best at the smallest bandwidth."""
    message = (
        "No bandwidth predicts better than the smallest that was tried: each row is predicted from its nearest. If "
        "that is not wanted, give a number."
    )
    return message + _duplicates(problem)


def at_the_largest(problem: Problem, largest: float, indices: np.ndarray, options: SearchOptions) -> str:
    """What to know of a weighted mean that is best at the largest multiple of the problem's bandwidth."""
    unit, n_samples = problem.distance.bandwidth, problem.rows.n_samples
    none = "No bandwidth predicts better than the largest that was tried"
    indices = indices[:: -(-len(indices) // _MAX_ERRORS)]

    def error(problem):
        return _left_out(problem, options, indices).mean_square

    mean = error(problem.with_bandwidth(unit * np.inf))

    def is_clearly_lower(lower, n_tried=1):
        with np.errstate(divide="ignore"):
            return mean > 0 and n_samples * np.log(mean / lower) > _EVIDENCE + 2 * np.log(n_tried)

    if is_clearly_lower(error(problem.with_bandwidth(unit * largest))):
        return f"{none}, and a wider one may: samples are further apart than that. Give a number."
    fit = f"{none}, and the fit is the mean of the labels"
    if n_samples < _FEW_SAMPLES:
        return f"{fit}: {n_samples:.0f} samples are too few to tell what they depend on."
    if problem.distance.has_coordinates and np.isfinite(unit).sum() <= _MAX_FEATURES:
        alone = _features_alone(problem)
        errors = [error(each) for _, each in alone]
        if len(alone) > len(_MULTIPLES) and is_clearly_lower(min(errors), len(alone)):
            name = _name(alone[int(np.argmin(errors))][0], options)
            return f"{fit}; but feature {name} by itself predicts better: see bandwidth='ard'."
    return (
        f"{none}: the features tell nothing of the labels, and the fit is their mean. If that is not plausible, give a "
        "number."
    )


def sampled(problem: Problem, indices: np.ndarray) -> str:
    """What to know of a search by the errors of a part of the samples."""
    n = np.count_nonzero(~problem.rows.zero_weight)
    return f" The errors are those of {len(indices)} rows, drawn from {n}." if len(indices) < n else ""


def dropped(features: np.ndarray, options: SearchOptions) -> str:
    """What to know of features, by their indices, that have no influence."""
    if not len(features):
        return ""
    return f" Dropped, with the bandwidth inf: feature {', '.join(_name(each, options) for each in features)}."


def decided_by_copies(problem: Problem, options: SearchOptions, at_smallest: bool) -> str:
    """What to know of integer weights at the bandwidth of a problem, if repetitions of rows decided upon it.

    at_smallest : whether it is the smallest that was tried
    """
    rows = problem.rows
    indices = np.flatnonzero(~rows.zero_weight)
    is_small_table = len(indices) <= _FEW_ROWS and rows.counts.max() <= _SMALL_COUNT
    if len(indices) < 2 or (is_small_table and not at_smallest):
        return ""
    indices = indices[:: -(-len(indices) // _MAX_ERRORS)]
    left_out = _left_out(problem, options, indices)
    if (left_out.leverage * rows.counts[indices]).mean() <= 1 / 2:
        return ""
    rows = rows.with_counts(np.sign(rows.counts))
    unit = problem.distance.bandwidth
    whole = replace(problem, rows=rows, distance=problem.distance.take(rows, np.arange(len(rows))))
    errors = np.array([_left_out(whole.with_bandwidth(unit * wider), options, indices).mean_square for wider in _WIDER])
    lowest, wider = errors.min(), _WIDER[errors.argmin()]
    too_narrow = lowest < _LOWER * errors[0] and (at_smallest or wider >= _FAR_WIDER)
    if not (too_narrow or left_out.mean_square < _SHARE * lowest):
        return ""
    better = f"{wider:.0f} times the bandwidth predicts better" if wider > 1 else "the error is many times as large"
    return (
        "The weights are integers and were taken for counts: of a row of weight 3, one is left out and predicted from "
        f"the other two. These decided: where whole rows are left out, {better}. If the weights are no counts but tell "
        "how important rows are, say sample_weight_type='importance'; if they are counts, 'frequency'."
    )


def _left_out(problem, options, indices):
    """What the samples of these indices are predicted from all others."""
    algorithm, fallback, n_jobs = options.errors
    return left_out_of(problem, algorithm, fallback, n_jobs, indices)


def _features_alone(problem):
    """Each feature that varies, and the problem without all others, at several bandwidths."""
    unit, found = np.atleast_1d(problem.distance.bandwidth), []
    for feature in np.flatnonzero(np.isfinite(unit)):
        for multiple in _MULTIPLES:
            bandwidth = np.full(len(unit), np.inf)
            bandwidth[feature] = unit[feature] * multiple
            found.append((feature, problem.with_bandwidth(bandwidth)))
    return found


def _name(feature, options):
    """A feature's name where it has one, else its index."""
    names = options.feature_names
    return str(feature) if names is None else repr(str(names[feature]))


def _duplicates(problem):
    """What to know of rows that others equal."""
    if problem.distance.pairwise:
        return ""
    rows = problem.rows
    _, place = np.unique(rows.with_weight(rows.keys), axis=0, return_inverse=True)
    copies = np.bincount(place.ravel(), rows.with_weight(rows.counts))
    share = copies[copies > 1].sum() / copies.sum()
    if share == 0:
        return ""
    several = " or count several times" if (rows.counts > 1).any() else ""
    return (
        f" {share:.0%} of the rows have a duplicate{several}, from which they are predicted. To leave out all copies "
        "of a row together, search with GridSearchCV and GroupKFold."
    )
