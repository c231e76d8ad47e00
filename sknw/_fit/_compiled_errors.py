"""Compiled errors: leave-one-out errors and their changes by loops of `_compiled/_gradient.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sknw._compiled import _readiness
from sknw._compiled._kinds import CHUNK, MAX_POSITIVE, PADDING, kind_of
from sknw._problem._problem import Problem

# About what a pair takes in NumPy, and what each number adds to that which is summed.
_SECONDS, _SECONDS_OF_VALUE = 1.5e-8, 3e-10

# Where the logarithm of the weight of the farthest key is above this, sums in units of K(0) do not underflow.
_LOWEST_LOG = -500.0

# Up to this square of the largest distance from the centre, in bandwidths, differences of centred coordinates give
# squared distances to ten digits.
MAX_RADIUS_SQUARE = 1e8


class Changes(NamedTuple):
    """The squared leave-one-out error of some samples, and how it changes.

    Parameters
    ----------
    error : float
        A sum, by weights of the samples.
    by_ridge : float
        The derivative by the logarithm of the ridge.
    sums : ndarray of shape (n_samples, n_points + 1)
        Those of changes times the keys' weights and points, and times the weights alone.
    by_key : ndarray of shape (n_keys,)
        Those of changes over the samples.
    """

    error: float
    by_ridge: float
    sums: np.ndarray
    by_key: np.ndarray


def are_compiled(problem: Problem, n_samples: int) -> bool:
    """Whether compiled loops are to compute the changes of so many samples."""
    kind = kind_of(problem.kernel)
    if kind is None or kind > MAX_POSITIVE or problem.limit < np.inf:
        return False
    if problem.distance.radius_square > MAX_RADIUS_SQUARE or not problem.conditions.varies.all():
        return False
    seconds = n_samples * len(problem.rows) * (_SECONDS + _SECONDS_OF_VALUE * problem.n_values)
    return seconds >= _readiness.LEAST_SECONDS and _readiness.is_worth("errors", seconds)


class CompiledErrors:
    """The changes of samples of a problem, by compiled loops.

    Parameters
    ----------
    problem : Problem
        One that `are_compiled` serves.
    points : ndarray of shape (n_keys, n_points)
        What changes are summed with.
    others : callable
        (samples, factors) -> Changes, for samples of which their sums tell too little.
    """

    def __init__(self, problem: Problem, points: np.ndarray, others: Callable[..., Changes]):
        self._others = others
        rows, distance, conditions = problem.rows, problem.distance, problem.conditions
        self._kind, self._rows, self._points = kind_of(problem.kernel), rows, points
        keys, self._targets = distance.centred(distance.keys).T, rows.targets - rows.frame.offset
        ones = np.ones((1, len(rows)))
        terms = keys[: problem.basis.n_expanded(len(keys))]
        self._n_terms, unit = len(terms), np.square(np.broadcast_to(distance.scaled_bandwidth, len(keys)))
        self._penalty, self._least = (
            (np.broadcast_to(each, len(keys)) / unit)[: len(terms)]
            for each in (conditions.penalty, conditions.least_variances)
        )
        farthest = 2 * np.sqrt([distance.radius_square])
        self._from_nearest = bool(problem.kernel.log_profile(farthest)[0] < _LOWEST_LOG)
        self._keys, self._about = in_chunks(keys), in_chunks(np.vstack([ones, terms, self._targets.T]))
        self._in_chunks = in_chunks(np.vstack([points.T, ones]))
        self._weight = np.ascontiguousarray(in_chunks(rows.relative_weight[None])[:, 0])

    def __call__(self, samples: np.ndarray, factors: np.ndarray) -> Changes:
        """The changes of samples of these indices.

        Parameters
        ----------
        factors : ndarray of shape (n_samples, n_outputs)
            What squared errors are multiplied by, to be added up.
        """
        from sknw._compiled._gradient import add_errors  # it imports numba

        own = 1 - 1 / np.maximum(self._rows.counts[samples], 1)
        fits, slopes = np.zeros((2, *factors.shape))
        sums = np.zeros((len(samples), self._in_chunks.shape[1]))
        by_key = add_errors(
            self._kind,
            self._from_nearest,
            samples,
            own,
            factors,
            self._keys,
            self._about,
            self._n_terms,
            self._weight,
            self._penalty,
            self._least,
            self._in_chunks,
            fits,
            slopes,
            sums,
        )
        sums, by_key = sums[:, : self._points.shape[1] + 1], by_key.ravel()[: len(self._rows)]
        unknown = np.flatnonzero(np.isnan(fits[:, 0]))
        errors = self._targets[samples] - fits
        errors[unknown] = 0
        scaled = errors * factors
        error, by_ridge = (scaled * errors).sum(), -2 * (scaled * slopes).sum()
        if len(unknown):
            others = self._others(samples[unknown], factors[unknown])
            error, by_ridge, by_key = error + others.error, by_ridge + others.by_ridge, by_key + others.by_key
            sums[unknown] = others.sums
        return Changes(error, by_ridge, sums, by_key)


def in_chunks(rows: np.ndarray) -> np.ndarray:
    """Rows over keys as compiled loops take them: (n_chunks, n_rows + PADDING, CHUNK)."""
    padded = np.zeros((len(rows) + PADDING, -(-rows.shape[1] // CHUNK) * CHUNK))
    padded[: len(rows), : rows.shape[1]] = rows
    return np.ascontiguousarray(padded.reshape(len(padded), -1, CHUNK).swapaxes(0, 1))
