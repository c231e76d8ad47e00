"""How predictions gain from threads, with NumPy's inner loops and, where numba is installed, with compiled ones.

    .venv/bin/python benchmarks/threads.py        # some two minutes on two cores

As many queries as samples. A time is the least of three, after a first run, by which what is compiled is compiled; in
brackets, how many times faster that is than one thread. Lock held is the share of time in which two threads hold the
interpreter's lock, as lock.py measures it. Each kind of loop runs in a process of its own.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import subprocess
import sys
from functools import partial
from time import perf_counter
from typing import NamedTuple

import numpy as np
from lock import held_share
from report import N_CORES, head, header, line


class Row(NamedTuple):
    """Normal samples, and a Gaussian kernel."""

    n_features: int
    dtype: str
    n: int
    bandwidth: float
    algorithm: str


ROWS = (
    Row(8, "float32", 20_000, 8**0.5 / 2, "brute"),
    Row(8, "float64", 20_000, 8**0.5 / 2, "brute"),
    Row(64, "float32", 20_000, 64**0.5 / 2, "brute"),
    Row(3, "float64", 30_000, 30_000 ** (-1 / 7), "tree"),
)


def thread_counts():
    """1, 2, 4 and so on, and all cores."""
    counts = [2**k for k in range(N_CORES.bit_length()) if 2**k < N_CORES]
    return [*counts, N_CORES]


def measure(row, with_numba):
    """The inner loop, the seconds that each number of threads takes, and the share of time under the lock."""
    if not with_numba:
        sys.modules["numba"] = None
    from sknw import NadarayaWatsonRegressor

    rng = np.random.default_rng(0)
    X, queries = (rng.normal(size=(row.n, row.n_features)).astype(row.dtype) for _ in range(2))
    y = np.sin(2 * X[:, 0]) + 0.3 * rng.normal(size=row.n)
    model = NadarayaWatsonRegressor("gaussian", row.bandwidth, algorithm=row.algorithm, n_jobs=-1)
    model.fit(X, y.astype(row.dtype)).predict(queries)
    times = dict.fromkeys(thread_counts(), np.inf)
    for _ in range(3):
        for n_threads in times:
            model.set_params(n_jobs=n_threads)
            start = perf_counter()
            model.predict(queries)
            times[n_threads] = min(times[n_threads], perf_counter() - start)
    try:
        held = f"{held_share(partial(model.set_params(n_jobs=2).predict, queries)):.1%}"
    except (OSError, subprocess.CalledProcessError) as error:  # no compiler, or another one
        held = f"not measured: {error}"
    return model.inner_loop_, times, held


def main():
    """Print a table."""
    columns = [f"{count} thread{'s' * (count > 1)}" for count in thread_counts()]
    print(head("numpy", "scipy", "numba"))
    print(header(["features", "dtype", "samples", "algorithm", "inner loop", *columns, "lock held"]))
    loops = [False, True] if importlib.util.find_spec("numba") else [False]
    for row in ROWS:
        for with_numba in loops:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                inner_loop, times, held = pool.apply(measure, (row, with_numba))
            if with_numba and inner_loop == "numpy":
                continue
            cells = [f"{seconds:.3f} s ({times[1] / seconds:.1f})" for seconds in times.values()]
            print(line([row.n_features, row.dtype, row.n, row.algorithm, inner_loop, *cells, held]), flush=True)


if __name__ == "__main__":
    main()
