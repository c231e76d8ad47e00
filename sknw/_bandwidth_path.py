"""bandwidth_path: how well each bandwidth of a user's own grid does."""

import numpy as np
from sklearn.utils import Bunch

from sknw._bandwidth import criterion_path
from sknw._leave_one_out import Settings
from sknw._local_polynomial import LocalPolynomialRegressor
from sknw._nadaraya_watson import NadarayaWatsonRegressor
from sknw._validation import check_algorithm, check_bandwidths, check_criterion, check_degree, check_features


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
        The rows.

    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their labels.

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
        If the data or a parameter cannot be used, or if there are fewer than two rows.

    Examples
    --------
    >>> from sknw import bandwidth_path
    >>> from sknw.datasets import make_sine
    >>> X, y = make_sine(n_samples=40, random_state=1)
    >>> path = bandwidth_path(X, y, [0.1, 0.2, 0.4, 0.8])
    >>> path.scores.round(3), float(path.best_bandwidth)
    (array([0.793, 0.718, 0.694, 0.947]), 0.4)
    """
    algorithm, criterion = check_algorithm(algorithm), check_criterion(criterion)
    common = {"algorithm": "brute", "fallback": fallback, "n_jobs": n_jobs}
    if check_degree(degree) == 0:
        model = NadarayaWatsonRegressor(kernel, 1.0, metric=metric, metric_params=metric_params, **common)
    else:
        check_features(metric, f"degree={degree!r}")
        model = LocalPolynomialRegressor(kernel, degree, 1.0, **common)
    problem = model.fit(X, y, sample_weight)._algorithm.problem
    bandwidths = check_bandwidths(bandwidths, metric, model.n_features_in_)
    scores = criterion_path(problem, bandwidths, criterion, Settings(algorithm, fallback, n_jobs))
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
