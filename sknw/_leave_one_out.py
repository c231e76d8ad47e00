"""Leave-one-out: what each training row is predicted from all others, in one pass of sums."""

from __future__ import annotations

import numpy as np

from sknw._algorithms import Algorithm
from sknw._pooling import pool


def leave_one_out(algorithm: Algorithm, fallback: str, n_jobs: int | None = None) -> tuple[np.ndarray, int]:
    """Predictions of the training rows, each made without itself.

    Integer sample weights count repetitions of a row, of which one is left out: a row of weight 3 leaves 2 behind.
    Other weights express importance, and the whole row is left out.

    Returns
    -------
    predictions : ndarray of shape (n_keys, n_outputs)
    n_unreached : int
        How many rows the fallback answered.

    Raises
    ------
    ValueError
        If nothing remains when one is left out.
    """
    problem = algorithm.problem
    if problem.n_rows < 2:
        raise ValueError("Leave-one-out needs at least two training rows with positive sample_weight, got one.")
    own = np.arange(len(problem.y))
    sums, log_scale = algorithm.sums(problem.keys, excluded=own, n_jobs=n_jobs)
    left = np.flatnonzero(problem.repetitions > 1)
    if len(left):
        share = 1 - 1 / problem.repetitions[left, None]
        at_zero = problem.kernel(np.zeros(1))
        sums[left] = sums[left] * np.exp(log_scale[left, None]) + at_zero * share * problem.values[left]
    return pool(algorithm, sums, problem.keys, fallback, excluded=own)


def squared_error(algorithm: Algorithm, fallback: str, n_jobs: int | None = None) -> float:
    """The weighted mean squared leave-one-out error; over several outputs, the mean in units of their variances."""
    problem = algorithm.problem
    predictions, _ = leave_one_out(algorithm, fallback, n_jobs)
    weight = problem.sample_weight
    errors = np.average(np.square(problem.y - predictions), axis=0, weights=weight)
    if len(errors) > 1:
        spread = np.square(problem.y - np.average(problem.y, axis=0, weights=weight))
        variances = np.average(spread, axis=0, weights=weight)
        errors = errors / np.where(variances > 0, variances, 1)
    return float(errors.mean())
