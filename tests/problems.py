"""Problems for algorithms, and the means that these compute."""

import numpy as np
from cases import LABELS

from sknw import KERNELS
from sknw._algorithms import Problem
from sknw._pooling import pool


def make_problem(X, kernel="gaussian", bandwidth=1.0, *, y=None, sample_weight=None, **metric):
    y = np.resize(LABELS, len(X)) if y is None else y
    sample_weight = np.ones(len(X)) if sample_weight is None else sample_weight
    kernel = KERNELS[kernel] if isinstance(kernel, str) else kernel
    return Problem(X, y.reshape(len(y), -1), sample_weight, kernel, bandwidth=bandwidth, **metric)


def mean_of(algorithm, queries, excluded=None, n_jobs=None):
    at = algorithm.problem.scale(queries)
    sums = algorithm.sums(at, excluded, n_jobs)
    return pool(algorithm, sums, at, "nearest", excluded)[0][:, 0]
