"""Compare searches for a bandwidth, local lines and standard errors with other ways to get them. `make bench` runs it.

Every contender runs in a process of its own, by one thread. It warms up on 300 samples, and then by at least one run
and two seconds of them, by which what is compiled is compiled. A time is the least of seven further runs, of three
where one takes over half a second, of one over four. The error is the leave-one-out error of a bandwidth that was
chosen.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from time import perf_counter

import numpy as np
from bench import Result, ratio, repeat, run, spoken
from report import head, header, line
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import GridSearchCV

from sknw import LocalPolynomialRegressor, NadarayaWatsonRegressor

# In spreads of the features, which are one.
BANDWIDTHS = np.geomspace(0.05, 5, 20)


class Textbook(RegressorMixin, BaseEstimator):
    """The matrix of weights, as a textbook writes it."""

    def __init__(self, bandwidth=1.0):
        self.bandwidth = bandwidth

    def fit(self, X, y):
        """Keep the samples."""
        self.X_, self.y_ = X, y
        return self

    def predict(self, X):
        """Predict the weighted mean of the targets."""
        t = np.square(X[:, None] - self.X_).sum(axis=2) / self.bandwidth**2
        weights = np.exp(-t / 2)
        return weights @ self.y_ / weights.sum(axis=1)


def in_grid(model):
    """Find a bandwidth in twenty by five folds."""
    return lambda X, y: GridSearchCV(model, {"bandwidth": BANDWIDTHS}, cv=5).fit(X, y).best_params_["bandwidth"]


def by_rule(rule):
    """Find a bandwidth by a rule."""
    return lambda X, y: NadarayaWatsonRegressor(bandwidth=rule, random_state=0).fit(X, y).bandwidth_


def thirty(queries):
    """Fit thirty bandwidths, and predict the samples without themselves, or these queries."""

    def predict_all(X, y):
        for bandwidth in np.geomspace(0.01, 1, 30):
            NadarayaWatsonRegressor(bandwidth=bandwidth).fit(X, y).predict(queries(X))

    return predict_all


def cross_validation(X, y):
    """Find a bandwidth a feature by statsmodels."""
    from statsmodels.nonparametric.kernel_regression import KernelReg

    return KernelReg(y, X, "c" * X.shape[1], reg_type="lc", bw="cv_ls").bw


def of_degree(degree, bandwidth, kernel="gaussian", **options):
    """Fit, and predict as many queries as there are samples."""

    def predict(X, y):
        LocalPolynomialRegressor(kernel, degree, bandwidth).fit(X, y).predict(X + 1e-3, **options)

    return predict


def local_line(X, y):
    """Fit and predict local lines by statsmodels."""
    from statsmodels.nonparametric.kernel_regression import KernelReg

    KernelReg(y, X, "c" * X.shape[1], reg_type="ll", bw=[0.1] * X.shape[1]).fit(X + 1e-3)


@dataclass(frozen=True)
class Task:
    """How many samples and features there are, and who does the task: ours first."""

    name: str
    n: int
    features: int
    contenders: dict[str, Callable]

    def data(self):
        """Samples and targets."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(self.n, self.features))
        return X, np.sin(1.5 * X[:, 0]) + np.cos(X[:, -1]) + 0.3 * rng.normal(size=self.n)


LOO = {"sknw": by_rule("loo")}
ARD = {"sknw": by_rule("ard")}
FOLDS = in_grid(NadarayaWatsonRegressor(algorithm="brute"))

TASKS = (
    Task("1-loo-1e4", 10_000, 1, LOO),
    Task("1-loo-1e5", 100_000, 1, LOO),
    Task("5-loo-5e3", 5_000, 5, LOO | {"sknw in GridSearchCV": FOLDS}),
    Task("5-folds-5e3", 5_000, 5, {"sknw in GridSearchCV": FOLDS, "NumPy in GridSearchCV": in_grid(Textbook())}),
    Task(
        "1-thirty-1e5",
        100_000,
        1,
        {"sknw, leave-one-out": thirty(lambda X: None), "sknw, predict": thirty(lambda X: X + 1e-3)},
    ),
    Task("2-ard-500", 500, 2, ARD | {"statsmodels cv_ls": cross_validation}),
    Task("5-ard-1e3", 1_000, 5, ARD),
    Task("5-ard-5e3", 5_000, 5, ARD),
    *(
        Task(f"1-{short}-line-1e6", 1_000_000, 1, {"mean": of_degree(0, 0.02, name), "line": of_degree(1, 0.02, name)})
        for short, name in (("gauss", "gaussian"), ("epan", "epanechnikov"), ("tricube", "tricube"))
    ),
    Task("8-gauss-line-2e4", 20_000, 8, {"mean": of_degree(0, np.sqrt(2)), "line": of_degree(1, np.sqrt(2))}),
    Task("1-gauss-line-1e3", 1_000, 1, {"line": of_degree(1, 0.1), "statsmodels ll": local_line}),
)


MAIN = ("1-loo-1e5", "5-loo-5e3", "5-folds-5e3", "2-ard-500", "5-ard-1e3", "1-gauss-line-*", "8-gauss-line-2e4")


def measure(number, name, pipe):
    """Send None when ready, None after one run, and the result at last; or why there is none."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1), os.dup2(silence, 2)
    warnings.simplefilter("ignore")
    task = TASKS[number]
    find, (X, y) = task.contenders[name], task.data()
    try:
        find(X[:300], y[:300])
        pipe.send(None)
        begin = perf_counter()
        bandwidth = find(X, y)
        pipe.send(None)

        def seconds():
            start = perf_counter()
            find(X, y)
            return perf_counter() - start

        least = min(repeat(seconds, begin))
        error = ""
        if bandwidth is not None:
            left_out = NadarayaWatsonRegressor(bandwidth=bandwidth).fit(X, y).predict(None)
            error = f"{np.mean(np.square(left_out - y)):.5f}"
        pipe.send(Result(least, error=error))
    except Exception as failure:
        pipe.send(f"not run: {type(failure).__name__}: {str(failure).splitlines()[0] if str(failure) else ''}")


def row(task, name, result, ours):
    """One line of the table."""
    if isinstance(result, str):
        return line([task, name, result, "", ""])
    faster = result.sign + ratio(result.seconds / ours.seconds) if isinstance(ours, Result) else ""
    return line([task, name, result.sign + spoken(result.seconds), faster, result.error])


def main():
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ", ".join(task.name for task in TASKS)
    parser.add_argument("task", nargs="*", help=f"names, or patterns such as '1-*' or '*': {names}")
    parser.add_argument("--limit", type=float, default=20, help="seconds that a contender may take")
    arguments = parser.parse_args()
    print(head("numpy", "scipy", "scikit-learn", "numba", "statsmodels"))
    print(header(["task", "contender", "time (least)", "the first is faster by", "leave-one-out error"]), flush=True)
    for number, task in enumerate(TASKS):
        ours = None
        if any(fnmatch(task.name, pattern) for pattern in arguments.task or MAIN):
            for name in task.contenders:
                result = run(measure, (number, name), arguments.limit, Result(arguments.limit, ">"))
                ours = ours or result
                print(row(task.name, name, result, ours), flush=True)


if __name__ == "__main__":
    main()
