"""Euclidean: distances of points in bandwidths, one for all features or one for each."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.spatial.distance import cdist

from sknw._accuracy import FAINT_VARIANCE
from sknw._problem._conditions import Conditions
from sknw._problem._distances._distance import Distance
from sknw._problem._distances._places import Places
from sknw._problem._rows import Rows

# Coordinates are drawn in to this power of two times the range of the keys, and bandwidths are held between its inverse
# and its square, so that squares of their quotient do not overflow. All are far beyond what a float64 tells apart: no
# answer changes.
_FARTHEST = 230

# Powers of two below this, and their inverses, are normal floats.
_LARGEST_POWER = 1000

# Up to this square of the largest distance from the centre, in bandwidths, a matrix product gives squared distances to
# ten digits.
_MAX_RADIUS_SQUARE = 1e5

# A query is far outside if the square of its distance from the middle exceeds so many times that of any key.
_FAR_OUTSIDE = 16


class Coordinates:
    """The keys as points: features with a finite bandwidth, in powers of two of about their size.

    A coordinate divided by a power of two keeps every bit, so that a distance of exactly one bandwidth stays one.

    Parameters
    ----------
    rows : Rows
    features : ndarray of shape (n_features,) of bool
    ndim : int
        1 where each feature has a power of its own, as a bandwidth; 0 where all share one.

    Attributes
    ----------
    scale_exponent : ndarray of shape (n_coordinates,), or ()
    keys : ndarray of shape (n_keys, n_coordinates)
    bounds : (ndarray of shape (n_coordinates,), ndarray of shape (n_coordinates,))
        The lowest and the highest key in the frame of the rows.
    ptp : ndarray of shape (n_coordinates,)
        What lies between these.
    """

    def __init__(self, rows: Rows, features: np.ndarray, ndim: int):
        self._rows, self.features, self._ndim = rows, features, ndim
        low, high = rows.frame.key_low[features], rows.frame.key_high[features]
        largest = np.maximum(high, -low)
        self.scale_exponent = np.frexp(largest if ndim else largest.max())[1]
        self.keys = self.transform(rows.keys)
        self.bounds = tuple(np.ldexp(edge.astype(np.float64), -self.scale_exponent) for edge in (low, high))
        self.ptp = self.bounds[1] - self.bounds[0]

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Points in these coordinates, drawn in where squares would overflow."""
        points = np.array(X, dtype=np.float64, order="C")[:, self.features]
        largest = np.frexp(np.maximum(points.max(axis=0, initial=0), -points.min(axis=0, initial=0)))[1]
        if (largest - self.scale_exponent <= _FARTHEST).all() and (np.abs(self.scale_exponent) < _LARGEST_POWER).all():
            return np.multiply(points, np.ldexp(1.0, -self.scale_exponent), out=points)
        mantissa, power = np.frexp(points)
        power = np.where(mantissa == 0, -_FARTHEST, power - self.scale_exponent)
        power -= np.maximum(power.max(axis=1, keepdims=True) - _FARTHEST, 0)
        return np.ldexp(mantissa, power)

    def serve(self, features: np.ndarray, ndim: int) -> bool:
        """Whether these are the coordinates for such features and bandwidths."""
        return self._ndim == ndim and bool((self.features == features).all())

    @cached_property
    def centre(self) -> np.ndarray:
        """The mean of the keys that have a weight, or of all if none has."""
        keys = self._rows.with_weight(self.keys)
        return (keys if len(keys) else self.keys).mean(axis=0)

    @cached_property
    def places(self) -> Places:
        """Where keys that have a weight are."""
        return Places(self.keys, ~self._rows.zero_weight)

    @cached_property
    def variances(self) -> np.ndarray:
        """The weighted variance of each coordinate."""
        weight = self._rows.relative_weight
        deviations = self.keys - np.average(self.keys, axis=0, weights=weight)
        return np.average(np.square(deviations), axis=0, weights=weight)


