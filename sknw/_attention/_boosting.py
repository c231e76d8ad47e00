"""Boosting: the rounds, and the multiple of a metric, with the least generalised cross-validation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._problem._definition import kernel_rows
from sknw._problem._problem import Problem

# Multiples of a metric that are tried: each round smooths less away, so that the first may smooth more.
MULTIPLES = (1.0, 0.8, 0.6, 0.45, 0.35)

# More rounds are not tried.
_MAX_ROUNDS = 50


class Boost(NamedTuple):
    """What boosting needs to know.

    Parameters
    ----------
    multiple : float
        Of the metric.
    n_rounds : int
        How often is fitted, the first time included.
    """

    multiple: float
    n_rounds: int


def best_boost(problem: Problem, n_rounds: int | str, multiples: tuple[float, ...] = MULTIPLES) -> Boost:
    """The multiple of the metric, and the rounds if they are "gcv", with the least generalised cross-validation."""
    most = _MAX_ROUNDS if isinstance(n_rounds, str) else n_rounds
    tried = [(multiple, gcv_path(problem.with_bandwidth(1 / multiple), most)) for multiple in multiples]
    first = 0 if isinstance(n_rounds, str) else most - 1
    multiple, path = min(tried, key=lambda item: item[1][first:].min())
    return Boost(multiple, first + int(np.argmin(path[first:])) + 1)


def gcv_path(problem: Problem, most: int) -> np.ndarray:
    """Generalised cross-validation after each round of L2 boosting up to so many: (most,).

    The mean squared residual over (1 - df / n)**2, with df the trace of 1 - (1 - S)**k. P. Craven and G. Wahba (1978),
    Smoothing noisy data with spline functions, Numerische Mathematik 31, 377-403, doi:10.1007/BF01404567.
    """
    rows, weight = problem.rows, problem.rows.relative_weight
    kernel, _ = kernel_rows(problem, problem.distance.keys)
    total = kernel @ weight
    root = np.sqrt(weight / total)
    # A symmetric matrix with the eigenvalues of S.
    left = 1 - np.clip(np.linalg.eigvalsh(kernel * root * root[:, None]), 0, 1)
    smoother = kernel * (weight / total[:, None])
    rest, path = rows.targets - rows.frame.offset, np.full(most, np.inf)
    for k in range(most):
        rest = rest - smoother @ rest
        free = (rows.n_samples - len(left) + (left ** (k + 1)).sum()) / rows.n_samples
        if free * rows.n_samples >= 1:  # of fewer, chance makes the quotient
            squares = np.average(np.square(rest / free), axis=0, weights=rows.sample_weight)
            path[k] = squares @ rows.output_scale
    return path
