"""Simulate how often intervals and bands cover what they should. `make coverage` runs it.

Samples are drawn from 2 sin(x) + x, x uniform from 0 to 5, with noise that is even or grows with x. The bandwidth is
the median of those that leave-one-out chooses for ten other data sets; with --search, each data set chooses its own.
The intervals are to cover 90 % of new targets. The band of 1.96 standard errors is to cover 95 % of the expected fits,
which are those to targets without noise by the same weights, at queries from 0.5 to 4.5; that of the truth, which the
fit is a smoothed version of, is told beside it.
"""

from __future__ import annotations

import argparse

import numpy as np
from report import head

from sknw import LocalPolynomialRegressor, NadarayaWatsonRegressor

MODELS = {
    "NadarayaWatsonRegressor()": NadarayaWatsonRegressor,
    "LocalPolynomialRegressor(degree=1)": LocalPolynomialRegressor,
}
NOISE = {"even": lambda x: np.full_like(x, 0.5), "growing": lambda x: 0.1 + 0.3 * x}
N_QUERIES = 100
HEADER = ("estimator", "noise", "rows", "interval", "width", "scaled interval", "width", "band: expected fit", "truth")


def truth(x):
    return 2 * np.sin(x) + x


def draw(rng, n, noise):
    x = rng.uniform(0, 5, n)
    return x[:, None], truth(x) + noise(x) * rng.normal(size=n)


def covered(interval, y):
    return np.mean((interval[:, 0] <= y) & (y <= interval[:, 1]))


def usual_bandwidth(make, n, noise):
    """The median choice of ten data sets, so that no search is needed for the others."""
    rng = np.random.default_rng(n + 1)
    return float(np.median([make().fit(*draw(rng, n, noise)).bandwidth_ for _ in range(10)]))


def trial(model, rng, n, noise):
    """The numbers of one data set."""
    X, y = draw(rng, n, noise)
    model.fit(X, y)
    queries, targets = draw(rng, N_QUERIES, noise)
    numbers = []
    for scaled in (False, True):
        interval = model.predict_interval(queries, scaled=scaled)
        numbers += [covered(interval, targets), np.ptp(interval, axis=1).mean()]
    inner = np.linspace(0.5, 4.5, N_QUERIES)[:, None]
    fit, std = model.predict(inner, return_std=True)
    band = np.stack([fit - 1.96 * std, fit + 1.96 * std], axis=1)
    expected = model.attention_weights(inner) @ truth(X[:, 0])
    return [*numbers, covered(band, expected), covered(band, truth(inner[:, 0]))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", type=int, default=200)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 500])
    parser.add_argument("--search", action="store_true", help="choose a bandwidth for each data set, which takes long")
    arguments = parser.parse_args()
    print(head("numpy", "scipy", "scikit-learn", "numba"))
    print(f"{arguments.datasets} data sets a line.\n")
    print("| " + " | ".join(HEADER) + " |")
    print("|---|---|" + "---:|" * (len(HEADER) - 2))
    for name, make in MODELS.items():
        for kind, noise in NOISE.items():
            for n in arguments.rows:
                rng = np.random.default_rng(n)
                bandwidth = "loo" if arguments.search else usual_bandwidth(make, n, noise)
                means = np.mean(
                    [trial(make(bandwidth=bandwidth), rng, n, noise) for _ in range(arguments.datasets)], axis=0
                )
                cells = [f"{number:.3f}" for number in means]
                print("| " + " | ".join([f"`{name}`", kind, str(n), *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
