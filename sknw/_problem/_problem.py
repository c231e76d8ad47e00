"""Problem: what is to be summed, over which distances, by which kernel, and what is fitted from it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from sknw._kernels import Kernel
from sknw._problem._bases import BASES, Polynomial
from sknw._problem._conditions import Conditions
from sknw._problem._distances import Distance
from sknw._problem._rows import Frame, Rows
from sknw._problem._sums import Sums


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows, a distance, a kernel and a basis, put together. What each of them determines is kept by it.

    Parameters
    ----------
    rows : Rows
    distance : Distance
        To the keys of the rows, in bandwidths.
    kernel : Kernel
    basis : Polynomial, default=BASES[0]
        Of what is fitted about each query; by default the weighted mean.
    ridge : float, default=0.0
        For lines, what is added to the variances of the keys in reach, in units of those of all keys.
    limit : float, default=np.inf
        For lines and parabolas, what the absolute weights of all targets in a fit sum up to at most. They themselves
        sum up to one.
    """

    rows: Rows
    distance: Distance
    kernel: Kernel
    basis: Polynomial = BASES[0]
    ridge: float = 0.0
    limit: float = np.inf

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def with_bandwidth(self, bandwidth: float | np.ndarray) -> Problem:
        """The same problem at another bandwidth."""
        return replace(self, distance=self.distance.with_bandwidth(bandwidth))

    def with_targets(self, targets: np.ndarray) -> Problem:
        """The same problem for other targets."""
        return replace(self, rows=self.rows.with_targets(targets))

    def take(self, indices: np.ndarray, frame: Frame | None = None) -> Problem:
        """The problem of the rows of these indices alone, in a frame of their own if none is given."""
        rows = self.rows.take(indices, frame)
        distance = self.distance.take(rows, indices)
        return replace(self, rows=distance.rows, distance=distance)

    def project(self, components: np.ndarray) -> Problem:
        """The problem of keys in other coordinates, the rows of a matrix: (n_components, n_features)."""
        rows = self.rows.with_keys(self.rows.keys @ components.T)
        return replace(self, rows=rows, distance=self.distance.take(rows, np.arange(len(rows))))

    @property
    def n_values(self) -> int:
        """How many numbers are summed for each query."""
        return self.basis.n_values(self.distance.n_coordinates, self.rows.targets.shape[1])

    def empty_sums(self, n_queries: int) -> Sums:
        """Sums over no keys, to put others in."""
        return Sums.empty(n_queries, self.n_values, self.basis.n_expanded(self.distance.n_coordinates))

    def columns(self, keys: np.ndarray | slice, expansion_point: np.ndarray) -> np.ndarray:
        """What is summed for the keys of these indices, about an expansion point: (n_keys, n_values)."""
        z = self.basis.seen_from(self.distance.keys[keys], expansion_point)
        return self.basis.columns(self.rows.values[keys], z)

    @cached_property
    def conditions(self) -> Conditions:
        """Where coordinates count as constant, and what slopes are penalised by."""
        return self.distance.conditions(self.ridge)
