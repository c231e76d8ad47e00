"""How far default predictions of local lines leave the targets, on small tables of the kinds that mislead them.

    .venv/bin/python benchmarks/small_tables.py        # 500 tables, some ten minutes
    .venv/bin/python benchmarks/small_tables.py 100    # so many

Samples that tie or nearly tie, gaps, duplicates, lognormal tails, and tables with none of these; 1 to 3 features, 8 to
400 samples; lines, and for every third table parabolas. Queries are uniform in the box of the samples, between two of
them, and near them. The excess of a prediction is by how many ranges of the targets it lies outside that range.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np

from sknw import LocalPolynomialRegressor

KINDS = ("ties", "near-ties", "gaps", "duplicates", "tails", "none")


def features(kind, n, d, rng):
    """Samples of a kind, (n, d)."""
    X = rng.normal(size=(n, d))
    if kind == "ties":
        return np.round(X * rng.integers(1, 4))
    if kind == "near-ties":
        places = rng.normal(size=(int(rng.integers(3, 9)), d))
        return places[rng.integers(0, len(places), n)] * (1 + 10.0 ** -rng.integers(4, 10) * rng.normal(size=(n, d)))
    if kind == "gaps":
        return 0.3 * X + np.where(rng.random((n, 1)) < 0.5, 0, rng.uniform(2, 30))
    if kind == "duplicates":
        return X[rng.integers(0, max(4, n // 3), n)]
    if kind == "tails":
        return np.exp(rng.uniform(0.5, 2.5) * X)
    return rng.uniform(-2, 2, size=(n, d))


def table(seed):
    """A table: its kind, X, y, and queries."""
    rng, kind = np.random.default_rng(seed), KINDS[seed % len(KINDS)]
    d, n = int(rng.integers(1, 4)), int(np.exp(rng.uniform(np.log(8), np.log(400))))
    X = features(kind, n, d, rng)
    spread = X.std(axis=0)
    z = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
    y = np.sin(2 * z[:, 0]) + 0.5 * z.sum(axis=1) + rng.uniform(0.05, 1) * rng.normal(size=n)
    if rng.random() < 0.25:
        y = rng.choice([-2, -1, 0.3, 1], n)
    one, other = X[rng.integers(0, n, 150)], X[rng.integers(0, n, 150)]
    box = rng.uniform(X.min(axis=0), X.max(axis=0), (300, d))
    near = other * (1 + 0.01 * rng.normal(size=(150, d)))
    return kind, X, y, np.vstack([box, one + rng.random((150, 1)) * (other - one), near])


def excess(seed):
    """The kind of a table, and the largest excess of its predictions."""
    kind, X, y, queries = table(seed)
    fits = LocalPolynomialRegressor(degree=1 if seed % 3 else 2).fit(X, y).predict(queries)
    return kind, max(y.min() - fits.min(), fits.max() - y.max(), 0) / np.ptp(y)


def main():
    """Print for each kind of table how many there are, how many exceed one range, and the worst."""
    warnings.simplefilter("ignore")
    found = [excess(seed) for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 500)]
    print("| kind | tables | beyond one range | worst |\n|---|---:|---:|---:|")
    for kind in KINDS:
        sizes = np.array([size for name, size in found if name == kind])
        print(f"| {kind} | {len(sizes)} | {(sizes > 1 + 1e-9).sum()} | {sizes.max():.2f} |")


if __name__ == "__main__":
    main()
