"""Slopes at queries: of the curve that the fits make, and of the polynomial fitted at each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sknw._accuracy import MIN_WEIGHT
from sknw._fit._equivalent_kernels import equivalent_kernels, largest_step
from sknw._fit._fit import Fit
from sknw._fit._gradient import TILE_NUMBERS, LocalTangents, SeenKeys
from sknw._fit._predictions import sums_in_batches
from sknw._problem._bases import BASES
from sknw._problem._definition import kernel_rows
from sknw._problem._problem import Problem
from sknw._problem._reach import shares_of_keys
from sknw._tiles import map_tiles


def query_gradient(problem: Problem, queries: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
    """The derivatives of fits by the features of queries: (n_queries, n_features, n_outputs).

    For distances with coordinates. Where K has a kink, its slope is taken to be zero. So is the derivative of a query
    that no key has any weight for, and that by a feature without influence.
    """
    distance, n_outputs = problem.distance, problem.rows.targets.shape[1]
    gradient = np.zeros((len(queries), problem.rows.keys.shape[1], n_outputs))

    def put(tile):
        rows, _ = kernel_rows(problem, queries[tile])
        reached = np.flatnonzero(rows @ problem.rows.relative_weight > 0)
        if len(reached) == 0:
            return
        rows, points = rows[reached], queries[tile][reached]
        local = LocalTangents(problem, rows, points, SeenKeys.of(problem, points))
        slopes = _slopes(problem, rows, points, local)
        for query in np.flatnonzero(~local.is_plain):
            slopes[query] = _LimitedFits(problem, points[[query]]).slopes(problem.basis.degree)
        places = np.ix_(tile.start + reached, distance.coordinates.features)
        gradient[places] = np.ldexp(slopes.swapaxes(1, 2), -distance.coordinates.scale_exponent).swapaxes(1, 2)

    map_tiles(put, len(queries), max(1, TILE_NUMBERS // len(problem.rows)), n_jobs)
    return gradient


def local_slopes(fit: Fit, queries: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
    """The slopes, at queries, of the polynomials fitted there: (n_queries, n_features, n_outputs).

    Zero where no key is in reach, and by features without influence.
    """
    problem = fit.problem
    slopes = np.zeros((len(queries), problem.rows.keys.shape[1], problem.rows.targets.shape[1]))
    for batch, sums in sums_in_batches(fit, queries, n_jobs) if problem.basis.degree else ():
        reached = np.flatnonzero(sums.values[:, -1] >= MIN_WEIGHT)
        points = queries[batch][reached]
        local = equivalent_kernels(problem, sums.take(reached), points)
        terms, step = local.kernels.terms, points - local.sums.expansion_point
        constant = np.zeros((len(points), 1))
        for output, polynomials in enumerate(np.moveaxis(local.polynomials, 2, 0)):
            at_queries = terms.shifted(np.hstack([polynomials, constant]), step)[:, terms.up_to(1)]
            places = np.ix_(batch.start + reached, problem.distance.coordinates.features, [output])
            slopes[places] = np.ldexp(at_queries, -problem.distance.coordinates.scale_exponent)[:, :, None]
    return slopes


def _slopes(problem, rows, points, local):
    """The derivatives of fits without a limit, by the coordinates of queries: (n_queries, n_coordinates, n_outputs)."""
    distance, slopes = problem.distance, local.slopes
    change = 2 / local.total * problem.kernel.log_slope(distance.squares(points)) * rows * problem.rows.relative_weight
    for output, factors in enumerate(np.eye(slopes.shape[2])):
        influences = local.influences(np.tile(factors, (len(points), 1))) * change
        pull = influences.sum(axis=1, keepdims=True) * points - influences @ distance.keys
        slopes[:, :, output] += pull / distance.scaled_bandwidth**2
    return slopes


class _LimitedFits:
    """Fits of all degrees at one query, each drawn towards the one before by the limit.

    With the fit f of a degree, the one before g, effective weights a and b, and the step t of the limit::

        g + t (f - g),    L(t) = sum_j s_j (b_j + t (a_j - b_j)) = limit,    s_j the sign of the weight

    L is the same function of the signs as the fit is of the targets y. With t' from L' = 0, the derivative of the fit
    is that of g + t (f - g) at a fixed t, of the targets y - s (f - g)[y] / (f - g)[s].

    Parameters
    ----------
    problem : Problem
    point : ndarray of shape (1, n_coordinates)
    """

    def __init__(self, problem: Problem, point: np.ndarray):
        self._point, self._problem = point, replace(problem, limit=np.inf)
        weight, weights = problem.rows.relative_weight, list(shares_of_keys(problem, point))
        self._row = np.divide(weights, weight, out=np.zeros((1, len(weight))), where=weight > 0)
        # About the heaviest key, a steep polynomial does not cancel there.
        self._heaviest = problem.distance.keys[weights[0].argmax()]
        self._changes: list[np.ndarray] = []
        self._steps: list[float] = []
        self._signs: list[np.ndarray] = []
        for degree in range(1, problem.basis.degree + 1):
            local = self._tangents(self._problem_of(degree, problem.rows.targets))
            change = weights[0] * local.equivalent[0] - weights[-1]
            step = largest_step(weights[-1][None], change[None], problem.limit)[0]
            weights.append(weights[-1] + step * change)
            self._changes.append(change)
            self._steps.append(step)
            self._signs.append(np.sign(weights[-1]))

    def slopes(self, degree: int, targets: np.ndarray | None = None) -> np.ndarray:
        """The derivatives of the fit of this degree by the coordinates of the query: (n_coordinates, n_outputs)."""
        targets = self._problem.rows.targets if targets is None else targets
        if degree == 0:
            return self._plain_slopes(0, targets)
        change, step, signs = self._changes[degree - 1], self._steps[degree - 1], self._signs[degree - 1]
        if step < 1:
            targets = targets - np.outer(signs, change @ targets / (change @ signs))
        before, plain = self.slopes(degree - 1, targets), self._plain_slopes(degree, targets)
        return before + step * (plain - before)

    def _plain_slopes(self, degree, targets):
        problem = self._problem_of(degree, targets)
        return _slopes(problem, self._row, self._point, self._tangents(problem))[0]

    def _tangents(self, problem):
        seen = SeenKeys.about(problem, self._heaviest if problem.basis.degree else np.zeros(0))
        return LocalTangents(problem, self._row, self._point, seen)

    def _problem_of(self, degree, targets):
        ridge = self._problem.ridge if degree else 0.0
        return replace(self._problem.with_targets(targets), basis=BASES[degree], ridge=ridge)
