"""Rounds: fits to what a fit has left.

With the matrix S of the weights at the samples, the targets y, and the weights s at a query, k rounds of L2 boosting
predict::

    s' (1 + (1 - S) + ... + (1 - S)**(k - 1)) y

which is s' z, the fit to other targets z. What is left after k rounds is (1 - S)**k y. It goes to zero for a positive
definite kernel, whose S has its eigenvalues in [0, 1]; another may leave more and more. P. Bühlmann and B. Yu (2003),
Boosting with the L2 loss, Journal of the American Statistical Association 98 (462), 324-339,
doi:10.1198/016214503000125.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sknw._algorithms import build
from sknw._fit._fit import Fit
from sknw._fit._predictions import predict
from sknw._problem._problem import Problem
from sknw._problem._rows import Rows


def _l2_boosting(first: Rows, last: Rows, fits: np.ndarray) -> Rows:
    """Rows with the targets and what the last round has left of them."""
    return first.with_targets(first.targets + last.targets - fits)


#: Ways to fit again, by name: (rows of the first round, rows of the last, fits to these at their keys) -> rows of the
#: next round.
ROUNDS: dict[str, Callable[[Rows, Rows, np.ndarray], Rows]] = {"l2-boosting": _l2_boosting}


def fit_rounds(
    name: str, problem: Problem, n_rounds: int, algorithm: str, fallback: str = "nearest", n_jobs: int | None = None
) -> Fit:
    """The fit of the last round.

    Parameters
    ----------
    name : str
        One of `ROUNDS`.
    n_rounds : int
        How often is fitted, the first time included.
    algorithm : str
    """
    fit = Fit(build(algorithm, problem))
    for _ in range(n_rounds - 1):
        fits, _ = predict(fit, problem.distance.keys, fallback, n_jobs)
        rows = ROUNDS[name](problem.rows, fit.problem.rows, fits)
        fit = Fit(build(algorithm, replace(problem, rows=rows)))
    return fit


def weights_of_rounds(weights: np.ndarray, smoother, n_rounds: int) -> np.ndarray:
    """What the targets of the first of several rounds of boosting weigh: (n_queries, n_keys).

    Parameters
    ----------
    weights : ndarray of shape (n_queries, n_keys)
        What those of the last round weigh.
    smoother : array of shape (n_keys, n_keys)
        The weights at the samples.
    """
    rest, total = weights, weights
    for _ in range(n_rounds - 1):
        rest = rest - rest @ smoother
        total = total + rest
    return total
