"""What is measured: samples, targets, queries, kernels and bandwidths, and the right answers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

SHORT = {"gaussian": "gauss", "epanechnikov": "epan", "tricube": "tricube", "exponential": "exp"}

# The interval that holds all uniform numbers, and 99 % of the others.
INNER_RANGE = {"uniform": 1.0, "normal": 5.15, "lognormal": 13.07}

# The share of the samples in reach of an average query, by the number of features: 3000, 1000 and 200 of 1e5.
IN_REACH = {2: 0.03, 3: 0.01, 5: 0.002}

# The reference works on so many numbers at most: it takes seconds.
REFERENCE_NUMBERS = 1e8


@dataclass(frozen=True)
class Workload:
    """As many queries as samples, from the same distribution; or single queries, one call each, after fit."""

    features: int
    kernel: str
    n: int
    x: str = "normal"
    dtype: str = "float64"
    row: bool = False

    @property
    def name(self):
        """Features, kernel, distribution or precision where there are several, samples."""
        parts = [str(self.features), SHORT[self.kernel]]
        parts += [self.x] if self.features == 1 and self.x != "uniform" else []
        parts += [self.dtype.replace("float", "f")] if self.features >= 8 else []
        return "-".join([*parts, f"{self.n:.0e}".replace("e+0", "e")] + ["row"] * self.row)

    @property
    def pairs(self):
        """Pairs of a query and a key."""
        return self.n * (1 if self.row else self.n)

    @property
    def bandwidth(self):
        """3/1000 of the inner range; Scott's rule, or a share in reach; a distance that many features all have."""
        d = self.features
        if d == 1:
            return 0.003 * INNER_RANGE[self.x]
        if d >= 8:
            return float(np.sqrt(d) / 2)
        if self.kernel == "gaussian":
            return self.n ** (-1 / (d + 4))
        from scipy.special import gammaincinv

        return float(2 * np.sqrt(gammaincinv(d / 2, IN_REACH[d])))

    def save(self, folder):
        """Write the data, the queries that are checked, and the right answers to these."""
        rng = np.random.default_rng(0)
        X, Q = (getattr(rng, self.x)(size=(self.n, self.features)).astype(self.dtype) for _ in range(2))
        z = X / INNER_RANGE[self.x]
        y = (np.sin(8 * z[:, 0]) + np.cos(5 * z[:, -1]) + 0.3 * rng.normal(size=self.n)).astype(self.dtype)
        case = Case(X, y, Q, self.bandwidth, self.kernel)
        count = int(REFERENCE_NUMBERS / X.size)
        outermost = np.argsort(-np.square(Q - np.median(X, axis=0)).sum(axis=1))[: min(100, count // 3)]
        at = np.r_[: min(1000, count - len(outermost), self.n), outermost]
        want = [reference(case, query) for query in Q[at]]
        for name, array in {"X": X, "y": y, "Q": Q, "at": at, "want": np.array(want)}.items():
            np.save(Path(folder, name), array)


@dataclass(frozen=True)
class Case:
    """What a contender is given."""

    X: np.ndarray
    y: np.ndarray
    Q: np.ndarray
    bandwidth: float
    kernel: str

    @classmethod
    def load(cls, workload, folder):
        """The case that `Workload.save` wrote."""
        return cls(*(np.load(Path(folder, f"{name}.npy")) for name in "XyQ"), workload.bandwidth, workload.kernel)

    def small(self):
        """Enough to import and compile all that a contender needs."""
        return Case(self.X[:300], self.y[:300], self.Q[:300], self.bandwidth, self.kernel)


def reference(case, query):
    """The definition in the longest float, or NaN where it has none; keys that cannot change a digit are left out."""
    u = np.sqrt(np.square((query.astype(float) - case.X) / case.bandwidth).sum(axis=1))
    nearest = u.min()
    reach = {"gaussian": np.sqrt(nearest**2 + 120), "exponential": nearest + 60}.get(case.kernel, 1 + 1e-9)
    keys = u <= reach
    if not keys.any():
        return np.nan
    t = np.square((query.astype(np.longdouble) - case.X[keys]) / np.longdouble(case.bandwidth)).sum(axis=1)
    weights = {
        "gaussian": lambda: np.exp((t.min() - t) / 2),
        "exponential": lambda: np.exp(np.sqrt(t.min()) - np.sqrt(t)),
        "epanechnikov": lambda: np.maximum(1 - t, 0),
        "tricube": lambda: np.maximum(1 - t * np.sqrt(t), 0) ** 3,
    }[case.kernel]()
    total = weights.sum()
    return weights @ case.y[keys] / total if total > 0 else np.nan


WORKLOADS = (
    *(Workload(1, kernel, n, "uniform") for n in (1_000, 10_000) for kernel in ("gaussian", "epanechnikov")),
    *(Workload(1, kernel, 100_000, "uniform") for kernel in SHORT),
    *(Workload(1, kernel, 1_000_000, x) for kernel, x in product(SHORT, INNER_RANGE)),
    *(Workload(d, kernel, 100_000) for d in IN_REACH for kernel in ("epanechnikov", "gaussian")),
    *(Workload(d, "gaussian", 20_000, dtype=dtype) for d in (8, 64, 512) for dtype in ("float32", "float64")),
    *(Workload(1, kernel, 100_000, "uniform", row=True) for kernel in ("gaussian", "epanechnikov")),
    *(Workload(5, kernel, 100_000, row=True) for kernel in ("gaussian", "epanechnikov")),
)
