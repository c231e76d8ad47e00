"""Criteria: how well a fit does, from one pass of leave-one-out sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from sknw._problem._rows import Rows

# A mean squared error is taken to be at least this share of the variance of the targets: below is rounding.
_MIN_SHARE = 1e-30

# Of targets without variance, it is taken to be this.
_MIN_ERROR = 1e-300

# Errors that differ by this share of the variance of the targets are equal: the difference is rounding.
_EQUAL = 1e-12


class SearchOptions(NamedTuple):
    """How a search computes errors.

    Parameters
    ----------
    algorithm : str
    fallback : str
        What a key counts as predicted that no other key reaches: a fallback that gives a number.
    n_jobs : int or None
    random_state : int, RandomState instance or None
        Draws samples.
    step : callable
        Called after each bandwidth that was tried.
    feature_names : array-like of shape (n_features,) or None
        What messages call features, where they have names.
    doubt_counts : bool
        Whether rows count several times only because their weights are integers.
    """

    algorithm: str
    fallback: str
    n_jobs: int | None = None
    random_state: int | np.random.RandomState | None = None
    step: Callable[[], None] = lambda: None
    feature_names: Sequence[str] | None = None
    doubt_counts: bool = False

    @property
    def errors(self) -> tuple[str, str, int | None]:
        """The algorithm, the fallback and the threads of an error."""
        return self[:3]


def _loo(rows, left_out):
    return rows.mean_square(left_out.indices, left_out.errors)


def _gcv(rows, left_out):
    n = rows.n_samples
    free = np.average(left_out.one_minus_leverage, weights=rows.counts[left_out.indices])
    if free * n < 1:
        return np.inf
    return rows.mean_square(left_out.indices, left_out.residuals / free)


def _aicc(rows, left_out):
    n = rows.n_samples
    used = n * np.average(left_out.leverage, weights=rows.counts[left_out.indices])
    if n - used - 2 <= 0:
        return np.inf
    error = rows.mean_square(left_out.indices, left_out.residuals)
    error = max(error, _MIN_SHARE * rows.variances.max(), _MIN_ERROR)
    return float(np.log(error) + 1 + 2 * (used + 1) / (n - used - 2))


#: Criteria by name: (rows, left_out) -> float, lower is better, with the `LeftOut` of `_fit/_leave_one_out.py`.
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
CRITERIA: dict[str, Callable[[Rows, Any], float]] = {"loo": _loo, "gcv": _gcv, "aicc": _aicc}

#: Those that are mean squared leave-one-out errors, which take no more than predictions.
MEAN_SQUARES = ("loo",)

# Those that are logarithms of an error, plus one.
_LOGARITHMS = ("aicc",)


def as_errors(scores: np.ndarray, criterion: str) -> np.ndarray:
    """Scores in squared units of the targets; over several outputs, in variances."""
    with np.errstate(over="ignore"):
        return np.exp(scores - 1) if criterion in _LOGARITHMS else scores


def equal_within(rows: Rows) -> float:
    """Up to which difference errors are equal."""
    return float(_EQUAL * rows.variances @ rows.output_scale)


def are_lowest(scores: np.ndarray, criterion: str, rows: Rows) -> np.ndarray:
    """Which scores are the lowest, but for rounding; all, if none is finite: (n_scores,) of bool."""
    errors = as_errors(scores, criterion)
    return errors <= np.min(errors, initial=np.inf, where=np.isfinite(errors)) + equal_within(rows)
