"""Tree: few features, in leaves of neighbouring keys, of which each query meets only those in reach.

Keys, and in each call the queries, are split at medians until few are left in a leaf. The box around a leaf of keys
tells how near they can come to a box of queries. Leaves out of the reach of a kernel that ends are passed over; for a
kernel that is positive everywhere, leaves whose total weight cannot matter.

Leaving out a share s of a query's kernel sum moves its mean by at most s times the range of the labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, vstack
from scipy.spatial.distance import cdist

from sknw._algorithms._leaves import Boxes, Leaves, split
from sknw._algorithms._problem import TIED, Problem
from sknw._algorithms._tiles import batches, map_tiles, row_batch
from sknw._kernels import LOWEST_LOG

# Keys that the cost is estimated from, and the seconds that a pair of a query and a key takes: treated like all others,
# looked at in single precision, and taken on its own.
_SAMPLE = 1024
_PAIR_COST = 3e-9
_SCREEN_COST = 8e-10
_SINGLE_COST = 3e-8

# Features beyond which boxes hold too much empty space to tell near from far.
_MOST_FEATURES = 6

# Keys in a leaf, queries in a leaf, and leaves of queries in a tile, at most.
_KEYS = 32
_QUERIES = 8
_LEAVES = 64

# Pairs of a query and a key in a piece of a tile: few enough that it stays in the cache.
_PAIRS = 2**17

# Columns of values that are better multiplied one by one.
_FEW_COLUMNS = 4

# Pairs that are summed one by one, in a batch.
_SINGLES = 2**15

# Of as many queries, one is asked for the share of pairs that are in reach. Beyond the first share all pairs are better
# treated alike; below the second it is worth while to look for those whose kernel has to be computed.
_ASKED = 16
_DENSE = 0.06
_SPARSE = 0.35

# So many queries in a tile, or fewer, are not worth a search in single precision.
_FEW = 4

# The share of a query's kernel sum that may be left out.
_DROPPED = 1e-10

# Leaves whose weight is so much smaller than that of the heaviest are not looked at more closely.
_NEGLIGIBLE = 1e-13

# The rounding error of |q|**2 + |k|**2 - 2 q.k, in relation to |q|**2 + |k|**2; and how far it may matter at most.
_ROUNDING = {np.float32: 2.0**-19, np.float64: 2.0**-49}
_TOLERANCE = {np.float32: 1e-1, np.float64: 1e-11}

# Sums of a kernel that ends, to which the rounding of a product may matter, are less than this.
_BORDERLINE = 1e-2

# A query with less weight in all is summed again, relative to its nearest key.
_HARD = 1e-30

# How often the range of squared distances is halved to find the one beyond which keys do not matter.
_HALVINGS = 8


class _Tile(NamedTuple):
    """Neighbouring queries, their rows in the result, boxes that hold them, and for each a key that does not count."""

    queries: np.ndarray
    rows: np.ndarray
    boxes: Boxes
    excluded: np.ndarray | None

    def part(self, some: np.ndarray) -> _Tile:
        """Some of the queries, each in a box of its own."""
        queries = self.queries[some]
        excluded = None if self.excluded is None else self.excluded[some]
        return _Tile(queries, self.rows[some], Boxes(queries, queries), excluded)


def _exact_squares(queries, keys, unit):
    """Squared distances in bandwidths, by the arithmetic of `Problem.squares`."""
    if unit.ndim:
        return cdist(queries, keys, "sqeuclidean", w=unit**-2.0)
    t = cdist(queries, keys, "sqeuclidean")
    return np.divide(t, unit**2, out=t)


def _pair_squares(queries, keys, unit):
    """Squared distances in bandwidths of pairs, a row each, by the arithmetic of `Problem.squares`."""
    difference = queries - keys
    squares = difference * unit**-2.0 * difference if unit.ndim else np.square(difference, out=difference)
    total = sum(squares.T[1:], squares[:, 0])
    return total if unit.ndim else total / unit**2


def _dot(weights, values):
    """Weights @ values, a column at a time: that is faster while there are few."""
    if values.shape[1] > _FEW_COLUMNS:
        return weights @ values
    return np.stack([weights @ column for column in np.ascontiguousarray(values.T)], axis=1)


@dataclass(frozen=True, eq=False)
class Tree:
    """Tiles of neighbouring queries against leaves of neighbouring keys.

    Parameters
    ----------
    problem : Problem
    """

    problem: Problem
    name = "tree"

    def __post_init__(self):
        _ = self._leaves  # preparation belongs to fit

    def __getstate__(self):
        return {"problem": self.problem}

    @staticmethod
    def refuses(problem: Problem) -> str | None:
        """Why it cannot serve this problem, or None."""
        kernel = problem.kernel
        if problem.metric != "euclidean":
            return f"it needs metric='euclidean', and the metric is {problem.metric!r}."
        n_features = np.isfinite(np.broadcast_to(problem.bandwidth, problem.X.shape[1:])).sum()
        if not 1 <= n_features <= _MOST_FEATURES:
            return f"it needs 1 to {_MOST_FEATURES} features with a finite bandwidth, and there are {n_features}."
        if kernel.log_ratio is None and kernel.support == np.inf:
            return f"it needs a kernel that ends or states its log_ratio, and {kernel.name!r} does neither."
        if kernel.log_ratio is not None and kernel.log_profile(1e100) == 0:
            return f"it needs a kernel that falls, and {kernel.name!r} does not."
        return None

    @staticmethod
    def cost(problem: Problem) -> float:
        """About how many seconds as many queries as keys take."""
        kernel, n_keys = problem.kernel, len(problem.y)
        present = np.flatnonzero(~problem.absent)
        keys = problem.scale(problem.X[present[np.linspace(0, len(present) - 1, _SAMPLE).astype(int)]])
        u = np.sqrt(_exact_squares(keys[:: _SAMPLE // 64], keys, problem.unit))
        # The radius of a ball with as many keys as a leaf, from one that holds enough of the sample to be measured.
        n_features = keys.shape[1]
        leaf = np.partition(u, 16, axis=1)[:, [16]] * (_KEYS / 16 * _SAMPLE / n_keys) ** (1 / n_features)
        near = np.maximum(u - (1 + n_features / 2) * leaf, 0)
        if kernel.log_ratio is None:
            met = near <= kernel.support
            share = np.count_nonzero(u <= kernel.support) / np.count_nonzero(met)
            pair = min(_PAIR_COST, _SCREEN_COST + _SINGLE_COST * share)
        else:
            total = 1 + kernel.of_square(np.square(u)).mean(axis=1, keepdims=True) * n_keys
            pair = (2 if kernel.squared else 3) * _PAIR_COST
            met = n_keys * kernel.of_square(np.square(near)) > _DROPPED * total
        return 3e-4 + 6e-6 * n_keys + pair * met.mean() * float(n_keys) ** 2

    def sums(
        self, queries: np.ndarray, excluded: np.ndarray | None = None, n_jobs: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Kernel sums, as the promise in the package's docstring has them."""
        sums = np.zeros((len(queries), self.problem.values.shape[1]))
        log_scale = np.zeros(len(queries))

        def tile_sums(some, tile):
            sums[some], log_scale[some] = self._tile_sums(tile)

        self._map(tile_sums, queries, excluded, n_jobs)
        return sums, log_scale

    def rows(self, queries: np.ndarray, n_jobs: int | None = None) -> tuple[csr_array, np.ndarray]:
        """Rows of the kernel matrix as `Problem.rows` has them, but sparse: without the keys that `sums` leaves out."""
        log_scale = np.zeros(len(queries))

        def tile_rows(some, tile):
            entries: list = []
            _, log_scale[some] = self._tile_sums(tile, entries)
            entries.append((np.zeros(0, int), np.zeros(0, int), np.zeros(0)))
            row, column, weight = (np.concatenate(items) for items in zip(*entries, strict=True))
            return some, csr_array((weight, (row, column)), shape=(len(some), len(self.problem.y)))

        order, blocks = zip(*self._map(tile_rows, queries, None, n_jobs), strict=True)
        return csr_array(vstack(blocks, format="csr")[np.argsort(np.concatenate(order))]), log_scale

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> np.ndarray:
        """Sums of the values of the nearest keys, ties included: (n_queries, n_outputs + 1)."""
        sums = np.zeros((len(queries), self.problem.values.shape[1]))

        def tile_sums(some, tile):
            far = self._far(tile.queries)
            for i in some[far]:
                row = self.problem.nearest_rows(queries[i : i + 1], None if excluded is None else excluded[i : i + 1])
                sums[i] = row[0] @ self.problem.values
            if not far.all():
                tile = tile.part(~far)
                lowest, leaves = self._lowest(tile)
                for places in self._pieces(tile, leaves):
                    tied = _exact_squares(tile.queries, self._leaves.keys[places], self.problem.unit) <= lowest * (
                        1 + TIED
                    )
                    self._leaves.hide(tied, places, tile.excluded, False)
                    sums[some[~far]] += tied.astype(float) @ self._leaves.values[places]

        self._map(tile_sums, queries, excluded, None)
        return sums

    @cached_property
    def _leaves(self) -> Leaves:
        return Leaves(self.problem, _KEYS)

    # ---- tiles of queries

    def _map(self, function: Callable, queries, excluded, n_jobs) -> list:
        """[function(numbers of queries, tile) for each tile]."""
        leaves, boxes = split(queries, self.problem.unit, _QUERIES)

        def of_leaves(some):
            numbers = leaves[some][leaves[some] >= 0]
            rows, own = np.arange(len(numbers)), None if excluded is None else excluded[numbers]
            return function(numbers, _Tile(queries[numbers], rows, Boxes(boxes.low[some], boxes.high[some]), own))

        return map_tiles(of_leaves, len(leaves), _LEAVES, n_jobs)

    def _tile_sums(self, tile: _Tile, entries: list | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Sums and log_scale. Rows, keys and weights of what is summed are added to the entries, if there are any."""
        kernel, log_scale = self.problem.kernel, np.zeros(len(tile.queries))
        if kernel.log_ratio is None:
            return self._near_sums(tile, entries), log_scale
        sums, hard = self._plain_sums(tile, entries)
        if hard.any():
            if entries is not None:
                entries[:] = [[item[~hard[row]] for item in (row, *others)] for row, *others in entries]
            far = self._far(tile.queries)
            for again, some in ((self._relative_sums, hard & ~far), (self._far_sums, hard & far)):
                if some.any():
                    sums[some], log_scale[some] = again(tile.part(some), entries)
        return sums, log_scale

    def _plain_sums(self, tile, entries):
        """Kernel sums, and which of them are too small to be trusted."""
        kernel, gaps = self.problem.kernel, self._leaves.gaps(tile.boxes.hull)[0]
        bound = self._leaves.weight * kernel.of_square(gaps.copy())
        some = np.flatnonzero(bound > _NEGLIGIBLE * bound.max())
        gaps[some] = self._leaves.gaps(tile.boxes, some).min(axis=0)
        bound[some] = self._leaves.weight[some] * kernel.of_square(gaps[some])
        first = np.sort(some[np.argsort(bound[some])][-1 - len(some) // 8 :])
        sums = self._single_sums(tile, first, None)
        hard = sums[:, -1] < _HARD
        if not hard.all():
            spare = _DROPPED / 3 * sums[~hard, -1].min()
            leaves = np.flatnonzero(bound > spare / len(bound))
            leaves = leaves[np.argsort(bound[leaves])]
            leaves = leaves[np.cumsum(bound[leaves]) > spare]
            single = np.cumsum(bound[leaves] * self._single_error(tile, leaves, gaps[leaves])) <= spare
            close = np.sort(leaves[~single])
            beyond = self._beyond(gaps[close], self._leaves.weight[close], spare)
            sums = self._single_sums(tile, np.sort(leaves[single]), entries)
            sums += self._dense_sums(tile, close, beyond, entries)
        return sums, hard

    def _single_error(self, tile, leaves, gaps):
        """A bound for the relative error of weights from squared distances in single precision."""
        low, high = (corner[leaves] for corner in self._leaves.boxes)
        origin = tile.boxes.middle
        reach = np.maximum(np.abs(low - origin), np.abs(high - origin)) / self.problem.unit
        radius = (tile.boxes.hull.high[0] - origin) / self.problem.unit
        rounding = _ROUNDING[np.float32] * (np.square(radius).sum() + np.square(reach).sum(axis=1))
        # A kernel of u falls faster the shorter u is: -1 times the rounding moves a root at most as far as +3 times.
        rounding *= 1 if self.problem.kernel.squared else 3
        return np.abs(self._log_ratio(gaps, rounding)) + 8 * _ROUNDING[np.float32]

    def _beyond(self, gaps, weight, spare):
        """The squared distance beyond which keys in leaves of this weight sum to less than `spare`."""

        def fits(t):
            return weight @ self.problem.kernel.of_square(np.maximum(gaps, t)) <= spare

        low, high = 0.0, 2 * gaps.max(initial=0.0)
        if not fits(high):
            return np.inf
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if fits(middle) else (middle, high)
        return high

    def _relative_sums(self, tile, entries):
        """Kernel sums relative to the kernel at the nearest key, and the logarithm of that."""
        lowest, _ = self._lowest(tile)
        lowest[lowest == np.inf] = 0
        enough = _DROPPED * self._leaves.values[:, -1].min() / len(self._leaves.weight)
        highest = self._log_ratio(lowest, self._leaves.gaps(tile.boxes) - lowest).max(axis=0)
        with np.errstate(divide="ignore"):
            leaves = np.flatnonzero(highest + np.log(self._leaves.weight) > np.log(enough))
        return self._exact_sums(tile, leaves, entries, lowest), self._log_ratio(np.zeros_like(lowest), lowest)[:, 0]

    def _far_sums(self, tile, entries):
        """Kernel sums over all keys, as the definition has them."""
        sums, log_scale = np.empty((len(tile.queries), self._leaves.values.shape[1])), np.empty(len(tile.queries))
        for some in batches(len(sums), row_batch(len(self.problem.y))):
            excluded = None if tile.excluded is None else tile.excluded[some]
            rows, log_scale[some] = self.problem.rows(tile.queries[some], excluded)
            sums[some] = rows @ self.problem.values
            if entries is not None:
                row, key = np.nonzero(rows)
                entries.append((tile.rows[some][row], key, rows[row, key]))
        return sums, log_scale

    def _lowest(self, tile: _Tile) -> tuple[np.ndarray, np.ndarray]:
        """The squared distance to the nearest key, (n_queries, 1), and the leaves that may come as near."""
        leaves = np.sort(np.argsort(self._leaves.gaps(tile.boxes.hull)[0])[:4])
        for _ in range(2):
            lowest = np.full((len(tile.queries), 1), np.inf)
            for places in self._pieces(tile, leaves):
                t = _exact_squares(tile.queries, self._leaves.keys[places], self.problem.unit)
                t = self._leaves.hide(t, places, tile.excluded, np.inf)
                np.minimum(lowest, t.min(axis=1, keepdims=True), out=lowest)
            leaves = self._leaves.within(Boxes(tile.queries, tile.queries), lowest)
        return lowest, leaves

    def _log_ratio(self, t0, dt):
        log_ratio = self.problem.kernel.log_ratio
        assert log_ratio is not None, "a kernel that ends has no use for it"
        return log_ratio(t0, dt)

    def _far(self, queries):
        """Queries so far outside the keys that squared distances differ in their last digits only."""
        return np.square(self.problem.centred(queries)).sum(axis=1) > 16 * self.problem.radius_square

    # ---- leaves of keys

    def _pieces(self, tile: _Tile, leaves: np.ndarray) -> Iterator[np.ndarray]:
        """The places of the keys in these leaves, a piece of a tile at a time."""
        places = self._leaves.places(leaves)
        for some in batches(len(places), max(1, _PAIRS // len(tile.queries))):
            yield places[some]

    def _product(self, tile, places, dtype):
        """Factors of the squared distances in bandwidths, and how much they err; or None if that may be much.

        Their coordinates are about the tile, where errors are least.
        """
        unit, origin = self.problem.unit, tile.boxes.middle
        left = ((tile.queries - origin) / unit).T
        right = self._leaves.transposed.take(places, axis=1)
        right -= origin[:, None]
        right /= unit[..., None]
        lengths = [np.square(points).sum(axis=0) for points in (left, right)]
        rounding = _ROUNDING[dtype] * (lengths[0].max() + lengths[1].max(initial=0))
        if rounding > _TOLERANCE[dtype]:
            return None
        left = np.vstack([-2 * left, lengths[0], np.ones_like(lengths[0])]).T.astype(dtype, order="C")
        return left, np.vstack([right, np.ones_like(lengths[1]), lengths[1]]).astype(dtype), rounding

    def _near_sums(self, tile, entries):
        """Sums of a kernel that ends: pairs in reach are found in single precision, and taken from differences."""
        reach = self.problem.kernel.support**2
        leaves = self._leaves.within(tile.boxes, reach)
        places = self._leaves.places(leaves)
        product = self._product(tile, places, np.float32) if len(tile.queries) > _FEW else None
        if product is None:
            return self._exact_sums(tile, leaves, entries)
        left, right, rounding = product
        asked = left[::_ASKED] @ right <= reach
        if np.count_nonzero(asked) > _DENSE * asked.size:
            return self._dense_sums(tile, leaves, np.inf, entries)
        found = [np.zeros((2, 0), int)]
        for some in batches(len(places), max(1, _PAIRS // len(left))):
            near = left @ right[:, some] <= reach + rounding
            row, column = np.divmod(np.flatnonzero(near), near.shape[1])
            found.append(np.stack([row, places[some].take(column)]))
        row, places = np.concatenate(found, axis=1)
        return self._pair_sums(tile, row, places, entries)

    def _single_sums(self, tile, leaves, entries):
        """Sums over leaves, in single precision."""
        places, sums = self._leaves.places(leaves), np.zeros((len(tile.queries), self._leaves.values.shape[1]))
        product = self._product(tile, places, np.float32)
        if product is None:
            return self._exact_sums(tile, leaves, entries)
        left, right, _ = product
        for some in batches(len(places), max(1, _PAIRS // len(left))):
            t = left @ right[:, some]
            weights = self._leaves.hide(self.problem.kernel.of_square(np.abs(t, out=t)), places[some], tile.excluded, 0)
            sums += _dot(weights, self._leaves.single_values.take(places[some], axis=0)) * self._leaves.scale
            self._record(tile, places[some], weights, entries)
        return sums

    def _pair_sums(self, tile, row, places, entries):
        """Sums over pairs of a query and a key, from differences."""
        n_queries, problem = len(tile.queries), self.problem
        sums = np.zeros((n_queries, self._leaves.values.shape[1]))
        for some in batches(len(row), _SINGLES):
            i, j = row[some], places[some]
            t = _pair_squares(tile.queries.take(i, axis=0), self._leaves.keys.take(j, axis=0), problem.unit)
            weights = problem.kernel.of_square(t)
            if tile.excluded is not None:
                weights[j == self._leaves.place[tile.excluded][i]] = 0
            values = self._leaves.values.take(j, axis=0)
            for column in range(values.shape[1]):
                sums[:, column] += np.bincount(i, weights * values[:, column], n_queries)
            if entries is not None:
                reached = weights > 0
                entries.append((tile.rows[i[reached]], self._leaves.order[j[reached]], weights[reached]))
        return sums

    def _dense_sums(self, tile, leaves, beyond, entries):
        """Sums over leaves in double precision, from products if their rounding is harmless.

        Pairs at more than the squared distance `beyond` may be left out.
        """
        kernel, places = self.problem.kernel, self._leaves.places(leaves)
        product = self._product(tile, places, np.float64) if kernel.squared and entries is None else None
        if product is None:
            return self._exact_sums(tile, leaves, entries)
        left, right, _ = product
        asked = left[::_ASKED] @ right <= beyond
        few = np.count_nonzero(asked) < _SPARSE * asked.size
        sums = np.zeros((len(left), self._leaves.values.shape[1]))
        for some in batches(len(places), max(1, _PAIRS // len(left))):
            t = left @ right[:, some]
            np.abs(t, out=t)
            if few:
                near, weights = np.flatnonzero(t <= beyond), np.zeros_like(t)
                weights.ravel()[near] = kernel.of_square(t.ravel().take(near))
            else:
                weights = kernel.of_square(t)
            self._leaves.hide(weights, places[some], tile.excluded, 0)
            sums += _dot(weights, self._leaves.values.take(places[some], axis=0))
        if kernel.log_ratio is None and (again := sums[:, -1] < _BORDERLINE).any():
            tile = tile.part(again)
            sums[again] = self._exact_sums(tile, self._leaves.within(tile.boxes, kernel.support**2), None)
        return sums

    def _exact_sums(self, tile, leaves, entries, lowest=None):
        """Sums over leaves, from differences, relative to the kernel at the squared distances `lowest`."""
        kernel, sums = self.problem.kernel, np.zeros((len(tile.queries), self._leaves.values.shape[1]))
        for places in self._pieces(tile, leaves):
            t = _exact_squares(tile.queries, self._leaves.keys.take(places, axis=0), self.problem.unit)
            if lowest is None:
                weights = self._leaves.hide(kernel.of_square(t), places, tile.excluded, 0)
            else:
                logs = self._leaves.hide(self._log_ratio(lowest, t - lowest), places, tile.excluded, -np.inf)
                weights = np.exp(logs, out=np.zeros_like(logs), where=logs > LOWEST_LOG)
            sums += _dot(weights, self._leaves.values.take(places, axis=0))
            self._record(tile, places, weights, entries)
        return sums

    def _record(self, tile, places, weights, entries):
        """Add rows, keys and weights to the entries, if there are any."""
        if entries is not None:
            row, column = np.nonzero(weights)
            entries.append((tile.rows[row], self._leaves.order[places[column]], weights[row, column]))
