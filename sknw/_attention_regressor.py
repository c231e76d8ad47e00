"""AttentionRegressor: attention whose kernel is learned."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn import get_config
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_is_fitted

from sknw._algorithms import ALGORITHMS
from sknw._arrays import device_of
from sknw._attention._folds import learn_metrics
from sknw._attention._heads import Head, HeadLearner, UniqueRows, mean_of_heads
from sknw._attention._learned_metrics import LEARNED_METRICS, MAX_FEATURES_OF_LINES
from sknw._base import KernelEstimator, all_or_nothing
from sknw._features import Standardizer
from sknw._fit._attention_matrix import AttentionMatrix
from sknw._fit._fallbacks import warn_few
from sknw._fit._leave_one_out import predict_left_out
from sknw._fit._support import distance_beyond, nearest_distances
from sknw._problem._bases import BASES
from sknw._problem._distances import Euclidean
from sknw._problem._rows import Rows
from sknw._progress import progress, with_callbacks
from sknw._selection._criteria import SearchOptions
from sknw._selection._outcomes import decided_by_copies
from sknw._tiles import batches, row_batch
from sknw._validation import (
    check_count,
    check_counts,
    check_degree,
    check_metric_to_learn,
    check_n_rounds,
    check_name,
    check_queries,
    check_share,
    check_slopes,
    check_smooth_kernel,
    check_training_data,
)

# Samples whose slopes tell how important features are.
_EXAMPLES = 200


class AttentionRegressor(MultiOutputMixin, RegressorMixin, KernelEstimator):
    r"""Attention pooling with a learned metric: which samples a query looks at is learned from the targets.

    Each head h has a distance of its own, learned for a low leave-one-out error and simplicity, and smooths the targets
    with it; the prediction is the mean of the heads:

    .. math::

        f(q) = \frac{1}{H} \sum_{h=1}^H f_h(q), \qquad
        f_h(q) = \bar y + (q - \bar x)^\top (C + \lambda_h D)^{-1} c, \qquad
        a_{hi}(q) \propto w_i \, K(|A_h (q - x_i)|)

    with the means :math:`\bar x, \bar y`, the covariances :math:`C` of the features and :math:`c` of these with the
    targets under the weights :math:`a_h(q)`, the ridge :math:`\lambda_h` and the variances :math:`D` of the features
    among all samples: a local line, as in :class:`LocalPolynomialRegressor`. With ``degree=0``, :math:`f_h = \bar y`,
    the weighted mean of :class:`NadarayaWatsonRegressor`, which may be boosted.

    Parameters
    ----------
    kernel : str or Kernel, default="exponential"
        How attention falls with the distance. One that is positive everywhere, for its slope is what is learned by:
        "exponential", "gaussian", "matern32", "logistic", "sigmoid" or "cauchy".

    degree : {0, 1}, default=1
        1 for local lines, 0 for weighted means. With more than 60 features that vary it is 0 in any case, since lines
        take time in proportion to the square of their number: `degree_` tells.

    n_heads : int, default=5
        How many metrics are learned. Several: each without one of as many folds of the samples, which is then predicted
        for `oof_score_`. One: from all samples.

    metric : {"ard", "isotropic", "opg", "mlkr"} or array-like of shape (n_components, n_features), default="ard"
        What is learned.

        - "ard": a scale for each feature, zero for those that do not help;
        - "isotropic": one scale for all features, in standard deviations of each;
        - "opg": directions in which the targets are steep, from the outer product of the slopes of local lines; for up
          to 60 features;
        - "mlkr": any matrix A, by the gradient of the leave-one-out error until held-out samples are predicted worse;
        - an array: the matrix A itself, for features in their own units; then only a ridge is learned.

    n_rounds : int or "gcv", default=1
        How often is smoothed. Further rounds smooth what is left of the targets and add it, known as L2-boosting: a
        weighted mean takes a little from every peak, which the next gives back. "gcv" finds the rounds, up to 50, of
        the least generalised cross-validation, and how much wider the metric may be for them; a number keeps to the
        rounds. Only for ``degree=0`` and positive definite kernels, which those above are.

    clip : bool, default=True
        Whether features of queries beyond the range of the samples count as its end: a line does not go on there.

    sample_weight_type : {"auto", "frequency", "importance"}, default="auto"
        What `sample_weight` means, as in :class:`NadarayaWatsonRegressor`: how many equal samples a row stands for, or
        how much it counts. By "auto", integers are taken for the former.

    algorithm : {"auto", "brute", "cells", "tree"}, default="auto"
        How sums are computed, as in :class:`NadarayaWatsonRegressor`. It has no influence on the result. Where the
        metric keeps few features, the fast ones serve.

    random_state : int, RandomState instance or None, default=None
        Draws the folds, and the samples that are learned from where there are more than 1000.

    n_jobs : int, default=None
        The number of threads, over the heads and over queries. It has no influence on the result.

    Attributes
    ----------
    heads_ : list of Head
        With the `components` of the metric and the `ridge` of each, for features in standard deviations.

    components_ : list of ndarray of shape (n_components, n_features)
        The matrix A of each head, for features in their own units.

    scales_ : ndarray of shape (n_heads, n_features)
        By how much one standard deviation of each feature counts as distance.

    n_rounds_ : list of int
        The rounds of each head.

    feature_importances_ : ndarray of shape (n_features,)
        The mean square of the slope of `predict` in standard deviations of each feature, at some 200 of the
        samples. They sum to 1.

    oof_prediction_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        What each sample is predicted by the head that was learned without its fold, from the samples outside of it.
        Only with several heads.

    oof_score_ : float
        The R² of these, which rather underrates the mean of all heads. Only with several heads.

    attention_weights_ : AttentionMatrix of shape (n_samples, n_samples)
        The weights of the targets in the prediction for each sample. A lazy array.

    degree_ : int
        The degree in use.

    kernel_ : Kernel
        The kernel in use.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, where all are strings.

    See Also
    --------
    NadarayaWatsonRegressor : The kernel and its bandwidth by hand or by a rule.
    LocalPolynomialRegressor : Local lines with a bandwidth by hand or by a rule.

    Notes
    -----
    A head is learned by L-BFGS from two starts, over the logarithms of its scales and of its ridge; deviations of the
    former from their mean cost 2 / n of their square, so that features are alike unless the targets say otherwise.
    Those that are worth less than log n by the criterion of Schwarz are dropped, and in a second try those worth less
    than four times that. Of the two and of equal scales, all heads take the one by which the folds are predicted best:
    with few samples and many features, to learn more is to learn noise. Beyond 1000 samples a head learns from 1000 of
    them, and is tuned to all by the errors of 500 others. What is learned is the same for samples in any order, and for
    a row of the integer weight k as for k rows, unless `sample_weight_type` is
    "importance".

    Steps and categories with many values suit trees better, and very smooth functions with few samples Gaussian
    processes.

    References
    ----------
    .. [1] K. Q. Weinberger and G. Tesauro (2007). Metric learning for kernel regression. AISTATS, PMLR 2, 612-619.
    .. [2] P. Hall, Q. Li and J. S. Racine (2007). Nonparametric estimation of regression functions in the presence of
           irrelevant regressors. Review of Economics and Statistics 89 (4), 784-789. :doi:`10.1162/rest.89.4.784`
    .. [3] Y. Xia, H. Tong, W. K. Li and L.-X. Zhu (2002). An adaptive estimation of dimension reduction space. Journal
           of the Royal Statistical Society B 64 (3), 363-410. :doi:`10.1111/1467-9868.03411`
    .. [4] P. Bühlmann and B. Yu (2003). Boosting with the L2 loss: regression and classification. Journal of the
           American Statistical Association 98 (462), 324-339. :doi:`10.1198/016214503000125`
    .. [5] M. Di Marzio and C. C. Taylor (2008). On boosting kernel regression. Journal of Statistical Planning and
           Inference 138 (8), 2483-2498. :doi:`10.1016/j.jspi.2007.10.005`

    Examples
    --------
    >>> import numpy as np
    >>> from sknw import AttentionRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(150, 4))
    >>> y = np.sin(6 * X[:, 0]) + 0.1 * rng.normal(size=150)    # three features have no influence
    >>> model = AttentionRegressor(random_state=0).fit(X, y)
    >>> model.feature_importances_.round(2)
    array([1., 0., 0., 0.])
    >>> bool(abs(model.predict([[0.5, 0.1, 0.2, 0.3]])[0] - np.sin(3)) < 0.1)
    True
    """

    def __init__(
        self,
        kernel="exponential",
        *,
        degree=1,
        n_heads=5,
        metric="ard",
        n_rounds=1,
        clip=True,
        sample_weight_type="auto",
        algorithm="auto",
        random_state=None,
        n_jobs=None,
    ):
        self.kernel = kernel
        self.degree = degree
        self.n_heads = n_heads
        self.metric = metric
        self.n_rounds = n_rounds
        self.clip = clip
        self.sample_weight_type = sample_weight_type
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_jobs = n_jobs

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Learn the heads.

        A fit that fails leaves an earlier one in place.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets. Several outputs share their metrics.

        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts; not negative, and not all zero. The targets of a row without weight may be
            missing.

        Returns
        -------
        self : object
            Fitted.

        Warns
        -----
        UserWarning
            If integer weights were taken for counts, and copies of rows decided what was learned.

        Raises
        ------
        ValueError, TypeError
            If the data or a parameter cannot be used, with what was wanted and what was got: dates too, which have no
            unit of their own.
        """
        with progress(self, X, y) as step, all_or_nothing(self):
            if get_config()["array_api_dispatch"] and device_of(X) is not None:
                raise ValueError(
                    f"AttentionRegressor does not run on a device: give it NumPy arrays; X is one of {device_of(X)}."
                )
            kernel, degree = check_smooth_kernel(self.kernel), check_degree(self.degree, (0, 1))
            n_rounds = check_n_rounds(self.n_rounds, kernel, degree)
            n_heads = check_count(self.n_heads, "n_heads")
            options = SearchOptions(check_name(self.algorithm, ("auto", *ALGORITHMS), "algorithm"), "nearest")
            X, y, sample_weight = check_training_data(X, y, sample_weight, Euclidean, self)
            counts = check_counts(sample_weight, self.sample_weight_type)
            metric = check_metric_to_learn(self.metric, X.shape[1], LEARNED_METRICS)
            unique = UniqueRows.of(X.astype(np.float64), y.reshape(len(y), -1), sample_weight, counts)
            self._standardizer = Standardizer.of(unique.rows)
            self._output_shape, self._dtype = y.shape[1:], X.dtype.name
            n_varying = self._standardizer.varies.sum()
            check_slopes(metric, n_varying, MAX_FEATURES_OF_LINES)
            if not isinstance(metric, str):
                metric = metric * np.where(self._standardizer.varies, self._standardizer.scale, 0)
            degree = degree if n_varying <= MAX_FEATURES_OF_LINES else 0
            learner = HeadLearner(kernel, BASES[degree], metric, n_rounds, options)
            random = check_random_state(self.random_state)
            folds, rows = unique.folds(n_heads, random), unique.rows.with_keys(self._standardizer(unique.rows.keys))
            metrics, oof = learn_metrics(learner, rows, folds, random, self.clip, step, self.n_jobs)
            rows = Rows(self._standardizer(X.astype(np.float64)), y.reshape(len(y), -1), sample_weight, counts)
            self.heads_ = [learner.head(each, rows, self.n_jobs) for each in metrics]
            self._examples = unique.rows.keys[:: -(-len(unique.rows) // _EXAMPLES)]
            self.kernel_, self.degree_ = kernel, degree
            if self.sample_weight_type == "auto" and counts.max() > 1 and isinstance(metric, str):
                _warn_of_copies(self.heads_, options)
            if oof is not None:
                oof = oof[unique.which]
                if (unique.which < 0).any():  # samples without weight are in no fold
                    others = self._standardizer(X[unique.which < 0], self.clip)
                    oof[unique.which < 0] = mean_of_heads(self.heads_, Head.predict, others, self.n_jobs)
                self.oof_prediction_ = self._shaped(oof)
                self.oof_score_ = r2_score(y, oof.reshape(y.shape), sample_weight=sample_weight)
        return self

    def predict(self, X):
        """Predict the targets of queries.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features), or None
            The queries. None stands for the samples, each smoothed without itself by heads that were learned
            with it: `oof_prediction_` is more honest. Not with boosting.

        Returns
        -------
        y : ndarray of shape (n_queries,) or (n_queries, n_outputs)
            In the dtype of the samples.

        Warns
        -----
        UserWarning
            For X=None, if there is only one sample, of which the prediction is NaN then.

        Raises
        ------
        ValueError
            If X has other features than the samples. For X=None with boosting.
        """
        check_is_fitted(self)
        if X is None:
            if max(self.n_rounds_) > 1:
                raise ValueError(
                    "predict(None) needs n_rounds=1: boosted, the labels of others contain that of a row. Predictions "
                    "of the training rows by others are in oof_prediction_."
                )
            warn_few(self.heads_[0].fit.problem.rows, 2, "Leave-one-out predictions", "they are NaN")
            left_out = [predict_left_out(head.fit, "nearest", self.n_jobs)[0] for head in self.heads_]
            return self._shaped(np.mean(left_out, axis=0))
        return self._shaped(mean_of_heads(self.heads_, Head.predict, self._queries(X, "predict"), self.n_jobs))

    def gradient(self, X):
        """Compute the slope of `predict` at each query, zero in a feature that is clipped there.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        Returns
        -------
        gradient : ndarray of shape (n_queries, n_features) or (n_queries, n_features, n_outputs)
            In units of the targets over those of the features.
        """
        check_is_fitted(self)
        X = check_queries(self, X, Euclidean, "gradient").astype(np.float64)
        return self._shaped(self._slopes(X), axis=2)

    def attention_weights(self, X, *, effective=True):
        """Compute the weight of each target for each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        effective : bool, default=True
            Whether to return what the targets weigh in the prediction: ``weights @ y`` equals ``predict(X)``, and for
            ``degree=1`` or with boosting, weights can be negative. Else the attention itself, the kernel's shares,
            which never are.

        Returns
        -------
        weights : ndarray of shape (n_queries, n_samples)
            The mean of the heads. Rows sum to 1.
        """
        check_is_fitted(self)
        return self._weights(self._queries(X, "attention_weights"), effective)

    def explain(self, X, n_rows=5):
        """Name the samples that a prediction rests on most: those with the largest attention.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        n_rows : int, default=5
            Samples for each query.

        Returns
        -------
        explanation : :class:`~sklearn.utils.Bunch` or DataFrame
            With `query` and `row`, numbers from 0; `attention`, the kernel's share; `weight`, what the target weighs
            in the prediction; `distance`, the mean of the heads; and `target`, or one for each output. If X is a
            DataFrame (of pandas or polars), one with these columns, else a Bunch of arrays of shape
            (n_queries * n_rows,); the samples of each query by descending attention.
        """
        n_rows = check_count(n_rows, "n_rows")
        check_is_fitted(self)
        Z = self._queries(X, "explain")
        attention, weight = self._weights(Z, effective=False), self._weights(Z, effective=True)
        order = np.argsort(-attention, axis=1, kind="stable")[:, :n_rows]
        distance = np.mean([np.take_along_axis(head.distances(Z), order, axis=1) for head in self.heads_], axis=0)
        targets = self.heads_[0].targets
        names = ["target"] if targets.shape[1] == 1 else [f"target {k}" for k in range(targets.shape[1])]
        columns = {
            "query": np.repeat(np.arange(len(order)), order.shape[1]),
            "row": order.ravel(),
            "attention": np.take_along_axis(attention, order, axis=1).ravel(),
            "weight": np.take_along_axis(weight, order, axis=1).ravel(),
            "distance": distance.ravel(),
        } | {name: column[order].ravel() for name, column in zip(names, targets.T, strict=True)}
        return type(X)(columns) if hasattr(X, "columns") else Bunch(**columns)

    def effective_sample_size(self, X):
        """Compute how many samples of equal attention would tell as much as those about each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        Returns
        -------
        size : ndarray of shape (n_queries,)
            One over the sum of the squared attention, the mean of the heads; at least 1.
        """
        check_is_fitted(self)
        Z = self._queries(X, "effective_sample_size")
        sizes = [np.empty(0, self._dtype)]
        for batch in batches(len(Z), row_batch(len(self.heads_[0].targets))):
            sizes.append(1 / np.square(self._weights(Z[batch], effective=False)).sum(axis=1))
        return np.concatenate(sizes)

    def extrapolates(self, X, *, share=0.01):
        """Tell which queries to doubt: those beyond the range of a feature, or far from all samples to most heads.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        share : float, default=0.01
            The share of samples that may be further from their nearest other sample, as in
            :meth:`NadarayaWatsonRegressor.extrapolates`.

        Returns
        -------
        extrapolates : ndarray of bool of shape (n_queries,)

        Warns
        -----
        UserWarning
            If there is only one sample: all queries elsewhere are far then.
        """
        check_is_fitted(self)
        X = check_queries(self, X, Euclidean, "extrapolates").astype(np.float64)
        share = check_share(share, "share")
        warn_few(
            self.heads_[0].fit.problem.rows, 2, "Distances between samples", "all queries elsewhere count as further"
        )
        Z = self._standardizer(X)
        far = [nearest_distances(head.fit, head.project(Z)) > distance_beyond(head.fit, share) for head in self.heads_]
        return self._standardizer.beyond(X).any(axis=1) | (np.mean(far, axis=0) > 0.5)

    @property
    def components_(self):
        check_is_fitted(self)
        return [head.components / self._standardizer.scale for head in self.heads_]

    @property
    def scales_(self):
        check_is_fitted(self)
        return np.array([np.linalg.norm(head.components, axis=0) for head in self.heads_])

    @property
    def n_rounds_(self):
        check_is_fitted(self)
        return [head.metric.n_rounds for head in self.heads_]

    @property
    def feature_importances_(self):
        check_is_fitted(self)
        scale = np.where(self._standardizer.varies, self._standardizer.scale, 0)
        squares = np.square(self._slopes(self._examples) * scale[:, None])
        importances = squares.mean(axis=(0, 2))
        return importances / importances.sum() if importances.any() else importances

    @property
    def attention_weights_(self):
        check_is_fitted(self)
        return AttentionMatrix([head.fit for head in self.heads_], "nearest", self.n_jobs, self.n_rounds_)

    def _slopes(self, X):
        """Of the mean of the heads at queries: (n_queries, n_features, n_outputs)."""
        slopes = mean_of_heads(self.heads_, Head.gradient, self._standardizer(X, self.clip), self.n_jobs)
        slopes /= self._standardizer.scale[:, None]
        if self.clip:
            slopes[self._standardizer.beyond(X)] = 0
        return slopes

    def _weights(self, Z, effective):
        """The mean of the heads: (n_queries, n_samples)."""
        weights = Head.attention_weights if effective else Head.attention
        return mean_of_heads(self.heads_, weights, Z, self.n_jobs).astype(self._dtype, copy=False)

    def _queries(self, X, method):
        """Queries, checked, in standard deviations of the features."""
        return self._standardizer(check_queries(self, X, Euclidean, method).astype(np.float64), self.clip)


def _warn_of_copies(heads, options):
    """Warn if repetitions of rows, which may be none, decided upon a metric."""
    copies = (decided_by_copies(head.fit.problem, options, at_smallest=False) for head in heads)
    message = next(filter(None, copies), None)
    if message is not None:
        warnings.warn(message, UserWarning, stacklevel=4)
