"""Descent: one bandwidth a feature, for a low leave-one-out error and simplicity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from sknw._fit._gradient import error_gradient, left_out_error
from sknw._fit._leave_one_out import left_out_of
from sknw._problem._bases import BASES
from sknw._problem._problem import Problem
from sknw._selection._criteria import SearchOptions

# A minimum of log error + _SHRINKAGE / n * sum (logs - their mean)**2 is sought, by n errors: features are alike unless
# the data say otherwise. A feature is dropped where that raises log error by no more than _PENALTY / n, what a
# parameter is worth to Akaike's criterion.
_SHRINKAGE = 2.0
_PENALTY = 2.0

# Iterations from each start, and from the best of what they reached.
_FIRST_ITERATIONS = 5
_ITERATIONS = 60

# A sweep of Powell's search through the features is taken for so many iterations.
_SWEEP = 8

# Added to errors before the logarithm, in units of the targets' variance: among bandwidths that interpolate repeated
# samples, rounding must not decide.
_NO_ERROR = 1e-6

# What a search sees of numbers, of the largest among several; and of slopes, which lose digits where they are small.
_BITS, _SLOPE_BITS = 24, 18

# A slope is taken to be at least this share of the features' root mean square.
_LEAST_SLOPE = 1e-2


class BandwidthDescent:
    """The way to bandwidths with a low leave-one-out error that are simple, in logarithms of multiples of their unit.

    By L-BFGS for a kernel that is positive everywhere; by Powell's search along each feature for one that ends.

    Parameters
    ----------
    problem : Problem
        At the bandwidths that are multiplied, one for each feature, inf for one without influence.
    bounds : (float, float)
        The smallest multiple and the largest.
    indices : ndarray of shape (n_indices,)
        The keys whose errors count.
    options : SearchOptions
    ridges : (float, float), default=None
        The smallest ridge and the largest, where one is sought too: its logarithm is the last.
    tolerance : float, default=1e-7
        It is enough if the logarithm of the error falls by less.

    Attributes
    ----------
    indices : ndarray of shape (n_indices,)
    active : ndarray of shape (n_features,) of bool
        The features with a finite bandwidth. The logarithms are theirs.
    tried : list of (ndarray of shape (n_features,), float)
        Bandwidths and their errors.
    """

    def __init__(
        self,
        problem: Problem,
        bounds: tuple[float, float],
        indices: np.ndarray,
        options: SearchOptions,
        ridges: tuple[float, float] | None = None,
        tolerance: float = 1e-7,
    ):
        self._problem, self._bounds, self.indices = problem, np.log(bounds), indices
        self._unit = np.broadcast_to(problem.distance.bandwidth, problem.rows.keys.shape[1:])
        self._tolerance = tolerance
        self._ridges = None if ridges is None else np.log(ridges)
        self._options, self._n_errors = options, problem.rows.counts[indices].sum()
        self._smooth = problem.kernel.log_ratio is not None
        variances = problem.rows.variances
        variance = variances[0] if len(variances) == 1 else 1.0
        self._variance = variance + np.finfo(float).tiny
        self._no_error = _NO_ERROR * self._variance
        self.active = np.isfinite(self._unit)
        self.tried: list[tuple[np.ndarray, float]] = []
        self._known: dict[bytes, tuple[float, np.ndarray | None]] = {}

    def bandwidth(self, logs: np.ndarray) -> np.ndarray:
        """(n_features,), inf for features that are not active."""
        bandwidth = np.full(len(self._unit), np.inf)
        bandwidth[self.active] = self._unit[self.active] * np.exp(logs[: self.active.sum()])
        return bandwidth

    def ridge(self, logs: np.ndarray) -> float:
        """The ridge at these logarithms."""
        return self._problem.ridge if self._ridges is None else float(np.exp(logs[-1]))

    def error(self, logs: np.ndarray) -> float:
        """The error at these logarithms."""
        return self._error(logs, with_gradient=False)[0]

    def slope_start(self, logs: np.ndarray) -> np.ndarray:
        """Logarithms that are the lower, the steeper the targets are in a feature, for lines fitted at these ones."""
        problem = self._problem.with_bandwidth(self.bandwidth(logs))
        rows, points = problem.rows, problem.distance.centred(problem.distance.keys)
        targets = (rows.targets - rows.frame.offset) / np.sqrt(np.where(rows.variances > 0, rows.variances, 1))
        products = (targets[:, :, None] * points[:, None]).reshape(len(points), -1)
        columns = np.hstack([targets, points, np.square(points), products])
        mean = replace(problem.with_targets(columns), basis=BASES[0], ridge=0.0)
        means = left_out_of(mean, *self._options.errors, self.indices).predictions
        target, point, square, product = np.split(means, np.cumsum([targets.shape[1], *2 * points.shape[1:]]), axis=1)
        covariance = product.reshape(len(means), targets.shape[1], -1) - target[:, :, None] * point[:, None]
        variance = (square - np.square(point))[:, None]
        slopes = np.divide(covariance, variance, out=np.zeros_like(covariance), where=variance > 1e-9)
        # From bandwidths to spreads.
        squares, weight = np.square(slopes).mean(axis=1), rows.sample_weight[self.indices]
        steepness = np.sqrt(np.average(squares, axis=0, weights=weight)) / np.exp(logs)
        typical = np.sqrt(np.square(steepness).mean())
        if typical == 0:
            return logs
        return logs - np.log(np.maximum(steepness / typical, _LEAST_SLOPE))

    def from_starts(self, starts: list[np.ndarray]) -> np.ndarray:
        """The lowest point that is reached from several."""
        if self._smooth:
            starts = [self.descend(start, _FIRST_ITERATIONS) for start in starts]
        return self.descend(min(starts, key=lambda logs: self._objective(logs)[0]))

    def descend(self, logs: np.ndarray, iterations: int = _ITERATIONS) -> np.ndarray:
        """The point that is reached from these logarithms."""
        bounds = [self._bounds] * self.active.sum() + ([] if self._ridges is None else [self._ridges])
        logs = np.clip(logs, *np.transpose(bounds))
        if self._smooth:
            options = {"ftol": self._tolerance, "gtol": 1e-5, "maxiter": iterations}
            found = minimize(self._objective, logs, jac=True, bounds=bounds, method="L-BFGS-B", options=options)
        else:
            options = {"xtol": 1e-2, "ftol": 1e-4, "maxiter": max(1, iterations // _SWEEP)}
            found = minimize(lambda at: self._objective(at)[0], logs, bounds=bounds, method="Powell", options=options)
        return _rounded(found.x)

    def drop(self, logs: np.ndarray, penalty: float = _PENALTY) -> np.ndarray:
        """Drop features that the error does not need, those with the widest bandwidths first. At least one stays.

        Half of those that are left to try, then a quarter and so on, are dropped at once if they together are not worth
        what one has to be.

        penalty : float
            What a feature has to lower the logarithm of the error by, times the number of samples.
        """
        features = np.flatnonzero(self.active)
        by_feature, ridge = dict(zip(features, logs, strict=False)), logs[len(features) :]
        error, left = self.error(logs), sorted(features, key=lambda feature: -by_feature[feature])[: len(features) - 1]
        size = len(left)
        while left:
            size = max(1, min(size, len(left)) // 2)
            some = left[:size]
            self.active[some] = False
            without = self.error(np.append([by_feature[k] for k in np.flatnonzero(self.active)], ridge))
            rise = np.log(without + self._no_error) - np.log(error + self._no_error)
            if rise <= penalty / self._n_errors:
                error, left, size = without, left[size:], 4 * size
            else:
                self.active[some] = True
                left = left if size > 1 else left[1:]
        return np.append([by_feature[k] for k in np.flatnonzero(self.active)], ridge)

    def _objective(self, logs):
        logs = _rounded(logs)
        error, gradient = self._error(logs)
        shrinkage, deviations = _SHRINKAGE / self._n_errors, np.zeros_like(logs)
        bandwidths = slice(self.active.sum())
        deviations[bandwidths] = logs[bandwidths] - logs[bandwidths].mean()
        error += self._no_error
        objective = np.log(error / self._variance) + shrinkage * deviations @ deviations
        return _rounded(objective), _rounded(gradient / error + 2 * shrinkage * deviations, _SLOPE_BITS)

    def _error(self, logs, with_gradient=True):
        """The error and, if it is wanted or known, its gradient, zero for a compact kernel."""
        bandwidth, ridge = self.bandwidth(logs), self.ridge(logs)
        key = np.append(bandwidth, ridge).tobytes()
        known = self._known.get(key)
        if known is not None and (known[1] is not None or not with_gradient):
            return known
        problem = replace(self._problem, ridge=ridge) if self._ridges is not None else self._problem
        problem, gradient = problem.with_bandwidth(bandwidth), None
        if not self._smooth:
            error, gradient = left_out_of(problem, *self._options.errors, self.indices).mean_square, np.zeros(len(logs))
        elif with_gradient:
            error, by_metric, by_ridge = error_gradient(problem, self.indices, self._options.n_jobs)
            gradient = by_metric.diagonal() if self._ridges is None else np.append(by_metric.diagonal(), by_ridge)
        else:
            error = left_out_error(problem, self.indices, self._options.n_jobs)
        if known is None:
            self.tried.append((bandwidth, error))
            self._options.step()
        self._known[key] = error, gradient
        return error, gradient


def _rounded(numbers, bits=_BITS):
    """Numbers in few digits: sums of the same samples in another order must not lead a search elsewhere."""
    unit = np.ldexp(1.0, np.frexp(np.abs(numbers).max())[1] - bits)
    return np.round(numbers / unit) * unit
