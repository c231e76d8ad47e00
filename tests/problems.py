"""Problems for algorithms, the fits of these, and what they predict."""

import numpy as np
from cases import LABELS

from sknw import KERNELS
from sknw._algorithms import ALGORITHMS, build
from sknw._fit._fit import Fit
from sknw._fit._leave_one_out import leave_one_out
from sknw._fit._predictions import fits_from_sums
from sknw._problem._bases import BASES
from sknw._problem._distances import DISTANCES
from sknw._problem._problem import Problem
from sknw._problem._rows import Rows
from sknw._selection._criteria import CRITERIA


def make_problem(X, kernel="gaussian", bandwidth=1.0, *, y=None, sample_weight=None, degree=0, ridge=0.0, **params):
    metric = params.get("metric", "euclidean")
    y = np.resize(LABELS, len(X)) if y is None else y
    sample_weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    kernel = KERNELS[kernel] if isinstance(kernel, str) else kernel
    rows = Rows(X, y.reshape(len(y), -1), sample_weight)
    distance = DISTANCES[metric](rows, bandwidth, metric, params.get("metric_params"))
    return Problem(rows, distance, kernel, BASES[degree], ridge)


def names_of_serving(problem):
    """The names of those of all algorithms that serve a problem. Brute force is always one."""
    return [name for name, algorithm in ALGORITHMS.items() if algorithm.refuses(problem) is None]


def serving(problem):
    """Those algorithms by their names, made ready for the problem."""
    return {name: build(name, problem) for name in names_of_serving(problem)}


def fits_of(algorithm, queries, excluded=None, n_jobs=None):
    """Fits at queries, each without an excluded key: (n_queries, n_outputs)."""
    at = algorithm.problem.distance.transform(queries)
    sums = algorithm.sums(at, excluded, n_jobs)
    return fits_from_sums(Fit(algorithm), sums, at, "nearest", excluded)[0]


def mean_of(algorithm, queries, excluded=None, n_jobs=None):
    """The same for one output: (n_queries,)."""
    return fits_of(algorithm, queries, excluded, n_jobs)[:, 0]


def score(model, criterion="loo", indices=None):
    """A criterion of leave-one-out predictions, of a fitted estimator or an algorithm."""
    fit = model._fit if hasattr(model, "_fit") else Fit(model)
    return CRITERIA[criterion](fit.problem.rows, leave_one_out(fit, "nearest", None, indices))
