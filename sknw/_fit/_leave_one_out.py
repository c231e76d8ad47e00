"""Leave-one-out: what each sample is predicted from all others, from one pass of sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sknw._accuracy import MIN_WEIGHT
from sknw._algorithms import build
from sknw._algorithms._protocol import Path
from sknw._fit._fallbacks import FALLBACKS
from sknw._fit._fit import Fit
from sknw._fit._predictions import fits_from_sums
from sknw._problem._conditions import Conditions
from sknw._problem._local_fit import equivalent_kernel
from sknw._problem._problem import Problem
from sknw._problem._sums import Sums
from sknw._tiles import batches

# Numbers in the sums of several bandwidths that are held at a time.
_PATH_NUMBERS = 2**23

# Weights that differ by less are of the same fit, but for rounding.
_ALIKE = 1e-6


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Samples, each predicted from all others.

    Parameters
    ----------
    problem : Problem
    indices : ndarray of shape (n_indices,)
        Which samples.
    predictions : ndarray of shape (n_indices, n_outputs)
        The fits at the samples, each made without the sample itself.
    n_unreached : int
        How many of these the fallback answered.
    sums : Sums
        What they were made from.
    own_sums : ndarray of shape (n_indices, n_values)
        What the sample itself adds to that.
    conditions : Conditions
        Of the fits.

    Attributes
    ----------
    leverage : ndarray of shape (n_indices,)
        The weight of a sample's own target in the fit to all: a diagonal element of the hat matrix.
    one_minus_leverage : ndarray of shape (n_indices,)
        The weight of all others, with all its digits.
    residuals : ndarray of shape (n_indices, n_outputs)
        Targets minus the fit to all.
    """

    problem: Problem
    indices: np.ndarray
    predictions: np.ndarray
    n_unreached: int
    sums: Sums
    own_sums: np.ndarray
    conditions: Conditions

    leverage = property(lambda self: self._fit_to_all[0])
    one_minus_leverage = property(lambda self: self._fit_to_all[1])
    residuals = property(lambda self: self._fit_to_all[2])

    @property
    def errors(self) -> np.ndarray:
        """Targets minus predictions."""
        return self.problem.rows.targets[self.indices] - self.predictions

    def take(self, some: slice) -> LeftOut:
        """Some of the samples, without the number of those that the fallback answered."""
        sums, own_sums, conditions = self.sums.take(some), self.own_sums[some], self.conditions.take(some)
        return LeftOut(self.problem, self.indices[some], self.predictions[some], 0, sums, own_sums, conditions)

    @property
    def mean_square(self) -> float:
        """The mean squared error."""
        return self.problem.rows.mean_square(self.indices, self.errors)

    def with_ridge(self, ridge: float) -> LeftOut:
        """Predictions from the same sums with slopes that another ridge shrinks. All samples have to be reached."""
        problem, queries = replace(self.problem, ridge=ridge), self.problem.distance.keys[self.indices]
        fits = problem.rows.frame.offset + problem.basis.fits(self.sums, queries, problem.conditions)
        return LeftOut(problem, self.indices, fits, 0, self.sums, self.own_sums, problem.conditions)

    @cached_property
    def _fit_to_all(self):
        problem, sums = self.problem, self.sums
        without = np.asfortranarray(sums.values) * np.exp(sums.log_scale)[:, None]
        values = without + self.own_sums
        known = values[:, -1] > 0
        leverage, rest = np.zeros(len(self.indices)), np.ones(len(self.indices))
        np.divide(self.own_sums[:, -1], values[:, -1], out=leverage, where=known)
        np.divide(without[:, -1], values[:, -1], out=rest, where=known)
        if problem.basis.degree == 0:
            return leverage, rest, rest[:, None] * self.errors
        # A sample without weight is no part of any fit.
        values[~known] = sums.values[~known]
        everyone, queries = sums._replace(values=values), problem.distance.keys[self.indices]
        leverage *= self._equivalent_kernel_at_samples(everyone)
        fits = problem.basis.fits(everyone, queries, self.conditions)
        residuals = problem.rows.targets[self.indices] - problem.rows.frame.offset - fits
        residuals[~known] = self.errors[~known]
        rest = 1 - leverage
        exact = self._one_minus_leverage_from_others()
        same = np.flatnonzero(known & (problem.ridge == 0) & (np.abs(exact - rest) < _ALIKE))
        rest[same], residuals[same] = exact[same], exact[same, None] * self.errors[same]
        return leverage, rest, residuals

    def _one_minus_leverage_from_others(self):
        """The weight of all others with all its digits, if the fit to them is of the same degree, and no ridge.

        NaN where there is no other.
        """
        sums = self.sums
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            weight = self.own_sums[:, -1] * np.exp(-sums.log_scale) / sums.values[:, -1]
            return 1 / (1 + weight * self._equivalent_kernel_at_samples(sums))

    def _equivalent_kernel_at_samples(self, sums):
        problem, queries = self.problem, self.problem.distance.keys[self.indices]
        kernels = equivalent_kernel(problem.basis, sums, queries, self.conditions)
        return kernels.at(problem.basis.seen_from(queries, sums.expansion_point))


