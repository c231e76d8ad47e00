"""Tree: few features, in leaves of neighbouring keys, of which each query meets only those in reach.

Keys, and in each call the queries, are split at medians until few are left in a leaf. A leaf of queries is a group: it
is summed as one, over the keys that are near enough to its middle. Which leaves of keys may hold such keys is decided
by boxes, for a tile of several groups at a time.

A kernel that ends has a reach. For a kernel that is positive everywhere, keys whose total weight cannot matter are left
out, and those that matter little are summed in single precision. Leaving out a share s of a query's kernel sum moves
its mean by at most s times the range of the labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, vstack

from sknw._algorithms._groups import Groups, Tile
from sknw._algorithms._leaves import Leaves, exact_squares
from sknw._algorithms._neighbours import Neighbours
from sknw._algorithms._outliers import Outliers
from sknw._algorithms._problem import Problem, Sums
from sknw._algorithms._shells import Shells
from sknw._algorithms._tiles import map_tiles
from sknw._kernels import LOWEST_LOG

# Keys that the cost is estimated from.
_SAMPLE = 1024


class _Cost(NamedTuple):
    """The seconds that a query takes, and that each of its pairs with a key takes."""

    query: float
    pair: float


# Of kernels that end, and of others: squared distances from products, or from differences.
_REACH_COST = _Cost(6e-6, 3e-9)
_PRODUCT_COST = _Cost(1.2e-5, 7e-9)
_DIFFERENCE_COST = _Cost(1.2e-5, 1.2e-8)

# Features beyond which boxes hold too much empty space to tell near from far.
_MOST_FEATURES = 6

# Keys in a leaf, queries in a leaf, which is a group, and groups in a tile, at most.
_KEYS = 8
_QUERIES = 32
_GROUPS = 16

# The share of a query's kernel sum that may be left out with leaves far from a tile, then with keys far from a group,
# and lost to single precision.
_PASSED_OVER = 1e-11
_DROPPED = 4e-11
_LOST = 5e-11

# The share that is to be summed in single precision, as far as can be guessed; the last digit of that, to which squared
# distances are rounded, and the error of a kernel and of sums.
_SHARE = 2e-6
_LAST_DIGIT = 2.0**-23
_SINGLE_ERROR = 2.0**-19

# Sums of a kernel that ends, to which the rounding of a product may matter, are less than this.
_BORDERLINE = 1e-2

# A query with less weight in all is summed again, relative to its nearest key.
_HARD = 1e-30

# The margin of a distance for its rounding.
_MARGIN = 1e-5


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
        u = np.sqrt(exact_squares(keys[:: _SAMPLE // 64], keys, problem.unit))
        # The radius of a ball with as many keys as a group has queries, from one that holds enough of the sample.
        n_features = keys.shape[1]
        group = np.partition(u, 16, axis=1)[:, [16]] * (_QUERIES / 16 * _SAMPLE / n_keys) ** (1 / n_features)
        near = np.maximum(u - (1 + n_features / 8) * group, 0)
        if kernel.log_ratio is None:
            met, cost = near <= kernel.support, _REACH_COST
        else:
            total = 1 + kernel.of_square(np.square(u)).mean(axis=1, keepdims=True) * n_keys
            met = n_keys * kernel.of_square(np.square(near)) > _DROPPED * total
            cost = _PRODUCT_COST if kernel.squared else _DIFFERENCE_COST
        return 5e-4 + cost.query * n_keys + cost.pair * met.mean() * float(n_keys) ** 2

    def sums(self, queries: np.ndarray, excluded: np.ndarray | None = None, n_jobs: int | None = None) -> Sums:
        """Kernel sums."""
        sums = Sums.empty(self.problem, len(queries))
        self._map(lambda some, tile: sums.fill(some, self._tile_sums(tile)), queries, excluded, n_jobs)
        return sums

    def rows(self, queries: np.ndarray, n_jobs: int | None = None) -> tuple[csr_array, np.ndarray]:
        """Rows of the kernel matrix as `Problem.rows` has them, but sparse: without the keys that `sums` leaves out."""
        log_scale = np.zeros(len(queries))

        def tile_rows(some, tile):
            entries: list = []
            log_scale[some] = self._tile_sums(tile, entries).log_scale
            entries.append((np.zeros(0, int), np.zeros(0, int), np.zeros(0)))
            row, column, weight = (np.concatenate(items) for items in zip(*entries, strict=True))
            return some, csr_array((weight, (row, column)), shape=(len(some), len(self.problem.y)))

        order, blocks = zip(*self._map(tile_rows, queries, None, n_jobs), strict=True)
        return csr_array(vstack(blocks, format="csr")[np.argsort(np.concatenate(order))]), log_scale

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> np.ndarray:
        """Sums of the values of the nearest keys, ties included: (n_queries, n_outputs + 1)."""
        sums = np.zeros((len(queries), self.problem.values.shape[1]))

        def tile_sums(some, tile):
            for group in tile.groups():
                sums[some[group.rows]] = self._outliers.nearest(group)

        self._map(tile_sums, queries, excluded, None)
        return sums

    @cached_property
    def _leaves(self) -> Leaves:
        return Leaves(self.problem, _KEYS)

    @cached_property
    def _outliers(self) -> Outliers:
        return Outliers(self.problem, self._leaves)

    def _map(self, function: Callable, queries, excluded, n_jobs) -> list:
        """[function(numbers of queries, tile) for each tile]."""
        groups = Groups(queries, excluded, self.problem.unit, _QUERIES)
        return map_tiles(lambda some: function(*groups.tile(some)), len(groups), _GROUPS, n_jobs)

    def _tile_sums(self, tile: Tile, entries: list | None = None) -> Sums:
        """Sums. Rows, keys and weights of what is summed are added to the entries, if there are any."""
        queries, ends = tile.queries, self.problem.kernel.log_ratio is None
        sums = Sums.empty(self.problem, len(queries.points))
        sums.centre[:] = self.problem.centre_of(queries.points)
        sums.columns[:] = (self._sums_in_reach if ends else self._plain_sums)(tile, entries)
        hard = self.problem.blurred(sums.columns)
        if not ends:
            hard |= sums.columns[:, -1] < _HARD
        if hard.any():
            if entries is not None:
                entries[:] = [[item[~hard[row]] for item in (row, *others)] for row, *others in entries]
            for group in tile.groups():
                some = group.rows[hard[group.rows]]
                if len(some):
                    sums.fill(some, self._outliers.sums(queries.part(some), entries))
        return sums

    def _sums_in_reach(self, tile, entries):
        """Sums of a kernel that ends."""
        kernel, queries = self.problem.kernel, tile.queries
        sums = np.zeros((len(queries.points), self.problem.n_columns))
        leaves = self._leaves.within(queries.boxes, kernel.support**2)
        if not len(leaves):
            return sums
        neighbours = Neighbours(self.problem, self._leaves, leaves, queries)
        t = neighbours.squares(tile.middles)(np.arange(len(neighbours)))
        reach = np.square((kernel.support + tile.radii) * (1 + _MARGIN))
        exact = not kernel.squared or entries is not None
        for group, near in zip(tile.groups(), (t <= reach).T, strict=True):
            at = np.flatnonzero(near)
            part, _ = neighbours.sums(group, at, np.inf, entries)
            if not exact and (again := part[:, -1] < _BORDERLINE).any():
                part[again], _ = neighbours.sums(group.part(again), at, np.inf, exact=True)
            sums[group.rows] = part
        return sums

    def _plain_sums(self, tile, entries):
        """Sums of a kernel that is positive everywhere, zero where they are too small to be trusted."""
        leaves, queries = self._leaves, tile.queries
        reach, middles = self._reach(tile)
        near = np.flatnonzero((middles <= reach[:, None] + tile.radii[:, None] + leaves.radii).any(axis=0))
        gaps = leaves.gaps(queries.boxes, near)
        neighbours = Neighbours(self.problem, leaves, near, queries)
        sums = np.zeros((len(queries.points), self.problem.n_columns))
        top = np.minimum(reach, (middles[:, near] + leaves.radii[near]).max(axis=1) + tile.radii)
        for group, gap, middle, most in zip(tile.groups(), gaps, middles[:, near], top, strict=True):
            shells = Shells(self.problem.kernel, gap, middle, leaves.weight[near], most)
            sums[group.rows] = self._group_sums(neighbours, group, shells, entries)
        return sums

    def _reach(self, tile):
        """Distances beyond which no key matters to a group, and those between the middles of groups and leaves."""
        leaves = self._leaves
        middles = np.sqrt(leaves.between_middles(tile.queries.boxes))
        counted = leaves.weight if tile.queries.excluded is None else leaves.weight - leaves.heaviest
        # Each query of a group has the keys of a leaf within this distance, which makes its sum at least so large.
        within = middles + leaves.radii + tile.radii[:, None]
        closest = np.where(counted > 0, within, np.inf).min(axis=1)
        closest[closest == np.inf] = 0
        logs = self._log_ratio(closest[:, None] ** 2, np.square(within) - closest[:, None] ** 2)
        least = np.exp(np.clip(logs, LOWEST_LOG, 0)) @ counted
        with np.errstate(divide="ignore"):
            drop = np.log(leaves.weight.sum() / (_PASSED_OVER * self.problem.caution) / least)
        return closest + self.problem.kernel.step(closest, drop), middles

    def _group_sums(self, neighbours, group, shells, entries):
        """The same for a group.

        Pairs that are likely to matter little are summed in single precision, and again in double where that is found
        to be too little. What is left out is certain not to matter.
        """
        cut = shells.likely(_SHARE)
        near = shells.gaps <= cut
        sums, single = neighbours.sums(group, neighbours.of_leaves(near), cut, entries)
        hard = sums[:, -1] < _HARD
        if not hard.all():
            far = shells.matter(_DROPPED * self.problem.caution * sums[~hard, -1].min()) & ~near
            more, more_single = neighbours.sums(group, neighbours.of_leaves(far), -1.0, entries)
            sums += more
            single += more_single
            error = np.abs(self._log_ratio(shells.top**2, -_LAST_DIGIT * shells.top**2)) + _SINGLE_ERROR
            again = np.flatnonzero((single * error > _LOST * sums[:, -1]) & ~hard)
            if len(again):
                sums[again], _ = neighbours.sums(group.part(again), neighbours.of_leaves(near | far), np.inf)
        sums[hard] = 0
        return sums

    def _log_ratio(self, t0, dt):
        log_ratio = self.problem.kernel.log_ratio
        assert log_ratio is not None, "a kernel that ends has no use for it"
        return log_ratio(t0, dt)
