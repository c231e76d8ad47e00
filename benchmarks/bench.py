"""Compare the speed and memory of predictions with other ways to compute the same. `make bench` runs it.

Every contender runs in a process of its own. A time is the smallest of three; ratios are against the limit: two bare
matrix products and one pass of exp over tiles of the same size, by as many threads.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np

N_THREADS = os.cpu_count() or 1


def data(n, d, dtype):
    """Standard normal rows, with a smooth function of them as labels, and the bandwidth that suits their distances."""
    rng = np.random.default_rng(0)
    X, Q = rng.normal(size=(2, n, d)).astype(dtype)
    return X, np.sin(X[:, 0]) + X[:, 1] ** 2, Q, float(np.sqrt(d) / 2)


def limit(X, y, Q, bandwidth):
    """The least that any dense way must do."""
    from threadpoolctl import threadpool_limits

    rows, columns = (128, 512) if X.dtype == np.float32 else (256, 1024)
    left = -np.abs(np.hstack([Q, Q[:, :2]])) / bandwidth
    right = np.abs(np.hstack([X, X[:, :2]])).T / bandwidth / X.shape[1]
    values = np.c_[y, y].astype(X.dtype)

    def tile(start):
        total, buffer = 0, np.empty((rows, columns), X.dtype)
        some = left[start : start + rows]
        for k in range(0, len(X), columns):
            part = right[:, k : k + columns]
            out = np.matmul(some, part, out=buffer[: len(some), : part.shape[1]])
            total = total + np.exp(out, out=out) @ values[k : k + columns]
        return total[:, 0]

    def predict():
        with threadpool_limits(1), ThreadPoolExecutor(N_THREADS) as pool:
            return np.concatenate(list(pool.map(tile, range(0, len(Q), rows))))

    return predict


def ours(X, y, Q, bandwidth):
    from sknw import NadarayaWatsonRegressor

    model = NadarayaWatsonRegressor(bandwidth=bandwidth, n_jobs=-1).fit(X, y)
    return lambda: model.predict(Q)


def textbook(X, y, Q, bandwidth):
    """The dense matrix, as a textbook writes it, in blocks of 1 000 queries for it to fit."""
    from scipy.spatial.distance import cdist

    def block(start):
        weights = np.exp(-((cdist(Q[start : start + 1000], X) / bandwidth) ** 2) / 2)
        return (weights / weights.sum(axis=1, keepdims=True)) @ y

    return lambda: np.concatenate([block(start) for start in range(0, len(Q), 1000)])


def neighbours(X, y, Q, bandwidth):
    """KNeighborsRegressor with all rows as neighbours, in blocks of 1 000 queries for it to fit."""
    from sklearn.neighbors import KNeighborsRegressor

    model = KNeighborsRegressor(
        n_neighbors=len(X), weights=lambda distance: np.exp(-((distance / bandwidth) ** 2) / 2), n_jobs=-1
    ).fit(X, y)
    return lambda: np.concatenate([model.predict(Q[start : start + 1000]) for start in range(0, len(Q), 1000)])


def statsmodels(X, y, Q, bandwidth):
    """KernelReg, local constant, on 50 of the queries: its time is scaled up."""
    from statsmodels.nonparametric.kernel_regression import KernelReg

    warnings.simplefilter("ignore", FutureWarning)
    model = KernelReg(y, X, "c" * X.shape[1], reg_type="lc", bw=np.full(X.shape[1], bandwidth))
    return lambda: model.fit(Q[:50])[0]


CONTENDERS = {
    "the limit": limit,
    "sknw": ours,
    "dense textbook code": textbook,
    "KNeighborsRegressor": neighbours,
    "statsmodels KernelReg": statsmodels,
}


def reference(X, y, Q, bandwidth):
    """The definition for the first 64 queries and the 16 outermost, in the longest float."""
    at = np.r_[np.arange(64), np.argsort(np.square(Q).sum(axis=1))[-16:]]
    means = []
    for query in Q[at].astype(np.longdouble):
        logs = -np.square((query - X) / bandwidth).sum(axis=1) / 2
        weights = np.exp(logs - logs.max())
        means.append(weights @ y / weights.sum())
    return at, np.array(means)


def measure(contender, n, d, dtype, repeat):
    """Seconds, error in standard deviations of y, and MB that predict added, of one contender."""
    X, y, Q, bandwidth = data(n, d, dtype)
    try:
        predict = CONTENDERS[contender](X, y, Q, bandwidth)
    except ImportError as missing:
        return str(missing)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        got = predict()
        seconds.append(time.perf_counter() - start)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    error = np.nan
    if contender != "the limit" and n <= 20_000:
        at, want = reference(X, y, Q, bandwidth)
        known = at < len(got)
        error = float(np.abs(got[at[known]] - want[known]).max() / y.std())
    return min(seconds) * len(Q) / len(got), error, memory


def run(contender, n, d, dtype, repeat=3):
    """Measure in a new process, so that memory and threads are those of one contender."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, contender, n, d, dtype, repeat).result()


def main():
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=20_000, help="training rows, and as many queries")
    n = parser.parse_args().n
    print(f"{platform.machine()}, {N_THREADS} threads, NumPy {np.__version__}; n = m = {n}, Gaussian kernel.\n")
    print("| features, dtype | contender | seconds | x limit | sknw is faster by | error / sd(y) | MB added |")
    print("|---|---|---|---|---|---|---|")
    for d in (8, 64):
        for dtype in (np.float32, np.float64):
            results = {}
            for contender in CONTENDERS:
                heavy = contender in ("KNeighborsRegressor", "dense textbook code", "statsmodels KernelReg")
                results[contender] = run(contender, n, d, dtype, repeat=1 if heavy else 3)
                label = f"| {d}, {np.dtype(dtype).name} | {contender} "
                if isinstance(results[contender], str):
                    print(f"{label}| not run: {results[contender]} | | | | |", flush=True)
                    continue
                seconds, error, memory = results[contender]
                against = seconds / results["sknw"][0] if "sknw" in results else np.nan
                ratios = f"{seconds / results['the limit'][0]:.2f} | {against:.1f}"
                row = f"{seconds:.2f} | {ratios} | {error:.0e} | {memory:.0f}"
                print(f"{label}| {row} |".replace("nan", ""), flush=True)
    seconds, _, memory = run("sknw", 100_000, 8, np.float32, repeat=1)
    print(f"| 8, float32, n = m = 100 000 | sknw | {seconds:.1f} | | | | {memory:.0f} |")


if __name__ == "__main__":
    main()
