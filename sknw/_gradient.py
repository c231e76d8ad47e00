"""Gradients: how the fits at queries change with the queries, and the leave-one-out error with the bandwidths.

With the shares w_j of keys in the kernel sum of a query, its lever l, and the residuals r_j of labels from the
polynomial that is fitted there (see `_local_fit`), a change of log K changes the fit by::

    sum_j w_j (l(x_j) r_j - a) d log K_j,    a = sum_j w_j l(x_j) r_j

For the weighted mean, l = 1 and r_j = y_j - f. What is fitted by least squares leaves residuals without any part along
the lever, a = 0; with a ridge, a is minus the derivative of the fit by the ridge's logarithm.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._algorithms import Problem, Sums, map_tiles, monomials
from sknw._kernels import LOWEST_LOG
from sknw._leave_one_out import output_scale
from sknw._local_fit import Levers, label_means, solve

# Numbers in a tile: few enough that it stays in the cache between its steps.
_TILE_NUMBERS = 2**17


class Fits:
    """The fits at some queries, and how each key weighs in them.

    Parameters
    ----------
    problem : Problem
    weights : ndarray of shape (n_queries, n_keys)
        Rows of the kernel matrix times the sample weights, in any unit.
    queries : ndarray of shape (n_queries, n_features)

    Attributes
    ----------
    total : ndarray of shape (n_queries, 1)
        Of the weights.
    fits : ndarray of shape (n_queries, n_outputs)
        Without the offset of the labels.
    slopes : ndarray of shape (n_queries, n_features, n_outputs)
        Of the polynomials at the queries.
    ridge_slopes : ndarray of shape (n_queries, n_outputs)
        Derivatives of the fits by the logarithm of the ridge.
    """

    def __init__(self, problem: Problem, weights: np.ndarray, queries: np.ndarray):
        self._weights, self._labels = weights, problem.y - problem.offset
        self.total = weights.sum(axis=1, keepdims=True)
        self._degree = problem.degree
        if problem.degree == 0:
            self.fits = weights @ self._labels / self.total
            self.slopes = np.zeros((len(queries), queries.shape[1], self._labels.shape[1]))
            self.ridge_slopes = np.zeros_like(self.fits)
            return
        centre = problem.centre_of(queries)
        z = problem.keys - centre
        values = np.column_stack([self._labels, np.ones(len(z))])
        sums = Sums(weights @ problem.columns(values, z), np.zeros(len(z)), np.tile(centre, (len(queries), 1)))
        again = np.flatnonzero(problem.blurred(sums.columns))
        if len(again):
            rows = np.divide(weights[again], problem.weight, out=np.zeros_like(weights[again]), where=~problem.absent)
            sums.fill(again, problem.sums_of_rows(rows, np.zeros(len(again))))
        self._expand(problem, sums, queries, centre)
        terms = monomials(z.shape[1], problem.degree)(z)
        self._tilted = weights * (self._lever @ terms)
        self._columns = np.vstack([self._labels.T, terms])

    def _expand(self, problem, sums, queries, centre):
        """Levers and fitted polynomials, by coefficients of coordinates about the centre; their values and slopes."""
        terms = monomials(queries.shape[1], problem.degree)
        label, step = label_means(problem, sums), centre - sums.centre
        means, _ = problem.moments(sums.columns, problem.degree)
        here = terms(queries - sums.centre)[:-1].T - means
        # The lever and the polynomials need the same inverse.
        solved = solve(problem, sums, np.dstack([here, label[:, :-1] - means[:, :, None] * label[:, -1:]]))
        lever, slopes = Levers(solved[:, :, 0], means, terms), solved[:, :, 1:]
        self._lever = terms.shifted(lever.coefficients, step)
        constant = label[:, -1:] - np.einsum("mi,mik->mk", means, slopes)[:, None]
        fitted = np.concatenate([slopes, constant], axis=1)
        self._fitted = np.stack([terms.shifted(each, step) for each in np.moveaxis(fitted, 2, 0)], axis=2)
        # About the queries, the polynomials end with their slopes and values.
        about = np.stack([terms.shifted(each, queries - centre) for each in np.moveaxis(self._fitted, 2, 0)], axis=2)
        self.slopes, self.fits = about[:, terms.up_to(1)], about[:, -1]
        self.ridge_slopes = np.zeros_like(self.fits)
        if problem.ridge:
            penalty = problem.ridge * problem.variances_of_keys
            self.ridge_slopes -= np.einsum("mi,i,mik->mk", lever.slopes, penalty, slopes)

    def influences(self, factors: np.ndarray) -> np.ndarray:
        """How log K of each key changes the fits of outputs times factors of shape (n_queries, n_outputs), summed.

        Times the total: (n_queries, n_keys). The factors of one output, 1, and 0 for the others, give its own.
        """
        if self._degree == 0:
            change = factors @ self._labels.T
            change -= (factors * self.fits).sum(axis=1, keepdims=True)
            change *= self._weights
            return change
        fitted = np.einsum("mk,mik->mi", factors, self._fitted)
        change = np.hstack([factors, -fitted]) @ self._columns
        change *= self._tilted
        change += (factors * self.ridge_slopes).sum(axis=1, keepdims=True) * self._weights
        return change


def query_gradient(problem: Problem, queries: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
    """The derivatives of fits by the features of queries: (n_queries, n_features, n_outputs).

    For the Euclidean metric. Where K has a kink, its slope is taken to be zero. So is the derivative of a query that no
    key has any weight for, and that by a feature without influence.
    """
    n_outputs = problem.y.shape[1]
    gradient = np.zeros((len(queries), problem.X.shape[1], n_outputs))

    def tile_gradient(tile):
        rows, _ = problem.rows(queries[tile])
        reached = np.flatnonzero((rows * problem.weight).sum(axis=1) > 0)
        some = queries[tile][reached]
        local = Fits(problem, rows[reached] * problem.weight, some)
        change = 2 / local.total * problem.kernel.log_slope(problem.squares(some))
        for output, factors in enumerate(np.eye(n_outputs)):
            influences = local.influences(np.tile(factors, (len(some), 1))) * change
            pull = influences.sum(axis=1, keepdims=True) * some - influences @ problem.keys
            by_key = local.slopes[:, :, output] + pull / problem.unit**2
            part = np.zeros((len(queries[tile]), problem.X.shape[1]))
            part[np.ix_(reached, problem.features)] = np.ldexp(by_key, -problem.exponent)
            gradient[tile, :, output] = part

    map_tiles(tile_gradient, len(queries), max(1, _TILE_NUMBERS // len(problem.y)), n_jobs)
    return gradient


class ErrorGradient(NamedTuple):
    """The squared leave-one-out error, and how it changes.

    Parameters
    ----------
    error : float
        As ``CRITERIA["loo"]``.
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
    problem: Problem, rows: np.ndarray, n_jobs: int | None = None, points: np.ndarray | None = None
) -> ErrorGradient:
    """The squared leave-one-out error, and its derivatives.

    For the Euclidean metric and a kernel that is positive everywhere. With z_ij the difference of row i from key j::

        S = sum_ij c_ij z_ij z_ij',    c_ij = -2 d error / d t_ij,    t_ij = |A z_ij|**2

    K. Q. Weinberger and G. Tesauro (2007), Metric learning for kernel regression, AISTATS, PMLR 2, 612-619,
    https://proceedings.mlr.press/v2/weinberger07a.html, have it for the Gaussian and the weighted mean.

    Parameters
    ----------
    problem : Problem
    rows : ndarray of shape (n_rows,)
        The training rows whose errors count.
    n_jobs : int, default=None
        Threads; None is one.
    points : ndarray of shape (n_keys, n_coordinates), default=None
        Coordinates of the keys, about some centre, that differences are taken of; those of the problem, in bandwidths,
        by default.
    """
    points = problem.centred(problem.keys) if points is None else points
    columns = np.hstack([points, np.ones((len(points), 1))])
    labels = problem.y - problem.offset
    share = problem.sample_weight[rows] / problem.sample_weight[rows].sum()

    def tile_error(tile):
        some = rows[tile]
        weights, slope = _others(problem, some)
        local = Fits(problem, weights, problem.keys[some])
        errors = labels[some] - local.fits
        scaled = errors * share[tile, None] * output_scale(problem)
        change = local.influences(4 * scaled / local.total)
        change *= slope
        sums = change @ columns
        here, mixed = points[some], points[some].T @ sums[:, :-1]
        by_metric = (here.T * sums[:, -1]) @ here - mixed - mixed.T
        by_ridge = -2 * (scaled * local.ridge_slopes).sum()
        return (scaled * errors).sum(), by_metric, by_ridge, change.sum(axis=0)

    tiles = map_tiles(tile_error, len(rows), max(1, _TILE_NUMBERS // len(points)), n_jobs)
    error, by_metric, by_ridge, by_key = (sum(parts) for parts in zip(*tiles, strict=True))
    return ErrorGradient(float(error), by_metric + (points.T * by_key) @ points, float(by_ridge))


def _others(problem, rows):
    """What each key weighs in the prediction of a row by the others, and d log K / dt there."""
    kernel, repetitions = problem.kernel, np.maximum(problem.repetitions[rows], 1)
    once = np.flatnonzero(repetitions == 1)
    own = once, rows[once]
    t = problem.row_squares(rows)
    if kernel.is_product:  # its slope is the same everywhere, and t may be so large that its logarithm lost digits
        others = problem.hide(t.copy(), None, np.inf)
        others[own] = np.inf
        t -= others.min(axis=1, keepdims=True)
    slope = kernel.log_slope(t)
    logs = problem.hide(kernel.log_ratio(np.zeros(1), t), None, -np.inf)
    logs[own] = -np.inf
    logs -= logs.max(axis=1, keepdims=True)
    weights = np.exp(np.maximum(logs, LOWEST_LOG, out=logs), out=logs)
    weights *= problem.weight
    weights[own] = 0
    weights[np.arange(len(rows)), rows] *= 1 - 1 / repetitions
    return weights, slope


def fitted_slopes(problem: Problem, n_jobs: int | None = None) -> np.ndarray:
    """The slopes of local lines at the training rows, each without its own label: (n_keys, n_outputs, n_features).

    For the Euclidean metric, by all features, in their units; labels in units of their standard deviation.
    """

    def tile_slopes(tile):
        some = np.arange(tile.start, tile.stop)
        weights, _ = _others(problem, some)
        slopes = Fits(problem, weights, problem.keys[some]).slopes * np.sqrt(output_scale(problem))
        return np.ldexp(slopes.swapaxes(1, 2), -problem.exponent)

    n_keys = len(problem.y)
    return np.concatenate(map_tiles(tile_slopes, n_keys, max(1, _TILE_NUMBERS // n_keys), n_jobs))
