"""Reach: the keys that local fits at some queries hang by, with all digits of their weights.

A slope may hang by keys whose weight, in relation to that of the nearest, is too small for a float. Its logarithm is
not: relative to the nearest place, all others count as more, by one factor, until a float can hold what they say. A fit
changes by no more than their share.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._accuracy import FAINT_SHARE
from sknw._problem._conditions import Conditions
from sknw._problem._problem import Problem
from sknw._problem._sums import Sums
from sknw._tiles import batches, row_batch

# The logarithm of the weight of the nearest place but one, in relation to that of the nearest, that moments can still
# be made of.
_FAINTEST = -300.0

# Places that are looked at first, beside so many for each coordinate.
_PLACES, _PLACES_BY_COORDINATE = 8, 4


class Queries(NamedTuple):
    """Queries in reach of a key.

    Parameters
    ----------
    points : ndarray of shape (n_queries, n_coordinates)
    left_out : ndarray of shape (n_queries,), or None
        For each the index of a row of which one sample does not count.
    multiples : ndarray of shape (n_queries, 1)
        Of the problem's bandwidth, which each has.
    near : ndarray of shape (n_queries, n_places)
        The numbers of the places next to each, of those that may be looked at.
    conditions : Conditions
        Of fits.
    """

    points: np.ndarray
    left_out: np.ndarray | None
    multiples: np.ndarray
    near: np.ndarray
    conditions: Conditions

    def take(self, some: np.ndarray | slice) -> Queries:
        """Some of them."""
        left_out = None if self.left_out is None else self.left_out[some]
        near = self.near[some] if len(self.near) else self.near
        return Queries(self.points[some], left_out, self.multiples[some], near, self.conditions.take(some))


class Reach(NamedTuple):
    """Keys that queries reach.

    Parameters
    ----------
    offsets : ndarray of shape (n_queries, n_keys, n_coordinates)
        Of the keys from the heaviest.
    values : ndarray of shape (n_queries, n_keys, n_outputs + 1)
        Rows of `Rows.values` times the kernel, in units of its value at the nearest key.
    heaviest : ndarray of shape (n_queries, n_coordinates)
        The key with the largest weight.
    log_scale : ndarray of shape (n_queries,)
        The logarithm of the unit.
    """

    offsets: np.ndarray
    values: np.ndarray
    heaviest: np.ndarray
    log_scale: np.ndarray

    def take(self, some: np.ndarray) -> Reach:
        """That of some queries."""
        return Reach(*(part[some] for part in self))

    def sums(self, problem: Problem) -> Sums:
        """Kernel sums, about the heaviest key."""
        return Sums(problem.basis.summed(self.values, self.offsets), self.log_scale, self.heaviest)


def nearest_places(problem: Problem, queries: np.ndarray) -> np.ndarray:
    """The numbers of the places that are looked at first: (n_queries, n_places)."""
    places, n_coordinates = problem.distance.coordinates.places, queries.shape[1]
    n_places = min(len(places.keys), _PLACES + _PLACES_BY_COORDINATE * n_coordinates)
    return places.nearest(queries, problem.distance.scaled_bandwidth, n_places)


def nearest_reach(problem: Problem, queries: Queries) -> tuple[Reach, np.ndarray]:
    """Places next to queries, and for which queries, (n_queries,), all others are nothing to a local fit."""
    distance, kernel, rows = problem.distance, problem.kernel, problem.rows
    places, numbers, left_out = distance.coordinates.places, queries.near, queries.left_out
    values = places.sum(rows.values)[numbers]
    if left_out is not None:
        query, key = np.nonzero(numbers == places.of_key[left_out][:, None])
        own = left_out[query]
        values[query, key] -= rows.values[own] / np.maximum(rows.counts[own], 1)[:, None]
        # Of a sample that is alone in its place, nothing must remain.
        alone = places.sum(rows.counts[:, None])[places.of_key[own], 0] < 1.5
        values[query[alone], key[alone]] = 0
    reach, squares, logs = _reach(problem, queries, places.keys[numbers], values)
    if numbers.shape[1] == len(places.keys):
        return reach, np.ones(len(numbers), dtype=bool)
    if kernel.log_ratio is None:
        return reach, squares[:, -1] > kernel.support**2
    # What those further away add to each variance at most, and what it is.
    rest = np.exp(logs[:, -1:]) * rows.relative_weight.sum() * np.square(distance.coordinates.ptp)
    known = np.einsum("mj,mji,mji->mi", reach.values[:, :, -1], reach.offsets, reach.offsets)
    return reach, (rest <= FAINT_SHARE * known).all(axis=1) & (distance.reference(queries.points) == 0)


def whole_reach(problem: Problem, queries: Queries) -> Reach:
    """All keys in reach of queries."""
    rows, keys, n_queries = problem.rows, problem.distance.keys, len(queries.points)
    values, left_out = np.tile(rows.values, (n_queries, 1, 1)), queries.left_out
    if left_out is not None:
        values[np.arange(n_queries), left_out] *= (1 - 1 / np.maximum(rows.counts[left_out], 1))[:, None]
    return _reach(problem, queries, np.broadcast_to(keys, (n_queries, *keys.shape)), values)[0]


def _reach(problem, queries, keys, values):
    """The reach of keys, (n_queries, n_keys, n_coordinates), that have these values; their squared distances.

    And the logarithms of the kernel there, if it has one, in units of that of the nearest.
    """
    kernel, distance, many = problem.kernel, problem.distance, np.arange(len(keys))
    counted, factor = values[:, :, -1] > 0, queries.multiples**-2.0
    steps = keys - queries.points[:, None]
    squares = np.where(counted, _squares(steps, distance.scaled_bandwidth) * factor, np.inf)
    log_scale, logs = np.zeros(len(keys)), None
    if kernel.log_ratio is None:
        weights = np.where(counted, kernel.of_square(np.where(counted, squares, 0)), 0)
    else:
        nearest = squares.argmin(axis=1)
        # A difference of two squares, without cancellation far from the keys.
        further = (keys - keys[many, nearest][:, None]) * (steps + steps[many, nearest][:, None])
        further = np.divide(further, distance.scaled_bandwidth**2).sum(axis=2) * factor
        logs = np.where(counted, kernel.log_ratio(squares[many, nearest][:, None], further), -np.inf)
        logs -= logs.max(axis=1, keepdims=True)
        # Of keys at one place the logarithm is the same.
        second = np.where(further > 0, logs, -np.inf).max(axis=1, keepdims=True)
        lift = np.where((second < _FAINTEST) & (second > -np.inf), _FAINTEST - second, 0)
        logs += np.where(further > 0, lift, 0)
        weights = np.exp(logs)
        reference = distance.reference(queries.points) * factor[:, 0]
        log_scale = kernel.log_ratio(reference, squares[many, nearest] - reference)
    values = values * weights[:, :, None]
    heaviest = keys[many, values[:, :, -1].argmax(axis=1)]
    return Reach(keys - heaviest[:, None], values, heaviest, log_scale), squares, logs


def _squares(steps, bandwidth):
    """Squared lengths in bandwidths, as `Euclidean.squares` has them to the last digit."""
    if bandwidth.ndim:
        return (np.square(steps) * bandwidth**-2.0).sum(axis=2)
    return np.square(steps).sum(axis=2) / bandwidth**2


def shares_of_keys(problem: Problem, points: np.ndarray) -> np.ndarray:
    """The shares of all keys in kernel sums, as local fits see them: (n_queries, n_keys)."""
    shares = np.empty((len(points), len(problem.rows)))
    for batch in batches(len(points), row_batch(problem.distance.keys.size)):
        some = points[batch]
        queries = Queries(some, None, np.ones((len(some), 1)), np.empty((0, 0), dtype=int), problem.conditions)
        shares[batch] = whole_reach(problem, queries).values[:, :, -1]
    return shares / shares.sum(axis=1, keepdims=True)
