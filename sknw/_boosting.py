"""Boosting: what a smoother leaves of the labels is smoothed again, and added.

With the matrix S that smooths the labels y of the keys, and the weights s of the keys at a query, k rounds predict::

    s' (1 + (1 - S) + ... + (1 - S)**(k - 1)) y

which is s' z, the weighted mean of boosted labels z. What is left after k rounds is (1 - S)**k y. It goes to zero for a
positive definite kernel, whose S has its eigenvalues in [0, 1]; another may leave more and more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sknw._algorithms import Problem
from sknw._leave_one_out import output_scale

# Multiples of a metric that are tried: each round smooths less away, so that the first may smooth more.
MULTIPLES = (1.0, 0.8, 0.6, 0.45, 0.35)

# More rounds are not tried.
_MOST_ROUNDS = 50


class Boost(NamedTuple):
    """What boosting needs to know.

    Parameters
    ----------
    multiple : float
        Of the metric.
    n_rounds : int
        How often is smoothed, the first time included.
    """

    multiple: float
    n_rounds: int


def best_boost(problem: Problem, n_rounds: int | str, multiples: tuple[float, ...] = MULTIPLES) -> Boost:
    """The multiple of the metric, and the rounds if they are "gcv", with the least generalised cross-validation."""
    most = _MOST_ROUNDS if isinstance(n_rounds, str) else n_rounds
    tried = [(multiple, gcv_path(replace(problem, bandwidth=1 / multiple), most)) for multiple in multiples]
    first = 0 if isinstance(n_rounds, str) else most - 1
    multiple, path = min(tried, key=lambda item: item[1][first:].min())
    return Boost(multiple, first + int(np.argmin(path[first:])) + 1)


def gcv_path(problem: Problem, most: int) -> np.ndarray:
    """Generalised cross-validation after each round up to so many: (most,).

    The mean squared residual over (1 - df / n)**2, with df the trace of 1 - (1 - S)**k. P. Craven and G. Wahba (1978),
    Smoothing noisy data with spline functions, Numerische Mathematik 31, 377-403, doi:10.1007/BF01404567.
    """
    rows, _ = problem.rows(problem.keys)
    total = rows @ problem.weight
    root = np.sqrt(problem.weight / total)
    # A symmetric matrix with the eigenvalues of S.
    left = 1 - np.clip(np.linalg.eigvalsh(rows * root * root[:, None]), 0, 1)
    smoother = rows * (problem.weight / total[:, None])
    rest, path = problem.y - problem.offset, np.full(most, np.inf)
    for k in range(most):
        rest = rest - smoother @ rest
        free = (problem.n_rows - len(left) + (left ** (k + 1)).sum()) / problem.n_rows
        if free * problem.n_rows >= 1:  # of fewer, chance makes the quotient
            squares = np.average(np.square(rest / free), axis=0, weights=problem.sample_weight)
            path[k] = squares @ output_scale(problem)
    return path


def boosted_labels(smoother, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray, n_rounds: int) -> np.ndarray:
    """The labels z, by a smoother that can be fitted to rows X."""
    rest, labels = y, y
    for _ in range(n_rounds - 1):
        rest = rest - smoother.fit(X, rest, sample_weight).predict(X)
        labels = labels + rest
    return labels


def boosted_weights(weights: np.ndarray, smoother, n_rounds: int) -> np.ndarray:
    """What y weighs, where z has these weights: (n_queries, n_keys). `smoother` is the matrix S."""
    rest, total = weights, weights
    for _ in range(n_rounds - 1):
        rest = rest - rest @ smoother
        total = total + rest
    return total
