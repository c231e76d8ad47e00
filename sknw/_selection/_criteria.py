"""Criteria: how well a fit does, from one pass of leave-one-out sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sknw._problem._rows import Rows

# A mean squared error is taken to be at least this share of the variance of the targets: below is rounding.
_MIN_SHARE = 1e-30

# Of targets without variance, it is taken to be this.
_MIN_ERROR = 1e-300


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
    """

    algorithm: str
    fallback: str
    n_jobs: int | None = None
    random_state: int | np.random.RandomState | None = None
    step: Callable[[], None] = lambda: None

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
