"""Heads: metrics that are each learned from a part of the rows, and the smoothers that use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sknw._algorithms import Algorithm, Problem, are_repetitions
from sknw._boosting import MULTIPLES, Boost, best_boost, boosted_labels, boosted_weights
from sknw._kernels import Kernel
from sknw._leave_one_out import Settings, left_out_error
from sknw._local_polynomial import LocalPolynomialRegressor
from sknw._metrics import METRICS, Metric, equal_bandwidths, fitted_ridge, untaught
from sknw._pooling import shares

# A head learns from so many rows, and where there are more, it is tuned to all of them by the errors of so many others,
# at these multiples of its distances and of its ridge.
_LEARNING_ROWS = 1000
_TUNING_ROWS = 500
_MULTIPLES = (0.8, 1.0, 1.25, 1.6, 2.0)
_RIDGE_MULTIPLES = (1.0, 0.3)


class Standard(NamedTuple):
    """Features without their units.

    Parameters
    ----------
    centre : ndarray of shape (n_features,)
        Their means.
    spread : ndarray of shape (n_features,)
        Their standard deviations, inf for one that does not vary.
    low, high : ndarray of shape (n_features,)
        Their ranges.
    """

    centre: np.ndarray
    spread: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, rows: Rows) -> Standard:
        low, high = rows.X.min(axis=0), rows.X.max(axis=0)
        # Of numbers that do not overflow, and about a row, so that a feature that does not vary has no variance.
        unit = np.where(high > low, high / 2 - low / 2, 1)
        z = (rows.X - low) / unit
        mean = np.average(z, axis=0, weights=rows.sample_weight)
        deviation = np.sqrt(np.average(np.square(z - mean), axis=0, weights=rows.sample_weight))
        return cls(low + unit * mean, np.where(deviation > 0, unit * deviation, np.inf), low, high)

    @property
    def varies(self) -> np.ndarray:
        """Which features do: (n_features,)."""
        return np.isfinite(self.spread)

    def beyond(self, X: np.ndarray) -> np.ndarray:
        """Which features of queries exceed their range: (n_queries, n_features)."""
        return (X < self.low) | (X > self.high)

    def __call__(self, X: np.ndarray, clip: bool = False) -> np.ndarray:
        """Features of queries or keys, those that do not vary zero; clipped, none exceeds its range."""
        X = np.clip(X, self.low, self.high) if clip else X
        return (X - self.centre) / self.spread


class Rows(NamedTuple):
    """Training rows as they are learned from: in an order of their own, each once.

    What is learned then does not depend on the order of rows, nor on whether rows are repeated or weigh more.

    Parameters
    ----------
    X, y, sample_weight : ndarray
    which : ndarray of shape (n_samples,)
        The row that each training row is here, -1 for one without weight.
    """

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray
    which: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray) -> Rows:
        present = np.flatnonzero(sample_weight > 0)
        table, weight = np.column_stack([X, y])[present], sample_weight[present]
        order = np.lexsort(np.column_stack([table, weight]).T[::-1])
        first = np.ones(len(order), dtype=bool)
        # Only of integer weights is the sum that of the repetitions.
        if are_repetitions(weight):
            first[1:] = (table[order][1:] != table[order][:-1]).any(axis=1)
        number = np.cumsum(first) - 1
        which = np.full(len(X), -1)
        which[present[order]] = number
        table = table[order[first]]
        return cls(table[:, : X.shape[1]], table[:, X.shape[1] :], np.bincount(number, weight[order]), which)

    def folds(self, n_folds: int, random: np.random.RandomState) -> np.ndarray:
        """A number below `n_folds` for each row, alike for rows with the same features."""
        new = np.append(True, (self.X[1:] != self.X[:-1]).any(axis=1))
        place = np.cumsum(new) - 1
        n_places = place[-1] + 1
        return (random.permutation(n_places) % min(n_folds, n_places))[place]


@dataclass(frozen=True)
class Head:
    """One learned metric, and the smoother that predicts with it.

    Parameters
    ----------
    components : ndarray of shape (n_components, n_features)
        The matrix A of the distance |A (q - x)|, with q and x in standard deviations of the features.
    ridge : float
        Of local lines, as in :class:`LocalPolynomialRegressor`.
    smoother : LocalPolynomialRegressor
        Fitted to the rows A x, with a bandwidth of one.
    labels : ndarray of shape (n_keys, n_outputs)
        Which the smoother was fitted to, or their boosted ones.
    n_rounds : int
        Of boosting.
    """

    components: np.ndarray
    ridge: float
    smoother: LocalPolynomialRegressor
    labels: np.ndarray
    n_rounds: int

    def seen(self, Z: np.ndarray) -> np.ndarray:
        """Rows in its own coordinates: (n_rows, n_components)."""
        return Z @ self.components.T

    @property
    def algorithm(self) -> Algorithm:
        return self.smoother._algorithm

    @property
    def n_rows(self) -> int:
        return len(self.algorithm.problem.y)

    def attention_weights(self, Z: np.ndarray, effective: bool) -> np.ndarray:
        """Weights of the labels in its predictions, or the kernel's shares: (n_queries, n_keys)."""
        if effective:
            weights = self.smoother.attention_weights(self.seen(Z))
            return boosted_weights(weights, self.smoother.attention_weights_, self.n_rounds)
        problem = self.algorithm.problem
        return shares(problem, problem.scale(self.seen(Z)), "nearest")[0]

    def distances(self, Z: np.ndarray) -> np.ndarray:
        """From queries to training rows: (n_queries, n_keys)."""
        problem = self.algorithm.problem
        return np.sqrt(problem.squares(problem.scale(self.seen(Z))))


