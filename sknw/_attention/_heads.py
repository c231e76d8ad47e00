"""Heads: metrics that are each learned from a part of the samples, and the fits that use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sknw._attention._boosting import MULTIPLES, Boost, best_boost
from sknw._attention._learned_metrics import (
    LEARNED_METRICS,
    LearnedMetric,
    given_metric,
    isotropic_bandwidth,
    uniform_metric,
)
from sknw._fit._attention_matrix import AttentionMatrix
from sknw._fit._fit import Fit
from sknw._fit._leave_one_out import left_out_of
from sknw._fit._predictions import predict
from sknw._fit._query_gradient import query_gradient
from sknw._fit._rounds import fit_rounds, weights_of_rounds
from sknw._fit._weights import attention_shares, attention_weights
from sknw._kernels import Kernel
from sknw._problem._bases import Polynomial
from sknw._problem._distances import Euclidean
from sknw._problem._problem import Problem
from sknw._problem._rows import Rows
from sknw._selection._criteria import SearchOptions

# A head learns from so many samples, and where there are more, it is tuned to all of them by the errors of so many
# others, at these multiples of its distances and of its ridge.
_LEARNING_ROWS = 1000
_TUNING_ROWS = 500
_MULTIPLES = (0.8, 1.0, 1.25, 1.6, 2.0)
_RIDGE_MULTIPLES = (1.0, 0.3)

# Kernels that metrics are learned for are positive everywhere: it is never needed.
_FALLBACK = "nearest"


class UniqueRows(NamedTuple):
    """Samples as they are learned from: in an order of their own, each once.

    What is learned then does not depend on the order of samples, nor on whether they are repeated or weigh more.

    Parameters
    ----------
    rows : Rows
    which : ndarray of shape (n_samples,)
        The row that each sample is here, -1 for one without weight.
    """

    rows: Rows
    which: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray, counts: np.ndarray) -> UniqueRows:
        """The unique rows of samples, each of which counts as in `Rows`."""
        with_weight = np.flatnonzero(sample_weight > 0)
        table, weight, counts = np.column_stack([X, y])[with_weight], sample_weight[with_weight], counts[with_weight]
        order = np.lexsort(np.column_stack([table, weight]).T[::-1])
        first = np.ones(len(order), dtype=bool)
        # Only of counts is the sum that of the repetitions.
        if (weight == counts).all():
            first[1:] = (table[order][1:] != table[order][:-1]).any(axis=1)
        number = np.cumsum(first) - 1
        which = np.full(len(X), -1)
        which[with_weight[order]] = number
        table = table[order[first]]
        weight, counts = np.bincount(number, weight[order]), np.bincount(number, counts[order])
        return cls(Rows(table[:, : X.shape[1]], table[:, X.shape[1] :], weight, counts), which)

    def folds(self, n_folds: int, random: np.random.RandomState) -> np.ndarray:
        """A number below `n_folds` for each row, alike for rows with the same features; 0 for all of one or two."""
        if n_folds == 1 or len(self.rows) < 3:
            return np.zeros(len(self.rows), dtype=int)
        X = self.rows.keys
        new = np.append(True, (X[1:] != X[:-1]).any(axis=1))
        place = np.cumsum(new) - 1
        n_places = place[-1] + 1
        return (random.permutation(n_places) % min(n_folds, n_places))[place]


@dataclass(frozen=True)
class Head:
    """One learned metric, and the fit that predicts with it.

    Parameters
    ----------
    metric : LearnedMetric
        For features in standard deviations.
    fit : Fit
        To samples in the coordinates of the metric, with a bandwidth of one.
    targets : ndarray of shape (n_keys, n_outputs)
        Which the first round was fitted to.
    """

    metric: LearnedMetric
    fit: Fit
    targets: np.ndarray

    @property
    def components(self) -> np.ndarray:
        """The matrix of the metric: (n_components, n_features)."""
        return self.metric.components

    @property
    def ridge(self) -> float:
        """The ridge of its local lines, as in :class:`LocalPolynomialRegressor`."""
        return self.metric.ridge

    def project(self, Z: np.ndarray) -> np.ndarray:
        """Standardised features as queries of the fit: (n_queries, n_components)."""
        return self.fit.problem.distance.transform(Z @ self.components.T)

    def predict(self, Z: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
        """The fits at queries: (n_queries, n_outputs)."""
        return predict(self.fit, self.project(Z), _FALLBACK, n_jobs)[0]

    def gradient(self, Z: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
        """The slopes of the fits at queries: (n_queries, n_features, n_outputs)."""
        slopes = query_gradient(self.fit.problem, self.project(Z), n_jobs)
        return np.einsum("mik,ij->mjk", slopes, self.components)

    def attention(self, Z: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
        """The kernel's shares: (n_queries, n_keys)."""
        return attention_shares(self.fit.problem, self.project(Z), _FALLBACK)[0]

    def attention_weights(self, Z: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
        """The weights of the targets in its predictions: (n_queries, n_keys)."""
        weights, _ = attention_weights(self.fit, self.project(Z), _FALLBACK, n_jobs=n_jobs)
        return weights_of_rounds(weights, AttentionMatrix([self.fit], _FALLBACK, n_jobs), self.metric.n_rounds)

    def distances(self, Z: np.ndarray) -> np.ndarray:
        """From queries to samples: (n_queries, n_keys)."""
        return np.sqrt(self.fit.problem.distance.squares(self.project(Z)))


def mean_of_heads(
    heads: list[Head], method: Callable[..., np.ndarray], Z: np.ndarray, n_jobs: int | None = None
) -> np.ndarray:
    """The mean of what a method of each head gives at standardised queries."""
    return np.mean([method(head, Z, n_jobs) for head in heads], axis=0)


class HeadLearner(NamedTuple):
    """How heads are made.

    Parameters
    ----------
    kernel : Kernel
    basis : Polynomial
    metric : str or ndarray of shape (n_components, n_features)
        One of `LEARNED_METRICS`, or the metric itself, for features in standard deviations.
    n_rounds : int or "gcv"
        Of boosting.
    options : SearchOptions
    """

    kernel: Kernel
    basis: Polynomial
    metric: str | np.ndarray
    n_rounds: int | str
    options: SearchOptions

    def problem(self, rows: Rows, ridge: float = 0.0) -> Problem:
        """The problem of rows in the coordinates of a metric, where the bandwidth is one."""
        return Problem(rows, Euclidean(rows, 1.0), self.kernel, self.basis, ridge)

    def task(self, rows: Rows, train: np.ndarray, random: np.random.RandomState) -> Callable[[], list[LearnedMetric]]:
        """What learns metrics from some rows, the wanted one first; what is drawn is drawn now, whatever threads do.

        Parameters
        ----------
        rows : Rows
            With standardised features.
        train : ndarray of int
            Those to learn from.
        random : RandomState
        """
        problem = self.problem(rows.take(train))
        order = random.permutation(len(train)) if len(train) > _LEARNING_ROWS else np.arange(len(train))
        learning, tuning = np.sort(order[:_LEARNING_ROWS]), order[_LEARNING_ROWS:][:_TUNING_ROWS]

        def learn():
            part = problem.take(learning)
            metrics = self._learn(part)
            boosts = [self._boost(part, metric) for metric in metrics]
            if isinstance(self.metric, str) and len(tuning):
                metrics = [self._tune(problem, metric, np.sort(tuning)) for metric in metrics]
            return [
                metric._replace(components=metric.components * boost.multiple, n_rounds=boost.n_rounds)
                for metric, boost in zip(metrics, boosts, strict=True)
            ]

        return learn

    def _learn(self, problem):
        """The metrics that are wanted, and that with equal scales, if it is not among them."""
        if not isinstance(self.metric, str):
            return [given_metric(problem, self.metric, self.options)]
        if len(problem.rows) < 3 or not (problem.rows.variances > 0).any():
            return [uniform_metric(problem)]
        names, isotropic = dict.fromkeys((self.metric, "isotropic")), isotropic_bandwidth(problem, self.options)
        return [metric for name in names for metric in LEARNED_METRICS[name](problem, isotropic, self.options)]

    def _boost(self, problem, metric):
        """How to boost with a metric; one that is given keeps its scale."""
        if self.n_rounds == 1:
            return Boost(1.0, 1)
        projected = problem.project(metric.components)
        return best_boost(projected, self.n_rounds, MULTIPLES if isinstance(self.metric, str) else (1.0,))

    def _tune(self, problem, metric, others):
        """The metric at the multiple of the lowest error of other rows."""
        ridges = _RIDGE_MULTIPLES if self.basis.degree else (1.0,)
        tried = [
            LearnedMetric(metric.components * multiple, metric.ridge * ridge)
            for multiple in _MULTIPLES
            for ridge in ridges
        ]

        def error(metric):
            projected = replace(problem.project(metric.components), ridge=metric.ridge)
            return left_out_of(projected, *self.options.errors, others).mean_square

        return min(tried, key=error)

    def head(self, metric: LearnedMetric, rows: Rows, n_jobs: int | None = None) -> Head:
        """The head of a metric, whose keys are these rows with standardised features."""
        problem = self.problem(rows.with_keys(rows.keys @ metric.components.T), metric.ridge)
        fit = fit_rounds("l2-boosting", problem, metric.n_rounds, self.options.algorithm, _FALLBACK, n_jobs)
        return Head(metric, fit, rows.targets)
