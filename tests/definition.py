"""The definition: slow, plain, in the longest float there is. Everything fast is compared with it."""

import numpy as np

# log K(u), and -inf outside the support; u is never negative.
LOG_PROFILES = {
    "gaussian": lambda u: -(u**2) / 2,
    "boxcar": lambda u: np.where(u <= 1, 0.0, -np.inf),
    "triangular": lambda u: np.log(np.maximum(1 - u, 0)),
    "constant": lambda u: 0 * u,
    "epanechnikov": lambda u: np.log(np.maximum(1 - u**2, 0)),
    "biweight": lambda u: 2 * np.log(np.maximum(1 - u**2, 0)),
    "triweight": lambda u: 3 * np.log(np.maximum(1 - u**2, 0)),
    "tricube": lambda u: 3 * np.log(np.maximum(1 - u**3, 0)),
    "cosine": lambda u: np.log(np.where(u < 1, np.sin((1 - np.minimum(u, 1)) * HALF_PI), 0)),
    "exponential": lambda u: -u,
    "logistic": lambda u: np.log(u.dtype.type(4)) - u - 2 * np.log1p(np.exp(-u)),
    "sigmoid": lambda u: np.log(u.dtype.type(2)) - u - np.log1p(np.exp(-2 * u)),
    "cauchy": lambda u: -np.log1p(u**2),
    "matern32": lambda u: np.log1p(np.sqrt(u.dtype.type(3)) * u) - np.sqrt(u.dtype.type(3)) * u,
}
HALF_PI = 2 * np.arctan(np.longdouble(1))


def weights(log_profile, queries, keys, bandwidth, sample_weight=None, excluded=None):
    """Attention weights, (n_queries, n_keys). A query without a key in reach attends to its nearest keys."""
    queries, keys, h = (np.asarray(a, dtype=np.longdouble) for a in (queries, keys, bandwidth))
    w = np.ones(len(keys), np.longdouble) if sample_weight is None else np.asarray(sample_weight, np.longdouble)
    counts = np.tile(w > 0, (len(queries), 1))
    if excluded is not None:
        counts[np.arange(len(queries)), excluded] = False
    rows = np.zeros(counts.shape, np.longdouble)
    with np.errstate(divide="ignore", under="ignore"):
        for i, query in enumerate(queries):
            u = np.sqrt((((query - keys) / h) ** 2).sum(axis=1))
            logs = np.where(counts[i], log_profile(u), -np.inf)
            if logs.max() > -np.inf:
                rows[i] = w * np.exp(logs - logs.max())
            else:
                rows[i] = w * (u <= u[counts[i]].min() * (1 + 1e-13)) * counts[i]
    return rows / rows.sum(axis=1, keepdims=True)


def predict(log_profile, queries, keys, values, bandwidth, sample_weight=None, excluded=None):
    """The weighted means of the values, (n_queries,) or (n_queries, n_outputs)."""
    return weights(log_profile, queries, keys, bandwidth, sample_weight, excluded) @ np.asarray(values, np.longdouble)
