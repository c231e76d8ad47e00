"""Uncertainty: how far a fit can be trusted, from sums of squared weights and from leave-one-out residuals."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from sknw._algorithms import ALGORITHMS, Algorithm, Problem, Sums, batches, build, map_tiles, monomials, row_batch
from sknw._leave_one_out import leave_one_out
from sknw._local_fit import levers, local_rows
from sknw._nearest import Nearest
from sknw._pooling import NOTHING, pool, shares, smooth, sums_in_batches

# Where less than this is left of a row, 1 - its leverage, the fit without it is made from sums of its own.
_LEAST_LEFT = 0.1

# A noise level counts as at least this share of that of all rows: intervals are divided by it.
_LEAST_NOISE = 1e-6

# Where a sum of squares is this share of its parts, it may have lost too many of its digits.
_LEAST_SHARE = 1e-6

# Ranks and cumulative weights are compared with this margin for their rounding.
_ROUNDING = 1e-10


class Uncertainty:
    """What predictions do not tell of themselves, computed when it is asked for.

    What all queries share is kept, but not pickled.

    Parameters
    ----------
    algorithm : Algorithm
        That of the fit.
    fallback : str
        What a training row counts as predicted that no other row reaches; "nan" and "raise" stand for "mean" here.
    n_jobs : int, default=None
        Threads.
    """

    def __init__(self, algorithm: Algorithm, fallback: str, n_jobs: int | None = None):
        self._algorithm, self._n_jobs = algorithm, n_jobs
        self._fallback = "mean" if fallback in ("nan", "raise") else fallback

    def __getstate__(self):
        return {name: getattr(self, name) for name in ("_algorithm", "_n_jobs", "_fallback")}

    @cached_property
    def errors(self) -> np.ndarray:
        """Labels minus their leave-one-out predictions: (n_keys, n_outputs)."""
        return leave_one_out(self._algorithm, self._fallback, self._n_jobs).errors

    @cached_property
    def _largest(self) -> np.ndarray:
        """The largest error of each output, or 1: squares are taken of errors in this unit."""
        largest = np.abs(self.errors).max(axis=0)
        return np.where(largest > 0, largest, 1)

    @cached_property
    def _squared_weights(self) -> list[SquaredWeights]:
        return [SquaredWeights.of(self._algorithm, deviations) for deviations in np.abs(self.errors.T)]

    @cached_property
    def nearest(self) -> Nearest:
        """Distances to the nearest training row."""
        return Nearest(self._algorithm.problem)

    @cached_property
    def _mean(self) -> Algorithm:
        """The weighted mean with the kernel's weights, whatever the degree of the fit."""
        problem = self._algorithm.problem
        flat = problem.over_same_keys(degree=0, ridge=0.0)
        return self._algorithm if problem.degree == 0 else _like(self._algorithm, flat)

    @cached_property
    def _equal_squares(self) -> list[SquaredWeights]:
        return [SquaredWeights.of(self._mean, np.ones(len(self._algorithm.problem.y)))]

    @cached_property
    def _noise(self) -> Algorithm:
        """Smooths the squared errors."""
        squares = np.square(self.errors / self._largest)
        return _like(self._algorithm, self._algorithm.problem.over_same_keys(y=squares, degree=0, ridge=0.0))

    @cached_property
    def _noise_of_keys(self) -> np.ndarray:
        """The noise level at each key without its own error: (n_keys, n_outputs)."""
        return np.sqrt(leave_one_out(self._noise, self._fallback, self._n_jobs).predictions) * self._largest

    def smooth(self, queries: np.ndarray, fallback: str) -> tuple[np.ndarray, np.ndarray, int]:
        """As `smooth_with_errors`, by leave-one-out errors."""
        return smooth_with_errors(self._algorithm, self._squared_weights, queries, fallback, self._n_jobs)

    def noise(self, queries: np.ndarray, fallback: str) -> tuple[np.ndarray, int]:
        """The standard deviation of labels at queries, (n_queries, n_outputs), and how many a fallback answered."""
        means, n_unreached = smooth(self._noise, queries, fallback, self._n_jobs)
        return np.sqrt(means) * self._largest, n_unreached

    def effective_sizes(self, queries: np.ndarray) -> np.ndarray:
        """How many labels of equal weight vary as much in the mean as those in reach: (n_queries,)."""
        _, errors, _ = smooth_with_errors(self._mean, self._equal_squares, queries, "nan", self._n_jobs)
        errors = errors[:, 0]
        return np.where(np.isnan(errors), 0, errors**-2)

    def intervals(self, queries: np.ndarray, coverage: float, scaled: bool) -> np.ndarray:
        """Jackknife+ intervals: (n_queries, n_outputs, 2).

        Parameters
        ----------
        coverage : float
        scaled : bool
            Whether errors are taken in units of the noise where they arose.
        """
        problem = self._algorithm.problem
        intervals = np.empty((len(queries), problem.y.shape[1], 2))
        intervals[:] = -np.inf, np.inf
        margins, unit = np.abs(self.errors), np.ones((len(queries), 1, 1))
        if scaled:
            overall = np.sqrt(np.average(np.square(margins / self._largest), axis=0, weights=problem.repetitions))
            # Without any error, there is nothing to scale.
            overall = np.where(overall > 0, overall * self._largest, 1)
            margins = margins / np.maximum(self._noise_of_keys, _LEAST_NOISE * overall)
            unit = self.noise(queries, self._fallback)[0][:, None]
        rank = np.ceil(coverage * (problem.n_rows + 1) - _ROUNDING)
        if rank > problem.n_rows:
            return intervals
        sums = self._algorithm.sums(queries, n_jobs=self._n_jobs)
        reached = np.flatnonzero(sums.columns[:, -1] >= NOTHING)
        present, counts = ~problem.absent, problem.repetitions[~problem.absent]

        def fill(tile):
            some = reached[tile]
            fits = fits_without(self._algorithm, sums.part(some), queries[some], self._fallback)[:, present]
            margin = margins[present] * unit[some]
            # The lower end is as far from the least as the upper end is from the greatest.
            intervals[some, :, 0] = -_smallest(margin - fits, counts, rank)
            intervals[some, :, 1] = _smallest(fits + margin, counts, rank)

        numbers = problem.y.shape[1] + len(monomials(problem.keys.shape[1], problem.degree))
        map_tiles(fill, len(reached), row_batch(len(problem.y) * numbers), self._n_jobs)
        return intervals

    def quantiles(self, queries: np.ndarray, levels: np.ndarray, fallback: str) -> tuple[np.ndarray, int]:
        """Quantiles of the labels under the kernel's weights, (n_queries, n_outputs, n_levels), and as `smooth`."""
        problem = self._algorithm.problem
        orders = problem.y.argsort(axis=0, kind="stable").T
        quantiles = np.empty((len(queries), len(orders), len(levels)))

        def fill(tile):
            rows, unreached = shares(problem, queries[tile], fallback)
            for output, order in enumerate(orders):
                cumulative = rows[:, order].cumsum(axis=1)
                for k, level in enumerate(levels):
                    least = max(level * (1 - _ROUNDING), _ROUNDING) * cumulative[:, -1:]
                    place = (cumulative < least).sum(axis=1)
                    quantiles[tile, output, k] = problem.y[order[place], output]
                quantiles[tile, output][np.isnan(cumulative[:, -1])] = np.nan
            return len(unreached)

        return quantiles, sum(map_tiles(fill, len(queries), row_batch(len(problem.y)), self._n_jobs))


