"""Folds: metrics that are each learned without a fold of the samples, which then tells which metrics to take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sknw._attention._heads import HeadLearner
from sknw._attention._learned_metrics import LearnedMetric
from sknw._problem._rows import Rows
from sknw._tiles import map_tiles

# Samples whose errors decide between metrics.
_VALIDATION_ROWS = 5000


def learn_metrics(
    learner: HeadLearner,
    rows: Rows,
    folds: np.ndarray,
    random: np.random.RandomState,
    clip: bool,
    step: Callable[[str], None],
    n_jobs: int | None = None,
) -> tuple[list[LearnedMetric], np.ndarray | None]:
    """Learn a metric without each fold; or one from all rows, if all are in one fold.

    Parameters
    ----------
    learner : HeadLearner
    rows : Rows
        With standardised features.
    folds : ndarray of shape (n_rows,)
        The number of the fold of each row.
    random : RandomState
    clip : bool
        Whether queries are drawn in to the range of the rows that they are predicted from.
    step : callable
        Called with a name after each metric.

    Returns
    -------
    metrics : list of LearnedMetric
    predictions : ndarray of shape (n_rows, n_outputs), or None
        What each row is predicted from outside of its fold; None if all are in one fold.
    """
    several = folds.max() > 0
    train = [np.flatnonzero(~several | (folds != fold)) for fold in range(folds.max() + 1)]
    tasks = [learner.task(rows, indices, random) for indices in train]

    def learn(tile):
        metrics = tasks[tile.start]()
        step("head")
        return metrics

    learned = map_tiles(learn, len(tasks), 1, n_jobs)
    if not several:
        return [learned[0][0]], None
    # A head with nothing to choose from has one metric.
    longest = range(max(map(len, learned)))
    choices = [[metrics[min(k, len(metrics) - 1)] for metrics in learned] for k in longest]

    def predict(metrics, indices):
        return _predict_folds(learner, rows, folds, metrics, indices, clip, n_jobs)

    return _choose(predict, rows, choices)


def _choose(predict, rows, choices):
    """The choice of metrics by which rows outside of their folds are predicted best; and what they are predicted."""
    n_rows = len(rows)
    validation = np.unique(np.linspace(0, n_rows - 1, min(n_rows, _VALIDATION_ROWS)).astype(int))
    predictions = [predict(metrics, validation) for metrics in choices]
    spread = np.maximum(rows.targets.std(axis=0), np.finfo(float).tiny)
    squares = [np.square((each - rows.targets[validation]) / spread).sum(axis=1) for each in predictions]
    best = int(np.argmin(np.average(squares, axis=1, weights=rows.sample_weight[validation])))
    if len(validation) == n_rows:
        return choices[best], predictions[best]
    return choices[best], predict(choices[best], np.arange(n_rows))


def _predict_folds(learner, rows, folds, metrics, indices, clip, n_jobs):
    """What rows of these indices are predicted by the rows outside of their folds."""
    predictions = np.empty((len(indices), rows.targets.shape[1]))
    for fold, metric in enumerate(metrics):
        inside, others = folds[indices] == fold, rows.take(np.flatnonzero(folds != fold))
        queries = rows.keys[indices[inside]]
        queries = np.clip(queries, others.keys.min(axis=0), others.keys.max(axis=0)) if clip else queries
        predictions[inside] = learner.head(metric, others, n_jobs).predict(queries, n_jobs)
    return predictions
