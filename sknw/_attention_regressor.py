"""AttentionRegressor: attention whose kernel is learned."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sknw._algorithms import batches, map_tiles, row_batch
from sknw._attention_matrix import AttentionMatrix
from sknw._explanation import explain_rows
from sknw._heads import Rows, Standard, Teacher
from sknw._leave_one_out import Settings
from sknw._progress import CallbackSupportMixin, progress, with_callbacks
from sknw._validation import (
    all_or_nothing,
    check_algorithm,
    check_count,
    check_degree,
    check_metric_to_learn,
    check_n_rounds,
    check_queries,
    check_smooth_kernel,
    check_training_data,
)

# Training rows whose slopes tell how important features are.
_SLOPES = 200

# Training rows whose errors decide between metrics.
_JUDGES = 5000


class AttentionRegressor(CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    r"""Attention pooling with a learned metric: which training rows a query looks at is learned from the labels.

    Each head h has a distance of its own, learned for the lowest leave-one-out error, and smooths the labels with it;
    the prediction is the mean of the heads:

    .. math::

        f(q) = \frac{1}{H} \sum_{h=1}^H f_h(q), \qquad
        f_h(q) = \bar y + (q - \bar x)^\top (C + \lambda_h D)^{-1} c, \qquad
        a_{hi}(q) \propto w_i \, K(|A_h (q - x_i)|)

    with the means :math:`\bar x, \bar y`, the covariances :math:`C` of the features and :math:`c` of these with the
    labels under the weights :math:`a_h(q)`, the ridge :math:`\lambda_h` and the variances :math:`D` of the features
    among all rows: a local line, as in :class:`LocalPolynomialRegressor`. With ``degree=0``, :math:`f_h = \bar y`, the
    weighted mean of :class:`NadarayaWatsonRegressor`, which may be boosted.

    Parameters
    ----------
    kernel : str or Kernel, default="exponential"
        How attention falls with the distance. One that is positive everywhere, for its slope is what is learned by:
        "exponential", "gaussian", "matern32", "logistic", "sigmoid" or "cauchy".

    degree : {0, 1}, default=1
        1 for local lines, 0 for weighted means. With more than 60 features that vary it is 0 in any case, since lines
        take time in proportion to the square of their number: `degree_` tells.

    n_heads : int, default=5
        How many metrics are learned. Several: each without one of as many folds of the rows, which is then predicted
        for `oof_score_`. One: from all rows.

    metric : {"ard", "isotropic", "opg", "mlkr"} or array-like of shape (n_components, n_features), default="ard"
        What is learned.

        - "ard": a scale for each feature, zero for those that do not help;
        - "isotropic": one scale for all features, in standard deviations of each;
        - "opg": directions in which the labels are steep, from the outer product of the slopes of local lines; for up
          to 60 features;
        - "mlkr": any matrix A, by the gradient of the leave-one-out error until held-out rows are predicted worse;
        - an array: the matrix A itself, for features in their own units; then only a ridge is learned.

    n_rounds : int or "gcv", default=1
        How often is smoothed. Further rounds smooth what is left of the labels and add it, known as L2-boosting: a
        weighted mean takes a little from every peak, which the next gives back. "gcv" finds the rounds, up to 50, of
        the least generalised cross-validation, and how much wider the metric may be for them; a number keeps to the
        rounds. Only for ``degree=0`` and positive definite kernels, which those above are.

    clip : bool, default=True
        Whether features of queries beyond the range of the training rows count as its end: a line does not go on there.

    algorithm : {"auto", "brute", "cells", "tree"}, default="auto"
        How sums are computed, as in :class:`NadarayaWatsonRegressor`. It has no influence on the result. Where the
        metric keeps few features, the fast ones serve.

    random_state : int, RandomState instance or None, default=None
        Draws the folds, and the rows that are learned from where there are more than 1000.

    n_jobs : int, default=None
        The number of threads, over the heads and over queries. It has no influence on the result.

    Attributes
    ----------
    heads_ : list of Head
        With the `components`, the `ridge` and the fitted `smoother` of each, in standard deviations of the features
        that vary.

    components_ : list of ndarray of shape (n_components, n_features)
        The matrix A of each head, for features in their own units.

    scales_ : ndarray of shape (n_heads, n_features)
        By how much one standard deviation of each feature counts as distance.

    n_rounds_ : list of int
        The rounds of each head.

    feature_importances_ : ndarray of shape (n_features,)
        The mean square of the slope of `predict` in standard deviations of each feature, at some 200 of the training
        rows. They sum to 1.

    oof_prediction_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        What each training row is predicted by the head that was learned without its fold, from the rows outside of it.
        Only with several heads.

    oof_score_ : float
        The R² of these, which rather underrates the mean of all heads. Only with several heads.

    attention_weights_ : AttentionMatrix of shape (n_samples, n_samples)
        The weights of the training labels in the prediction for each training row. A lazy array.

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
    former from their mean cost 2 / n of their square, so that features are alike unless the labels say otherwise. Those
    that are worth less than log n by the criterion of Schwarz are dropped, and in a second try those worth less than
    four times that. Of the two and of equal scales, all heads take the one by which the folds are predicted best: with
    few rows and many features, to learn more is to learn noise. Beyond 1000 rows a head learns from 1000 of them, and
    is tuned to all by the errors of 500 others. What is learned is the same for rows in any order, and for a row of the
    integer weight k as for k rows.

    Steps and categories with many values suit trees better, and very smooth functions with few rows Gaussian processes.

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
            The training rows.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their labels. Several outputs share their metrics.

        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts; not negative, and not all zero.

        Returns
        -------
        self : object
            Fitted.

        Raises
        ------
        ValueError, TypeError
            If the data or a parameter cannot be used, with what was wanted and what was got.
        """
        with progress(self, X, y) as step, all_or_nothing(self):
            kernel, degree = check_smooth_kernel(self.kernel), check_degree(self.degree, (0, 1))
            n_rounds = check_n_rounds(self.n_rounds, kernel, degree)
            n_heads, algorithm = check_count(self.n_heads, "n_heads"), check_algorithm(self.algorithm)
            X, y, sample_weight = check_training_data(self, X, y, sample_weight, "euclidean")
            rows = Rows.of(X.astype(np.float64), y.reshape(len(y), -1), sample_weight)
            self._standard, self._dtype, self._output_shape = Standard.of(rows), X.dtype, y.shape[1:]
            metric, degree = check_metric_to_learn(self.metric, self._standard.spread, degree)
            teacher = Teacher(kernel, degree, metric, n_rounds, Settings(algorithm, "nearest"))
            metrics, oof = self._learn(teacher, rows, n_heads, step)
            Z = self._standard(X.astype(np.float64))
            self.heads_ = [teacher.head(each, Z, y, sample_weight, self.n_jobs) for each in metrics]
            self._examples = rows.X[:: -(-len(rows.X) // _SLOPES)]
            self.kernel_, self.degree_ = kernel, degree
            if oof is not None:
                self._score(X, y, sample_weight, oof[rows.which], rows.which < 0)
        return self

    def _learn(self, teacher, rows, n_heads, step):
        """The metrics of the heads; and if there are several, what each row is predicted from outside of its fold."""
        random, Z = check_random_state(self.random_state), self._standard(rows.X)
        folds = rows.folds(n_heads, random) if n_heads > 1 and len(Z) > 2 else np.zeros(len(Z), dtype=int)
        several = folds.max() > 0
        taught = [np.flatnonzero(~several | (folds != fold)) for fold in range(folds.max() + 1)]
        lessons = [teacher.learn(Z, rows, some, random) for some in taught]

        def learn(tile):
            metrics = lessons[tile.start]()
            step("head")
            return metrics

        learned = map_tiles(learn, len(lessons), 1, self.n_jobs)
        if not several:
            return [learned[0][0]], None
        # A head with nothing to choose from has one metric.
        longest = range(max(map(len, learned)))
        choices = [[metrics[min(k, len(metrics) - 1)] for metrics in learned] for k in longest]
        return self._choose(teacher, rows, Z, folds, choices)

    def _choose(self, teacher, rows, Z, folds, choices):
        """The choice of metrics, one for each fold, by which rows outside of it predict best; and what they predict."""
        judges = np.unique(np.linspace(0, len(Z) - 1, min(len(Z), _JUDGES)).astype(int))
        tried = [self._predict_folds(teacher, rows, Z, folds, metrics, judges) for metrics in choices]
        spread = np.maximum(rows.y.std(axis=0), np.finfo(float).tiny)
        squares = [np.square((each - rows.y[judges]) / spread).sum(axis=1) for each in tried]
        best = int(np.argmin(np.average(squares, axis=1, weights=rows.sample_weight[judges])))
        if len(judges) == len(Z):
            return choices[best], tried[best]
        return choices[best], self._predict_folds(teacher, rows, Z, folds, choices[best], np.arange(len(Z)))

    def _score(self, X, y, sample_weight, oof, absent):
        """Keep the predictions of rows from outside of their folds; those without weight are in none."""
        oof = oof.reshape(y.shape)
        if absent.any():
            oof[absent] = self.predict(X[absent])
        self.oof_prediction_ = oof.astype(X.dtype)
        self.oof_score_ = r2_score(y, oof, sample_weight=sample_weight)

    def _predict_folds(self, teacher, rows, Z, folds, metrics, numbers):
        """What rows of these numbers are predicted by the rows outside of their folds."""
        predictions = np.empty((len(numbers), rows.y.shape[1]))
        for fold, metric in enumerate(metrics):
            inside, others = folds[numbers] == fold, folds != fold
            head = teacher.head(metric, Z[others], rows.y[others], rows.sample_weight[others], self.n_jobs)
            at = Z[numbers[inside]]
            at = np.clip(at, Z[others].min(axis=0), Z[others].max(axis=0)) if self.clip else at
            predictions[inside] = head.smoother.predict(head.seen(at))
        return predictions

    def predict(self, X):
        """Predict the labels of queries.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features), or None
            The queries. None stands for the training rows, each smoothed without itself by heads that were learned
            with it: `oof_prediction_` is more honest. Not with boosting.

        Returns
        -------
        y : ndarray of shape (n_queries,) or (n_queries, n_outputs)
            In the dtype of the training rows.

        Raises
        ------
        ValueError
            If X has other features than the training rows. For X=None, if there is only one training row, or
            boosting.
        """
        check_is_fitted(self)
        if X is None:
            if max(self.n_rounds_) > 1:
                raise ValueError(
                    "predict(None) needs n_rounds=1: boosted, the labels of others contain that of a row. Predictions "
                    "of the training rows by others are in oof_prediction_."
                )
            return self._mean(head.smoother.predict(None) for head in self.heads_)
        Z = self._queries(X)
        return self._mean(head.smoother.predict(head.seen(Z)) for head in self.heads_)

    def gradient(self, X):
        """Compute the slope of `predict` at each query, zero in a feature that is clipped there.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        Returns
        -------
        gradient : ndarray of shape (n_queries, n_features) or (n_queries, n_features, n_outputs)
            In units of the labels over those of the features.
        """
        check_is_fitted(self)
        slopes = self._slopes(check_queries(self, X, "euclidean").astype(np.float64))
        return slopes.reshape(*slopes.shape[:2], *self._output_shape).astype(self._dtype)

    def attention_weights(self, X, *, effective=True):
        """Compute the weight of each training label for each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        effective : bool, default=True
            Whether to return what the labels weigh in the prediction: ``weights @ y`` equals ``predict(X)``, and for
            ``degree=1`` or with boosting, weights can be negative. Else the attention itself, the kernel's shares,
            which never are.

        Returns
        -------
        weights : ndarray of shape (n_queries, n_samples)
            The mean of the heads. Rows sum to 1.
        """
        check_is_fitted(self)
        Z = self._queries(X)
        return self._weights(Z, effective)

    def explain(self, X, n_rows=5):
        """Name the training rows that a prediction rests on most: those with the largest attention.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        n_rows : int, default=5
            Rows for each query.

        Returns
        -------
        explanation : :class:`~sklearn.utils.Bunch` or DataFrame
            With `query` and `row`, numbers from 0; `attention`, the kernel's share; `weight`, what the label weighs
            in the prediction; `distance`, the mean of the heads; and `label`, or one for each output. If X is a
            DataFrame (of pandas or polars), one with these columns, else a Bunch of arrays of shape
            (n_queries * n_rows,); the rows of each query by descending attention.
        """
        n_rows = check_count(n_rows, "n_rows")
        check_is_fitted(self)
        Z = self._queries(X)
        attention, weight = self._weights(Z, effective=False), self._weights(Z, effective=True)
        return explain_rows(X, self.heads_, Z, attention, weight, n_rows)

    def effective_sample_size(self, X):
        """Compute how many training rows of equal attention would tell as much as those about each query.

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
        Z = self._queries(X)
        sizes = [np.empty(0, self._dtype)]
        for some in batches(len(Z), row_batch(self.heads_[0].n_rows)):
            sizes.append(1 / np.square(self._weights(Z[some], effective=False)).sum(axis=1))
        return np.concatenate(sizes)

    def extrapolates(self, X, *, share=0.01):
        """Tell which queries to doubt: those beyond the range of a feature, or far from all rows to most heads.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        share : float, default=0.01
            The share of training rows that may be further from their nearest other row, as in
            :meth:`NadarayaWatsonRegressor.extrapolates`.

        Returns
        -------
        extrapolates : ndarray of bool of shape (n_queries,)
        """
        check_is_fitted(self)
        X = check_queries(self, X, "euclidean").astype(np.float64)
        Z = self._standard(X)
        far = np.mean([head.smoother.extrapolates(head.seen(Z), share=share) for head in self.heads_], axis=0)
        return self._standard.beyond(X).any(axis=1) | (far > 0.5)

    @property
    def components_(self):
        check_is_fitted(self)
        return [head.components / self._standard.spread for head in self.heads_]

    @property
    def scales_(self):
        check_is_fitted(self)
        return np.array([np.linalg.norm(head.components, axis=0) for head in self.heads_])

    @property
    def n_rounds_(self):
        check_is_fitted(self)
        return [head.n_rounds for head in self.heads_]

    @property
    def feature_importances_(self):
        check_is_fitted(self)
        spread = np.where(self._standard.varies, self._standard.spread, 0)
        squares = np.square(self._slopes(self._examples) * spread[:, None])
        importances = squares.mean(axis=(0, 2))
        return importances / importances.sum() if importances.any() else importances

    @property
    def attention_weights_(self):
        check_is_fitted(self)
        algorithms = [head.algorithm for head in self.heads_]
        return AttentionMatrix(algorithms, "nearest", self.n_jobs, self.n_rounds_)

    def _slopes(self, X):
        """Of the mean of the heads at queries: (n_queries, n_features, n_outputs)."""
        Z, slopes = self._standard(X, self.clip), []
        for head in self.heads_:
            by_head = head.smoother.gradient(head.seen(Z)).reshape(len(X), len(head.components), -1)
            slopes.append(np.einsum("mik,ij->mjk", by_head, head.components / self._standard.spread))
        mean = np.mean(slopes, axis=0)
        if self.clip:
            mean[self._standard.beyond(X)] = 0
        return mean

    def _weights(self, Z, effective):
        return self._mean(head.attention_weights(Z, effective) for head in self.heads_)

    def _queries(self, X):
        return self._standard(check_queries(self, X, "euclidean").astype(np.float64), self.clip)

    def _mean(self, parts):
        return (sum(parts) / len(self.heads_)).astype(self._dtype)