class SquaredWeights(NamedTuple):
    """Sums of squared weights, each times the variance of its label.

    Parameters
    ----------
    algorithm : Algorithm or None
        Sums the squares; None stands for zero.
    log_unit : float
        Its sums times exp of this are those of the kernel's squares, squared weights and variances.
    variances : ndarray of shape (n_keys,)
        By which the square of a label's weight in a fit, all its repetitions counted, is to be multiplied.
    """

    algorithm: Algorithm | None
    log_unit: float
    variances: np.ndarray

    @classmethod
    def of(cls, algorithm: Algorithm, deviations: np.ndarray) -> SquaredWeights:
        """From the standard deviations of labels, (n_keys,).

        An integer weight of k stands for k labels, whose deviations are independent.
        """
        problem = algorithm.problem
        deviations = np.where(problem.absent, 0, deviations)
        unit, repetitions = deviations.max(), np.maximum(problem.repetitions, 1)
        variances = np.square(deviations) / repetitions
        if unit == 0:
            return cls(None, 0.0, variances)
        weight = np.square(problem.weight * (deviations / unit)) / repetitions
        no_labels = np.empty((len(weight), 0))
        squared = problem.over_same_keys(y=no_labels, sample_weight=weight, kernel=problem.kernel.square)
        return cls(_like(algorithm, squared), float(np.log(weight.max()) + 2 * np.log(unit)), variances)


def _like(algorithm: Algorithm, problem: Problem) -> Algorithm:
    """The same kind of algorithm for another problem, or where it refuses, that of "auto"."""
    return build(algorithm.name if ALGORITHMS[algorithm.name].refuses(problem) is None else "auto", problem)


