"""Compiled errors: leave-one-out errors and their changes by loops of `_compiled/_gradient.py`."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from sknw._compiled import _readiness
from sknw._compiled._kinds import KINDS, MAX_POSITIVE, PADDING, kind_of
from sknw._fit._compiled_rows import MAX_RADIUS_SQUARE, TILE, CompiledRows
from sknw._problem._problem import Problem
from sknw._tiles import batches

# About what a pair takes in NumPy, and what each number adds to that which is summed.
_SECONDS, _SECONDS_OF_VALUE = 1.5e-8, 3e-10


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


class Errors(Protocol):
    """The changes of samples of a problem."""

    def __call__(self, samples: np.ndarray, factors: np.ndarray) -> Changes:
        """The changes of samples of these indices.

        Parameters
        ----------
        factors : ndarray of shape (n_samples, n_outputs)
            What squared errors are multiplied by, to be added up.
        """

    def error(self, samples: np.ndarray, factors: np.ndarray) -> float:
        """The error among these changes alone."""


def are_compiled(problem: Problem, n_samples: int) -> bool:
    """Whether compiled loops are to compute the changes of so many samples."""
    kind = kind_of(problem.kernel)
    if kind is None or kind > MAX_POSITIVE or problem.limit < np.inf:
        return False
    if problem.distance.radius_square > MAX_RADIUS_SQUARE or not problem.conditions.varies.all():
        return False
    seconds = n_samples * len(problem.rows) * (_SECONDS + _SECONDS_OF_VALUE * problem.n_values)
    return seconds >= _readiness.LEAST_SECONDS and _readiness.is_worth("lines", seconds)


class CompiledErrors:
    """The changes of samples of a problem, by compiled loops.

    Parameters
    ----------
    problem : Problem
        One that `are_compiled` serves.
    points : ndarray of shape (n_keys, n_points)
        What changes are summed with.
    others : Errors
        The changes of samples of which their sums tell too little.
    """

    def __init__(self, problem: Problem, points: np.ndarray, others: Errors):
        self._others, self._targets = others, problem.rows.targets - problem.rows.frame.offset
        self._rows, self._kind = CompiledRows(problem), kind_of(problem.kernel)
        self._from_nearest, conditions = self._rows.may_underflow(1.0), problem.conditions
        self._penalty = self._rows.in_bandwidths(conditions.penalty)
        self._least = self._rows.in_bandwidths(conditions.least_variances)
        self._columns = np.zeros((self._rows.weight.size, points.shape[1] + 1))
        weight = problem.rows.relative_weight[:, None]
        np.multiply(np.hstack([points, np.ones_like(weight)]), weight, out=self._columns[: len(points)])

    def __call__(self, samples: np.ndarray, factors: np.ndarray) -> Changes:
        """The changes of samples of these indices."""
        by_key, unknown = np.zeros(self._rows.weight.shape), []
        sums, error, by_ridge = np.empty((len(samples), self._columns.shape[1])), 0.0, 0.0
        for some in batches(len(samples), TILE):
            lines, changes, errors, ridge_slopes = self._changes(samples[some], factors[some], by_key)
            sums[some] = np.dot(changes, self._columns)
            error += (errors * errors * factors[some]).sum()
            by_ridge -= 2 * (errors * ridge_slopes * factors[some]).sum()
            unknown.append(some.start + np.flatnonzero(~lines.told))
        by_key, left = by_key.ravel()[: len(self._targets)], np.concatenate(unknown)
        if len(left):
            others = self._others(samples[left], factors[left])
            error, by_ridge, by_key = error + others.error, by_ridge + others.by_ridge, by_key + others.by_key
            sums[left] = others.sums
        return Changes(error, by_ridge, sums, by_key)

    def error(self, samples: np.ndarray, factors: np.ndarray) -> float:
        """The error among these changes alone."""
        error, unknown = 0.0, []
        for some in batches(len(samples), TILE):
            lines, errors, *_ = self._lines(samples[some])
            error += (errors * errors * factors[some]).sum()
            unknown.append(some.start + np.flatnonzero(~lines.told))
        left = np.concatenate(unknown)
        return error + self._others.error(samples[left], factors[left]) if len(left) else error

    def _changes(self, samples, factors, by_key):
        """The lines of a few samples, changes by each squared distance, errors, and derivatives by the ridge."""
        from sknw._compiled._gradient import make_changes  # it imports numba

        lines, errors, rows, t = self._lines(samples)
        shape = len(rows), *self._rows.weight.shape
        ridge_slopes = -np.einsum("ki,i,koi->ko", lines.slopes[:, 0], self._penalty, lines.slopes[:, 1:])
        given = _combinations(lines, errors * factors, ridge_slopes)
        make_changes(self._rows.about, *given, rows.reshape(shape), t.reshape(shape), by_key)
        return lines, t, errors, ridge_slopes

    def _lines(self, samples):
        """The lines of a few samples, errors, rows of the kernel matrix, and slopes of the kernel's logarithm."""
        from sknw._compiled._gradient import make_exponential, make_slopes  # they import numba

        t, lowest = self._rows.squares(samples, self._from_nearest)
        rows = np.empty_like(t)
        if self._kind == KINDS["exponential"]:
            make_exponential(lowest, t, rows)
            self._rows.put_own(rows, samples)
        else:
            self._rows.fill(rows, samples, 1.0, t, lowest)
            make_slopes(self._kind, lowest, t)
        lines = self._rows.lines(samples, self._rows.moments(rows), self._penalty, self._least)
        lines.total[~lines.told] = 1
        return lines, np.where(lines.told[:, None], self._targets[samples] - lines.fits, 0), rows, t


def _combinations(lines, errors, ridge_slopes):
    """What rows of `CompiledRows.about` are multiplied by to be the residuals that count, and the equivalent kernel.

    And what the ridge adds.
    """
    n_terms, factors = lines.slopes.shape[2], 4 * errors / lines.total[:, None]
    residuals, levers = np.zeros((2, len(factors), 1 + lines.means.shape[1] + PADDING))
    residuals[:, 1 : 1 + n_terms] = -np.einsum("ko,koi->ki", factors, lines.slopes[:, 1:])
    residuals[:, 1 + n_terms : -PADDING] = factors
    residuals[:, 0] = -np.einsum("ki,ki->k", residuals[:, 1:-PADDING], lines.means)
    levers[:, 1 : 1 + n_terms] = lines.slopes[:, 0]
    levers[:, 0] = 1 - np.einsum("ki,ki->k", lines.slopes[:, 0], lines.means[:, :n_terms])
    return residuals, levers, (factors * ridge_slopes).sum(axis=1)
