"""bandwidth_path: how well each bandwidth of a user's own grid does."""

import warnings

import numpy as np
from sklearn import get_config
from sklearn.utils import Bunch

from sknw._algorithms import ALGORITHMS
from sknw._arrays import device_of
from sknw._fit._fallbacks import FALLBACKS, numeric_fallback
from sknw._problem._bases import BASES
from sknw._problem._problem import Problem
from sknw._problem._rows import Rows
from sknw._selection._criteria import CRITERIA, SearchOptions, are_lowest
from sknw._selection._outcomes import decided_by_copies
from sknw._selection._rules import criterion_path
from sknw._validation import (
    check_bandwidths,
    check_coordinates,
    check_counts,
    check_degree,
    check_kernel,
    check_limit,
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
    limit=None,
    sample_weight=None,
    sample_weight_type="auto",
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

    limit : float or None, default=None
        For degrees 1 and 2, what the absolute weights of all targets in a prediction may sum up to, as in
        :class:`LocalPolynomialRegressor`. With that of its `limit_`, scores are those of
        its search; None is no limit.

    sample_weight : array-like of shape (n_samples,), default=None
        How much each row counts.

    sample_weight_type : {"auto", "frequency", "importance"}, default="auto"
        What weights mean. By "auto", integers count repetitions of a row.

    metric : str or callable, default="euclidean"
        Other metrics take one bandwidth only, and degree 0.

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

    Warns
    -----
    UserWarning
        If integer weights were taken for counts, and repetitions of rows decided which bandwidth is best.

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
    fallback = numeric_fallback(check_name(fallback, FALLBACKS, "fallback"))
    options = SearchOptions(algorithm, fallback, n_jobs)
    criterion, degree = check_name(criterion, CRITERIA, "criterion"), check_degree(degree)
    distance, metric, metric_params = check_metric(metric, metric_params)
    kernel, basis, limit = check_kernel(kernel), BASES[degree], check_limit(limit)
    if not basis.keeps_range:
        check_coordinates(distance, metric, f"degree={degree}")
    features, device = getattr(X, "columns", None), device_of(X) if get_config()["array_api_dispatch"] else None
    X, y, sample_weight = check_training_data(X, y, sample_weight, distance)
    check_n_features(X.shape[1], degree)
    features = range(X.shape[1]) if features is None else features
    bandwidths = check_bandwidths(bandwidths, distance, metric, features)
    counts = check_counts(sample_weight, sample_weight_type)
    rows = Rows(X, y.reshape(len(y), -1), sample_weight, counts, device=device and device.accelerator)
    basis = basis.determined_by(int(np.count_nonzero(sample_weight)), X.shape[1])
    problem = Problem(rows, distance(rows, 1.0, metric, metric_params), kernel, basis, limit=limit)
    scores = criterion_path(problem, bandwidths, criterion, options)
    lowest = np.flatnonzero(are_lowest(scores, criterion, rows))
    best = int(max(lowest, key=lambda k: tuple(np.atleast_1d(bandwidths[k]))))
    if sample_weight_type == "auto" and counts.max() > 1:
        _warn_of_copies(problem.with_bandwidth(bandwidths[best]), options, bandwidths)
    return Bunch(
        bandwidths=bandwidths,
        scores=scores,
        criterion=criterion,
        best_index=best,
        best_bandwidth=bandwidths[best],
        best_score=float(scores[best]),
    )


def _warn_of_copies(problem, options, bandwidths):
    """Tell the caller of the function if the best bandwidth is that for weights which are no counts."""
    at_smallest = bool((problem.distance.bandwidth <= bandwidths.min(axis=0)).all())
    copies = decided_by_copies(problem, options, at_smallest)
    if copies:
        warnings.warn(copies, UserWarning, stacklevel=3)
