"""What is made of all pairs of queries and keys on a device, in the functions of its library, compiled where it can.

Squared distances are sums of squared differences, never products: these lose digits, and in TF32 nearly all of them.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from sknw._accuracy import TIED
from sknw._algorithms.brute._device_formulas import FORMULAS
from sknw._arrays import Device, to_numpy
from sknw._tiles import batches

_logger = logging.getLogger("sknw")

# Pairs in a tile: as many as keep an accelerator busy, several such arrays being alive at once. A compiled function
# writes none of them: for JAX it is enough that there are few tiles, and for torch that 32 bits count the pairs.
_IN_TILE, _IN_TILE_OF_JAX, _IN_TILE_OF_TORCH = 2**24, 2**26, 2**31 - 1

# Functions of more coordinates and columns than this are not compiled by torch, nor called for fewer queries.
_MAX_COMPILED = 64
_MIN_QUERIES = 64

# torch takes seconds to compile, and is asked to once tiles have taken about one, or would. Other functions of the same
# kernel and sizes then follow for this many pairs.
_WORTH_COMPILING, _WORTH_FOLLOWING = 2**33, 2**26

# Pairs that were asked for, by kernel and sizes.
_asked: Counter[tuple] = Counter()


class Keys(NamedTuple):
    """Keys with a weight, as they lie on a device in one precision.

    Parameters
    ----------
    points : array of shape (n_coordinates, n_keys)
    numbers : array of shape (n_keys,)
        Of each key among all.
    values : array of shape (n_columns, n_keys)
        What is summed.
    """

    points: Any
    numbers: Any
    values: Any


class Task(NamedTuple):
    """What is made of the pairs of each query: all that a compiler has to know, but for sizes.

    Parameters
    ----------
    kind : str
        "sums" of values times the kernel; "relative sums", in units of the kernel at the query's lowest t = u * u;
        "nearest", sums over the keys at the lowest t; "lowest" t itself; "weights" of all pairs.
    kernel : str
        The name of a formula.
    by_feature : bool
        Whether each coordinate has a bandwidth of its own.
    """

    kind: str
    kernel: str
    by_feature: bool


@lru_cache
def function_of(device: Device, task: Task) -> Callable:
    """A function of the queries' points, their excluded keys and lowest t, factors of squares, and `Keys`.

    A tuple of columns, (n_queries,), is its result, or the weights.
    """
    xp, kind, formula, by_feature = device.namespace, task.kind, FORMULAS[task.kernel], task.by_feature

    def squares(points, factors, keys):
        t = None
        for k in range(keys.shape[0]):
            step = points[k, :, None] - keys[k, None, :]
            square = step * step * factors[k, ...] if by_feature else step * step
            t = square if t is None else t + square
        return t if by_feature else t * factors[0, ...]

    def weigh(t, lowest):
        if kind == "relative sums":
            assert formula.log_ratio is not None
            beyond = xp.where(t > lowest, t - lowest, xp.zeros_like(t))  # an excluded key may be nearer
            return xp.exp(formula.log_ratio(xp, lowest, beyond))
        if kind == "nearest":
            return xp.where(t <= lowest * (1 + TIED), xp.ones_like(t), xp.zeros_like(t))
        return formula.profile(xp, t)

    def function(points, excluded, lowest, factors, keys, numbers, values):
        t = squares(points, factors, keys)
        is_excluded = excluded[:, None] == numbers[None, :]
        if kind == "lowest":
            return (xp.min(xp.where(is_excluded, xp.full_like(t, math.inf), t), axis=1),)
        weights = weigh(t, lowest[:, None])
        weights = xp.where(is_excluded, xp.zeros_like(weights), weights)
        if kind == "weights":
            return weights
        return tuple(xp.sum(weights * values[k, ...], axis=1) for k in range(values.shape[0]))

    if device.library.startswith("jax"):
        return import_module("jax").jit(function)
    return function


@lru_cache
def _compiled_by_torch(device: Device, task: Task, *sizes) -> Callable:
    """The same in one kernel that writes no pair to memory."""
    function = function_of.__wrapped__(device, task)
    # Functions of one name and place share a cache, which has room for eight.
    name = "_".join(map(str, (*task, *sizes)))
    function.__code__ = function.__code__.replace(co_name=name.replace(" ", "_"))
    return import_module("torch").compile(function, dynamic=True, fullgraph=True)


def columns_of_pairs(
    device: Device,
    task: Task,
    keys: Keys,
    factors: np.ndarray,
    points: np.ndarray,
    excluded: np.ndarray | None,
    lowest: np.ndarray | None = None,
) -> np.ndarray:
    """What a task gives for queries, in tiles of them: (n_queries, n_columns).

    Parameters
    ----------
    factors : ndarray of shape (n_coordinates,) or (1,)
        What squared differences are multiplied by.
    points : ndarray of shape (n_queries, n_coordinates)
        In the precision of the keys, as are the factors.
    excluded : ndarray of shape (n_queries,) or None
        For each query the number of one key that does not count.
    lowest : ndarray of shape (n_queries,), default=None
    """
    n_queries, (n_coordinates, n_keys) = len(points), keys.points.shape
    put, dtype = device.put, points.dtype
    excluded = (np.full(n_queries, -1) if excluded is None else excluded).astype(np.int32)
    lowest = np.zeros(n_queries, dtype) if lowest is None else lowest.astype(dtype)
    sent = put(factors), *keys

    def in_tiles(function, size):
        parts = []
        for tile in batches(n_queries, size):
            chosen = np.arange(tile.start, tile.stop)
            if is_jax:  # which compiles again for each number of queries
                chosen = np.resize(chosen, min(size, 1 << (n_queries - 1).bit_length()))
            parts.append(function(put(points[chosen].T), put(excluded[chosen]), put(lowest[chosen]), *sent))
        columns = [np.concatenate([to_numpy(each) for each in column]) for column in zip(*parts, strict=True)]
        return np.stack(columns, axis=1)[:n_queries]

    is_jax = device.library.startswith("jax")
    if device.library.endswith("torch") and device.name.startswith("cuda") and n_queries >= _MIN_QUERIES:
        sizes, n_pairs = (n_coordinates, len(keys.values)), n_queries * n_keys
        shape = device, task.kernel, task.by_feature, *sizes
        _asked[shape] += n_pairs
        if max(sizes) <= _MAX_COMPILED and _asked[shape] >= _WORTH_COMPILING and n_pairs >= _WORTH_FOLLOWING:
            n_tiles = -(-n_pairs // _IN_TILE_OF_TORCH)
            try:
                return in_tiles(_compiled_by_torch(device, task, dtype.name, *sizes), -(-n_queries // n_tiles))
            except Exception as error:  # of whatever kind a compiler has: tiles need none
                _logger.warning("torch.compile failed, and sums are made in tiles, which takes longer: %s", error)
                _asked[shape] = -(2**80)  # never again
    size = max(1, (_IN_TILE_OF_JAX if is_jax else _IN_TILE) // n_keys)
    return in_tiles(function_of(device, task), 1 << (size.bit_length() - 1))
