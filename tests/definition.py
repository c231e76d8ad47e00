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


def fit_polynomials(log_profile, queries, keys, values, bandwidth, degree, sample_weight=None, excluded=None):
    """Values at queries of polynomials fitted by weighted least squares, (n_queries,), and how well they are known.

    By orthogonal columns. The second result is the least eigenvalue of the correlations of the terms, as seen from the
    weighted mean, or the least variance of one, in bandwidths or extents, if that is less: near zero, no fit is known.
    The third is the sum of the absolute weights of the values, one where the fit is no extrapolation.
    """
    shares = weights(log_profile, queries, keys, bandwidth, sample_weight, excluded)
    keys, queries = (np.asarray(a, dtype=np.longdouble)[:, np.isfinite(bandwidth)] for a in (keys, queries))
    if not keys.shape[1]:
        return shares @ values, np.ones(len(queries)), np.ones(len(queries))
    unit = np.minimum(np.asarray(bandwidth, np.longdouble)[np.isfinite(bandwidth)], np.ptp(keys, axis=0))
    known, lever = np.ones(len(queries)), np.ones(shares.shape, np.longdouble)
    for i, (share, query) in enumerate(zip(shares, queries, strict=True)):
        mean = share @ keys
        there, here = _terms((keys - mean) / unit, degree), _terms((query - mean)[None] / unit, degree)[:, 0]
        basis, at = [], []
        known[i] = least_eigenvalue(share, np.array(there))
        for column, value in zip(there, here, strict=True):
            value = value - share @ column
            column = column - share @ column
            for _ in range(2):
                for other, other_at in zip(basis, at, strict=True):
                    part = share @ (column * other)
                    column, value = column - part * other, value - part * other_at
            left = np.sqrt(share @ column**2)
            basis.append(column / max(left, np.longdouble(1e-300)))
            at.append(value / max(left, np.longdouble(1e-300)))
            lever[i] += basis[-1] * at[-1]
    return (shares * lever) @ values, known, np.abs(shares * lever).sum(axis=1).astype(float)


def least_eigenvalue(share, terms):
    """The least eigenvalue of the correlations of terms, (n_terms, n_keys), or the least variance."""
    deviations = terms - (terms @ share)[:, None]
    lengths = np.sqrt(np.square(deviations) @ share)
    columns = deviations * np.sqrt(share) / np.maximum(lengths, np.longdouble(1e-300))[:, None]
    return min(np.linalg.eigvalsh((columns @ columns.T).astype(float))[0], lengths.min() ** 2)


def _terms(z, degree):
    """The coordinates, and for a degree of two their products: (n_terms, n_points)."""
    pairs = [z[:, i] * z[:, j] for i in range(z.shape[1]) for j in range(i + 1)] if degree == 2 else []
    return [*z.T, *pairs] if len(z) > 1 else np.array([*z.T, *pairs])
