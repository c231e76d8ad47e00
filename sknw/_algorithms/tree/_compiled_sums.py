"""Compiled sums: leaves of keys as loops that numba compiled take them, and the sums and nearest keys from these.

Distances come from differences, to the last digit but one. Queries for which that is not enough, for they are far
outside all keys, or keys are at the edge of what a kernel reaches, are told, and left to the caller.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._accuracy import TIED, TREE_FAR_KEYS, TREE_SINGLE, TREE_UNDERFLOW
from sknw._algorithms._boxes import proportions
from sknw._compiled._kinds import KINDS, kind_of
from sknw._problem._monomials import monomials
from sknw._problem._problem import Problem
from sknw._problem._sums import Nearest, Sums
from sknw._tiles import even_size, map_tiles

_GAUSSIAN, _EPANECHNIKOV = KINDS["gaussian"], KINDS["epanechnikov"]

# Groups of queries in a tile, which one thread works on, at least.
_GROUPS = 25

# Sums of a kernel that ends are told if they are below this and a key's squared distance is about one by so much: its
# weight, and whether it has one, is decided by rounding. Those of a kernel that jumps are told whatever they are.
_BORDERLINE, _NEAR_EDGE, _NEAR_JUMP = 1e-2, 1e-4, 1e-12

# Sums are in units of the kernel at a near key if its squared distance exceeds this. No key is nearer by as much again.
_NEAR = 64.0


class _Leaves(NamedTuple):
    """Keys in leaves, as `fill_sums` takes them.

    Parameters
    ----------
    place : ndarray of shape (n_keys,)
        Where each key is, -1 for one without weight.
    """

    keys: np.ndarray
    values: np.ndarray
    boxes: np.ndarray
    blocks: np.ndarray
    weight: np.ndarray
    moments: np.ndarray
    place: np.ndarray


class CompiledSums:
    """Kernel sums and nearest keys in compiled loops.

    Parameters
    ----------
    problem : Problem
        One that it `serves`.
    leaves : _Leaves, default=None
        Those of its keys, if they are known.
    """

    def __init__(self, problem: Problem, leaves: _Leaves | None = None):
        self._problem, kernel, basis = problem, problem.kernel, problem.basis
        n_features = problem.distance.n_coordinates
        self._leaves = _leaves(problem) if leaves is None else leaves
        # The squares of differences are multiplied by floats, not by integers: there one factor serves all.
        scale = np.broadcast_to(problem.distance.scaled_bandwidth**-2.0, n_features).tolist()
        self._scale: tuple = tuple(scale)
        self._factor = 1.0
        if len(set(scale)) == 1:
            self._scale, self._factor = (1,) * n_features, scale[0]
        self._far, self._drop = 0.0, 0.0
        if kernel.log_ratio is not None:
            weight = problem.rows.values[~problem.rows.zero_weight, -1]
            self._far = TREE_FAR_KEYS * basis.tail_factor
            self._drop = float(np.log(weight.sum() / weight.min() / self._far))
        # Between keys and queries that are not far outside.
        self._farthest = 25 * (np.square(problem.distance.coordinates.ptp / 2) * self._scale).sum()
        n_outputs = problem.rows.targets.shape[1]
        self._columns = _columns(n_features, basis.degree, n_outputs)
        # The two kernels used most have loops of their own for the sums of one target.
        self._plain = kind_of(kernel) if basis.degree == 0 and n_outputs == 1 else None
        if self._plain == _GAUSSIAN:
            self._seen = _seen(self._leaves, self._scale, self._factor)
            self._rough = TREE_SINGLE if _fit_single(*self._seen[1]) else 0.0

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether there are such loops for a problem that the tree does not refuse."""
        return kind_of(problem.kernel) is not None

    def at(self, problem: Problem) -> CompiledSums:
        """Those for another bandwidth of the same proportions."""
        return CompiledSums(problem, self._leaves)

    def sums(self, queries: np.ndarray, excluded: np.ndarray | None, n_jobs: int | None) -> tuple[Sums, np.ndarray]:
        """Kernel sums, and for which queries they are not to be trusted: (n_queries,)."""
        from sknw._compiled._tree_groups import QUERIES
        from sknw._compiled._tree_split import split

        distance = self._problem.distance
        sums = self._problem.empty_sums(len(queries))
        redo = distance.reference(queries) > 0
        near = np.flatnonzero(~redo)
        points = queries[near]
        order = near[split(points, _units(distance), QUERIES)]
        left_out = self._places(excluded, order)

        def put_tile(tile):
            some, redo[order[tile]] = self._tile_sums(points[tile], left_out[tile])
            sums.put(order[tile], some)

        n_groups = even_size(-(-len(points) // QUERIES), _GROUPS)
        map_tiles(put_tile, len(points), n_groups * QUERIES, n_jobs)
        return sums, redo

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None) -> Nearest:
        """The nearest keys of queries that are not far outside all keys, ties included."""
        from sknw._compiled._tree_leaves import add_nearest

        squares, sums = np.empty(len(queries)), np.zeros((len(queries), self._leaves.values.shape[1]))
        left_out = self._places(excluded, np.arange(len(queries)))
        squares = self._near_squares(queries, left_out, 0.0)
        add_nearest(self._scale, *self._leaves[:4], queries, left_out, squares * (1 + TIED), sums)
        return Nearest(squares * self._factor, sums)

    def _near_squares(self, points, left_out, slack):
        """Squared distances of keys of which none is nearer by more than `slack`."""
        from sknw._compiled._tree_leaves import fill_near_squares

        squares = np.empty(len(points))
        fill_near_squares(self._scale, *self._leaves[:4], points, left_out, slack, squares)
        return squares

    def _places(self, excluded, order):
        """The places of the keys that do not count, of queries in this order."""
        return np.full(len(order), -1) if excluded is None else self._leaves.place[excluded[order]]

    def _tile_sums(self, points, left_out):
        """Sums of a tile of queries in the order of groups, and which are not to be trusted."""
        from sknw._compiled._tree_groups import QUERIES

        problem, kernel = self._problem, self._problem.kernel
        sums, starts = problem.empty_sums(len(points)), np.arange(0, len(points), QUERIES)
        origin = problem.basis.expansion_point(points, problem.distance.coordinates.bounds)
        sums.expansion_point[:] = origin
        t0, highest = np.zeros(len(points)), np.zeros(len(starts))
        reach = np.full(len(starts), kernel.support**2 / self._factor)
        if kernel.log_ratio is not None:
            squares = self._near_squares(points, left_out, _NEAR / self._factor)
            squares[squares == np.inf] = 0
            t0 = np.where(squares * self._factor > _NEAR, squares, 0)
            highest = np.maximum.reduceat(squares, starts)
            u = np.sqrt(highest * self._factor)
            reach = np.square(u + kernel.step(u, np.full_like(u, self._drop))) / self._factor
            reach = np.minimum(reach, self._farthest)
            sums.log_scale[:] = kernel.log_ratio(np.zeros_like(t0), t0 * self._factor)
        values = np.zeros(sums.values.shape)
        self._add((reach, highest), (points, left_out, t0), origin, values)
        sums.values[:] = values
        redo = self._borderline(points, values[:, -1]) if kernel.log_ratio is None else values[:, -1] < TREE_UNDERFLOW
        return sums, redo | problem.basis.ill_conditioned(sums, problem.conditions)

    def _add(self, ends, queries, origin, values):
        """Add up sums of a tile of queries."""
        leaves, kind = tuple(self._leaves[:-1]), kind_of(self._problem.kernel)
        if self._plain == _GAUSSIAN:
            from sknw._compiled._tree_gaussian import fill_gaussian_sums

            shares = self._far, self._rough
            fill_gaussian_sums(self._scale, self._factor, shares, ends, leaves, self._seen, queries, values)
        elif self._plain == _EPANECHNIKOV:
            from sknw._compiled._tree_epanechnikov import fill_epanechnikov_sums

            fill_epanechnikov_sums(self._scale, self._factor, ends[0], leaves, queries, values)
        else:
            from sknw._compiled._tree_sums import fill_sums

            kernel, terms = (kind, self._factor), (*self._columns, origin)
            fill_sums(self._scale, kernel, self._far, ends, leaves, terms, queries, values)

    def _borderline(self, points, weight):
        """Which sums of a kernel that ends rounding decides."""
        from sknw._compiled._tree_sums import tell_edges

        keys, _, boxes, blocks, *_ = self._leaves
        kernel, told = self._problem.kernel, np.zeros(len(points), dtype=bool)
        rows = np.arange(len(points)) if kernel.is_flat else np.flatnonzero(weight < _BORDERLINE)
        reach, edge = kernel.support**2 / self._factor, _NEAR_JUMP if kernel.is_flat else _NEAR_EDGE
        tell_edges(self._scale, keys, boxes, blocks, points, rows, reach, edge * reach, told)
        return told


def _leaves(problem):
    """The keys that have a weight, in leaves."""
    from sknw._compiled._tree_leaves import KEYS, LEAVES
    from sknw._compiled._tree_split import split

    with_weight, distance = np.flatnonzero(~problem.rows.zero_weight), problem.distance
    points = distance.keys[with_weight]
    order = with_weight[split(points, _units(distance), KEYS)]
    place = np.full(len(problem.rows), -1)
    place[order] = np.arange(len(order))
    # Leaves are filled up, and blocks of them, with copies of the last key that have no values.
    n_places = -(-len(order) // (KEYS * LEAVES)) * KEYS * LEAVES
    keys = points[np.minimum(np.arange(n_places), len(order) - 1)].reshape(-1, KEYS, points.shape[1]).swapaxes(1, 2)
    values = np.zeros((n_places, problem.rows.values.shape[1]))
    values[: len(order)] = problem.rows.values[order]
    values = np.ascontiguousarray(values.reshape(-1, KEYS, values.shape[1]).swapaxes(1, 2))
    low, high = (edge.T.reshape(points.shape[1], -1, LEAVES) for edge in (keys.min(axis=2), keys.max(axis=2)))
    blocks = np.array([low.min(axis=2), high.max(axis=2)])[:, :, None]
    moments, weight = _moments(keys, values), values[:, -1].sum(axis=1)
    return _Leaves(np.ascontiguousarray(keys), values, np.array([low, high]), blocks, weight, moments, place)


def _moments(keys, values):
    """Sums over leaves of values, and of these times coordinates and times their squares, about the leaf's middle."""
    steps = keys - (keys.min(axis=2, keepdims=True) + keys.max(axis=2, keepdims=True)) / 2
    powers = np.concatenate([np.ones_like(steps[:, :1]), steps, steps**2], axis=1)
    return powers @ values.swapaxes(1, 2)


def _seen(leaves, scale, factor):
    """Coordinates and logarithms of weights, seen from the middles of leaves, and values; both also in single."""
    keys, values, (low, high), *_ = leaves
    about = np.empty((len(keys), keys.shape[1] + 1, keys.shape[2]))
    np.subtract(keys, (low + high).reshape(len(low), -1).T[:, :, None] / 2, out=about[:, :-1])
    np.einsum("ljk,ljk,j->lk", about[:, :-1], about[:, :-1], np.array(scale), out=about[:, -1])
    about[:, -1] *= -0.5 * np.log2(np.e) * factor
    with np.errstate(over="ignore", under="ignore"):
        return (about, values), (about.astype(np.float32), values.astype(np.float32))


def _fit_single(about, values):
    """Whether single precision holds coordinates, values and weights to its last digit."""
    targets, weights = np.abs(values[:, 0]), values[:, 1]
    return np.isfinite(about).all() and 1e-30 < targets.max() < 1e30 and weights[weights > 0].min() > 1e-30


def _units(distance):
    return np.array(np.broadcast_to(proportions(distance.scaled_bandwidth), distance.n_coordinates))


def _columns(n_features, degree, n_outputs):
    """What columns are: the number of a row of the values, and -1; or of another column, and of its factor."""
    roots: list[int] = []
    factors: list[int] = []
    for power, outputs in ((1, range(n_outputs)), (2, [n_outputs])):
        terms = monomials(n_features, power * degree)
        first = len(roots)
        for feature, place in zip(*terms.recurrence, strict=True):
            for number, output in enumerate(outputs):
                roots.append(output if feature < 0 else first + place * len(outputs) + number)
                factors.append(feature)
    return np.array(roots), np.array(factors)
