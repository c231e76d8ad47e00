"""Tree: few features, in leaves of neighbouring keys, of which each query meets only those in reach.

Keys, and in each call the queries, are split at medians until few are left in a leaf. A leaf of queries is a group: it
is summed as one, over the keys that are near enough to its middle. Which leaves of keys may hold such keys is decided
by boxes, for a tile of several groups at a time.

A kernel of compact support has a reach. For a kernel that is positive everywhere, keys whose total weight cannot matter
are left out, and those that matter little are summed in single precision.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.sparse import csr_array, vstack

from sknw._accuracy import PRODUCT_BORDERLINE, TREE_FAR_KEYS, TREE_FAR_LEAVES, TREE_SINGLE, TREE_UNDERFLOW
from sknw._algorithms._boxes import exact_squares, proportions
from sknw._algorithms._protocol import Algorithm
from sknw._algorithms.tree._candidates import Candidates
from sknw._algorithms.tree._compiled_sums import CompiledSums
from sknw._algorithms.tree._exact_sums import ExactSums
from sknw._algorithms.tree._leaves import Leaves
from sknw._algorithms.tree._query_tiles import QueryTiles, Tile
from sknw._algorithms.tree._radial_bounds import RadialBounds
from sknw._compiled._readiness import is_there, is_usable, is_worth, would_be_worth
from sknw._kernels import relative_weights
from sknw._problem._definition import nearest, put_exact_sums
from sknw._problem._problem import Problem
from sknw._problem._sums import Nearest, Sums
from sknw._tiles import add_products, batches, map_tiles, row_batch

# Keys that the cost is estimated from.
_SAMPLE = 1024


class _Cost(NamedTuple):
    """The seconds that a query takes, and that each of its pairs with a key takes."""

    query: float
    pair: float


# Of kernels of compact support, and of others: squared distances from products, or from differences.
_START_COST = 5e-4
_REACH_COST = _Cost(6e-6, 3e-9)
_PRODUCT_COST = _Cost(1.2e-5, 7e-9)
_DIFFERENCE_COST = _Cost(1.2e-5, 1.2e-8)

# The share of the time of NumPy that compiled loops take: for means, lines, parabolas, of which many sums are redone.
_COMPILED_SHARES = 0.2, 0.35, 1.5

# Queries that the definition answers in less time than leaves for NumPy take to make.
_FEW_LEFT = 16

# Below this many keys it takes longer to estimate how many pairs there are than to look at all.
_FEW_KEYS = 200

# Features beyond which boxes hold too much empty space to tell near from far.
_MAX_FEATURES = 6

# Keys in a leaf, and queries in a tile, at most.
_KEYS = 8
_QUERIES = 512
# Queries in a group: few, which are near few keys. For sums of a kernel that is positive everywhere, there are more, so
# that less is left to be done between the sums, while threads wait for the interpreter's lock.
_GROUP = 32
_LARGE_GROUP = 64

# So few queries, or fewer, are summed over all keys if their kernel is positive everywhere: to find out which keys are
# near takes longer.
_FEW = 4

# The share of a kernel sum that may be summed in single precision, as far as can be guessed.
_SINGLE_SHARE = 6e-6
# The relative error of a squared distance in single precision.
_SINGLE_ROUNDING = 2.0**-23
# The relative error of a kernel and of sums in single precision, beyond what that of the distance does.
_SINGLE_ERROR = 2.0**-19

# The margin of a distance for its rounding.
_MARGIN = 1e-5


class Tree(Algorithm):
    """Tiles of neighbouring queries against leaves of neighbouring keys.

    Parameters
    ----------
    problem : Problem
    last : Tree, default=None
        One for another bandwidth of the same rows and the same proportions, which has the same leaves.
    """

    name: ClassVar[str] = "tree"

    def __init__(self, problem: Problem, last: Tree | None = None):
        self.problem, self._conditions, self._last = problem, problem.conditions, last
        # An estimate takes a millisecond or two, and is of no use without numba.
        seconds = _numpy_cost(problem) if CompiledSums.serves(problem) and is_there() else 0.0
        self._seconds_a_query = seconds / len(problem.rows)
        # What sums will need; of the other they need nothing, or little.
        _ = self._compiled_sums if _would_be_compiled(problem, seconds) else self._exact_sums
        self._last = None

    @cached_property
    def _exact_sums(self):
        if self._last is not None and "_exact_sums" in vars(self._last):
            bandwidth = self.problem.distance.scaled_bandwidth
            return ExactSums(self.problem, self._last._exact_sums.leaves.with_bandwidth(bandwidth))
        return ExactSums(self.problem, Leaves(self.problem, _KEYS))

    @cached_property
    def _compiled_sums(self):
        if self._last is not None and "_compiled_sums" in vars(self._last):
            return self._last._compiled_sums.at(self.problem)
        return CompiledSums(self.problem)

    def __getstate__(self):
        return self.problem

    def __setstate__(self, state):
        Tree.__init__(self, state)

    @staticmethod
    def refuses(problem: Problem) -> str | None:
        """Why it cannot serve this problem, or None."""
        if problem.rows.device is not None:
            return "it does not run on a device: give it NumPy arrays."
        kernel, distance = problem.kernel, problem.distance
        if not distance.has_coordinates:
            return f"it needs metric='euclidean', and the metric is {distance.metric!r}."
        # All keep their influence where none is finite.
        n_features = distance.n_coordinates if np.isfinite(distance.bandwidth).any() else 0
        if not 1 <= n_features <= _MAX_FEATURES:
            return f"it needs 1 to {_MAX_FEATURES} features with a finite bandwidth, and there are {n_features}."
        if problem.rows.zero_weight.all():
            return "it needs a sample with a positive weight, and there is none."
        if kernel.log_ratio is None and kernel.support == np.inf:
            return f"it needs a kernel that ends or states its log_ratio, and {kernel.name!r} does neither."
        if kernel.log_ratio is not None and kernel.log_profile(1e100) == 0:
            return f"it needs a kernel that falls, and {kernel.name!r} does not."
        return None

    @staticmethod
    def cost(problem: Problem) -> float:
        """About how many seconds as many queries as keys take."""
        seconds = _numpy_cost(problem)
        share = _COMPILED_SHARES[problem.basis.degree] if _would_be_compiled(problem, seconds) else 1.0
        return seconds * share

    @staticmethod
    def inner_loop(problem: Problem) -> str:
        """What as many queries as keys are summed with."""
        return "compiled" if _would_be_compiled(problem, _numpy_cost(problem)) and is_usable() else "numpy"

    def at(self, problem: Problem) -> Tree:
        """The tree for another bandwidth of the same rows, with the same leaves if its proportions are the same."""
        ours, others = self.problem.distance, problem.distance
        has_same_leaves = problem.rows is self.problem.rows and others.coordinates is ours.coordinates
        if has_same_leaves and (proportions(others.scaled_bandwidth) == proportions(ours.scaled_bandwidth)).all():
            return Tree(problem, self)
        return Tree(problem)

    def sums(self, queries: np.ndarray, excluded: np.ndarray | None = None, n_jobs: int | None = None) -> Sums:
        """Kernel sums, without the kernel matrix, with exact zeros where no key is in reach."""
        if len(queries) and self._takes_compiled(len(queries)):
            sums, redo = self._compiled_sums.sums(queries, excluded, n_jobs)
            rest = np.flatnonzero(redo)
            if _are_few(rest, self):
                put_exact_sums(self.problem, sums, rest, queries, excluded)
                return sums
        else:
            sums, rest = self.problem.empty_sums(len(queries)), np.arange(len(queries))
        if len(rest):
            left_out = None if excluded is None else excluded[rest]
            size = _group_size(self.problem.kernel)
            self._map(
                lambda some, tile: sums.put(rest[some], self._tile_sums(tile)), queries[rest], left_out, n_jobs, size
            )
        return sums

    def kernel_rows(self, queries: np.ndarray, n_jobs: int | None = None) -> tuple[csr_array, np.ndarray]:
        """Rows of the kernel matrix, sparse, (n_queries, n_keys), in units of the exponential of the second result.

        Without the keys that `sums` leaves out.
        """
        log_scale = np.zeros(len(queries))

        def tile_rows(indices, tile):
            entries: list = []
            log_scale[indices] = self._tile_sums(tile, entries).log_scale
            entries.append((np.zeros(0, int), np.zeros(0, int), np.zeros(0)))
            row, column, weight = (np.concatenate(items) for items in zip(*entries, strict=True))
            return indices, csr_array((weight, (row, column)), shape=(len(indices), len(self.problem.rows)))

        order, blocks = zip(*self._map(tile_rows, queries, None, n_jobs), strict=True)
        return csr_array(vstack(blocks, format="csr")[np.argsort(np.concatenate(order))]), log_scale

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> Nearest:
        """The nearest keys, ties included."""
        squares, values = np.empty(len(queries)), np.empty((len(queries), self.problem.rows.values.shape[1]))
        rest = np.arange(len(queries))
        if self._takes_compiled(0):
            far = self.problem.distance.reference(queries) > 0
            near, rest = np.flatnonzero(~far), np.flatnonzero(far)
            left_out = None if excluded is None else excluded[near]
            squares[near], values[near] = self._compiled_sums.nearest(queries[near], left_out)
            if _are_few(rest, self):
                left_out = None if excluded is None else excluded[rest]
                squares[rest], values[rest] = nearest(self.problem, queries[rest], left_out)
                rest = rest[:0]

        def put_tile(indices, tile):
            for group in tile.groups():
                rows = rest[indices[group.positions]]
                squares[rows], values[rows] = self._exact_sums.nearest(group)

        if len(rest):
            self._map(put_tile, queries[rest], None if excluded is None else excluded[rest], None)
        return Nearest(squares, values)

    def _takes_compiled(self, n_queries):
        """Whether compiled loops are to do the work that comes now."""
        seconds = self._seconds_a_query * n_queries
        return CompiledSums.serves(self.problem) and is_worth(_function(self.problem), seconds)

    def _map(self, function: Callable, queries, excluded, n_jobs, size=_GROUP) -> list:
        """[function(indices of queries, tile) for each tile]."""
        tiles = QueryTiles(queries, excluded, self.problem.distance.scaled_bandwidth, size)
        return map_tiles(lambda groups: function(*tiles.tile(groups)), len(tiles), _QUERIES // size, n_jobs)

    def _tile_sums(self, tile: Tile, entries: list | None = None) -> Sums:
        """Sums of a tile. Positions, keys and weights of what is summed are added to the entries, if there are any."""
        problem, queries, log_ratio = self.problem, tile.queries, self.problem.kernel.log_ratio
        sums = problem.empty_sums(len(queries.points))
        point = problem.basis.expansion_point(queries.points, problem.distance.coordinates.bounds)
        sums.expansion_point[:] = point
        if log_ratio is None:
            sums.values[:] = self._compact_sums(tile, point, entries)
            redo = np.zeros(len(queries.points), dtype=bool)
        else:
            few = len(queries.points) <= _FEW and entries is None and not len(point)
            sums.values[:] = self._sums_of_few(queries) if few else self._plain_sums(tile, point, entries)
            redo = sums.values[:, -1] < TREE_UNDERFLOW
            reference = problem.distance.reference(queries.points)
            if reference.any():
                sums.log_scale[:] = -log_ratio(np.zeros_like(reference), reference)
        redo |= problem.basis.ill_conditioned(sums, self._conditions)
        if redo.any():
            if entries is not None:
                entries[:] = [[item[~redo[position]] for item in (position, *rest)] for position, *rest in entries]
            for group in tile.groups():
                positions = group.positions[redo[group.positions]]
                if len(positions):
                    sums.put(positions, self._exact_sums.sums(queries.take(positions), entries))
        return sums

    def _compact_sums(self, tile, point, entries):
        """Sums of a kernel of compact support."""
        kernel, queries = self.problem.kernel, tile.queries
        sums = np.zeros((len(queries.points), self.problem.n_values))
        leaves = self._exact_sums.leaves.within(queries.boxes, kernel.support**2)
        if not len(leaves):
            return sums
        candidates = Candidates(self.problem, self._exact_sums.leaves, leaves, queries, point)
        reach = np.square((kernel.support + tile.radii) * (1 + _MARGIN))
        exact = not kernel.squared or entries is not None
        for group, near in zip(tile.groups(), (candidates.squares(tile.middles) <= reach).T, strict=True):
            keys = np.flatnonzero(near)
            group_sums = candidates.sums(group, keys, entries)
            if not exact and (redo := group_sums[:, -1] < PRODUCT_BORDERLINE).any():
                group_sums[redo] = candidates.sums(group.take(redo), keys, exact=True)
            sums[group.positions] = group_sums
        return sums

    def _sums_of_few(self, queries):
        """Sums over all keys of a kernel that is positive everywhere, where no key is seen from an expansion point."""
        leaves, bandwidth = self._exact_sums.leaves, self.problem.distance.scaled_bandwidth
        sums = np.zeros((len(queries.points), self.problem.n_values))
        for some in batches(len(leaves.keys), row_batch(len(sums))):
            weights = self.problem.kernel.of_square(exact_squares(queries.points, leaves.keys[some], bandwidth))
            leaves.exclude(weights, np.arange(some.start, some.stop), queries.excluded, 0)
            add_products(sums, weights, leaves.columns[:, some].T)
        return sums

    def _plain_sums(self, tile, point, entries):
        """Sums of a kernel that is positive everywhere, zero where they are too small to be trusted.

        Leaves that are likely to matter little are summed in single precision, and again in double where that is found
        to be too little. What is left out is certain not to matter.
        """
        problem, leaves, queries, groups = self.problem, self._exact_sums.leaves, tile.queries, list(tile.groups())
        reach, middles = _reach(problem, leaves, tile)
        near = np.flatnonzero((middles <= reach[:, None] + tile.radii[:, None] + leaves.radii).any(axis=0))
        gaps, middles = leaves.gaps(queries.boxes, near), middles[:, near]
        reach = np.minimum(reach, (middles + leaves.radii[near]).max(axis=1) + tile.radii)
        bounds = RadialBounds(problem.kernel, gaps, middles, leaves.weight[near], reach)
        candidates = Candidates(problem, leaves, near, queries, point)

        def group_sums(chosen, single=False):
            parts = zip(groups, chosen, strict=True)
            return np.concatenate(
                [candidates.sums(group, candidates.of_leaves(some), entries, single=single) for group, some in parts]
            )

        close = gaps <= bounds.likely_cutoffs(_SINGLE_SHARE)[:, None]
        sums = group_sums(close)
        underflow = sums[:, -1] < TREE_UNDERFLOW
        least = np.minimum.reduceat(np.where(underflow, np.inf, sums[:, -1]), tile.starts)
        further = bounds.matter(TREE_FAR_KEYS * problem.basis.tail_factor * least) & ~close
        single = entries is None and not len(point)
        more = group_sums(further, single)
        sums += more
        if single:
            errors = _single_error(problem.kernel, bounds.reach).repeat([len(group.points) for group in groups])
            redo = (errors * more[:, -1] > TREE_SINGLE * sums[:, -1]) & ~underflow
            for k in np.flatnonzero(np.logical_or.reduceat(redo, tile.starts)):
                group = groups[k].take(redo[groups[k].positions])
                sums[group.positions] = candidates.sums(group, candidates.of_leaves(close[k] | further[k]))
        sums[underflow] = 0
        return sums


def _are_few(rest, tree):
    """Whether compiled loops leave so few queries that leaves for NumPy, if there are none yet, take longer."""
    return len(rest) <= _FEW_LEFT and "_exact_sums" not in vars(tree)


def _group_size(kernel):
    return _GROUP if kernel.log_ratio is None else _LARGE_GROUP


def _reach(problem, leaves, tile):
    """Distances beyond which no key matters to a group, and those between the middles of groups and leaves."""
    middles = np.sqrt(leaves.between_middles(tile.queries.boxes))
    counted = leaves.weight if tile.queries.excluded is None else leaves.weight - leaves.heaviest
    # Each query of a group has the keys of a leaf within this distance, which makes its sum at least so large.
    within = middles + leaves.radii + tile.radii[:, None]
    closest = np.where(counted > 0, within, np.inf).min(axis=1, keepdims=True)
    closest[closest == np.inf] = 0
    least = relative_weights(problem.kernel, np.square(closest), np.square(within) - np.square(closest)) @ counted
    with np.errstate(divide="ignore"):
        drop = np.log(leaves.weight.sum() / (TREE_FAR_LEAVES * problem.basis.tail_factor) / least)
    closest = closest[:, 0]
    return closest + problem.kernel.step(closest, drop), middles


def _single_error(kernel, u):
    """The relative error of a weight in single precision, at a distance of up to u, and of sums."""
    return np.abs(kernel.log_ratio(u**2, -_SINGLE_ROUNDING * u**2)) + _SINGLE_ERROR


def _numpy_cost(problem):
    """About how many seconds NumPy takes for as many queries as keys."""
    kernel, distance, n_keys = problem.kernel, problem.distance, len(problem.rows)
    if n_keys < _FEW_KEYS:
        return _START_COST + _REACH_COST.query * n_keys
    with_weight = np.flatnonzero(~problem.rows.zero_weight)
    keys = distance.keys[with_weight[np.linspace(0, len(with_weight) - 1, _SAMPLE).astype(int)]]
    u = np.sqrt(exact_squares(keys[:: _SAMPLE // 64], keys, distance.scaled_bandwidth))
    # The radius of a ball with as many keys as a group has queries, from one that holds enough of the sample.
    n_features = keys.shape[1]
    group = np.partition(u, 16, axis=1)[:, [16]] * (_GROUP / 16 * _SAMPLE / n_keys) ** (1 / n_features)
    near = np.maximum(u - (1 + n_features / 8) * group, 0)
    if kernel.log_ratio is None:
        met, cost = near <= kernel.support, _REACH_COST
    else:
        total = 1 + kernel.of_square(np.square(u)).mean(axis=1, keepdims=True) * n_keys
        met = n_keys * kernel.of_square(np.square(near)) > TREE_FAR_KEYS * total
        cost = _PRODUCT_COST if kernel.squared else _DIFFERENCE_COST
    return _START_COST + cost.query * n_keys + cost.pair * met.mean() * float(n_keys) ** 2


def _function(problem):
    """What is compiled for itself."""
    return "tree", problem.distance.n_coordinates


def _would_be_compiled(problem, seconds):
    """Whether compiled loops would do work for which NumPy takes so many seconds."""
    return CompiledSums.serves(problem) and would_be_worth(_function(problem), seconds)
