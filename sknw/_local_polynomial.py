"""LocalPolynomialRegressor: a line or a parabola about each query."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sknw._inference import KernelRegressor
from sknw._problem._bases import BASES
from sknw._problem._distances import Euclidean
from sknw._selection._rules import choose_ridge
from sknw._validation import check_degree, check_kernel, check_n_features, check_ridge


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

    kernel_ : Kernel
        The kernel in use.

    algorithm_ : str
        The algorithm in use.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, where all are strings.

    See Also
    --------
    NadarayaWatsonRegressor : The weighted mean, for metrics other than the Euclidean too.

    Notes
    -----
    The distance is the Euclidean. Predictions do not have to lie between the smallest and the largest target: far from
    the data, a line goes on.

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
        algorithm="auto",
        fallback="nearest",
        random_state=None,
        n_jobs=None,
    ):
        self.kernel = kernel
        self.degree = degree
        self.bandwidth = bandwidth
        self.ridge = ridge
        self.algorithm = algorithm
        self.fallback = fallback
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _parameters(self):
        degree = check_degree(self.degree)
        ridge = check_ridge(self.ridge, degree)
        parameters = {"kernel": check_kernel(self.kernel), "basis": BASES[degree]}
        return (Euclidean, "euclidean", {}), parameters | ({} if ridge == "auto" else {"ridge": ridge})

    def _choose(self, rule, problem, options):
        n_rows, n_features = np.count_nonzero(~problem.rows.zero_weight), problem.rows.keys.shape[1]
        check_n_features(n_features, problem.basis.degree)
        problem = replace(problem, basis=problem.basis.determined_by(n_rows, n_features))
        choose = choose_ridge if self.ridge == "auto" else super()._choose
        problem, search = choose(rule, problem, options)
        self.ridge_ = problem.ridge
        return problem, search
