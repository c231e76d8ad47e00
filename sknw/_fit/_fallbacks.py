"""Fallbacks: what stands in for a query without a sample in reach of the kernel."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sknw._problem._definition import nearest_rows
from sknw._problem._rows import Rows


class Fallback(NamedTuple):
    """What stands in for a query without a key in reach.

    Parameters
    ----------
    rows : callable
        (problem, queries) -> rows of shape (n_queries, n_keys) in place of those of the kernel matrix.
    sums : callable
        (algorithm, queries, excluded) -> sums of values, (n_queries, n_outputs + 1), in place of the kernel's.
    phrase : str
        How a warning says it.
    is_number : bool
        Whether queries get a number.
    """

    rows: Callable
    sums: Callable
    phrase: str
    is_number: bool


def _nearest_rows(problem, queries):
    return nearest_rows(problem, queries)[0]


def _nearest_sums(algorithm, queries, excluded):
    return algorithm.nearest(queries, excluded).values


def _mean_rows(problem, queries):
    return problem.rows.exclude(np.ones((len(queries), len(problem.rows))), None, 0.0)


def _mean_sums(algorithm, queries, excluded):
    values = algorithm.problem.rows.values
    if excluded is None:
        return np.tile(values.sum(axis=0), (len(queries), 1))
    # What is before the excluded key and what is behind it, so that nothing is subtracted.
    zero = np.zeros((1, values.shape[1]))
    before = np.concatenate([zero, values.cumsum(axis=0)])
    behind = np.concatenate([values[::-1].cumsum(axis=0)[::-1], zero])
    return before[excluded] + behind[excluded + 1]


def _nan_rows(problem, queries):
    return np.full((len(queries), len(problem.rows)), np.nan)


def _nan_sums(algorithm, queries, excluded):
    return np.full((len(queries), algorithm.problem.rows.values.shape[1]), np.nan)


def _raise(problem, queries):
    raise ValueError(
        f"A query has no training row in reach of the kernel {problem.kernel.name!r}, and fallback='raise'. "
        "Widen the bandwidth, or choose another fallback."
    )


def _raise_for_sums(algorithm, queries, excluded):
    _raise(algorithm.problem, queries)


FALLBACKS = {
    "nearest": Fallback(_nearest_rows, _nearest_sums, "they get the value of the nearest row", True),
    "mean": Fallback(_mean_rows, _mean_sums, "they get the mean of the training labels", True),
    "nan": Fallback(_nan_rows, _nan_sums, "they get NaN", False),
    "raise": Fallback(_raise, _raise_for_sums, "", False),
}


def numeric_fallback(name: str) -> str:
    """Give the fallback itself, or "mean" if queries get no number from it: for what must be a number."""
    return name if FALLBACKS[name].is_number else "mean"


def warn_few(rows: Rows, needed: int, what: str, instead: str) -> None:
    """Tell the caller of a public method that there are too few samples.

    The words do not change with their number, so that a loop over groups can be told once.
    """
    if rows.n_samples < needed:
        warnings.warn(
            f"{what} need at least {needed} samples with positive sample_weight: {instead}.", UserWarning, stacklevel=3
        )


def warn_unreached(kernel: str, fallback: str) -> None:
    """Tell the caller of a public method that the fallback answered queries, in one text for all calls of a search."""
    warnings.warn(
        f"Some queries have no training row in reach of the kernel {kernel!r}: {FALLBACKS[fallback].phrase} "
        f"(fallback={fallback!r}). Widen the bandwidth, or choose another fallback. effective_sample_size(X) is 0 for "
        "these queries.",
        UserWarning,
        stacklevel=3,
    )
