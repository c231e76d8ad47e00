"""LocalPolynomialRegressor: a line or a parabola about each query."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sknw._fit._equivalent_kernels import limit_for
from sknw._fit._query_gradient import local_slopes
from sknw._inference import KernelRegressor
from sknw._problem._bases import BASES
from sknw._selection._rules import choose_ridge
from sknw._validation import (
    check_coordinates,
    check_degree,
    check_kernel,
    check_limit,
    check_metric,
    check_n_features,
    check_ridge,
)


class LocalPolynomialRegressor(KernelRegressor):
    r"""Local polynomial regression: a weighted least-squares fit about each query.

    A query weighs all samples by a kernel of their distance, as in :class:`NadarayaWatsonRegressor`, and fits a
    polynomial to their targets; the prediction is its value at the query:

    .. math::

        f(q) = \hat\beta_0, \qquad \hat\beta = \operatorname{argmin}_\beta \sum_i w_i \, K(|q - x_i| / h) \,
        \left(y_i - \sum_{|a| \le p} \beta_a (x_i - q)^a\right)^2

    with the kernel :math:`K`, the bandwidth :math:`h`, sample weights :math:`w` and the degree :math:`p`: 0 for the
    weighted mean, 1 for a line (a plane), 2 for a parabola. A line is reproduced exactly, and a fit of degree 1 does
    not bend at the edge of the data, where a weighted mean does.

    Parameters
    ----------
    kernel : str, Kernel or callable, default="gaussian"
        How attention falls with u = distance / bandwidth; names and formulae as in :class:`NadarayaWatsonRegressor`.

    degree : {0, 1, 2}, default=1
        Of the polynomial. 0 is :class:`NadarayaWatsonRegressor`; 1 works for any number of features, in time that grows
        with its square; 2 for up to thirty, in time that grows with its fourth power, and as 1 where there are fewer
        samples than coefficients. Where the samples in reach do not determine all coefficients (too few
        samples, repeated ones, a feature that does not vary), the degree is reduced, down to the weighted mean.

    bandwidth : float, array-like of shape (n_features,) or str, default="loo"
        The unit of u, in the units of the features: one for all features, or one for each; ``inf`` takes a feature out.
        Or one of the rules "loo", "gcv", "aicc", "ard", "scott" and "silverman", as in
        :class:`NadarayaWatsonRegressor`, with the leave-one-out errors of this fit.

    ridge : float or "auto", default=0.0
        For degree 1, what is added to the variances of the features among the samples in reach before slopes are
        computed, in units of each feature's variance in all samples. It draws the fit towards the weighted mean, which
        ``inf`` gives, and makes it less wild where there are few samples [3]_. "auto" takes that of 0, 0.003, 0.03 and
        0.3 with the lowest leave-one-out error, or other criterion of the bandwidth's rule, each with a bandwidth of
        its own.

    limit : float, None or "auto", default="auto"
        For degrees 1 and 2, what the absolute weights of all targets in a prediction may sum up to, at least 1; the
        weights themselves sum up to 1. Where the samples in reach hardly determine a slope, far outside them or across
        a gap, it is drawn towards that of lower degree, zero for a line, by the least that holds the limit. A
        prediction then leaves the range of the targets in reach by at most (limit - 1) / 2 times that range: by one
        range for a limit of 3. "auto" is 3 for a bandwidth found by a rule, or the root of the number of features + 2
        where that is more, since a plane takes larger weights in many features; and none for a bandwidth that is given,
        where predictions are those of other software. None is no limit.

    metric : str or callable, default="euclidean"
        For degree 0, any of :class:`NadarayaWatsonRegressor`. A line or a parabola has slopes along coordinates, which
        the Euclidean metric alone has: give each feature a bandwidth of its own instead, or the coordinates of places
        on a circle or a sphere as features.

    metric_params : dict, default=None
        Further arguments for the metric.

    sample_weight_type : {"auto", "frequency", "importance"}, default="auto"
        What `sample_weight` means, as in :class:`NadarayaWatsonRegressor`: how many equal samples a row stands for, or
        how much it counts. By "auto", integers are taken for the former.

    clip : bool, default=False
        Whether features of queries beyond the range of the samples count as its end, as in
        :class:`NadarayaWatsonRegressor`.

    algorithm : {"auto", "brute", "cells", "tree"}, default="auto"
        How the sums are computed, as in :class:`NadarayaWatsonRegressor`. It has no influence on the result.

    fallback : {"nearest", "mean", "nan", "raise"}, default="nearest"
        What a query gets that no sample has any weight for.

    random_state : int, RandomState instance or None, default=None
        Draws the samples that a bandwidth is searched with, where there are many.

    n_jobs : int, default=None
        The number of threads, over the queries. It has no influence on the result.

    Attributes
    ----------
    bandwidth_ : float or ndarray of shape (n_features,)
        The bandwidth in use.

    bandwidth_search_ : :class:`~sklearn.utils.Bunch`
        The report of the rules "loo", "gcv", "aicc" and "ard", absent otherwise.

    attention_weights_ : AttentionMatrix of shape (n_samples, n_samples)
        The weights of the targets in the fit to each sample, itself included, some of them negative. A
        lazy array. Its `trace()` is the effective degrees of freedom.

    ridge_ : float
        The ridge in use.

    limit_ : float
        The limit in use, ``inf`` for none. A fit with ``bandwidth=model.bandwidth_`` is the same with
        ``limit=model.limit_``.

    kernel_ : Kernel
        The kernel in use.

    algorithm_ : str
        The algorithm in use.

    inner_loop_ : {"numpy", "compiled", "device"}
        What it sums as many queries as samples with: NumPy; loops compiled by numba, the extra `fast`, where that is
        installed and the work is worth a second or two of compiling; or the device that holds the samples. It has no
        influence on the result.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, where all are strings.

    See Also
    --------
    NadarayaWatsonRegressor : The weighted mean, for metrics other than the Euclidean too.

    Notes
    -----
    Predictions do not have to lie between the smallest and the largest target: far from
    the data, a line goes on, until the limit stops it.

    Effective weights that sum up to one and their absolute values to L give a prediction within (L - 1) / 2 ranges of
    the targets in reach, whatever these are. Among samples and between two of them, L is little more than one; a line
    along n samples reaches 3 about half their range beyond them.

    References
    ----------
    .. [1] W. S. Cleveland and S. J. Devlin (1988). Locally weighted regression: an approach to regression analysis by
           local fitting. Journal of the American Statistical Association 83 (403), 596-610.
           :doi:`10.1080/01621459.1988.10478639`
    .. [2] J. Fan and I. Gijbels (1996). Local Polynomial Modelling and Its Applications. Chapman and Hall.
           :doi:`10.1201/9780203748725`
    .. [3] B. Seifert and T. Gasser (1996). Finite-sample variance of local polynomials: analysis and solutions. Journal
           of the American Statistical Association 91 (433), 267-275. :doi:`10.1080/01621459.1996.10476685`

    Examples
    --------
    >>> import numpy as np
    >>> from sknw import LocalPolynomialRegressor, NadarayaWatsonRegressor
    >>> X = np.linspace(0, 1, 11)[:, None]
    >>> y = 3 * X[:, 0] + 1
    >>> LocalPolynomialRegressor(bandwidth=0.2).fit(X, y).predict([[0.0], [0.55]]).round(2)
    array([1.  , 2.65])
    >>> NadarayaWatsonRegressor(bandwidth=0.2).fit(X, y).predict([[0.0], [0.55]]).round(2)
    array([1.39, 2.64])
    """

    def __init__(
        self,
        kernel="gaussian",
        degree=1,
        bandwidth="loo",
        *,
        ridge=0.0,
        limit="auto",
        metric="euclidean",
        metric_params=None,
        sample_weight_type="auto",
        algorithm="auto",
        fallback="nearest",
        clip=False,
        random_state=None,
        n_jobs=None,
    ):
        self.kernel = kernel
        self.degree = degree
        self.bandwidth = bandwidth
        self.ridge = ridge
        self.limit = limit
        self.metric = metric
        self.metric_params = metric_params
        self.sample_weight_type = sample_weight_type
        self.algorithm = algorithm
        self.fallback = fallback
        self.clip = clip
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _parameters(self):
        degree = check_degree(self.degree)
        distance, metric, metric_params = check_metric(self.metric, self.metric_params)
        if not BASES[degree].keeps_range:
            check_coordinates(distance, metric, f"degree={degree}")
        ridge = check_ridge(self.ridge, degree)
        parameters = {"kernel": check_kernel(self.kernel), "basis": BASES[degree], "limit": check_limit(self.limit)}
        return (distance, metric, metric_params), parameters | ({} if ridge == "auto" else {"ridge": ridge})

    def _choose(self, rule, problem, options):
        n_rows, n_features = np.count_nonzero(~problem.rows.zero_weight), problem.rows.keys.shape[1]
        check_n_features(n_features, problem.basis.degree)
        problem = replace(problem, basis=problem.basis.determined_by(n_rows, n_features))
        if problem.basis.keeps_range:
            problem = replace(problem, limit=np.inf)
        elif self.limit == "auto" and rule is not None:
            problem = replace(problem, limit=limit_for(int(np.isfinite(problem.distance.bandwidth).sum())))
        choose = choose_ridge if self.ridge == "auto" else super()._choose
        problem, search = choose(rule, problem, options)
        self.ridge_, self.limit_ = problem.ridge, problem.limit
        return problem, search

    def local_slope(self, X):
        r"""Compute the slope of the polynomial that is fitted about each query, at the query.

        It is the :math:`\hat\beta_1` of the local fit, an estimate of the derivative of the regression function, which
        statsmodels and loess call the derivative. `gradient` is the derivative of `predict` itself: between queries the
        weights change too, so that the two differ by about the bias.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        Returns
        -------
        slope : ndarray of shape (n_queries, n_features) or (n_queries, n_features, n_outputs)
            In units of the targets over those of the features; as the limit has it. Zero for degree 0, in features
            without influence, and where no sample is in reach.

        Raises
        ------
        ValueError
            If the metric is not the Euclidean.

        Examples
        --------
        >>> from sknw import LocalPolynomialRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 4.0, 9.0]
        >>> model = LocalPolynomialRegressor(bandwidth=1.0).fit(X, y)
        >>> model.local_slope([[0.5]]).round(2), model.gradient([[0.5]]).round(2)
        (array([[2.08]]), array([[1.86]]))
        """
        return self._by_feature(lambda queries: local_slopes(self._fit, queries, self.n_jobs), X, "local_slope")
