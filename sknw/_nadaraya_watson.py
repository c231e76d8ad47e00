"""NadarayaWatsonRegressor: the weighted mean of the targets."""

from __future__ import annotations

from sknw._inference import KernelRegressor
from sknw._validation import check_kernel, check_metric


class NadarayaWatsonRegressor(KernelRegressor):
    r"""Nadaraya-Watson kernel regression, also known as attention pooling.

    A query looks at all samples, the training rows (keys), weighs them by a kernel of their distance, and gets the
    weighted mean of their targets, the labels y (values):

    .. math::

        f(q) = \sum_i a_i(q) \, y_i, \qquad
        a_i(q) = \frac{w_i \, K(|q - x_i| / h)}{\sum_j w_j \, K(|q - x_j| / h)}

    with the kernel :math:`K`, the bandwidth :math:`h` and sample weights :math:`w`. Predictions are exact, for queries
    far from the data too, and lie between the smallest and the largest target.

    Parameters
    ----------
    kernel : str, Kernel or callable, default="gaussian"
        How attention falls with u = distance / bandwidth.

        - positive everywhere: "gaussian" exp(-u²/2), "exponential" exp(-u), "matern32" (1 + √3 u) exp(-√3 u),
          "logistic" 4 / (eᵘ + 2 + e⁻ᵘ), "sigmoid" 2 / (eᵘ + e⁻ᵘ), "cauchy" 1 / (1 + u²), "constant" 1;
        - zero for u > 1: "boxcar" 1, "triangular" 1 - u, "epanechnikov" 1 - u², "biweight" (1 - u²)²,
          "triweight" (1 - u²)³, "tricube" (1 - u³)³, "cosine" cos(πu/2);
        - the aliases "uniform", "tophat", "rectangular" (boxcar), "linear" (triangular), "quartic" (biweight) and
          "laplacian" (exponential);
        - a function of an array u >= 0 that returns a non-negative array of the same shape, or a `Kernel`.

    bandwidth : float, array-like of shape (n_features,) or str, default="loo"
        The unit of u, in the units of the features: the standard deviation of the Gaussian kernel, the radius of a
        compact kernel. One for all features, or one for each; ``inf`` takes a feature out. Or a rule, which gives a
        multiple of the weighted standard deviation of each feature, and ``inf`` where that is zero:

        - "loo": the multiple with the lowest squared leave-one-out error, from 0.0001 to 100;
        - "gcv": with the lowest generalised cross-validation criterion [5]_;
        - "aicc": with the lowest corrected Akaike information criterion [6]_, which shies away from narrow bandwidths;
        - "ard" (automatic relevance determination): a multiple for each feature, for a low leave-one-out error and
          simplicity: deviations of the logarithms of the multiples from their mean cost 2 / n of their squares, in the
          logarithm of the error, and a feature that lowers it by no more than 2 / n is dropped, with the bandwidth
          ``inf`` [7]_, [8]_. By the gradient where the kernel is positive everywhere, else by a slower search along one
          feature after the other;
        - "scott": n**(-1 / (d + 4)), with d features that vary;
        - "silverman": (n * (d + 2) / 4)**(-1 / (d + 4)).

        The rules of thumb are made for density estimation by a Gaussian kernel [3]_, [4]_ and know nothing of y.
        For other metrics than the Euclidean, the criteria choose a multiple of the root of half the mean squared
        distance. With more than 2000 samples (20 000 where each bandwidth takes n log n), they search on a part of
        them, and refine what they find with the errors of a part among all. Where scores differ by rounding only, the
        widest bandwidth is taken. The score of a compact kernel has jumps and kinks where the bandwidth reaches from
        one sample to another: for up to some 40 samples all of them are tried, for more a part, and for more than 1000
        only those where a sample has its nearest neighbours.

    metric : str or callable, default="euclidean"
        A metric of :func:`scipy.spatial.distance.cdist`, a function of two rows, or "precomputed": X is then the
        matrix of distances, of shape (n_samples, n_samples) in `fit` and (n_queries, n_samples) later. A search for
        the bandwidth computes distances once and keeps them, where they fit 128 megabytes, as those between 4096
        samples do; of more samples, blocks of distances serve all bandwidths that are tried together.

    metric_params : dict, default=None
        Further arguments for the metric.

    sample_weight_type : {"auto", "frequency", "importance"}, default="auto"
        What `sample_weight` means in leave-one-out, in the rules for bandwidths, standard errors and intervals.

        - "frequency": integers that count how many equal samples a row stands for; leave-one-out leaves out one;
        - "importance": how much a row counts, which stands for one sample; leave-one-out leaves out all of it;
        - "auto": "frequency" if all are integers, else "importance". Integers that are no counts, such as populations
          or kilograms, need "importance"; a warning says so where copies of rows decided upon a bandwidth.

    algorithm : {"auto", "brute", "cells", "tree"}, default="auto"
        How the sums are computed. It has no influence on the result.

        - "brute": all pairs of queries and samples, for any problem;
        - "cells": sorted samples, in n log n, for one feature (or one with a finite bandwidth) and every kernel of the
          table but "cosine", and "cauchy" only where no two samples are further apart than some 300 bandwidths; for two
          features and the Gaussian kernel, where some 1400 bandwidths by 1400 hold all samples, or fewer for several
          outputs;
        - "tree": neighbouring samples in leaves, of which those out of reach are passed over, for up to six features
          with finite bandwidths and all kernels that fall; what it leaves out of the sums changes a prediction by less
          than 1e-10 of the range of the targets;
        - "auto": the cheapest that can, by estimate. The logger "sknw" says why, at the level DEBUG.

    fallback : {"nearest", "mean", "nan", "raise"}, default="nearest"
        What a query gets that no sample has any weight for, which happens with compact kernels: the value of the
        nearest sample (ties averaged), which is the limit of a shrinking bandwidth; the mean of all targets; NaN; or an
        error. A warning tells of it, in one text for all calls; ``effective_sample_size(X) == 0`` tells which queries
        were concerned. In a search over small bandwidths, where that is to be expected, silence it with
        ``warnings.filterwarnings("ignore", message=".*no training row in reach")``.

    clip : bool, default=False
        Whether features of queries beyond the range of the samples count as its end. `nearest_distance` and
        `extrapolates` see them as they are.

    random_state : int, RandomState instance or None, default=None
        Draws the samples that a bandwidth is searched with, where there are many. An int makes it reproducible.

    n_jobs : int, default=None
        The number of threads, over the queries. None is 1 unless in a :obj:`joblib.parallel_config` context, -1 is
        all processors. It has no influence on the result.

    Attributes
    ----------
    bandwidth_ : float or ndarray of shape (n_features,)
        The bandwidth in use: a float where one number was given or the metric is not Euclidean.

    bandwidth_search_ : :class:`~sklearn.utils.Bunch`
        The report of the rules "loo", "gcv", "aicc" and "ard", absent otherwise: `bandwidths` tried (in ascending
        order; by "ard", in the order of the search), their `scores` by the `criterion` (lower is better; over several
        outputs each is scaled by its variance), `best_index`, `best_score`, `n_evaluations`, and the outcome in
        `status` ("converged", "at the bound" or "flat") and in a `message`. By "ard", the best is not the one with the
        lowest score: it weighs simplicity too.

    attention_weights_ : AttentionMatrix of shape (n_samples, n_samples)
        The weights of the targets in the fit to each sample, itself included. A lazy array: it costs
        nothing until it is used. Its `trace()` is the effective degrees of freedom.

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
    LocalPolynomialRegressor : Fits a line or a parabola about each query, which does not bend at the edge of the data.
    sklearn.neighbors.KNeighborsRegressor : The mean of a fixed number of neighbours.
    sklearn.gaussian_process.GaussianProcessRegressor : Solves for its weights, which may be negative.

    Notes
    -----
    By default, integer sample weights count repetitions of a row; a row of weight zero is as good as absent.
    Leave-one-out, in ``predict(None)`` and for the bandwidth, leaves out one repetition: a row of weight 3 is predicted
    with 2 of it, as each of three equal rows would be. Where weights are not all integers, or `sample_weight_type` says
    so, they express importance, and the whole row is left out. The criteria are weighted means over the samples. A row
    with a duplicate is predicted from it, so that duplicates draw the bandwidth towards zero; where they decide, a
    warning tells their share. To leave out all copies of a row together, search with
    :class:`~sklearn.model_selection.GridSearchCV` and :class:`~sklearn.model_selection.GroupKFold`.

    By "brute", predictions take time in proportion to the number of queries times the number of samples; by
    "cells", to their sum, but for sorting; by "tree", to the number of pairs that are about in reach of each other.
    Memory beyond the data and the result is that of a tile by "brute", and a few numbers for each row by the others.

    References
    ----------
    .. [1] E. A. Nadaraya (1964). On estimating regression. Theory of Probability and Its Applications 9 (1), 141-142.
           :doi:`10.1137/1109020`
    .. [2] G. S. Watson (1964). Smooth regression analysis. Sankhyā A 26 (4), 359-372.
           https://www.jstor.org/stable/25049340
    .. [3] D. W. Scott (1992). Multivariate Density Estimation. Wiley. :doi:`10.1002/9780470316849`
    .. [4] B. W. Silverman (1986). Density Estimation for Statistics and Data Analysis. Chapman and Hall.
           :doi:`10.1201/9781315140919`
    .. [5] P. Craven and G. Wahba (1978). Smoothing noisy data with spline functions. Numerische Mathematik 31,
           377-403. :doi:`10.1007/BF01404567`
    .. [6] C. M. Hurvich, J. S. Simonoff and C.-L. Tsai (1998). Smoothing parameter selection in nonparametric
           regression using an improved Akaike information criterion. Journal of the Royal Statistical Society B 60 (2),
           271-293. :doi:`10.1111/1467-9868.00125`
    .. [7] K. Q. Weinberger and G. Tesauro (2007). Metric learning for kernel regression. AISTATS, PMLR 2, 612-619.
           https://proceedings.mlr.press/v2/weinberger07a.html
    .. [8] P. Hall, Q. Li and J. S. Racine (2007). Nonparametric estimation of regression functions in the presence of
           irrelevant regressors. Review of Economics and Statistics 89 (4), 784-789. :doi:`10.1162/rest.89.4.784`
    .. [9] A. Zhang, Z. C. Lipton, M. Li and A. J. Smola (2023). Dive into Deep Learning, section 11.2, Attention
           pooling by similarity. Cambridge University Press. https://d2l.ai

    Examples
    --------
    >>> from sknw import NadarayaWatsonRegressor
    >>> from sknw.datasets import make_sine
    >>> X, y = make_sine(n_samples=40, random_state=1)
    >>> model = NadarayaWatsonRegressor(bandwidth=0.5).fit(X, y)
    >>> model.predict([[1.0], [2.0], [1000.0]]).round(2)
    array([2.1 , 3.81, 2.56])
    >>> weights = model.attention_weights([[1.0]])
    >>> weights.shape, float((weights @ y).round(2)[0])
    ((1, 40), 2.1)
    >>> NadarayaWatsonRegressor("epanechnikov").fit(X, y).bandwidth_.round(2)
    array([0.72])
    """

    def __init__(
        self,
        kernel="gaussian",
        bandwidth="loo",
        *,
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
        self.bandwidth = bandwidth
        self.metric = metric
        self.metric_params = metric_params
        self.sample_weight_type = sample_weight_type
        self.algorithm = algorithm
        self.fallback = fallback
        self.clip = clip
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _parameters(self):
        return check_metric(self.metric, self.metric_params), {"kernel": check_kernel(self.kernel)}