def leave_one_out(fit: Fit, fallback: str, n_jobs: int | None = None, indices: np.ndarray | None = None) -> LeftOut:
    """Predictions of samples, all or those of some indices, each made without itself.

    Of a row that counts several times, one is left out: a count of 3 leaves 2 behind. Of one whose weight expresses
    importance, all is left out.

    Raises
    ------
    ValueError
        If nothing remains when one is left out.
    """
    problem = fit.problem
    _check_samples(problem)
    indices = np.arange(len(problem.rows)) if indices is None else indices
    queries = problem.distance.keys.take(indices, axis=0)
    sums, own_sums = _with_counts(problem, indices, fit.algorithm.sums(queries, excluded=indices, n_jobs=n_jobs))
    predictions, n_unreached = fits_from_sums(fit, sums, queries, fallback, excluded=indices)
    return LeftOut(problem, indices, predictions, n_unreached, sums, own_sums, problem.conditions)


def left_out_errors(fit: Fit, fallback: str, n_jobs: int | None = None) -> np.ndarray:
    """Targets minus their leave-one-out predictions: (n_keys, n_outputs)."""
    return leave_one_out(fit, fallback, n_jobs).errors


def left_out_of(problem: Problem, algorithm: str, fallback: str, n_jobs: int | None, indices: np.ndarray) -> LeftOut:
    """Leave-one-out predictions of the samples of these indices, by the named algorithm made for them alone."""
    return leave_one_out(Fit(build(algorithm, problem)), fallback, n_jobs, indices)


def left_out_of_path(path: Path, multiples: np.ndarray, fallback: str, n_jobs: int | None = None) -> list[LeftOut]:
    """Leave-one-out predictions of samples at multiples of a bandwidth, which descend.

    fallback : str
        One that gives a number.
    """
    _check_samples(path.problem)
    size = max(1, _PATH_NUMBERS // (len(path.indices) * path.problem.n_values))
    parts = [_left_out_of_path(path, multiples[some], fallback, n_jobs) for some in batches(len(multiples), size)]
    n = len(path.indices)
    return [part.take(some) for part in parts for some in batches(len(part.indices), n)]


def _left_out_of_path(path, multiples, fallback, n_jobs):
    """Those of all multiples, one after the other."""
    problem, indices = path.problem, np.tile(path.indices, len(multiples))
    frame, basis, queries = problem.rows.frame, problem.basis, problem.distance.keys[indices]
    sums, conditions = path.sums(multiples, n_jobs)
    sums, own_sums = _with_counts(problem, indices, sums)
    reached = sums.values[:, -1:] >= MIN_WEIGHT
    with np.errstate(invalid="ignore"):
        fits = basis.fits(sums, queries, conditions)
    if not reached.all():
        stand_ins = FALLBACKS[fallback].sums(path, queries[: len(path.indices)], path.indices)
        fits = np.where(reached, fits, np.tile(stand_ins[:, :-1] / stand_ins[:, -1:], (len(multiples), 1)))
    fits = fits + frame.offset
    fits = np.clip(fits, frame.low, frame.high, out=fits) if basis.keeps_range else fits
    return LeftOut(problem, indices, fits, int(np.count_nonzero(~reached)), sums, own_sums, conditions)


def _check_samples(problem):
    if problem.rows.n_samples < 2:
        raise ValueError("Leave-one-out needs at least two training rows with positive sample_weight, got one.")


def _with_counts(problem, indices, sums):
    """Sums to predict a sample from, other samples of its row among them, and what one sample of the row adds."""
    counts = np.maximum(problem.rows.counts[indices], 1)[:, None]
    # Column by column in memory: that is faster while there are few columns.
    values = np.asfortranarray(problem.rows.values.take(indices, axis=0))
    own_values = problem.kernel(np.zeros(1)) * values / counts
    z = problem.basis.seen_from(problem.distance.keys.take(indices, axis=0), sums.expansion_point)
    own_sums = problem.basis.columns(own_values, z)
    # Without its scale, the sum of a sample far from all others is lost: it stays where none of the row is added.
    repeated = np.flatnonzero(counts > 1)
    if len(repeated):
        values, log_scale = sums.values.copy(order="K"), sums.log_scale.copy()
        without = values[repeated] * np.exp(log_scale[repeated])[:, None]
        values[repeated], log_scale[repeated] = without + (counts[repeated] - 1) * own_sums[repeated], 0
        sums = sums._replace(values=values, log_scale=log_scale)
    return sums, own_sums
