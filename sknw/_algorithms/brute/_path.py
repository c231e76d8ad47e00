"""Path: the sums of keys, each without itself, at many bandwidths, from one pass over their distances."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sknw._accuracy import MIN_WEIGHT, PROMISE
from sknw._algorithms.brute._ladder import Ladder, is_compiled
from sknw._kernels import relative_weights
from sknw._problem._conditions import Conditions
from sknw._problem._definition import MANY_VALUES, nearest, nearest_rows_of, sums_of_rows
from sknw._problem._problem import Problem
from sknw._problem._sums import Nearest, Sums
from sknw._tiles import add_products, batches, map_tiles, row_batch

# Numbers in a tile: few enough that it stays in the cache between bandwidths.
_TILE_NUMBERS = 2**16

# Up to so many weights, at all bandwidths together, are computed at once: what is called for each would take longer.
_FEW_NUMBERS = 2**18

# A Gaussian at h / sqrt(2) is the square of that at h. Each square doubles the relative error, so that after so many
# the exponential is computed anew.
_MAX_SQUARES = 10

# Weights below this, in relation to the largest of their row, are raised to it before every third square, which changes
# no digit of a sum: after three, they would be too small for a float, which is slow on many a processor.
_TINY = 1e-38
_SQUARES_BETWEEN = 3

# Where the logarithm of every weight in units of K(0) is above this, its square does not underflow. Where that of the
# weight of each key's nearest other is above the second, sums in units of K(0) do not.
_LOWEST_TO_SQUARE, _LOWEST_NEAREST = -340.0, -150.0

# What a pair may weigh at most that is left out with distant ones, in relation to the nearest.
_DISTANT = PROMISE * 1e-6

# By what share more a squared distance may be of which rounding decides whether it is beyond the end of a kernel.
_END = 1e-9

# Below this share of pairs that are not distant these alone are looked at, where few values are summed and where many
# are: a pair takes longer by itself than among all.
_SPARSE, _SPARSE_OF_MANY_VALUES = 0.2, 0.05
_FEW_VALUES = 3

# Rows that this share is estimated from.
_SAMPLE = 32

_ZERO = np.zeros((1, 1))


class _Squares(NamedTuple):
    """Squared distances from some keys to all others.

    Parameters
    ----------
    t : ndarray of shape (n_indices, n_keys)
        What they exceed that to the nearest by; zero for keys that do not count.
    lowest : ndarray of shape (n_indices, 1)
        That to the nearest, or zero for a compact kernel.
    """

    t: np.ndarray
    lowest: np.ndarray


class _Pairs(NamedTuple):
    """Pairs of keys that are not distant: the place of the first among the indices, the second, and `_Squares.t`."""

    query: np.ndarray
    key: np.ndarray
    t: np.ndarray

    def take(self, indices: np.ndarray) -> _Pairs:
        """Some of the pairs."""
        return _Pairs(self.query.take(indices), self.key.take(indices), self.t.take(indices))


def keeps(problem: Problem, n_indices: int) -> bool:
    """Whether the distances of so many keys are kept."""
    return n_indices * len(problem.rows) <= problem.distance.max_kept_pairs


class PairPath:
    """Sums over all pairs of some keys with all others: a `Path` of `_algorithms/_protocol.py`.

    Parameters
    ----------
    problem : Problem
        Other bandwidths are multiples of its own.
    indices : ndarray of shape (n_indices,)
        The keys whose sums are wanted.
    """

    def __init__(self, problem: Problem, indices: np.ndarray):
        self._is_symmetric = problem.distance.has_coordinates and len(indices) == len(problem.rows)
        if self._is_symmetric:  # among all keys, in this order, each pair is met twice
            problem, indices = problem.take(indices), np.arange(len(indices))
        self.problem, self.indices = problem, indices
        self.is_kept = keeps(problem, len(indices))

    def take(self, some: np.ndarray) -> PairPath:
        """The path of some of the keys."""
        return PairPath(self.problem, self.indices[some])

    _all_columns: tuple[np.ndarray, np.ndarray] | None = None

    @cached_property
    def _kept(self) -> _Squares | None:
        return self._squares(self.indices) if self.is_kept else None

    @cached_property
    def _ladder(self) -> Ladder:
        return Ladder(self.problem, self.indices)

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> Nearest:
        """The nearest keys, ties included, at any bandwidth, for the keys of its indices, each without itself."""
        return self._nearest

    @cached_property
    def _nearest(self):
        problem = self.problem
        if self._kept is None:
            return nearest(problem, problem.distance.keys[self.indices], self.indices)
        values, squares = np.empty((len(self.indices), problem.rows.values.shape[1])), np.empty(len(self.indices))
        for batch in batches(len(self.indices), row_batch(len(problem.rows))):
            t = self._kept.t[batch] + self._kept.lowest[batch]
            rows, squares[batch] = nearest_rows_of(problem, t, self.indices[batch])
            values[batch] = rows @ problem.rows.values
        return Nearest(squares, values)

    def sums(self, multiples: np.ndarray, n_jobs: int | None = None) -> tuple[Sums, Conditions]:
        """The sums of all indices at the first of these multiples of the bandwidth, which descend, then at the next.

        And the conditions of fits from them, in the same order.
        """
        problem, factors, n_indices = self.problem, 1 / np.square(multiples), len(self.indices)
        sums, conditions = problem.empty_sums(len(factors) * n_indices), problem.conditions
        if sums.expansion_point.shape[1]:
            conditions = problem.distance.conditions(problem.ridge, np.repeat(multiples, n_indices))
        if is_compiled(problem, n_indices, len(factors)):
            kernel, limits = problem.kernel, _distant(problem, factors)
            doubled = _are_doubled(factors) & kernel.is_product
            lowest, sums.values[:] = self._ladder.sums(factors, doubled, limits, n_jobs)
            sums.log_scale[:] = _log_scale(kernel, np.multiply.outer(factors, lowest)).ravel()
            return sums, conditions
        n_dense = self._n_dense(factors)
        n_symmetric = self._put_symmetric_sums(sums, factors[:n_dense], n_jobs)

        def tile_sums(tile):
            indices, squares = self.indices[tile], self._tile(tile, factors)
            point, columns = self._columns(indices)
            for which, weights in self._weights(squares, indices, factors[n_symmetric:n_dense]):
                numbers = np.arange(n_symmetric, n_dense)[which]
                places = (numbers[:, None] * n_indices + np.arange(tile.start, tile.stop)).ravel()
                lowest = np.multiply.outer(factors[numbers], squares.lowest[:, 0])
                log_scale = _log_scale(problem.kernel, lowest).ravel()
                part = Sums(np.zeros((len(weights), len(columns))), log_scale, np.tile(point, (len(weights), 1)))
                add_products(part.values, weights, columns.T)
                redo = np.flatnonzero(problem.basis.ill_conditioned(part, conditions.take(places)))
                if len(redo):
                    part.put(redo, sums_of_rows(problem, weights[redo], log_scale[redo]))
                sums.put(places, part)
            return self._near_pairs(tile, squares.t, factors[n_dense:])

        size = max(1, _TILE_NUMBERS // len(problem.rows))
        pairs = map_tiles(tile_sums, n_indices if n_symmetric < len(factors) else 0, size, n_jobs)
        if n_dense < len(factors):
            near = _Pairs(*map(np.concatenate, zip(*pairs, strict=True)))
            for k in range(n_dense, len(factors)):
                near = near.take(np.flatnonzero(near.t <= _distant(self.problem, factors[k])))
                sums.put(slice(k * n_indices, (k + 1) * n_indices), self._sums_of_pairs(near, factors[k]))
        return sums, conditions

    # ---- distances

    def _squares(self, indices, factor=np.inf):
        """Squared distances from these keys, to ten digits where the squared bandwidth is divided by a factor."""
        distance, rows, kernel = self.problem.distance, self.problem.rows, self.problem.kernel
        if kernel.squared and factor < np.inf:
            t = distance.approximate_squares(indices, np.sqrt(factor))
        else:
            t = distance.squares_of_keys(indices)
        lowest = np.zeros((len(t), 1))
        if kernel.log_ratio is not None:
            lowest = rows.exclude(t, indices, np.inf).min(axis=1, keepdims=True)
            lowest[lowest == np.inf] = 0
            t -= lowest
        return _Squares(rows.exclude(t, indices, 0.0), lowest)

    def _columns(self, indices):
        """The point that keys of these indices see others from, and what is summed for these: (n_values, n_keys)."""
        problem = self.problem
        if self._all_columns is not None:
            return self._all_columns
        many = problem.n_values > MANY_VALUES
        point = problem.basis.expansion_point(problem.distance.keys[... if many else indices], problem.distance.bounds)
        columns = point, np.ascontiguousarray(problem.columns(slice(None), point).T)
        self._all_columns = columns if many else None
        return columns

    def _tile(self, tile, factors):
        if self._kept is None:
            return self._squares(self.indices[tile], factors.max())
        return _Squares(self._kept.t[tile], self._kept.lowest[tile])

    def _n_dense(self, factors):
        """At how many of the bandwidths most pairs are not distant. It takes a Gaussian for these to stay distant."""
        many = self.problem.n_values > MANY_VALUES
        if self._kept is None or many or self._is_small(len(factors)) or not self.problem.kernel.is_product:
            return len(factors)
        sample = np.sort(self._kept.t[:: max(1, len(self.indices) // _SAMPLE)], axis=None)
        limit = _SPARSE if self.problem.n_values <= _FEW_VALUES else _SPARSE_OF_MANY_VALUES
        near = np.searchsorted(sample, _distant(self.problem, np.maximum(factors, MIN_WEIGHT)), "right")
        return int(np.count_nonzero(near > limit * len(sample)))

    def _is_small(self, n_factors):
        """Whether the weights at all bandwidths may be computed at once."""
        return n_factors * len(self.indices) * len(self.problem.rows) <= _FEW_NUMBERS

    def _near_pairs(self, tile, t, factors):
        """The pairs of a tile that are not distant at the first of these bandwidths, and so at none of the others."""
        if not len(factors):
            return None
        near = self.problem.rows.exclude(t <= _distant(self.problem, factors[0]), self.indices[tile], False)
        places = np.flatnonzero(near)  # faster than the places in two dimensions
        query, key = np.divmod(places.astype(np.int32), t.shape[1])
        return _Pairs(query + tile.start, key, t.ravel()[places])

    # ---- sums

    def _weights(self, squares, indices, factors) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows of the kernel matrix, (n_bandwidths * n_indices, n_keys), at some of the bandwidths after the other."""
        kernel, exclude = self.problem.kernel, self.problem.rows.exclude
        step = len(factors) if self._is_small(len(factors)) else 1
        doubled = _are_doubled(factors) & (step == 1) & kernel.is_product
        weights, n_squares = squares.t, _MAX_SQUARES
        for which in batches(len(factors), max(step, 1)):
            if doubled[which.start] and n_squares < _MAX_SQUARES:
                if n_squares % _SQUARES_BETWEEN == 0:
                    np.maximum(weights, _TINY, out=weights)
                np.square(weights, out=weights)
                n_squares += 1
            else:
                factor = factors[which][:, None, None]
                t = (squares.t * factor).reshape(-1, squares.t.shape[1])
                if kernel.log_ratio is None:
                    weights = kernel.of_square(t)
                else:
                    weights = relative_weights(kernel, (squares.lowest * factor).reshape(-1, 1), t)
                exclude(weights, np.tile(indices, len(factor)), 0)
                n_squares = 0
            yield which, weights

    def _put_symmetric_sums(self, sums, factors, n_jobs):
        """Put the sums at the first of these bandwidths in their place, each pair looked at once; give their number.

        They are in units of K(0): at bandwidths so wide that no key is far from all others.
        """
        kernel, n_keys = self.problem.kernel, len(self.indices)
        if (
            not self._is_symmetric
            or self._kept is None
            or sums.expansion_point.shape[1]
            or self._is_small(len(factors))
        ):
            return 0
        squares, lowest = self._kept.t, self._kept.lowest
        wide = kernel.log_profile(np.sqrt(lowest.max() * factors)) > _LOWEST_NEAREST
        factors = factors[: len(factors) if wide.all() else int(wide.argmin())]
        farthest = float((squares.max(axis=1) + lowest[:, 0]).max())
        doubled = _are_doubled(factors) & (kernel.log_profile(np.sqrt(farthest * factors)) > _LOWEST_TO_SQUARE)
        doubled &= kernel.is_product
        columns = np.ascontiguousarray(self.problem.rows.values.T)

        def tile_sums(tile):
            t = squares[tile, tile.start :] + lowest[tile]
            size, part = len(t), np.empty((len(factors), len(columns), n_keys - tile.start))
            for k, weights in enumerate(_symmetric_weights(kernel, t, factors, doubled)):
                for values, column in zip(part[k], columns, strict=True):
                    np.dot(weights, column[tile.start :], out=values[:size])
                    np.dot(column[tile], weights[:, size:], out=values[size:])
            return tile.start, part

        values = np.zeros((len(factors), len(columns), n_keys))
        for start, part in map_tiles(tile_sums, n_keys, max(1, _TILE_NUMBERS // n_keys), n_jobs):
            values[:, :, start:] += part
        sums.values[: len(factors) * n_keys] = values.swapaxes(1, 2).reshape(-1, len(columns))
        return len(factors)

    def _sums_of_pairs(self, pairs, factor):
        """The sums over these pairs, each about the weighted mean of its keys."""
        problem, values, keys = self.problem, self.problem.rows.values, self.problem.distance.keys
        query, key, t = pairs
        weights = relative_weights(problem.kernel, _ZERO[0], t * factor)
        sums = problem.empty_sums(len(self.indices))
        begin = np.append(0, np.bincount(query, minlength=len(self.indices)).cumsum())
        rows = csr_array((weights, key, begin), shape=(len(self.indices), len(keys)))
        if self._kept is not None:
            sums.log_scale[:] = _log_scale(self.problem.kernel, self._kept.lowest * factor)[:, 0]
        if sums.expansion_point.shape[1] == 0:
            sums.values[:] = rows @ values
            return sums
        total = np.maximum(rows @ problem.rows.relative_weight, MIN_WEIGHT)
        sums.expansion_point[:] = (rows @ (problem.rows.relative_weight[:, None] * keys)) / total[:, None]
        for batch in batches(len(query), row_batch(sums.values.shape[1])):
            z = problem.basis.seen_from(keys[key[batch]], sums.expansion_point[query[batch]])
            columns = problem.basis.columns(values[key[batch]] * weights[batch, None], z)
            places = csr_array((np.ones(len(z)), (query[batch], np.arange(len(z)))), shape=(len(self.indices), len(z)))
            sums.values[:] += places @ columns
        return sums


def _distant(problem, factor):
    """By how much a squared distance exceeds that to the nearest key if its weight does not matter.

    For a Gaussian, and for a kernel that ends, where it is the end and a little more. Infinite for others.
    """
    kernel = problem.kernel
    if not kernel.is_product:
        return kernel.support**2 * (1 + _END) / factor
    return np.log(_DISTANT * problem.basis.tail_factor) / kernel.log_slope(np.ones(1))[0] / factor


def _log_scale(kernel, lowest):
    """The logarithms of the units of rows, from the squared distances to the nearest keys in bandwidths."""
    return np.zeros_like(lowest) if kernel.log_ratio is None else np.array(kernel.log_ratio(_ZERO, lowest))


def _are_doubled(factors):
    """Which factors are twice the one before."""
    ratios = np.divide(factors, np.append(np.inf, factors[:-1]), out=np.zeros_like(factors), where=factors > 0)
    return np.abs(ratios - 2) < 1e-12


def _symmetric_weights(kernel, t, factors, doubled):
    """Kernel weights at each bandwidth, without those of a key on itself, which are on the diagonal."""
    weights, n_squares, diagonal = t, _MAX_SQUARES, np.arange(len(t))
    for factor, may_square in zip(factors, doubled, strict=True):
        if may_square and n_squares < _MAX_SQUARES:
            np.square(weights, out=weights)
            n_squares += 1
        else:
            weights, n_squares = kernel.of_square(t * factor), 0
            weights[diagonal, diagonal] = 0
        yield weights
