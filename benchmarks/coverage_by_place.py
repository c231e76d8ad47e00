"""Simulate how often scaled intervals and quantiles cover what they should, here and there. `make coverage` runs it.

2000 samples, whose noise differs from place to place; bandwidths are the estimators' own choice. 90 % intervals with
``scaled=True`` and those between the quantiles 0.05 and 0.95 are to cover 90 % of new targets in each third of the
first feature. Beside it, how far the quantile 0.5 is from the median of the targets, in standard deviations of the
noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from report import head
from scipy.stats import gamma, norm

from sknw import LocalPolynomialRegressor

N_SAMPLES, N_QUERIES = 2000, 300


class Case(NamedTuple):
    """Targets of samples that are drawn evenly from 0 to 10 in each feature."""

    n_features: int
    expected: Callable
    noise: Callable
    distribution: Any
    degrees: tuple = (0, 1, 2)


def line(x):
    return 2 * x[:, 0]


def curve(x):
    return 2 * np.sin(x[:, 0]) + x[:, 0]


def growing(x):
    return 0.2 + 0.3 * x[:, 0]


CASES = {
    "line, growing": Case(1, line, growing, norm()),
    "curve, growing": Case(1, curve, growing, norm()),
    "curve, even": Case(1, curve, lambda x: np.full(len(x), 0.5), norm()),
    "line, growing, skewed": Case(1, line, growing, gamma(2, loc=-np.sqrt(2), scale=np.sqrt(0.5))),
    "two features, growing": Case(
        2, lambda x: 0.3 * x[:, 0] + np.sin(0.4 * x[:, 1]), lambda x: growing(x) / 6, norm(), degrees=(0, 1)
    ),
}
HEADER = ("targets and noise", "degree", "scaled: first third", "second", "last")
HEADER += ("quantiles: first third", "second", "last", "median off: first third", "second", "last")


def trial(case, degree, rng):
    """The numbers of one data set: shares of the distribution in the intervals, and how far medians are off."""
    X, queries = (rng.uniform(0, 10, (n, case.n_features)) for n in (N_SAMPLES, N_QUERIES))
    y = case.expected(X) + case.noise(X) * case.distribution.rvs(N_SAMPLES, random_state=rng)
    model = LocalPolynomialRegressor(degree=degree, random_state=0).fit(X, y)
    queries = queries[queries[:, 0].argsort()]

    def standardised(targets):
        return (targets - case.expected(queries)) / case.noise(queries)

    low, median, high = model.predict_quantiles(queries).T
    ends = [model.predict_interval(queries, scaled=True).T, (low, high)]
    numbers = [case.distribution.cdf(standardised(b)) - case.distribution.cdf(standardised(a)) for a, b in ends]
    numbers.append(np.abs(standardised(median) - case.distribution.median()))
    return np.reshape(numbers, (9, -1)).mean(axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", type=int, default=100)
    arguments = parser.parse_args()
    print(head("numpy", "scipy", "scikit-learn", "numba"))
    print(f"{arguments.datasets} data sets a line, {N_SAMPLES} samples each.\n")
    print("| " + " | ".join(HEADER) + " |")
    print("|---|" + "---:|" * (len(HEADER) - 1))
    for name, case in CASES.items():
        for degree in case.degrees:
            trials = [trial(case, degree, np.random.default_rng(seed)) for seed in range(arguments.datasets)]
            cells = [f"{number:.3f}" for number in np.mean(trials, axis=0)]
            print("| " + " | ".join([name, str(degree), *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
