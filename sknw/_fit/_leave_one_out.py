"""Leave-one-out: what each sample is predicted from all others, from one pass of sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sknw._accuracy import MIN_WEIGHT
from sknw._algorithms import build
from sknw._algorithms._protocol import Path
from sknw._fit._compiled_lines import are_compiled, fits_left_out
from sknw._fit._equivalent_kernels import equivalent_kernels, fits_of_nearest
from sknw._fit._fallbacks import FALLBACKS
from sknw._fit._fit import Fit
from sknw._fit._predictions import fits_from_sums, fits_in_reach, predict, within_limit
from sknw._problem._problem import Problem
from sknw._problem._sums import Sums
from sknw._tiles import batches

# Numbers in the sums of several bandwidths that are held at a time.
_PATH_NUMBERS = 2**21

# More than this share of the samples of a bandwidth are predicted together with the others.
_MANY = 0.5

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

    leverage = property(lambda self: self._fit_to_all[0])
    one_minus_leverage = property(lambda self: self._fit_to_all[1])
    residuals = property(lambda self: self._fit_to_all[2])

    @property
    def errors(self) -> np.ndarray:
        """Targets minus predictions."""
        return self.problem.rows.targets[self.indices] - self.predictions

    @property
    def mean_square(self) -> float:
        """The mean squared error."""
        return self.problem.rows.mean_square(self.indices, self.errors)

    def with_ridge(self, ridge: float) -> LeftOut:
        """Predictions from the same sums with slopes that another ridge shrinks. All samples have to be reached."""
        problem, queries = replace(self.problem, ridge=ridge), self.problem.distance.keys[self.indices]
        fits = problem.rows.frame.offset + fits_in_reach(problem, self.sums, queries, self.indices)
        return LeftOut(problem, self.indices, fits, 0, self.sums, self.own_sums)

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
        queries = problem.distance.keys[self.indices]
        everyone = equivalent_kernels(problem, sums._replace(values=values), queries)
        # A kernel made from the keys has sums of its own.
        np.divide(self.own_sums[:, -1], everyone.sums.values[:, -1], out=leverage, where=known & everyone.of_keys)
        leverage *= everyone.at(problem.basis, queries)
        residuals = problem.rows.targets[self.indices] - problem.rows.frame.offset - everyone.fits(problem.basis)
        residuals[~known] = self.errors[~known]
        rest = 1 - leverage
        exact, may_be = self._one_minus_leverage_from_others()
        may_be &= known & (problem.ridge == 0) & ~everyone.is_drawn
        same = np.flatnonzero(may_be & (np.abs(exact - rest) < _ALIKE))
        rest[same], residuals[same] = exact[same], exact[same, None] * self.errors[same]
        return leverage, rest, residuals

    def _one_minus_leverage_from_others(self):
        """The weight of all others with all its digits, if the fit to them is of the same degree, and no ridge.

        NaN where there is no other. And where the limit has not changed the fit to the others.
        """
        sums, problem = self.sums, self.problem
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            queries = problem.distance.keys[self.indices]
            others = equivalent_kernels(problem, sums, queries, self.indices)
            weight = self.own_sums[:, -1] * np.exp(-others.sums.log_scale) / others.sums.values[:, -1]
            return 1 / (1 + weight * others.at(problem.basis, queries)), ~others.is_drawn


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
    return LeftOut(problem, indices, predictions, n_unreached, sums, own_sums)


def left_out_errors(fit: Fit, fallback: str, n_jobs: int | None = None) -> np.ndarray:
    """Targets minus their leave-one-out predictions: (n_keys, n_outputs)."""
    return leave_one_out(fit, fallback, n_jobs).errors


def predict_left_out(fit: Fit, fallback: str, n_jobs: int | None = None) -> tuple[np.ndarray, int]:
    """Samples predicted from all others, (n_keys, n_outputs), NaN without others; how many the fallback answered."""
    rows = fit.problem.rows
    if rows.n_samples < 2:
        fits, n_unreached = predict(fit, fit.problem.distance.keys, fallback, n_jobs)
        return np.where(rows.zero_weight[:, None], fits, np.nan), n_unreached
    offers = fit.problem.basis.degree and fit.algorithm.offers_path(fit.problem, len(rows))
    if offers and are_compiled(fit.problem, len(rows), 1):
        return _predict_left_out_by_loops(fit, fallback, n_jobs)
    left_out = leave_one_out(fit, fallback, n_jobs)
    return left_out.predictions, left_out.n_unreached


def _predict_left_out_by_loops(fit, fallback, n_jobs):
    """The same, by compiled loops over all pairs, and without these where they cannot tell."""
    problem = fit.problem
    _check_samples(problem)
    fits = fits_left_out(problem, np.arange(len(problem.rows)), np.ones(1), [problem.ridge], n_jobs)[0][0, 0]
    fits = problem.rows.frame.offset + within_limit(problem, fits)
    unknown = np.flatnonzero(np.isnan(fits).any(axis=1))
    if len(unknown) == 0:
        return fits, 0
    left_out = leave_one_out(fit, fallback, n_jobs, unknown)
    fits[unknown] = left_out.predictions
    return fits, left_out.n_unreached


def left_out_of(problem: Problem, algorithm: str, fallback: str, n_jobs: int | None, indices: np.ndarray) -> LeftOut:
    """Leave-one-out predictions of the samples of these indices, by the named algorithm made for them alone."""
    return leave_one_out(Fit(build(algorithm, problem)), fallback, n_jobs, indices)


def mean_squares_with_ridges(
    problem: Problem,
    ridges: Sequence[float],
    algorithm: str,
    fallback: str,
    n_jobs: int | None,
    indices: np.ndarray,
) -> np.ndarray:
    """The mean squared errors of these predictions with each of some ridges in place of the problem's: (n_ridges,).

    All samples have to be reached.
    """
    if are_compiled(problem, len(indices), 1):
        fits = problem.rows.frame.offset + fits_left_out(problem, indices, np.ones(1), ridges, n_jobs)[0][0]
        if not np.isnan(fits).any():
            targets = problem.rows.targets[indices]
            return np.array([problem.rows.mean_square(indices, targets - each) for each in fits])
    left_out = left_out_of(problem, algorithm, fallback, n_jobs, indices)
    return np.array(
        [(left_out if ridge == problem.ridge else left_out.with_ridge(ridge)).mean_square for ridge in ridges]
    )


def left_out_of_path(path: Path, multiples: np.ndarray, fallback: str, n_jobs: int | None = None) -> Iterator[LeftOut]:
    """Leave-one-out predictions of samples at multiples of a bandwidth, which descend.

    fallback : str
        One that gives a number.
    """
    _check_samples(path.problem)
    size = max(1, _PATH_NUMBERS // (len(path.indices) * path.problem.n_values))
    for some in batches(len(multiples), size):
        yield from _left_out_of_path(path, multiples[some], fallback, n_jobs)


def mean_squares_of_path(path: Path, multiples: np.ndarray, fallback: str, n_jobs: int | None = None) -> np.ndarray:
    """The mean squared errors of these predictions: (n_multiples,)."""
    _check_samples(path.problem)
    problem, indices, errors = path.problem, path.indices, np.empty(len(multiples))
    rest = np.ones(len(multiples), dtype=bool)
    if problem.basis.degree and are_compiled(problem, len(indices), len(multiples)):
        fits, of_keys = (each[:, 0] for each in fits_left_out(problem, indices, multiples, [problem.ridge], n_jobs))
        unknown = np.isnan(fits).any(axis=2)
        rest = (unknown & ~of_keys).mean(axis=1) > _MANY
        which, sample = np.nonzero(unknown & of_keys & ~rest[:, None])
        if len(which):
            left_out, queries = indices[sample], problem.distance.keys[indices[sample]]
            fits[which, sample] = fits_of_nearest(problem, queries, left_out, multiples[which], n_jobs)
        fits, unknown = fits + problem.rows.frame.offset, np.isnan(fits).any(axis=2)
        for k in np.flatnonzero(~rest):
            some = np.flatnonzero(unknown[k])
            if len(some):
                others = left_out_of_path(path.take(some), multiples[k : k + 1], fallback, n_jobs)
                fits[k, some] = next(others).predictions
            errors[k] = problem.rows.mean_square(indices, problem.rows.targets[indices] - fits[k])
    errors[rest] = [each.mean_square for each in left_out_of_path(path, multiples[rest], fallback, n_jobs)]
    return errors


def _left_out_of_path(path, multiples, fallback, n_jobs):
    """Those of all multiples, one after the other."""
    problem, indices = path.problem, np.tile(path.indices, len(multiples))
    frame, basis, queries = problem.rows.frame, problem.basis, problem.distance.keys[indices]
    sums, conditions = path.sums(multiples, n_jobs)
    sums, own_sums = _with_counts(problem, indices, sums)
    reached = sums.values[:, -1] >= MIN_WEIGHT
    some = np.flatnonzero(reached) if not reached.all() else slice(None)
    fits = np.empty((len(queries), problem.rows.targets.shape[1]))
    if basis.degree == 0:
        fits[some] = sums.values[some, :-1] / sums.values[some, -1:]
    else:
        each = np.repeat(multiples, len(path.indices))[some]
        kernels = equivalent_kernels(
            problem, sums.take(some), queries[some], indices[some], each, conditions.take(some)
        )
        fits[some] = kernels.fits(basis)
    if not reached.all():
        stand_ins = FALLBACKS[fallback].sums(path, queries[: len(path.indices)], path.indices)
        fits = np.where(reached[:, None], fits, np.tile(stand_ins[:, :-1] / stand_ins[:, -1:], (len(multiples), 1)))
    fits = fits + frame.offset
    fits = np.clip(fits, frame.low, frame.high, out=fits) if basis.keeps_range else fits
    for k, multiple in enumerate(multiples):
        part = slice(k * len(path.indices), (k + 1) * len(path.indices))
        scaled = problem.with_bandwidth(problem.distance.bandwidth * multiple)
        n_unreached = int(np.count_nonzero(~reached[part]))
        yield LeftOut(scaled, path.indices, fits[part], n_unreached, sums.take(part), own_sums[part])


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
