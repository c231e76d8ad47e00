"""Data on which fast sums break: tails, ties, offsets, constants, few and many features."""

import numpy as np

N_ROWS = 200
BANDWIDTHS = (1e-6, 1e-3, 0.05, 0.4, 2.0, 30.0, 1e6)  # in spreads


def _rows(seed, make):
    return make(np.random.default_rng(seed))


TRAINING_ROWS = {
    "uniform, 1 feature": _rows(0, lambda rng: rng.uniform(0, 5, (N_ROWS, 1))),
    "normal, 2 features": _rows(1, lambda rng: rng.normal(size=(N_ROWS, 2))),
    "normal, 6 features": _rows(2, lambda rng: rng.normal(size=(N_ROWS, 6))),
    "normal, 20 features": _rows(3, lambda rng: rng.normal(size=(N_ROWS, 20))),
    "lognormal, 1 feature": _rows(4, lambda rng: rng.lognormal(sigma=2, size=(N_ROWS, 1))),
    "lognormal, 6 features": _rows(5, lambda rng: rng.lognormal(sigma=2, size=(N_ROWS, 6))),
    "ties, 1 feature": _rows(6, lambda rng: rng.integers(0, 6, (N_ROWS, 1)).astype(float)),
    "ties, 3 features": _rows(7, lambda rng: rng.integers(0, 3, (N_ROWS, 3)).astype(float)),
    "offset, 1 feature": _rows(8, lambda rng: 1e8 + rng.normal(size=(N_ROWS, 1))),
    "offset, 6 features": _rows(9, lambda rng: 1e8 + rng.normal(size=(N_ROWS, 6))),
    "a constant feature": _rows(10, lambda rng: np.c_[rng.normal(size=N_ROWS), np.full(N_ROWS, 0.1)]),
    "normal, 1 feature": _rows(11, lambda rng: rng.normal(size=(N_ROWS, 1))),
    "lognormal, 3 features": _rows(12, lambda rng: rng.lognormal(sigma=2, size=(N_ROWS, 3))),
    "all rows equal": np.full((N_ROWS, 2), 0.1),
    "all rows equal, 1 feature": np.full((N_ROWS, 1), 0.1),
}

LABELS = np.random.default_rng(11).normal(size=N_ROWS)

# A fraction of y's range.
TOLERANCE = {np.float64: 1e-9, np.float32: 1e-4}


def spread(X):
    """The standard deviation of each feature, inf for a constant one."""
    constant = (X == X[0]).all(axis=0)
    return np.where(constant, np.inf, X.std(axis=0, dtype=float))


def queries(X):
    """Rows of X, rows moved a little, and rows far away in all directions."""
    X = X.astype(float)
    step = np.where(np.isfinite(spread(X)), spread(X), 1.0)
    rng = np.random.default_rng(12)
    far = np.sign(rng.normal(size=(8, X.shape[1]))) * np.array([[3, 3, 11, 11, 1.3e3, 1.3e3, 1.7e6, 1.7e6]]).T
    return np.vstack([X[:10], X[10:25] + 0.3 * step, X[:8] + far * step])