def smooth_with_errors(
    algorithm: Algorithm,
    squared_weights: list[SquaredWeights],
    queries: np.ndarray,
    fallback: str,
    n_jobs: int | None = None,
) -> tuple[np.ndarray, np.ndarray, int]:
    """As `smooth`, with standard errors of the fits between the two results: NaN where no key is in reach.

    With the effective weight l_j of label j in a fit, and the variance s_j of the label, the square root of
    sum_j l_j**2 s_j: (n_queries, len(squared_weights)).
    """
    fits, n_unreached = np.empty((len(queries), algorithm.problem.y.shape[1])), 0
    errors = np.empty((len(queries), len(squared_weights)))
    for some, sums in sums_in_batches(algorithm, queries, n_jobs):
        for output, squared in enumerate(squared_weights):
            errors[some, output] = _standard_errors(algorithm.problem, squared, sums, queries[some], n_jobs)
        fits[some], unreached = pool(algorithm, sums, queries[some], fallback)
        n_unreached += unreached
    return fits, errors, n_unreached


def _standard_errors(problem, squared, sums, queries, n_jobs):
    total = sums.columns[:, -1]
    # Where the kernel does not state its logarithm, its squares vanish before the kernel does.
    reached = np.flatnonzero(total >= (NOTHING if problem.kernel.log_ratio is not None else np.sqrt(NOTHING)))
    errors = np.full(len(queries), np.nan)
    errors[reached] = 0
    if squared.algorithm is None or len(reached) == 0:
        return errors
    sums, queries = sums.part(reached), queries[reached]
    squares = squared.algorithm.sums(queries, n_jobs=n_jobs)
    total, lost = _squared_levers(problem, sums, squares, queries)
    with np.errstate(divide="ignore"):
        logs = (np.log(total) + squares.log_scale + squared.log_unit) / 2
    errors[reached] = np.exp(logs - np.log(sums.columns[:, -1]) - sums.log_scale)
    numbers = len(problem.y) * len(monomials(queries.shape[1], problem.degree))
    for batch in batches(len(lost), row_batch(numbers)):
        some = lost[batch]
        weights = local_rows(problem, sums.part(some), queries[some], shares(problem, queries[some], "nan")[0]).weights
        errors[reached[some]] = np.sqrt(np.square(weights) @ squared.variances)
    return errors


def _squared_levers(problem: Problem, sums: Sums, squares: Sums, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squared weights times squared levers, (n_queries,), and where they have lost their digits.

    That is where a lever is large at keys of hardly any weight, as where the others are almost on a line.
    """
    if problem.degree == 0:
        return squares.columns[:, -1], np.arange(0)
    terms = monomials(queries.shape[1], problem.degree)
    coefficients = terms.shifted(levers(problem, sums, queries).coefficients, squares.centre - sums.centre)
    first = squares.columns.shape[1] - len(monomials(queries.shape[1], 2 * problem.degree))
    moments = squares.columns[:, first + terms.products.ravel()].reshape(-1, *terms.products.shape)
    total = np.einsum("mi,mij,mj->m", coefficients, moments, coefficients)
    size = np.einsum("mi,mij,mj->m", *map(np.abs, (coefficients, moments, coefficients)))
    return np.maximum(total, 0), np.flatnonzero(total < _LEAST_SHARE * size)


def fits_without(algorithm: Algorithm, sums: Sums, queries: np.ndarray, fallback: str) -> np.ndarray:
    """Fits at queries in reach of a key, each without one repetition of a row: (n_queries, n_keys, n_outputs).

    As refitting gives them; with a ridge, whose penalty is not computed again without the row.
    """
    problem = algorithm.problem
    fits, _ = pool(algorithm, sums, queries, fallback)
    rows = local_rows(problem, sums, queries, shares(problem, queries, fallback)[0])
    without, left = rows.without(fits, np.maximum(problem.repetitions, 1))
    query, row = np.nonzero(left < _LEAST_LEFT)
    if len(query):
        others = algorithm.sums(queries[query], excluded=row)
        without[query, row] = pool(algorithm, others, queries[query], fallback, excluded=row)[0]
    return without


def _smallest(values: np.ndarray, counts: np.ndarray, rank: float) -> np.ndarray:
    """The number of this rank among values (n_queries, n_keys, n_outputs) of each output, which count this often."""
    if (counts == 1).all():
        at = int(rank) - 1
        return np.partition(values, at, axis=1)[:, at]
    order = values.argsort(axis=1)
    place = (counts[order].cumsum(axis=1) >= rank).argmax(axis=1)[:, None]
    return np.take_along_axis(values, np.take_along_axis(order, place, axis=1), axis=1)[:, 0]