class Euclidean(Distance):
    """The Euclidean distance in bandwidths; a feature with an infinite bandwidth has no influence.

    Attributes
    ----------
    coordinates : Coordinates
        Shared by all bandwidths that are finite for the same features.
    n_coordinates : int
        How many features have influence: those with a finite bandwidth, or all if none has one.
    scaled_bandwidth : ndarray of shape (n_coordinates,), or ()
        The bandwidths in units of the coordinates, a single one if they are equal.
    middle : ndarray of shape (n_coordinates,)
        The middle of the range of the keys, in the frame of the rows.
    """

    has_coordinates = True
    takes_params = False

    def __init__(self, rows, bandwidth=None, metric="euclidean", metric_params=None, coordinates=None):
        self.rows, self.metric, self.metric_params = rows, metric, metric_params or {}
        self.bandwidth = self.spreads() if bandwidth is None else bandwidth
        each = np.broadcast_to(self.bandwidth, rows.keys.shape[1:]).astype(float)
        finite = np.isfinite(each)
        features = finite if finite.any() else ~finite
        each = each[features]
        scale = each[0] if (each == each[0]).all() else each
        if coordinates is None or not coordinates.serve(features, scale.ndim):
            coordinates = Coordinates(rows, features, scale.ndim)
        self.coordinates, self.keys, self.bounds = coordinates, coordinates.keys, coordinates.bounds
        self.n_coordinates = self.keys.shape[1]
        scale = np.ldexp(scale, -coordinates.scale_exponent)
        self.scaled_bandwidth = np.clip(scale, 2.0**-_FARTHEST, 2.0 ** (2 * _FARTHEST))
        # The middle of all keys, those of other blocks too, and the square of a distance from it that is far outside.
        self.middle = self.bounds[0] / 2 + self.bounds[1] / 2
        self._far = _FAR_OUTSIDE * np.square(coordinates.ptp / 2 / self.scaled_bandwidth).sum()

    def with_bandwidth(self, bandwidth):
        """The same distances in another bandwidth."""
        return Euclidean(self.rows, bandwidth, coordinates=self.coordinates)

    def transform(self, X):
        """Queries or keys as points that `squares` takes."""
        return self.coordinates.transform(X)

    def squares(self, queries, keys=slice(None), out=None):
        """(distance / bandwidth)**2 from each point to the keys of these indices, to the last digit."""
        if self.scaled_bandwidth.ndim:
            return cdist(queries, self.keys[keys], "sqeuclidean", w=self.scaled_bandwidth**-2.0, out=out)
        t = cdist(queries, self.keys[keys], "sqeuclidean", out=out)
        return np.divide(t, self.scaled_bandwidth**2, out=t)

    def squares_from_reference(self, queries):
        """Squared distances as t0 + dt, of shapes (n_queries, 1) and (n_queries, n_keys), where t0 is `reference`.

        Squared distances of a query far outside would differ in their last digits only, if at all; dt, what they have
        beyond that of the middle of all keys, loses nothing.
        """
        dt, t0 = self.squares(queries), self.reference(queries)
        outside = np.flatnonzero(t0)
        if len(outside):
            keys = (self.keys - self.middle) / self.scaled_bandwidth
            points = (queries[outside] - self.middle) / self.scaled_bandwidth
            dt[outside] = np.square(keys).sum(axis=1) - 2 * points @ keys.T
        return t0[:, None], dt

    def reference(self, queries):
        """The squared distance of each point from the middle of all keys if it is far outside, else 0: (n_queries,)."""
        lengths = np.square((queries - self.middle) / self.scaled_bandwidth).sum(axis=1)
        return np.where(lengths > self._far, lengths, 0)

    def approximate_squares(self, indices, shrinkage=1.0):
        """`squares` of keys of these indices from all keys, to ten digits for bandwidths divided by `shrinkage`."""
        if self.radius_square * shrinkage**2 > _MAX_RADIUS_SQUARE:
            return self.squares(self.keys[indices])
        points, lengths = self._points
        t = points[indices] @ (-2 * points.T)
        t += lengths
        t += lengths[indices, None]
        return np.maximum(t, 0, out=t)

    def centred(self, points):
        """Points about the centre of the keys, in bandwidths."""
        return (points - self.coordinates.centre) / self.scaled_bandwidth

    @cached_property
    def _points(self):
        """The centred keys, and the squares of their lengths."""
        points = self.centred(self.keys)
        return points, np.square(points).sum(axis=1)

    @property
    def radius_square(self):
        """The largest square of a centred key's length."""
        return float(self._points[1].max())

    def conditions(self, ridge, multiples=None):
        """Where coordinates count as constant; and the penalty of slopes, a ridge in units of their variances.

        multiples : ndarray of shape (n_queries,), default=None
            Of the bandwidth, where each query has one of its own.
        """
        ptp = self.coordinates.ptp
        bandwidth = self.scaled_bandwidth if multiples is None else self.scaled_bandwidth * multiples[:, None]
        least = FAINT_VARIANCE * np.square(np.minimum(bandwidth, ptp))
        penalty = ridge * self.coordinates.variances if ridge else 0.0
        least = np.maximum(least, np.finfo(float).tiny)
        # Keys that hardly vary in a block may vary among all.
        return Conditions(least, ptp > 0, penalty, np.zeros_like(least) if self.rows.is_block else least)

    def spreads(self):
        """The weighted standard deviation of each feature, inf for a constant one: (n_features,)."""
        rows = self.rows
        weight = rows.with_weight(rows.sample_weight / rows.sample_weight.sum())
        X = rows.with_weight(rows.keys).astype(np.float64)
        X = X - X[0]  # a large offset would leave the variance few digits
        deviations = X - weight @ X
        # Not the root itself: squares of small numbers underflow.
        scale = np.abs(deviations).max(axis=0)
        scale[np.ptp(X, axis=0) == 0] = 0
        relative = np.divide(deviations, scale, out=np.zeros_like(deviations), where=scale > 0)
        spreads = scale * np.sqrt(weight @ np.square(relative))
        return np.where(spreads > 0, spreads, np.inf)
