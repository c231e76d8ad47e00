"""Who takes part: each contender takes a case, as fit does, and returns a function of queries, as predict is one."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import comb
from pathlib import Path

import numpy as np
from native import compiled

N_THREADS = os.cpu_count() or 1

# What KeOps compiles is kept here, not with that of its other users.
os.environ.setdefault("KEOPS_CACHE_FOLDER", str(Path("build", "keops").resolve()))

PROFILES = {
    "gaussian": lambda u: np.exp(-u * u / 2),
    "epanechnikov": lambda u: np.maximum(1 - u * u, 0),
    "tricube": lambda u: np.maximum(1 - u**3, 0) ** 3,
    "exponential": lambda u: np.exp(-u),
}

# The kernels of compact support, as {power of u: coefficient}.
POLYNOMIALS = {"epanechnikov": {0: 1, 2: -1}, "tricube": {0: 1, 3: -3, 6: 3, 9: -1}}


@dataclass(frozen=True)
class Contender:
    """A contender, and the workloads that it is for."""

    name: str
    fit: Callable
    kernels: tuple[str, ...] = tuple(PROFILES)
    features: tuple[int, ...] = (1, 2, 3, 5, 8, 64, 512)
    pairs: float = 1e10
    """The most pairs of a query and a key."""
    most_pairs: float = np.inf
    """The most pairs that it is timed with; its time is scaled up from fewer queries."""
    limit_for: tuple[int, ...] = ()
    """The numbers of features for which it is the limit, the least that must be done."""
    near: bool = True
    """Whether its times come near, so that it is always compared."""

    def suits(self, workload):
        """Whether it takes part."""
        return (
            workload.kernel in self.kernels
            and workload.features in self.features
            and workload.pairs <= self.pairs
            and not (workload.row and self.fit in (sorting, products))
        )


def in_blocks(predict, queries, rows):
    """Predictions for so many queries at a time, for their matrix to fit."""
    return np.concatenate([predict(queries[start : start + rows]) for start in range(0, len(queries), rows)])


def sknw(case):
    from sknw import NadarayaWatsonRegressor

    return NadarayaWatsonRegressor(kernel=case.kernel, bandwidth=case.bandwidth, n_jobs=-1).fit(case.X, case.y).predict


def without_numba(case):
    """Ours, where the extra is missing."""
    sys.modules["numba"] = None
    return sknw(case)


def sorting(case):
    """Sort both, and be done: whatever looks for neighbours in one feature must."""
    np.argsort(case.X[:, 0])

    def predict(Q):
        np.argsort(Q[:, 0])

    return predict


def products(case):
    """Two bare matrix products and one pass of exp, over tiles that stay in the cache, by all threads."""
    from threadpoolctl import threadpool_limits

    rows, columns = (128, 512) if case.X.dtype == np.float32 else (256, 1024)
    right = np.abs(case.X).T / case.bandwidth / case.X.shape[1]
    values = np.c_[case.y, case.y]

    def tile(queries):
        total, buffer = 0, np.empty((len(queries), columns), queries.dtype)
        for k in range(0, len(values), columns):
            part = right[:, k : k + columns]
            out = np.matmul(queries, part, out=buffer[:, : part.shape[1]])
            total = total + np.exp(out, out=out) @ values[k : k + columns]
        return total

    def predict(Q):
        left = -np.abs(Q) / case.bandwidth
        with threadpool_limits(1), ThreadPoolExecutor(N_THREADS) as pool:
            list(pool.map(tile, (left[start : start + rows] for start in range(0, len(left), rows))))

    return predict


def brute(case):
    """All pairs in C++, compiled for this machine."""
    double = np.ctypeslib.ndpointer(np.float64, flags="C")
    call = ctypes.CDLL(compiled("brute")).predict
    call.argtypes = [double] * 4 + [ctypes.c_long] * 2 + [ctypes.c_int] * 2
    keys = np.ascontiguousarray(case.X.T / case.bandwidth)

    def predict(Q):
        means = np.empty(len(Q))
        kernel = list(PROFILES).index(case.kernel)
        call(keys, case.y, np.ascontiguousarray(Q / case.bandwidth), means, len(case.y), len(Q), Q.shape[1], kernel)
        return means

    return predict


def prefix_sums(case):
    """Sums over windows as differences of prefix sums of powers of x, all about one origin."""
    order = np.argsort(case.X[:, 0])
    origin = case.X.mean()
    x = (case.X[order, 0] - origin) / case.bandwidth
    polynomial = POLYNOMIALS[case.kernel]
    values = np.c_[case.y, np.ones_like(case.y)][order]
    moments = np.zeros((len(x) + 1, max(polynomial) + 1, 2))
    for power in range(moments.shape[1]):
        np.cumsum(x[:, None] ** power * values, axis=0, out=moments[1:, power])

    def predict(Q):
        q = (Q[:, 0] - origin) / case.bandwidth
        low, middle, high = np.searchsorted(x, [q - 1, q, q + 1])
        sums = np.zeros((len(q), 2))
        for sign, start, stop in ((1, low, middle), (-1, middle, high)):
            window = moments[stop] - moments[start]
            for power, coefficient in polynomial.items():
                for j in range(power + 1):
                    factor = coefficient * sign**power * comb(power, j) * (-1) ** j
                    sums += (factor * q ** (power - j))[:, None] * window[:, j]
        return sums[:, 0] / sums[:, 1]

    return predict


def numpy_textbook(case):
    """The matrix of weights, as a textbook writes it."""

    def predict(queries):
        distances = np.sqrt(np.square(queries[:, None] - case.X).sum(axis=2))
        weights = PROFILES[case.kernel](distances / case.bandwidth)
        return weights @ case.y / weights.sum(axis=1)

    return lambda Q: in_blocks(predict, Q, max(1, 10_000_000 // case.X.size))


def scipy_cdist(case):
    from scipy.spatial.distance import cdist

    def predict(queries):
        weights = PROFILES[case.kernel](cdist(queries, case.X) / case.bandwidth)
        return weights @ case.y / weights.sum(axis=1)

    return lambda Q: in_blocks(predict, Q, max(1, 10_000_000 // len(case.X)))


def k_neighbours(case):
    """With all samples as neighbours."""
    from sklearn.neighbors import KNeighborsRegressor

    weights = lambda distances: PROFILES[case.kernel](distances / case.bandwidth)  # noqa: E731
    model = KNeighborsRegressor(n_neighbors=len(case.X), weights=weights, n_jobs=-1).fit(case.X, case.y)
    return lambda Q: in_blocks(model.predict, Q, max(1, 10_000_000 // len(case.X)))


def radius_neighbours(case):
    from sklearn.neighbors import RadiusNeighborsRegressor

    weights = np.frompyfunc(lambda distances: PROFILES[case.kernel](distances / case.bandwidth), 1, 1)
    model = RadiusNeighborsRegressor(radius=case.bandwidth, weights=weights, n_jobs=-1).fit(case.X, case.y)
    return lambda Q: in_blocks(model.predict, Q, 5000)


def statsmodels(case):
    from statsmodels.nonparametric.kernel_regression import KernelReg

    d = case.X.shape[1]
    model = KernelReg(case.y, case.X, "c" * d, reg_type="lc", bw=np.full(d, case.bandwidth))
    return lambda Q: model.fit(Q)[0]


def astroml(case):
    from astroML.linear_model import NadarayaWatson

    model = NadarayaWatson("gaussian", case.bandwidth).fit(case.X, case.y)
    return lambda Q: in_blocks(model.predict, Q, max(1, 10_000_000 // len(case.X)))


def kernelsmooth(case):
    from kernelsmooth import NadarayaWatsonRegression

    model = NadarayaWatsonRegression(case.bandwidth / case.X.std(axis=0, ddof=1), diag_cov=True).fit(case.X, case.y)
    return model.predict


def fastlpr(case):
    """Its bandwidth is in standard deviations."""
    from fastlpr import cv_fastlpr, fastlpr_predict

    bandwidths = case.bandwidth / case.X.std(axis=0, keepdims=True)
    model = cv_fastlpr(case.X, case.y, bandwidths, {"order": 0, "calc_dof": False})
    return lambda Q: np.ravel(fastlpr_predict(model, Q))


def torch_attention(case):
    """Attention with logits q·k - |k|²/2: what is missing to -|q - k|²/2 is the same for all keys."""
    import torch

    centre = case.X.mean(axis=0)
    X = (case.X - centre) / case.bandwidth
    keys = np.c_[X, -np.square(X).sum(axis=1) / 2]
    # Values as wide as the keys: others make torch keep the whole matrix.
    values = np.zeros_like(keys)
    values[:, 0] = case.y
    keys, values = (torch.from_numpy(rows)[None, None] for rows in (keys, values))

    def predict(Q):
        queries = torch.from_numpy(np.c_[(Q - centre) / case.bandwidth, np.ones(len(Q), Q.dtype)])[None, None]
        return torch.nn.functional.scaled_dot_product_attention(queries, keys, values, scale=1.0)[0, 0, :, 0].numpy()

    return predict


def keops(case):
    import pykeops

    pykeops.set_verbose(False)
    from pykeops.numpy import LazyTensor

    keys = LazyTensor(np.ascontiguousarray(case.X[None] / case.bandwidth).astype(case.X.dtype))
    values = LazyTensor(case.y[None, :, None].copy())

    def predict(Q):
        queries = LazyTensor(np.ascontiguousarray(Q[:, None] / case.bandwidth).astype(Q.dtype))
        return (-((queries - keys) ** 2).sum(-1) / 2).sumsoftmaxweight(values, axis=1)[:, 0]

    return predict


def nonuniform_fourier(case):
    """Gaussian sums as a Fourier series over a period so long that the kernel has ended: type 1 in, type 2 out."""
    import finufft

    d = case.X.shape[1]
    low = np.minimum(case.X.min(axis=0), case.Q.min(axis=0))
    period = float((np.maximum(case.X.max(axis=0), case.Q.max(axis=0)) - low).max() + 9 * case.bandwidth)
    step = 2 * np.pi / period
    modes = int(np.ceil(9 / (case.bandwidth * step)))
    decay = np.exp(-np.square(np.arange(-modes, modes + 1) * step * case.bandwidth) / 2)
    decay = decay if d == 1 else decay[:, None] * decay
    series, values = (finufft.nufft1d1, finufft.nufft1d2) if d == 1 else (finufft.nufft2d1, finufft.nufft2d2)

    def angles(rows):
        return [np.ascontiguousarray(x) for x in ((rows - low) * step - np.pi).T]

    strengths = np.array([case.y, np.ones_like(case.y)], complex)
    coefficients = series(*angles(case.X), strengths, decay.shape if d > 1 else len(decay), eps=1e-14, isign=-1) * decay

    def predict(Q):
        sums = values(*angles(Q), coefficients, eps=1e-14, isign=1).real
        return sums[0] / sums[1]

    return predict


LOW = (1, 2, 3, 5)
GAUSSIAN, COMPACT = ("gaussian",), tuple(POLYNOMIALS)

CONTENDERS = (
    Contender("sknw", sknw, pairs=np.inf),
    Contender("sknw without numba", without_numba, pairs=np.inf),
    Contender("np.argsort of both", sorting, features=(1,), pairs=np.inf, limit_for=(1,)),
    Contender("bare GEMMs and exp", products, features=(8, 64, 512), limit_for=(8, 64, 512)),
    Contender("all pairs in C++", brute, features=LOW, most_pairs=5e8, limit_for=(2, 3, 5)),
    Contender("textbook prefix sums", prefix_sums, COMPACT, (1,), pairs=np.inf),
    Contender("finufft, 20 lines", nonuniform_fourier, GAUSSIAN, (1, 2), pairs=np.inf),
    Contender("fastlpr", fastlpr, GAUSSIAN, (1, 2, 3), pairs=np.inf, near=False),
    Contender("kernelsmooth", kernelsmooth, GAUSSIAN, near=False),
    Contender("astroML", astroml, GAUSSIAN, near=False),
    Contender("statsmodels KernelReg", statsmodels, GAUSSIAN, (*LOW, 8), most_pairs=2e6),
    Contender("RadiusNeighborsRegressor", radius_neighbours, COMPACT, most_pairs=5e8),
    Contender("KNeighborsRegressor", k_neighbours, ("gaussian", "exponential"), near=False),
    Contender("torch attention", torch_attention, GAUSSIAN, most_pairs=5e8),
    Contender("KeOps", keops, GAUSSIAN, most_pairs=5e8, near=False),
    Contender("SciPy cdist in blocks", scipy_cdist, near=False),
    Contender("NumPy in blocks", numpy_textbook, features=(*LOW, 8), near=False),
)

# The modules whose import is timed: ours, the least that an estimator needs, and the others.
MODULES = (
    "sknw",
    "sklearn.base",
    "sklearn.neighbors",
    "statsmodels.nonparametric.kernel_regression",
    "astroML.linear_model",
    "kernelsmooth",
    "fastlpr",
    "finufft",
    "pykeops.numpy",
    "torch",
)
