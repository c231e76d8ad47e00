"""Problem: keys, values, a kernel, and the unit that makes squared distances of them.

Units end here: algorithms see u * u, the squared distance in bandwidths, and values that are weighted and centred.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
from scipy.spatial.distance import cdist

from sknw._kernels import Kernel

# Queries are drawn in to this power of two times the extent of the keys, and bandwidths are held above its inverse, so
# that squares of their quotient do not overflow. Both are far beyond what a float64 tells apart: no answer changes.
_FARTHEST = 230


@dataclass(frozen=True, eq=False)
class Problem:
    """What an algorithm has to sum, and over which distances.

    Parameters
    ----------
    X : ndarray of shape (n_keys, n_features)
        The keys; with metric="precomputed", the distances between them, of shape (n_keys, n_keys).
    y : ndarray of shape (n_keys, n_outputs)
    sample_weight : ndarray of shape (n_keys,)
    kernel : Kernel
    metric : str or callable, default="euclidean"
        Any metric of `scipy.spatial.distance.cdist`, or "precomputed".
    metric_params : dict
        Further arguments of the metric.
    bandwidth : float or ndarray of shape (n_features,), default=1.0
        inf removes a feature.
    """

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray
    kernel: Kernel
    metric: str | Callable = "euclidean"
    metric_params: dict = field(default_factory=dict)
    bandwidth: float | np.ndarray = 1.0

    def __getstate__(self):
        return {item.name: getattr(self, item.name) for item in fields(self)}

    # ---- values

    @cached_property
    def weight(self) -> np.ndarray:
        """The sample weights, the largest 1: (n_keys,)."""
        return self.sample_weight / self.sample_weight.max()

    @cached_property
    def absent(self) -> np.ndarray:
        """Which keys have no weight, and so are not there: (n_keys,)."""
        return self.sample_weight == 0

    @cached_property
    def repetitions(self) -> np.ndarray:
        """How often each row counts, (n_keys,). Integer weights are repetitions; others weigh a row that is one."""
        integer = (self.sample_weight == np.round(self.sample_weight)).all()
        return self.sample_weight if integer else (~self.absent).astype(float)

    @property
    def n_rows(self) -> float:
        """How many rows there are, repetitions counted."""
        return self.repetitions.sum()

    @cached_property
    def low(self) -> np.ndarray:
        return self.y[~self.absent].min(axis=0)

    @cached_property
    def high(self) -> np.ndarray:
        return self.y[~self.absent].max(axis=0)

    @cached_property
    def offset(self) -> np.ndarray:
        """The middle of each output's range. It makes constant outputs exact, which their mean would not."""
        return self.low / 2 + self.high / 2

    @cached_property
    def values(self) -> np.ndarray:
        """[weight * (y - offset), weight]: (n_keys, n_outputs + 1)."""
        ones = np.ones((len(self.y), 1))
        return self.weight[:, None] * np.hstack([self.y - self.offset, ones])

    # ---- distances

    @cached_property
    def keys(self) -> np.ndarray:
        return self.scale(self.X)

    @cached_property
    def _unit(self) -> tuple[np.ndarray, np.ndarray]:
        """The exponents of powers of two that are about the extent of the keys, and the bandwidth in these units.

        Coordinates divided by a power of two keep every bit, so that a distance of exactly one bandwidth stays one.
        """
        bandwidth = np.asarray(self.bandwidth, dtype=float)
        if bandwidth.ndim and (bandwidth == bandwidth[0]).all():
            bandwidth = bandwidth[0]
        extent = np.abs(self.X[~self.absent]).max(axis=0 if bandwidth.ndim else None)
        exponent = np.frexp(extent)[1]
        return exponent, np.maximum(np.ldexp(bandwidth, -exponent), 2.0**-_FARTHEST)

    def scale(self, X: np.ndarray) -> np.ndarray:
        """Queries or keys as `squares` takes them, in float64."""
        X = np.array(X, dtype=np.float64, order="C")
        if self.metric != "euclidean":
            return X
        mantissa, power = np.frexp(X)
        power = np.where(mantissa == 0, -_FARTHEST, power - self._unit[0])
        power -= np.maximum(power.max(axis=1, keepdims=True) - _FARTHEST, 0)
        return np.ldexp(mantissa, power, out=X)

    def squares(self, queries: np.ndarray, columns: slice = slice(None), out: np.ndarray | None = None) -> np.ndarray:
        """(distance / bandwidth)**2 from each query to the keys of these columns, to the last digit."""
        if self.metric == "euclidean":
            bandwidth = self._unit[1]
            if bandwidth.ndim:
                return cdist(queries, self.keys[columns], "sqeuclidean", w=bandwidth**-2.0, out=out)
            t = cdist(queries, self.keys[columns], "sqeuclidean", out=out)
            return np.divide(t, bandwidth**2, out=t)
        with np.errstate(over="ignore"):
            t = self.distances(queries, columns) / self.bandwidth
            return np.minimum(np.square(t, out=t), 2.0 ** (4 * _FARTHEST), out=t)

    def distances(self, queries: np.ndarray, columns: slice) -> np.ndarray:
        """Distances by a metric other than the Euclidean."""
        if self.metric == "precomputed":
            return queries[:, columns]
        distances = cdist(queries, self.keys[columns], self.metric, **self.metric_params)
        lowest = distances.min(initial=0.0)
        # Rounding takes the cosine distance of equal vectors a little below zero.
        if not (lowest >= -1e-7 and distances.max(initial=0.0) < np.inf):
            shown = lowest if not lowest >= -1e-7 else np.inf
            raise ValueError(f"metric={self.metric!r} must give finite, non-negative distances; got {shown}.")
        return np.maximum(distances, 0, out=distances)

    @cached_property
    def centre(self) -> np.ndarray:
        return self.keys[~self.absent].mean(axis=0)

    def centred(self, points: np.ndarray) -> np.ndarray:
        """Coordinates about the centre of the keys, in bandwidths. Euclidean metric only."""
        return (points - self.centre) / self._unit[1]

    @cached_property
    def radius_square(self) -> float:
        """The largest square of a centred key's length. Euclidean metric only."""
        return float(np.square(self.centred(self.keys)).sum(axis=1).max())

    def split_squares(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Squared distances as t0 + dt, of shapes (n_queries, 1) and (n_queries, n_keys).

        t0 is zero but for a query far outside the keys. There the squares would differ in their last digits only, if
        at all; dt, their differences to that of the keys' centre, loses nothing.
        """
        dt = self.squares(queries)
        t0 = np.zeros((len(queries), 1))
        if self.metric == "euclidean":
            points = self.centred(queries)
            lengths = np.square(points).sum(axis=1)
            outside = lengths > 16 * self.radius_square
            if outside.any():
                keys = self.centred(self.keys)
                t0[outside, 0] = lengths[outside]
                dt[outside] = np.square(keys).sum(axis=1) - 2 * points[outside] @ keys.T
        return t0, dt

    def hide(self, rows: np.ndarray, excluded: np.ndarray | None, fill: float) -> np.ndarray:
        """Fill, in rows of shape (n_queries, n_keys), what does not count: keys without weight, and excluded ones."""
        rows[:, self.absent] = fill
        if excluded is not None:
            rows[np.arange(len(rows)), excluded] = fill
        return rows
