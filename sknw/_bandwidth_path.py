"""bandwidth_path: how well each bandwidth of a user's own grid does."""

import numpy as np
from sklearn.utils import Bunch

from sknw._algorithms import ALGORITHMS
from sknw._fit._fallbacks import FALLBACKS
from sknw._problem._bases import BASES
from sknw._problem._problem import Problem
from sknw._problem._rows import Rows
from sknw._selection._criteria import CRITERIA, SearchOptions
from sknw._selection._rules import criterion_path
from sknw._validation import (
    check_bandwidths,
    check_coordinates,
    check_degree,
    check_kernel,
    check_metric,
    check_n_features,
    check_name,
    check_training_data,
)


def bandwidth_path(
    X,
    y,
    bandwidths,
    *,
    kernel="gaussian",
    degree=0,
    criterion="loo",
    sample_weight=None,
    metric="euclidean",
    metric_params=None,
    algorithm="auto",
    fallback="nearest",
    n_jobs=None,
):
    """Score bandwidths of local polynomial regression by a criterion, exactly, without refitting.

    The scores by "loo" are the mean squared errors of ``GridSearchCV`` with ``cv=LeaveOneOut()``. For a kernel that is
    positive everywhere, all bandwidths share one pass over the distances; with one feature, each takes n log n.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The samples.

    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.

    bandwidths : array-like of shape (n_bandwidths,) or (n_bandwidths, n_features)
        In the units of the features: one number for all features, or one for each, where ``inf`` takes a feature out.

    kernel : str, Kernel or callable, default="gaussian"
        As in :class:`NadarayaWatsonRegressor`, and so are the parameters below.

    degree : {0, 1, 2}, default=0
        Of the polynomial: 0 for the weighted mean of :class:`NadarayaWatsonRegressor`, 1 and 2 as in
        :class:`LocalPolynomialRegressor`.

    criterion : {"loo", "gcv", "aicc"}, default="loo"
        The mean squared leave-one-out error, generalised cross-validation, or the corrected Akaike information
        criterion. Lower is better.

    sample_weight : array-like of shape (n_samples,), default=None
        Integers count repetitions of a row.

    metric : str or callable, default="euclidean"
        Other metrics take one bandwidth only.

    metric_params : dict, default=None
        Further arguments for the metric.

    algorithm : {"auto", "brute", "cells", "tree"}, default="auto"
        It has no influence on the scores.

    fallback : {"nearest", "mean", "nan", "raise"}, default="nearest"
        What a row counts as predicted that no other row reaches; "nan" and "raise" stand for "mean" here.

    n_jobs : int, default=None
        The number of threads.

    Returns
    -------
    path : :class:`~sklearn.utils.Bunch`
        `bandwidths` as given, their `scores` of shape (n_bandwidths,), the `criterion`, `best_index` (of the largest
        bandwidth with the lowest score), `best_bandwidth` and `best_score`.

    Raises
    ------
    ValueError, TypeError
        If the data or a parameter cannot be used, or if there are fewer than two samples.

    Examples
    --------
    >>> from sknw import bandwidth_path
    >>> from sknw.datasets import make_sine
    >>> X, y = make_sine(n_samples=40, random_state=1)
    >>> path = bandwidth_path(X, y, [0.1, 0.2, 0.4, 0.8])
    >>> path.scores.round(3), float(path.best_bandwidth)
    (array([0.793, 0.718, 0.694, 0.947]), 0.4)
    """
    algorithm = check_name(algorithm, ("auto", *ALGORITHMS), "algorithm")
    options = SearchOptions(algorithm, check_name(fallback, FALLBACKS, "fallback"), n_jobs)
    criterion, degree = check_name(criterion, CRITERIA, "criterion"), check_degree(degree)
    distance, metric, metric_params = check_metric(metric, metric_params)
    kernel, basis = check_kernel(kernel), BASES[degree]
    if not basis.keeps_range:
        check_coordinates(distance, metric, f"degree={degree!r}")
    X, y, sample_weight = check_training_data(X, y, sample_weight, distance)
    check_n_features(X.shape[1], degree)
    bandwidths = check_bandwidths(bandwidths, distance, metric, X.shape[1])
    rows = Rows(X, y.reshape(len(y), -1), sample_weight)
    basis = basis.determined_by(int(np.count_nonzero(sample_weight)), X.shape[1])
    problem = Problem(rows, distance(rows, 1.0, metric, metric_params), kernel, basis)
    scores = criterion_path(problem, bandwidths, criterion, options)
    lowest = np.flatnonzero(scores == scores.min())
    best = int(max(lowest, key=lambda k: tuple(np.atleast_1d(bandwidths[k]))))
    return Bunch(
        bandwidths=bandwidths,
        scores=scores,
        criterion=criterion,
        best_index=best,
        best_bandwidth=bandwidths[best],
        best_score=float(scores[best]),
    )
