"""The definition: slow, plain, in the longest float there is. Everything fast is compared with it."""

import numpy as np

HALF_PI = 2 * np.arctan(np.longdouble(1))


def log(k):
    """The logarithm, and -inf of what is not positive."""
    return np.log(k, out=np.full_like(k, -np.inf), where=k > 0)


# log K(u), and -inf outside the support; u is never negative.
LOG_PROFILES = {
    "gaussian": lambda u: -(u**2) / 2,
    "boxcar": lambda u: np.where(u <= 1, 0.0, -np.inf),
    "triangular": lambda u: log(1 - u),
    "constant": lambda u: 0 * u,
    "epanechnikov": lambda u: log(1 - u**2),
    "biweight": lambda u: 2 * log(1 - u**2),
    "triweight": lambda u: 3 * log(1 - u**2),
    "tricube": lambda u: 3 * log(1 - u**2 * u),
    "cosine": lambda u: log(np.sin((1 - np.minimum(u, 1)) * HALF_PI)),
    "exponential": lambda u: -u,
    "logistic": lambda u: np.log(u.dtype.type(4)) - u - 2 * np.log1p(np.exp(-u)),
    "sigmoid": lambda u: np.log(u.dtype.type(2)) - u - np.log1p(np.exp(-2 * u)),
    "cauchy": lambda u: -np.log1p(u**2),
    "matern32": lambda u: np.log1p(np.sqrt(u.dtype.type(3)) * u) - np.sqrt(u.dtype.type(3)) * u,
}


def distances(queries, keys, bandwidth):
    """Distances in bandwidths, (n_queries, n_keys). All kernels may share them."""
    queries, keys, h = (np.asarray(a, dtype=np.longdouble) for a in (queries, keys, bandwidth))
    squares = np.zeros((len(queries), len(keys)), np.longdouble)
    for q, key, width in zip(queries.T, keys.T, np.broadcast_to(h, keys.shape[1:]), strict=True):
        squares += ((q[:, None] - key) / width) ** 2
    return np.sqrt(squares)


def weights(log_profile, u, sample_weight=None, excluded=None):
    """Attention weights of keys at these distances, (n_queries, n_keys).

    A query without a key in reach attends to its nearest keys.
    """
    w = np.ones(u.shape[1], np.longdouble) if sample_weight is None else np.asarray(sample_weight, np.longdouble)
    counts = np.tile(w > 0, (len(u), 1))
    if excluded is not None:
        counts[np.arange(len(u)), excluded] = False
    with np.errstate(under="ignore"):
        logs = np.where(counts, log_profile(u), -np.inf)
        highest = logs.max(axis=1, keepdims=True)
        reached = highest > -np.inf
        rows = w * np.exp(logs - np.where(reached, highest, 0))
    nearest = np.where(counts, u, np.inf).min(axis=1, keepdims=True)
    rows = np.where(reached, rows, w * (u <= nearest * (1 + 1e-13)) * counts)
    return rows / rows.sum(axis=1, keepdims=True)


def predict(log_profile, queries, keys, values, bandwidth, sample_weight=None, excluded=None):
    """The weighted means of the values, (n_queries,) or (n_queries, n_outputs)."""
    rows = weights(log_profile, distances(queries, keys, bandwidth), sample_weight, excluded)
    return (rows @ np.asarray(values, np.longdouble)).astype(float)


def fit_polynomials(log_profile, queries, keys, values, bandwidth, degree):
    """Values at queries of polynomials fitted by weighted least squares, (n_queries,), and how well they are known.

    By orthogonal columns. The second result is the least eigenvalue of the correlations of the terms, as seen from the
    weighted mean, or the least variance of one, in bandwidths or extents, if that is less: near zero, no fit is known.
    The third is the sum of the absolute weights of the values, one where the fit is no extrapolation.
    """
    shares = weights(log_profile, distances(queries, keys, bandwidth))
    keys, queries = (np.asarray(a, dtype=np.longdouble)[:, np.isfinite(bandwidth)] for a in (keys, queries))
    if not keys.shape[1]:
        return shares @ values, np.ones(len(queries)), np.ones(len(queries))
    unit = np.minimum(np.asarray(bandwidth, np.longdouble)[np.isfinite(bandwidth)], np.ptp(keys, axis=0))
    known, lever = np.ones(len(queries)), np.ones(shares.shape, np.longdouble)
    for i, query in enumerate(queries):
        near = shares[i] > 1e-30
        share, mean = shares[i, near], shares[i, near] @ keys[near]
        there, here = terms((keys[near] - mean) / unit, degree), terms((query - mean)[None] / unit, degree)[:, 0]
        known[i] = least_eigenvalue(share, there)
        basis, at = np.empty_like(there), np.empty_like(here)
        for k, (column, value) in enumerate(zip(there, here, strict=True)):
            value = value - share @ column
            column = column - share @ column
            for _ in range(2):
                parts = basis[:k] @ (share * column)
                column, value = column - parts @ basis[:k], value - parts @ at[:k]
            left = max(np.sqrt(share @ column**2), np.longdouble(1e-300))
            basis[k], at[k] = column / left, value / left
        lever[i, near] += at @ basis
    return (shares * lever) @ values, known, np.abs(shares * lever).sum(axis=1).astype(float)


def least_eigenvalue(share, terms):
    """The least eigenvalue of the correlations of terms, (n_terms, n_keys), or the least variance."""
    deviations = terms - (terms @ share)[:, None]
    lengths = np.sqrt(np.square(deviations) @ share)
    columns = (deviations * np.sqrt(share) / np.maximum(lengths, np.longdouble(1e-300))[:, None]).astype(float)
    return min(np.linalg.eigvalsh(columns @ columns.T)[0], lengths.min() ** 2)


def terms(z, degree):
    """The coordinates, and for a degree of two their products: (n_terms, n_points)."""
    pairs = [z[:, i] * z[:, j] for i in range(z.shape[1]) for j in range(i + 1)] if degree == 2 else []
    return np.array([*z.T, *pairs])
