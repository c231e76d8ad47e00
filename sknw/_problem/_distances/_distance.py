"""Distance: what algorithms ask of the distances between queries and keys; a metric overrides what it knows better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from sknw._problem._conditions import Conditions
from sknw._problem._rows import Rows
from sknw._tiles import batches, row_batch

# The largest distance in bandwidths: far beyond what a float64 tells apart, and its square does not overflow.
_FARTHEST = 2.0**460


class Distance:
    """Distances in bandwidths, from queries to the keys of some rows.

    A metric of its own is a subclass with `distances`, and one line in `DISTANCES`.

    Parameters
    ----------
    rows : Rows
    bandwidth : float or ndarray of shape (n_features,), default=None
        None stands for `spreads()`.
    metric : str or callable
    metric_params : dict, default=None

    Attributes
    ----------
    keys : ndarray of shape (n_keys, n_coordinates)
        As `transform` turns them to points.
    n_coordinates : int
        How many coordinates have influence; zero where there are none.
    has_coordinates : bool
        Whether distances are those of points whose coordinates may be scaled, seen from another point and put in boxes.
    required_params : dict
        For names of metrics, the parameter that they cannot do without.
    """

    has_coordinates: ClassVar[bool] = False
    required_params: ClassVar[dict[str, str]] = {}
    takes_params: ClassVar[bool] = True
    #: Whether X holds distances, from queries to all keys.
    pairwise: ClassVar[bool] = False
    #: Pairs of keys whose distances a search keeps, 32 megabytes; of more, they are computed again in each pass.
    max_kept_pairs: ClassVar[int] = 2**22

    keys: np.ndarray
    #: What a distance with coordinates has beside: see `Euclidean`.
    coordinates: Any
    scaled_bandwidth: np.ndarray
    middle: np.ndarray
    n_coordinates: int = 0
    #: The lowest and the highest key in each coordinate, in the frame of the rows.
    bounds: tuple[np.ndarray, np.ndarray] = (np.zeros(0), np.zeros(0))

    def __init__(
        self,
        rows: Rows,
        bandwidth: float | np.ndarray | None = None,
        metric: str | Callable = "",
        metric_params: dict[str, Any] | None = None,
    ):
        self.rows, self.metric, self.metric_params = rows, metric, metric_params or {}
        self.bandwidth, self.keys = 1.0 if bandwidth is None else bandwidth, self.transform(rows.keys)
        if bandwidth is None:
            self.bandwidth = self.spreads()

    def __getstate__(self):
        return self.rows, self.bandwidth, self.metric, self.metric_params

    def __setstate__(self, state):
        type(self).__init__(self, *state)

    def with_bandwidth(self, bandwidth: float | np.ndarray) -> Self:
        """The same distances in another bandwidth."""
        return type(self)(self.rows, bandwidth, self.metric, self.metric_params)

    def take(self, rows: Rows, indices: np.ndarray) -> Self:
        """Distances to the keys of these rows, which have these indices here."""
        return type(self)(rows, self.bandwidth, self.metric, self.metric_params)

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Queries or keys as points that `squares` takes, in float64."""
        return np.array(X, dtype=np.float64, order="C")

    def distances(self, queries: np.ndarray, keys: slice | np.ndarray) -> np.ndarray:
        """Distances, without a bandwidth, from points to the keys of these indices: (n_queries, n_keys)."""
        raise NotImplementedError

    def squares(self, queries: np.ndarray, keys: slice | np.ndarray = slice(None), out: np.ndarray | None = None):
        """(distance / bandwidth)**2 from each point to the keys of these indices, to the last digit."""
        return self._in_bandwidths(self.distances(queries, keys))

    def _in_bandwidths(self, distances):
        with np.errstate(over="ignore"):
            t = distances / self.bandwidth
            return np.minimum(np.square(t, out=t), _FARTHEST**2, out=t)

    def squares_of_keys(self, indices: slice | np.ndarray) -> np.ndarray:
        """`squares` of keys of these indices from all keys."""
        return self.squares(self.keys[indices])

    def squares_from_reference(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Squared distances as t0 + dt, of shapes (n_queries, 1) and (n_queries, n_keys), where t0 is `reference`."""
        dt = self.squares(queries)
        return np.zeros((len(dt), 1)), dt

    def reference(self, queries: np.ndarray) -> np.ndarray:
        """A squared distance for each point that those to keys are told from, if it is far outside: (n_queries,).

        Zero for all others. It depends on the frame of the rows only, so that it is the same for all blocks of them.
        """
        return np.zeros(len(queries))

    def approximate_squares(self, indices: np.ndarray, shrinkage: float = 1.0) -> np.ndarray:
        """`squares` of keys of these indices from all keys, to ten digits for bandwidths divided by `shrinkage`."""
        return self.squares_of_keys(indices)

    def spreads(self) -> float | np.ndarray:
        """What bandwidths are multiples of: the root of half the mean squared distance of two samples.

        For one feature and the Euclidean metric that is the standard deviation. inf if all samples are in one place.
        It is asked for at a bandwidth of one.
        """
        weight, mean = self.rows.sample_weight / self.rows.sample_weight.sum(), 0.0
        for batch in batches(len(weight), row_batch(len(weight))):
            mean += weight[batch] @ self.squares_of_keys(batch) @ weight
        return float(np.sqrt(mean / 2)) or np.inf

    def centred(self, points: np.ndarray) -> np.ndarray:
        """Points about the centre of the keys, in bandwidths, for a distance that has coordinates."""
        raise NotImplementedError(f"metric={self.metric!r} has no coordinates.")

    @property
    def radius_square(self) -> float:
        """The largest square of a centred key's length, for a distance that has coordinates."""
        raise NotImplementedError(f"metric={self.metric!r} has no coordinates.")

    def conditions(self, ridge: float, multiples: np.ndarray | None = None) -> Conditions:
        """Where coordinates count as constant; and the penalty of slopes, a ridge in units of their variances.

        multiples : ndarray of shape (n_queries,), default=None
            Of the bandwidth, where each query has one of its own.
        """
        return Conditions(np.zeros(0), np.zeros(0, dtype=bool), 0.0, np.zeros(0))
