"""Gradients: how fits at queries change with the queries, and the leave-one-out error with the bandwidths.

With the shares w_j of keys in the kernel sum of a query, its equivalent kernel l over the kernel, and the residuals r_j
of targets from the polynomial that is fitted there (see `_local_fit`), a change of log K changes the fit by::

    sum_j w_j (l(x_j) r_j - a) d log K_j,    a = sum_j w_j l(x_j) r_j

For the weighted mean, l = 1 and r_j = y_j - f. What is fitted by least squares leaves residuals without any part along
l, a = 0; with a ridge, a is minus the derivative of the fit by the ridge's logarithm.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from sknw._accuracy import PRODUCT_UNDERFLOW
from sknw._fit._compiled_errors import Changes, CompiledErrors, Errors, are_compiled
from sknw._fit._equivalent_kernels import equivalent_kernels
from sknw._kernels import weights_and_log_slopes
from sknw._problem._definition import relative_rows, sums_of_rows
from sknw._problem._local_fit import target_means
from sknw._problem._monomials import monomials
from sknw._problem._problem import Problem
from sknw._problem._sums import Sums
from sknw._tiles import map_tiles

# Numbers in a tile: few enough that it stays in the cache between its steps.
TILE_NUMBERS = 300_000

# Up to this square of the largest distance from the centre, in bandwidths, squared distances are products of matrices.
# Those below a share of it would lose more than five digits, and are computed again; more than a share of all pairs
# are not.
_MAX_RADIUS_SQUARE = 1e5
_NEAR = 1e-4
_MAX_NEAR = 0.1


class SeenKeys(NamedTuple):
    """The keys about one expansion point.

    Parameters
    ----------
    point : ndarray of shape (n_coordinates,), or (0,)
    columns : ndarray of shape (n_keys, n_values)
        What is summed for them.
    terms : ndarray of shape (n_outputs + n_monomials, n_keys)
        Their targets, without the offset, and monomials: what residuals are made of.
    """

    point: np.ndarray
    columns: np.ndarray
    terms: np.ndarray

    @classmethod
    def of(cls, problem: Problem, queries: np.ndarray) -> SeenKeys:
        """Those of a problem about a point amid queries."""
        return cls.about(problem, problem.basis.expansion_point(queries, problem.distance.coordinates.bounds))

    @classmethod
    def about(cls, problem: Problem, point: np.ndarray) -> SeenKeys:
        """Those of a problem about a point."""
        basis = problem.basis
        z = basis.seen_from(problem.distance.keys, point)
        targets = problem.rows.targets - problem.rows.frame.offset
        terms = np.vstack([targets.T, monomials(z.shape[1], basis.degree)(z)])
        return cls(point, basis.columns(problem.rows.values, z), terms)


class LocalTangents:
    """Fits at some queries, and how they change with log K of each key.

    Parameters
    ----------
    problem : Problem
    rows : ndarray of shape (n_queries, n_keys)
        Rows of the kernel matrix, in any unit. Keys without weight need not be zero in them.
    queries : ndarray of shape (n_queries, n_coordinates)
    keys : SeenKeys
    left_out : ndarray of shape (n_queries,), default=None
        For each query the index of a row of which one sample is not in the rows.

    Attributes
    ----------
    total : ndarray of shape (n_queries, 1)
        The sums of kernel times sample weight.
    fits : ndarray of shape (n_queries, n_outputs)
        Without the offset of the targets.
    is_plain : ndarray of shape (n_queries,) of bool
        Which fits are those of the rows: the limit has not changed them, and no weight is too small for a float.
    ridge_slopes : ndarray of shape (n_queries, n_outputs)
        Derivatives of the fits by the logarithm of the ridge.
    """

    def __init__(
        self,
        problem: Problem,
        rows: np.ndarray,
        queries: np.ndarray,
        keys: SeenKeys,
        left_out: np.ndarray | None = None,
    ):
        self._queries, self._keys = queries, keys
        basis, conditions = problem.basis, problem.conditions
        sums = Sums(rows @ keys.columns, np.zeros(len(rows)), np.tile(keys.point, (len(rows), 1)))
        redo = np.flatnonzero(basis.ill_conditioned(sums, conditions))
        if len(redo):
            counting = problem.rows.exclude(rows[redo], None, 0.0)
            sums.put(redo, sums_of_rows(problem, counting, np.zeros(len(redo))))
        local = equivalent_kernels(problem, sums, queries, left_out)
        sums, self.total = local.sums, local.sums.values[:, -1:]
        self._terms = local.kernels.terms
        self._is_mean = len(self._terms) == 1
        self.fits, self.is_plain = local.fits(basis), ~(local.is_drawn | local.of_keys)
        means, slopes = local.kernels.means, local.polynomials
        constants = target_means(basis, sums)[:, -1:] - np.einsum("mi,mik->mk", means, slopes)[:, None]
        self._kernels, self._polynomials = local.kernels.coefficients, np.concatenate([slopes, constants], axis=1)
        seen = np.flatnonzero((sums.expansion_point != keys.point).any(axis=1))
        if len(seen):
            step = keys.point - sums.expansion_point[seen]
            self._kernels[seen] = self._terms.shifted(self._kernels[seen], step)
            self._polynomials[seen] = self._shifted(self._polynomials[seen], step)
        self.ridge_slopes = np.zeros_like(self.fits)
        self._has_ridge = problem.ridge > 0 and not self._is_mean
        if self._has_ridge:
            self.ridge_slopes -= np.einsum("mi,i,mik->mk", local.kernels.slopes, conditions.penalty, slopes)

    def _shifted(self, polynomials, step):
        """Coefficients of polynomials, (n, n_monomials, n_outputs), about the expansion point plus a step for each."""
        return np.stack([self._terms.shifted(each, step) for each in np.moveaxis(polynomials, 2, 0)], axis=2)

    @property
    def slopes(self) -> np.ndarray:
        """The slopes of the polynomials at the queries: (n_queries, n_coordinates, n_outputs)."""
        slopes = np.zeros((*self._queries.shape, self.fits.shape[1]))
        if not self._is_mean:
            about_queries = self._shifted(self._polynomials, self._queries - self._keys.point)
            slopes[:] = about_queries[:, self._terms.up_to(1)]
        return slopes

    @cached_property
    def equivalent(self) -> np.ndarray:
        """The equivalent kernel over the kernel, at each key: (n_queries, n_keys)."""
        return self._kernels @ self._keys.terms[-len(self._terms) :]

    def influences(self, factors: np.ndarray) -> np.ndarray:
        """How the weight of each key changes the fits of outputs times factors, summed, times the total.

        The factors of one output, 1, and 0 for the others, give its own.

        Parameters
        ----------
        factors : ndarray of shape (n_queries, n_outputs)

        Returns
        -------
        influences : ndarray of shape (n_queries, n_keys)
        """
        mixed = np.einsum("mk,mik->mi", factors, self._polynomials)
        change = np.hstack([factors, -mixed]) @ self._keys.terms
        if not self._is_mean:
            change *= self.equivalent
        if self._has_ridge:
            change += (factors * self.ridge_slopes).sum(axis=1, keepdims=True)
        return change


class ErrorGradient(NamedTuple):
    """The squared leave-one-out error, and how it changes.

    Parameters
    ----------
    error : float
        The mean squared leave-one-out error.
    by_metric : ndarray of shape (n_features, n_features)
        The matrix S, with which ``-A @ S`` is the derivative by the matrix A of a metric |A (q - x)|; for A = 1 / h,
        its diagonal has the derivatives by the logarithms of the bandwidths.
    by_ridge : float
        The derivative by the logarithm of the ridge.
    """

    error: float
    by_metric: np.ndarray
    by_ridge: float


def error_gradient(
    problem: Problem, indices: np.ndarray, n_jobs: int | None = None, points: np.ndarray | None = None
) -> ErrorGradient:
    """The squared leave-one-out error, and its derivatives.

    For distances with coordinates and a kernel that is positive everywhere. With z_ij the difference of sample i from
    key j::

        S = sum_ij c_ij z_ij z_ij',    c_ij = -2 d error / d t_ij,    t_ij = |A z_ij|**2

    K. Q. Weinberger and G. Tesauro (2007), Metric learning for kernel regression, AISTATS, PMLR 2, 612-619,
    https://proceedings.mlr.press/v2/weinberger07a.html, have it for the Gaussian and the weighted mean.

    Parameters
    ----------
    problem : Problem
    indices : ndarray of shape (n_indices,)
        The samples whose errors count.
    n_jobs : int, default=None
        Threads; None is one.
    points : ndarray of shape (n_keys, n_coordinates), default=None
        Coordinates of the keys, about some centre, that differences are taken of; those of the problem, in bandwidths,
        by default.
    """
    rows, factors = problem.rows, _factors(problem, indices)
    points = problem.distance.centred(problem.distance.keys) if points is None else points
    changes = _errors(problem, indices, points)

    def tile_gradient(tile):
        error, by_ridge, sums, by_key = changes(indices[tile], factors[tile])
        here = points[indices[tile]]
        mixed = here.T @ sums[:, :-1]
        return error, (here.T * sums[:, -1]) @ here - mixed - mixed.T, by_ridge, by_key

    tiles = map_tiles(tile_gradient, len(indices), max(1, TILE_NUMBERS // len(points)), n_jobs)
    error, by_metric, by_ridge, by_key = (sum(parts) for parts in zip(*tiles, strict=True))
    by_metric = by_metric + (points.T * (by_key * rows.relative_weight)) @ points
    return ErrorGradient(float(error), by_metric, float(by_ridge))


def left_out_error(problem: Problem, indices: np.ndarray, n_jobs: int | None = None) -> float:
    """The error of `error_gradient`, to the last digit, alone: it takes two thirds of the time."""
    factors, errors = _factors(problem, indices), _errors(problem, indices, np.empty((len(problem.rows), 0)))
    size = max(1, TILE_NUMBERS // len(problem.rows))
    return sum(map_tiles(lambda tile: errors.error(indices[tile], factors[tile]), len(indices), size, n_jobs))


def _factors(problem, indices):
    """What squared errors of samples are multiplied by, to be added up to their mean: (n_indices, n_outputs)."""
    weight = problem.rows.sample_weight[indices, None]
    return weight / weight.sum() * problem.rows.output_scale


def _errors(problem: Problem, indices: np.ndarray, points: np.ndarray) -> Errors:
    """What computes the changes of samples of these indices."""
    errors: Errors = _Errors(problem, points)
    return CompiledErrors(problem, points, errors) if are_compiled(problem, len(indices)) else errors


class _Errors:
    """The changes of samples of a problem, by rows of the kernel matrix: see `CompiledErrors`."""

    def __init__(self, problem, points):
        self._problem, self._points = problem, points

    @cached_property
    def _keys(self):
        """All keys as they are seen, their squared distances, and what changes are summed with."""
        problem, weight = self._problem, self._problem.rows.relative_weight[:, None]
        seen = SeenKeys.of(problem, problem.distance.coordinates.centre[None])
        return seen, _SquaresOfKeys(problem.distance), np.hstack([self._points * weight, weight])

    def __call__(self, samples, factors):
        """The changes of samples of these indices, whose squared errors are multiplied by factors to be added up."""
        kernel, slope, local, errors = self._local(samples)
        scaled = errors * factors
        change = local.influences(4 * scaled / local.total)
        change *= kernel
        change *= slope
        by_ridge = -2 * (scaled * local.ridge_slopes).sum()
        return Changes((scaled * errors).sum(), by_ridge, change @ self._keys[2], change.sum(axis=0))

    def error(self, samples, factors):
        """The error among these changes alone."""
        *_, errors = self._local(samples)
        return (errors * factors * errors).sum()

    def _local(self, samples):
        """Rows of the kernel matrix, the slopes of their logarithms, and the fits and errors of samples."""
        problem, (seen, squares, _) = self._problem, self._keys
        kernel, slope = weights_and_log_slopes(problem.kernel, squares(samples))
        kernel = _without_own(problem, samples, kernel, squares)
        local = LocalTangents(problem, kernel, problem.distance.keys[samples], seen, samples)
        return kernel, slope, local, problem.rows.targets[samples] - problem.rows.frame.offset - local.fits


class _SquaresOfKeys:
    """Squared distances between keys, to ten digits.

    Parameters
    ----------
    distance : Euclidean
    """

    def __init__(self, distance):
        self._distance, points = distance, distance.centred(distance.keys)
        lengths, ones = np.square(points).sum(axis=1)[:, None], np.ones((len(points), 1))
        self._left, self._right = np.hstack([points, lengths, ones]), np.hstack([-2 * points, ones, lengths]).T
        self._radius_square = lengths.max()

    def __call__(self, indices):
        """Those of keys of these indices from all keys: (n_indices, n_keys)."""
        distance, keys = self._distance, self._distance.keys
        if self._radius_square <= _MAX_RADIUS_SQUARE:
            t = self._left[indices] @ self._right
            near = np.flatnonzero(t < _NEAR * self._radius_square)
            if len(near) <= _MAX_NEAR * t.size:
                query, key = np.divmod(near, len(keys))
                steps = (keys[indices[query]] - keys[key]) / distance.scaled_bandwidth
                t[query, key] = np.square(steps).sum(axis=1)
                return t
        return distance.squares(keys[indices])


def _without_own(problem, indices, rows, squares):
    """Rows of the kernel matrix, in any unit, at samples without themselves, from rows with them; these may change."""
    rows[np.arange(len(indices)), indices] *= 1 - 1 / np.maximum(problem.rows.counts[indices], 1)
    # Where all are small, digits were lost: they are made again in units of the nearest.
    redo = np.flatnonzero(rows.dot(problem.rows.relative_weight) < PRODUCT_UNDERFLOW)
    if len(redo):
        rows[redo], _ = relative_rows(problem, squares(indices[redo]), indices[redo])
    return rows


def fitted_slopes(problem: Problem, n_jobs: int | None = None) -> np.ndarray:
    """The slopes of local lines at the samples, each without its own target: (n_keys, n_outputs, n_coordinates).

    For distances with coordinates, by these in their units; targets in units of their standard deviation.
    """
    keys, scale = problem.distance.keys, np.sqrt(problem.rows.output_scale)
    seen, squares = SeenKeys.of(problem, problem.distance.coordinates.centre[None]), _SquaresOfKeys(problem.distance)

    def tile_slopes(tile):
        samples = np.arange(tile.start, tile.stop)
        rows = _without_own(problem, samples, problem.kernel.of_square(squares(samples)), squares)
        slopes = LocalTangents(problem, rows, keys[tile], seen, samples).slopes * scale
        return np.ldexp(slopes.swapaxes(1, 2), -problem.distance.coordinates.scale_exponent)

    return np.concatenate(map_tiles(tile_slopes, len(keys), max(1, TILE_NUMBERS // len(keys)), n_jobs))
