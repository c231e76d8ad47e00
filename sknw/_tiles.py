"""Tiles: pieces of work that fit a cache, and threads that work on them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from joblib import effective_n_jobs, parallel_config
from threadpoolctl import ThreadpoolController

# Numbers in a batch of whole rows: several such arrays are alive at once.
_BATCH_NUMBERS = 2**18

# Tiles that work is split into, at most, where they may be of any size: enough for many threads to share them evenly,
# and few, as a thread holds the interpreter's lock from the end of one to the start of the next.
_TILES = 32

# Bytes in the largest block that the C library may keep when it is freed, and lend again.
_KEPT_BYTES = 2**24

# Of a matrix with so few columns, BLAS is faster by one column after the other.
_FEW_COLUMNS = 3

# Finding the loaded BLAS libraries takes milliseconds, more than many a prediction.
_libraries = cache(ThreadpoolController)


@cache
def _keep_freed_memory() -> None:
    """Let tiles use the memory of tiles before them: to get it from the system takes longer than to work on it.

    The GNU C library returns freed blocks at once that are larger than the largest freed so far; others do as they do.
    """
    np.empty(_KEPT_BYTES, dtype=np.uint8)


def batches(n: int, size: int) -> list[slice]:
    """Consecutive slices of `size` numbers that cover the first `n`."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def row_batch(n_columns: int) -> int:
    """How many rows of this length to hold at a time."""
    return max(1, _BATCH_NUMBERS // n_columns)


def even_size(n: int, least: int) -> int:
    """The size of a tile of `n` queries that may be of any size, but for the least that is worth it."""
    return max(least, -(-n // _TILES))


def add_products(sums: np.ndarray, weights: np.ndarray, columns: np.ndarray) -> None:
    """``sums += weights @ columns``, in which other threads can work.

    `@` keeps the interpreter's lock where the result has few numbers, however long it takes; `dot` does not.
    """
    if columns.shape[1] > _FEW_COLUMNS:
        sums += np.dot(weights, columns)
        return
    for total, column in zip(sums.T, columns.T, strict=True):
        total += np.dot(weights, column)


def map_tiles(function: Callable[[slice], object], n_queries: int, size: int, n_jobs: int | None) -> list:
    """[function(tile) for tile in consecutive slices of `size` queries], by `n_jobs` threads.

    The tiles are the same for any number of threads, and so are the results. BLAS is held to one thread: on matrices
    as small as a tile, its own threads cost more than they give.
    """
    tiles = batches(n_queries, size)
    _keep_freed_memory()
    with parallel_config(backend="threading"):  # processes, joblib's default, have limits that threads have not
        n_threads = min(effective_n_jobs(n_jobs), len(tiles))
    with _libraries().limit(limits=1, user_api="blas"):
        if n_threads <= 1:
            return [function(tile) for tile in tiles]
        with ThreadPoolExecutor(n_threads) as pool:
            return list(pool.map(function, tiles))