class Teacher(NamedTuple):
    """How heads are made.

    Parameters
    ----------
    kernel : Kernel
    degree : int
    metric : str or ndarray of shape (n_components, n_features)
        One of `METRICS`, or the metric itself, in standard deviations of the features.
    n_rounds : int or "gcv"
        Of boosting.
    settings : Settings
    """

    kernel: Kernel
    degree: int
    metric: str | np.ndarray
    n_rounds: int | str
    settings: Settings

    def learn(
        self, Z: np.ndarray, rows: Rows, taught: np.ndarray, random: np.random.RandomState
    ) -> Callable[[], list[Metric]]:
        """What learns metrics from some rows, the wanted one first; what is drawn is drawn now, whatever threads do.

        Parameters
        ----------
        Z : ndarray of shape (n_rows, n_features)
            The standardised features of all rows.
        rows : Rows
        taught : ndarray of int
            The rows to learn from.
        random : RandomState
        """
        problem = Problem(Z, rows.y, rows.sample_weight, self.kernel, degree=self.degree).part(taught)
        order = random.permutation(len(taught)) if len(taught) > _LEARNING_ROWS else np.arange(len(taught))
        some, others = np.sort(order[:_LEARNING_ROWS]), order[_LEARNING_ROWS:][:_TUNING_ROWS]

        def learn_metrics():
            part = problem.part(some)
            metrics = self._taught(part)
            boosts = [self._boosted(part, metric) for metric in metrics]
            if isinstance(self.metric, str) and len(others):
                metrics = [self._tuned(problem, metric, np.sort(others)) for metric in metrics]
            return [
                metric._replace(components=metric.components * boost.multiple, n_rounds=boost.n_rounds)
                for metric, boost in zip(metrics, boosts, strict=True)
            ]

        return learn_metrics

    def _taught(self, problem):
        """The metrics that are wanted, and that with equal scales, if it is not among them."""
        if not isinstance(self.metric, str):
            return [fitted_ridge(problem, self.metric, self.settings)]
        if len(problem.y) < 3 or not (problem.variances > 0).any():
            return [untaught(problem)]
        names, equal = dict.fromkeys((self.metric, "isotropic")), equal_bandwidths(problem, self.settings)
        return [metric for name in names for metric in METRICS[name](problem, equal, self.settings)]

    def _boosted(self, problem, metric):
        """How to boost with a metric; one that is given keeps its scale."""
        if self.n_rounds == 1:
            return Boost(1.0, 1)
        seen = problem.seen_by(metric.components)
        return best_boost(seen, self.n_rounds, MULTIPLES if isinstance(self.metric, str) else (1.0,))

    def _tuned(self, problem, metric, others):
        """The metric at the multiple of the lowest error of other rows."""
        ridges = _RIDGE_MULTIPLES if self.degree else (1.0,)
        tried = [
            Metric(metric.components * multiple, metric.ridge * ridge) for multiple in _MULTIPLES for ridge in ridges
        ]

        def error(metric):
            seen = replace(problem.seen_by(metric.components), ridge=metric.ridge)
            return left_out_error(seen, self.settings, others)

        return min(tried, key=error)

    def head(self, metric: Metric, Z: np.ndarray, y: np.ndarray, sample_weight: np.ndarray, n_jobs: int | None) -> Head:
        """The head of a metric, whose keys are these rows."""
        smoother = LocalPolynomialRegressor(
            self.kernel, self.degree, 1.0, ridge=metric.ridge, algorithm=self.settings.algorithm, n_jobs=n_jobs
        )
        seen = Z @ metric.components.T
        labels = boosted_labels(smoother, seen, y, sample_weight, metric.n_rounds)
        smoother.fit(seen, labels, sample_weight)
        return Head(metric.components, metric.ridge, smoother, y.reshape(len(y), -1), metric.n_rounds)
