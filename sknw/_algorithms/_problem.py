"""Problem: keys, values, a kernel, and the unit that makes squared distances of them.

Units end here: algorithms see u * u, the squared distance in bandwidths, and values that are weighted and centred.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from sknw._algorithms._monomials import monomials
from sknw._algorithms._tiles import batches, row_batch
from sknw._kernels import LOWEST_LOG, Kernel

# Queries are drawn in to this power of two times the extent of the keys, and bandwidths are held between its inverse
# and its square, so that squares of their quotient do not overflow. All are far beyond what a float64 tells apart: no
# answer changes.
_FARTHEST = 230

# Up to this square of the largest distance from the centre, in bandwidths, a matrix product gives squared distances to
# ten digits.
_MOST_RADIUS_SQUARE = 1e5

# Of local polynomials. A feature that varies less among the keys in reach, in units of the lesser of bandwidth and
# extent, is constant there; the rounding error of a mean square; and what it may be of a variance at most.
_LEAST_VARIANCE = 1e-10
_ROUNDING = 2.0**-51
_MOST_BLUR = 1e-12

# Weights below this, in relation to the largest of their row, are nothing to a polynomial.
_LEAST_WEIGHT = 1e-24

# Squared distances that differ by less, in relation to the least, differ by rounding: their keys are equally near.
TIED = 1e-13


_OF_VALUES = ("weight", "absent", "repetitions", "low", "high", "offset", "variances", "values")
_OF_KEYS = ("keys", "features", "exponent", "corners", "centre", "variances_of_keys", "shared")


class Sums(NamedTuple):
    """Kernel sums.

    Parameters
    ----------
    columns : ndarray of shape (n_queries, n_columns)
        ``columns * exp(log_scale)[:, None] == K(queries, keys) @ Problem.columns(values, keys - centre)``
    log_scale : ndarray of shape (n_queries,)
    centre : ndarray of shape (n_queries, n_features), or (n_queries, 0)
        What the keys are seen from by each query, for a degree above zero.
    """

    columns: np.ndarray
    log_scale: np.ndarray
    centre: np.ndarray

    @classmethod
    def empty(cls, problem: Problem, n_queries: int) -> Sums:
        """Room for sums."""
        n_features = problem.keys.shape[1] if problem.degree else 0
        return cls(np.zeros((problem.n_columns, n_queries)).T, np.zeros(n_queries), np.zeros((n_queries, n_features)))

    def fill(self, rows: np.ndarray | slice, sums: Sums) -> None:
        """Put sums of some queries into their rows."""
        for whole, part in zip(self, sums, strict=True):
            whole[rows] = part

    def part(self, rows: np.ndarray | slice) -> Sums:
        """The sums of some queries."""
        return Sums(*(item[rows] for item in self))


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
    degree : int, default=0
        Of the polynomials that sums are to fit about each query.
    ridge : float, default=0.0
        For a degree of one, what is added to the variances of keys in reach, in units of those of all keys.
    """

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray
    kernel: Kernel
    metric: str | Callable = "euclidean"
    metric_params: dict = field(default_factory=dict)
    bandwidth: float | np.ndarray = 1.0
    degree: int = 0
    ridge: float = 0.0

    def __getstate__(self):
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def at(self, bandwidth: float | np.ndarray) -> Problem:
        """The same problem at another bandwidth. What does not depend on it is not computed again."""
        other = replace(self, bandwidth=bandwidth)
        shared = list(_OF_VALUES)
        if self.metric == "euclidean" and (other.features == self.features).all():
            # The unit of `keys` depends on whether one bandwidth is given, or several.
            shared += _OF_KEYS if other._bandwidth.ndim == self._bandwidth.ndim else []
        for name in shared:
            other.__dict__[name] = getattr(self, name)
        return other

    def over_same_keys(self, **changes) -> Problem:
        """A problem with other values, another kernel or degree, whose keys and queries are in the unit of this one."""
        other = replace(self, **changes)
        for name in ("keys", "features", "exponent") if self.metric == "euclidean" else ("keys",):
            other.__dict__[name] = getattr(self, name)
        return other

    def part(self, rows: np.ndarray) -> Problem:
        """The problem of these training rows alone."""
        X = self.X[np.ix_(rows, rows)] if self.metric == "precomputed" else self.X[rows]
        return replace(self, X=X, y=self.y[rows], sample_weight=self.sample_weight[rows])

    def seen_by(self, components: np.ndarray) -> Problem:
        """The problem of keys in other coordinates, the rows of a matrix: (n_components, n_features)."""
        return replace(self, X=self.X @ components.T)

    # ---- values, which no bandwidth changes (_OF_VALUES names them)

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
        return self.sample_weight if are_repetitions(self.sample_weight) else (~self.absent).astype(float)

    @property
    def n_rows(self) -> float:
        """How many rows there are, repetitions counted."""
        return self.repetitions.sum()

    def _present(self, rows: np.ndarray) -> np.ndarray:
        """Those of rows that belong to keys that are there."""
        return rows[~self.absent] if self.absent.any() else rows

    @cached_property
    def low(self) -> np.ndarray:
        return self._present(self.y).T.min(axis=1)

    @cached_property
    def high(self) -> np.ndarray:
        return self._present(self.y).T.max(axis=1)

    @cached_property
    def offset(self) -> np.ndarray:
        """The middle of each output's range. It makes constant outputs exact, which their mean would not."""
        return self.low / 2 + self.high / 2

    @cached_property
    def variances(self) -> np.ndarray:
        """The weighted variance of each output."""
        spread = np.square(self.y - np.average(self.y, axis=0, weights=self.sample_weight))
        return np.average(spread, axis=0, weights=self.sample_weight)

    @cached_property
    def values(self) -> np.ndarray:
        """[weight * (y - offset), weight]: (n_keys, n_outputs + 1)."""
        values = np.empty((len(self.y), self.y.shape[1] + 1))
        np.subtract(self.y, self.offset, out=values[:, :-1])
        values[:, -1] = 1
        return np.multiply(values, self.weight[:, None], out=values)

    @property
    def caution(self) -> float:
        """What the share of a kernel sum that may be left out is multiplied by: keys far away may be strong levers."""
        return 1e-5 if self.degree else 1.0

    @property
    def n_columns(self) -> int:
        """How many columns sums have."""
        if self.degree == 0:
            return self.values.shape[1]
        n_features = self.keys.shape[1]
        twice = len(monomials(n_features, 2 * self.degree))
        return (self.values.shape[1] - 1) * len(monomials(n_features, self.degree)) + twice

    def columns(self, values: np.ndarray, z: np.ndarray) -> np.ndarray:
        """What is summed for each key: (n_keys, n_columns).

        For a degree of zero the values, [weight * (y - offset), weight]. Else their products with monomials of z, the
        key as seen from a centre: those of weight * (y - offset) with all up to the degree, then those of the weight
        with all up to twice the degree. The weight itself is the last column.
        """
        if self.degree == 0:
            return values
        terms = monomials(z.shape[1], 2 * self.degree)(z).T
        some = terms[:, -len(monomials(z.shape[1], self.degree)) :]
        labels = some[:, :, None] * values[:, None, :-1]
        return np.hstack([labels.reshape(len(z), -1), terms * values[:, -1:]])

    # ---- distances (_OF_KEYS names what no common factor of the bandwidths changes)

    @cached_property
    def keys(self) -> np.ndarray:
        return self.scale(self.X)

    @cached_property
    def features(self) -> np.ndarray:
        """The features that matter: those with a finite bandwidth, or all if none has."""
        finite = np.isfinite(np.broadcast_to(self.bandwidth, self.X.shape[1:]))
        return finite if finite.any() else ~finite

    @cached_property
    def exponent(self) -> np.ndarray:
        """Exponents of powers of two that are about the extent of the keys: one a bandwidth.

        Coordinates divided by a power of two keep every bit, so that a distance of exactly one bandwidth stays one.
        """
        X = self._present(self.X).T
        largest = np.maximum(X.max(axis=1), -X.min(axis=1))[self.features]
        return np.frexp(largest if np.ndim(self._bandwidth) else largest.max())[1]

    @cached_property
    def _bandwidth(self) -> np.ndarray:
        """The bandwidths of the features that matter, a single one if they are equal."""
        bandwidth = np.broadcast_to(self.bandwidth, self.X.shape[1:]).astype(float)[self.features]
        return bandwidth[0] if (bandwidth == bandwidth[0]).all() else bandwidth

    @cached_property
    def unit(self) -> np.ndarray:
        """The bandwidth of `keys`: a number, or one for each feature that matters. Euclidean metric only."""
        unit = np.ldexp(self._bandwidth, -self.exponent)
        return np.clip(unit, 2.0**-_FARTHEST, 2.0 ** (2 * _FARTHEST))

    @cached_property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest key of each feature that matters."""
        keys = self._present(self.keys).T
        return keys.min(axis=1), keys.max(axis=1)

    @property
    def extent(self) -> np.ndarray:
        """What lies between these."""
        low, high = self.corners
        return high - low

    @cached_property
    def shared(self) -> dict[str, Any]:
        """What algorithms have made of keys and values, for the next bandwidth."""
        return {}

    def scale(self, X: np.ndarray) -> np.ndarray:
        """Queries or keys as `squares` takes them, in float64."""
        X = np.array(X, dtype=np.float64, order="C")
        if self.metric != "euclidean":
            return X
        mantissa, power = np.frexp(X[:, self.features])
        power = np.where(mantissa == 0, -_FARTHEST, power - self.exponent)
        power -= np.maximum(power.max(axis=1, keepdims=True) - _FARTHEST, 0)
        return np.ldexp(mantissa, power)

    def squares(self, queries: np.ndarray, columns: slice = slice(None), out: np.ndarray | None = None) -> np.ndarray:
        """(distance / bandwidth)**2 from each query to the keys of these columns, to the last digit."""
        if self.metric == "euclidean":
            if self.unit.ndim:
                return cdist(queries, self.keys[columns], "sqeuclidean", w=self.unit**-2.0, out=out)
            t = cdist(queries, self.keys[columns], "sqeuclidean", out=out)
            return np.divide(t, self.unit**2, out=t)
        with np.errstate(over="ignore"):
            t = self.distances(queries, columns) / self.bandwidth
            return np.minimum(np.square(t, out=t), 2.0 ** (4 * _FARTHEST), out=t)

    def row_squares(self, rows: np.ndarray, shrinkage: float = 1.0) -> np.ndarray:
        """The same from training rows to all keys; in few digits, but enough for bandwidths divided by `shrinkage`."""
        product = self.metric == "euclidean" and self.kernel.squared
        if not product or self.radius_square * shrinkage**2 > _MOST_RADIUS_SQUARE:
            return self.squares(self.keys[rows])
        points, lengths = self._points
        t = points[rows] @ (-2 * points.T)
        t += lengths
        t += lengths[rows, None]
        return np.maximum(t, 0, out=t)

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
        return self._present(self.keys).mean(axis=0)

    def centred(self, points: np.ndarray) -> np.ndarray:
        """Coordinates about the centre of the keys, in bandwidths. Euclidean metric only."""
        return (points - self.centre) / self.unit

    @cached_property
    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        """The centred keys, and the squares of their lengths."""
        points = self.centred(self.keys)
        return points, np.square(points).sum(axis=1)

    @cached_property
    def radius_square(self) -> float:
        """The largest square of a centred key's length. Euclidean metric only."""
        return float(self._points[1].max())

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

    def rows(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the kernel matrix as the definition has them, zero for keys that do not count.

        excluded : ndarray of shape (n_queries,) of one key that does not count for a query, default=None

        Returns
        -------
        rows : ndarray of shape (n_queries, n_keys)
        log_scale : ndarray of shape (n_queries,)
            ``rows * exp(log_scale)[:, None] == K(queries, keys)``
        """
        log_ratio = self.kernel.log_ratio
        if log_ratio is None:
            rows = self.kernel.of_square(self.squares(queries))
            return self.hide(rows, excluded, 0.0), np.zeros(len(queries))
        t0, dt = self.split_squares(queries)
        logs = self.hide(log_ratio(t0, dt), excluded, -np.inf)
        highest = logs.max(axis=1, keepdims=True)
        highest[highest == -np.inf] = 0.0
        logs -= highest
        rows = np.exp(logs, out=np.zeros_like(logs), where=logs > LOWEST_LOG)
        return rows, (highest + log_ratio(np.zeros_like(t0), t0))[:, 0]

    def exact_sums(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> Sums:
        """Kernel sums as the definition has them."""
        return self.sums_of_rows(*self.rows(queries, excluded))

    def centre_of(self, queries: np.ndarray) -> np.ndarray:
        """What keys are to be seen from by neighbouring queries, for a degree above zero: their middle, if it is there.

        A query far outside would draw it away from all keys.
        """
        if self.degree == 0:
            return np.zeros(0)
        return np.clip(np.median(queries, axis=0), *self.corners)

    def sums_of_rows(self, rows: np.ndarray, log_scale: np.ndarray) -> Sums:
        """Sums over rows of the kernel matrix, about the weighted means of the keys: nothing cancels there."""
        if self.degree == 0:
            return Sums(rows @ self.values, log_scale, np.zeros((len(rows), 0)))
        sums, centre = np.zeros((len(rows), self.n_columns)), np.zeros((len(rows), self.keys.shape[1]))
        rows = np.where(rows > _LEAST_WEIGHT * rows.max(axis=1, keepdims=True), rows, 0)
        total = rows @ self.weight
        reached = np.flatnonzero(total > 0)
        pairs = int(np.count_nonzero(rows)) // max(len(reached), 1) + 1
        for batch in batches(len(reached), row_batch(pairs * self.n_columns)):
            some = reached[batch]
            centre[some] = (rows[some] * self.weight / total[some, None]) @ self.keys
            sums[some] = self.sums_about(centre[some], rows[some], self.keys, self.values)
        return Sums(sums, log_scale, centre)

    def sums_about(self, centre: np.ndarray, rows: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Sums over rows of the kernel matrix for these keys, about a centre for each row: (n_queries, n_columns)."""
        query, key = np.nonzero(rows)
        columns = self.columns(values[key] * rows[query, key][:, None], keys[key] - centre[query])
        pairs = csr_array((np.ones(len(query)), (query, np.arange(len(query)))), shape=(len(rows), len(query)))
        return pairs @ columns

    @cached_property
    def variances_of_keys(self) -> np.ndarray:
        """The weighted variance of each feature that matters."""
        deviations = self.keys - np.average(self.keys, axis=0, weights=self.weight)
        return np.average(np.square(deviations), axis=0, weights=self.weight)

    @cached_property
    def least_variances(self) -> np.ndarray:
        """Variances of features among keys in reach, (n_features,), below which they count as constant there."""
        least = _LEAST_VARIANCE * np.square(np.minimum(self.unit, self.extent))
        return np.maximum(least, np.finfo(float).tiny)

    def blurred(self, sums: np.ndarray, errors: np.ndarray | float = 0.0, most: float = _MOST_BLUR) -> np.ndarray:
        """Which sums, about a centre far from the keys in reach, have lost digits of how these vary: (n_queries,).

        errors : ndarray of shape (n_queries,), default=0.0
            What the means of the highest powers may be wrong by beyond their rounding.
        most : float
            What that may be of a variance, to the power of the degree.
        """
        if self.degree == 0:
            return np.zeros(len(sums), dtype=bool)
        means, products = self.moments(sums, 1)
        variances = np.maximum(products.diagonal(axis1=1, axis2=2) - np.square(means), 0)
        powers = sums[:, self._highest_powers] / np.maximum(sums[:, -1:], np.finfo(float).tiny)
        error = np.maximum(_ROUNDING * powers, np.reshape(errors, (-1, 1)))
        lost = error > most * variances**self.degree
        return (lost & (variances + error ** (1 / self.degree) > self.least_variances)).any(axis=1)

    @property
    def _highest_powers(self) -> list[int]:
        """Where among the columns of sums the weights times the highest power of each feature are."""
        highest, n_features = monomials(self.keys.shape[1], 2 * self.degree), self.keys.shape[1]
        before = self.n_columns - len(highest)
        return [before + highest.factors.index((k,) * highest.degree) for k in range(n_features)]

    def moments(self, sums: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray]:
        """Weighted means of the monomials up to a degree, and of their products: (n_queries, n), (n_queries, n, n)."""
        some, n_features = monomials(self.keys.shape[1], degree), self.keys.shape[1]
        shares = sums[:, -len(monomials(n_features, 2 * degree)) :] / np.maximum(sums[:, -1:], np.finfo(float).tiny)
        at = some.products[:-1, :-1]
        return shares[:, some.up_to(degree)], shares[:, at.ravel()].reshape(len(sums), *at.shape)

    def nearest_rows(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> np.ndarray:
        """Rows, (n_queries, n_keys), that are one for the nearest keys, ties included, and zero for all others."""
        _, dt = self.split_squares(queries)
        self.hide(dt, excluded, np.inf)
        lowest = dt.min(axis=1, keepdims=True)
        return (dt <= lowest + TIED * np.abs(lowest)).astype(float)

    def nearest_sums(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> np.ndarray:
        """Sums of the values of the nearest keys, ties included: (n_queries, n_outputs + 1)."""
        sums = np.empty((len(queries), self.values.shape[1]))
        for some in batches(len(queries), row_batch(len(self.values))):
            sums[some] = self.nearest_rows(queries[some], None if excluded is None else excluded[some]) @ self.values
        return sums

    def hide(self, rows: np.ndarray, excluded: np.ndarray | None, fill: float) -> np.ndarray:
        """Fill, in rows of shape (n_queries, n_keys), what does not count: keys without weight, and excluded ones."""
        rows[:, self.absent] = fill
        if excluded is not None:
            rows[np.arange(len(rows)), excluded] = fill
        return rows


def are_repetitions(sample_weight: np.ndarray) -> bool:
    """Whether weights count how often each row is there: if all are integers."""
    return bool((sample_weight == np.round(sample_weight)).all())
