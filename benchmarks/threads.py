"""How predictions gain from threads, with NumPy's inner loops and, where numba is installed, with compiled ones.

    .venv/bin/python benchmarks/threads.py        # some two minutes on two cores

As many queries as samples. A time is the least of three, after a first run, by which what is compiled is compiled; in
brackets, how many times faster that is than one thread. Each kind of loop runs in a process of its own.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import platform
import sys
from time import perf_counter
from typing import NamedTuple

import numpy as np

N_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Row(NamedTuple):
    """Normal samples, and a Gaussian kernel."""

    n_features: int
    dtype: str
    n: int
    bandwidth: float
    algorithm: str

    def __str__(self):
        return f"{self.n_features} features, {self.dtype}, {self.n}, {self.algorithm}"


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
    """The inner loop, and the seconds that each number of threads takes."""
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
    return model.inner_loop_, times


def main():
    """Print a table."""
    counts = thread_counts()
    print(f"{platform.processor() or platform.machine()}, {N_CORES} cores, NumPy {np.__version__}\n")
    print("| | inner loop |", " | ".join(f"{count} threads" for count in counts), "|")
    print("|---|---|" + "---|" * len(counts))
    loops = [False, True] if importlib.util.find_spec("numba") else [False]
    for row in ROWS:
        for with_numba in loops:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                inner_loop, times = pool.apply(measure, (row, with_numba))
            if with_numba and inner_loop == "numpy":
                continue
            cells = [f"{seconds:.3f} s ({times[1] / seconds:.1f})" for seconds in times.values()]
            print(f"| {row} | {inner_loop} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
