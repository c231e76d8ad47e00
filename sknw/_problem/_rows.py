"""Rows: the samples as numbers, and the frame that numbers of several blocks of them are relative to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Frame:
    """Ranges that numbers are relative to: those of all samples, where a problem has a block of them only.

    Sums of blocks add up if the blocks have one frame.

    Parameters
    ----------
    low, high : ndarray of shape (n_outputs,)
        The range of each output.
    largest_weight : float
    key_low, key_high : ndarray of shape (n_features,)
        The range of each feature; for precomputed distances, of each column.
    """

    low: np.ndarray
    high: np.ndarray
    largest_weight: float
    key_low: np.ndarray
    key_high: np.ndarray

    @cached_property
    def offset(self) -> np.ndarray:
        """The middle of each output's range. It makes constant outputs exact, which their mean would not."""
        return self.low / 2 + self.high / 2


class Rows:
    """Samples: keys, their targets, and how much each counts.

    Parameters
    ----------
    keys : ndarray of shape (n_keys, n_features)
        As they were given; of precomputed distances, the rows of the matrix: (n_keys, n_keys).
    targets : ndarray of shape (n_keys, n_outputs)
    sample_weight : ndarray of shape (n_keys,)
    counts : ndarray of shape (n_keys,), default=None
        How many samples each row stands for. None takes `counts_of` the weights.
    frame : Frame, default=None
        None derives it from these rows.
    device : Device of `_arrays.py`, default=None
        Where the samples came from, and sums of pairs are to be made; None is NumPy. The rows themselves are NumPy's.

    Attributes
    ----------
    is_block : bool
        Whether the frame may be that of more rows.
    zero_weight : ndarray of shape (n_keys,) of bool
        Which rows have no weight, and so are not there.
    relative_weight : ndarray of shape (n_keys,)
        The weights in units of the largest in the frame.
    values : ndarray of shape (n_keys, n_outputs + 1)
        What weighted means are made of: [weight * (target - offset), weight].
    """

    def __init__(
        self,
        keys: np.ndarray,
        targets: np.ndarray,
        sample_weight: np.ndarray,
        counts: np.ndarray | None = None,
        frame: Frame | None = None,
        device: Any = None,
    ):
        self.keys, self.targets, self.sample_weight, self.device = keys, targets, sample_weight, device
        self.zero_weight = sample_weight == 0
        if counts is None:
            counts = counts_of(sample_weight)
        self.counts = counts
        self._any_zero_weight = bool(self.zero_weight.any())
        self.is_block = frame is not None
        if frame is None:
            (low, high), (key_low, key_high) = self._range_of(targets), self._range_of(keys)
            frame = Frame(low, high, sample_weight.max(), key_low, key_high)
        self.frame = frame
        self.relative_weight = sample_weight / frame.largest_weight
        values = np.empty((len(targets), targets.shape[1] + 1))
        np.subtract(targets, frame.offset, out=values[:, :-1])
        values[:, -1] = 1
        self.values: np.ndarray = np.multiply(values, self.relative_weight[:, None], out=values)

    def __len__(self) -> int:
        return len(self.targets)

    def __getstate__(self):
        return self.keys, self.targets, self.sample_weight, self.counts, self._own_frame, self.device

    def __setstate__(self, state):
        Rows.__init__(self, *state)

    def _range_of(self, columns):
        columns = self.with_weight(columns).T
        return columns.min(axis=1), columns.max(axis=1)

    def with_weight(self, rows: np.ndarray) -> np.ndarray:
        """Those of rows, one for each key, whose keys have a weight."""
        return rows[~self.zero_weight] if self._any_zero_weight else rows

    def exclude(self, matrix: np.ndarray, excluded: np.ndarray | None, fill: float) -> np.ndarray:
        """Fill, in a matrix of shape (n_queries, n_keys), what does not count: keys without weight, excluded ones.

        excluded : ndarray of shape (n_queries,), one key for each query, or None
        """
        if self._any_zero_weight:
            matrix[:, self.zero_weight] = fill
        if excluded is not None:
            matrix[np.arange(len(matrix)), excluded] = fill
        return matrix

    def take(self, indices: np.ndarray, frame: Frame | None = None) -> Rows:
        """The rows of these indices, in a frame of their own if none is given."""
        keys, targets, sample_weight, counts = self.keys, self.targets, self.sample_weight, self.counts
        return Rows(keys[indices], targets[indices], sample_weight[indices], counts[indices], frame, device=self.device)

    def with_keys(self, keys: np.ndarray) -> Rows:
        """Rows with the same targets and weights, and other keys, in a frame of their own."""
        return Rows(keys, self.targets, self.sample_weight, self.counts, device=self.device)

    def with_targets(self, targets: np.ndarray) -> Rows:
        """Rows with the same keys and weights, and other targets, in a frame of their own."""
        return Rows(self.keys, targets, self.sample_weight, self.counts, device=self.device)

    def with_counts(self, counts: np.ndarray) -> Rows:
        """The same rows that count otherwise, in a frame of their own."""
        return Rows(self.keys, self.targets, self.sample_weight, counts, device=self.device)

    def on(self, device: Any) -> Rows:
        """The same rows as if they came from a device."""
        return Rows(self.keys, self.targets, self.sample_weight, self.counts, self._own_frame, device=device)

    @property
    def _own_frame(self):
        """The frame that these rows do not tell."""
        return self.frame if self.is_block else None

    @property
    def n_samples(self) -> float:
        """How many samples there are: the sum of the counts."""
        return self.counts.sum()

    @cached_property
    def variances(self) -> np.ndarray:
        """The weighted variance of each output: (n_outputs,)."""
        deviations = self.targets - np.average(self.targets, axis=0, weights=self.sample_weight)
        return np.average(np.square(deviations), axis=0, weights=self.sample_weight)

    @property
    def output_scale(self) -> np.ndarray:
        """What squares of each output are multiplied by, to be added: over several, a mean in units of variance."""
        n_outputs = self.targets.shape[1]
        return np.ones(1) if n_outputs == 1 else 1 / np.where(self.variances > 0, self.variances, 1) / n_outputs

    def mean_square(self, indices: np.ndarray, errors: np.ndarray) -> float:
        """The weighted mean of squared errors, (n_indices, n_outputs), of the rows of these indices."""
        weight = self.sample_weight[indices]
        return float(weight @ np.square(errors) @ self.output_scale / weight.sum())


def are_counts(sample_weight: np.ndarray) -> bool:
    """Whether weights count how often each row is there: if all are integers."""
    return bool((sample_weight == np.round(sample_weight)).all())


def counts_of(sample_weight: np.ndarray, sample_weight_type: str = "auto") -> np.ndarray:
    """How many samples each row stands for: its weight, if weights are counts; else one, or none if it has no weight.

    sample_weight_type : {"auto", "frequency", "importance"}
        By "auto", weights are counts if all are integers.
    """
    if sample_weight_type == "frequency" or (sample_weight_type == "auto" and are_counts(sample_weight)):
        return sample_weight
    return (sample_weight != 0).astype(float)
