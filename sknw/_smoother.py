"""Smoother: the shell that all estimators share. Validate, look up, hand over, store."""

from __future__ import annotations

from dataclasses import replace

from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from sknw._algorithms import Problem, build
from sknw._attention_matrix import AttentionMatrix
from sknw._bandwidth import choose_bandwidth
from sknw._gradient import query_gradient
from sknw._leave_one_out import Settings, leave_one_out
from sknw._pooling import attention, smooth, warn_unreached
from sknw._progress import CallbackSupportMixin, progress, with_callbacks
from sknw._uncertainty import Uncertainty
from sknw._uncertainty_mixin import UncertaintyMixin
from sknw._validation import (
    all_or_nothing,
    check_algorithm,
    check_bandwidth,
    check_fallback,
    check_features,
    check_queries,
    check_size,
    check_training_data,
)


class Smoother(UncertaintyMixin, CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A regressor whose predictions are sums of the labels, with weights that fall with their distance.

    An estimator has the parameters `bandwidth`, `algorithm`, `fallback`, `random_state` and `n_jobs`, and those that
    its `_parameters()` makes the fields of a `Problem` of.
    """

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Store the training rows, and find the bandwidth.

        A fit that fails leaves an earlier one in place.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training rows. float32 is kept; everything else becomes float64.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their labels.

        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts; not negative, and not all zero.

        Returns
        -------
        self : object
            Fitted.

        Warns
        -----
        UserWarning
            If the search for a bandwidth ended at its smallest or largest, with what that means.

        Raises
        ------
        ValueError, TypeError
            If the data or a parameter cannot be used, with what was wanted and what was got.
        """
        with progress(self, X, y) as step, all_or_nothing(self):
            parameters = self._parameters()
            algorithm, fallback = check_algorithm(self.algorithm), check_fallback(self.fallback)
            metric = parameters.get("metric", "euclidean")
            X, y, sample_weight = check_training_data(self, X, y, sample_weight, metric)
            bandwidth = check_bandwidth(self.bandwidth, metric, X.shape[1])
            problem = check_size(Problem(X, y.reshape(len(y), -1), sample_weight, **parameters))
            settings = Settings(algorithm, fallback, self.n_jobs, self.random_state, step)
            problem, search = self._choose(bandwidth, problem, settings)
            if search is not None:
                self.bandwidth_search_ = search
            self._algorithm = build(algorithm, problem)
            self._uncertainty = Uncertainty(self._algorithm, fallback, self.n_jobs)
            self._output_shape = y.shape[1:]
            self.kernel_ = problem.kernel
            self.bandwidth_ = problem.bandwidth
            self.algorithm_ = self._algorithm.name
        return self

    def _choose(self, bandwidth, problem, settings):
        """The problem with what its bandwidth is, or a rule makes it, and the report of a search."""
        search = None
        if isinstance(bandwidth, str):
            bandwidth, search = choose_bandwidth(bandwidth, problem, settings)
        return replace(problem, bandwidth=bandwidth), search

    def predict(self, X, return_std=False):
        r"""Predict the labels of queries.

        With `return_std`, the standard errors of the fits as well. A fit is a sum of labels with the weights
        :math:`a_j(q)` that `attention_weights` gives, so that

        .. math::

            \operatorname{std} f(q) = \sqrt{\textstyle\sum_j a_j(q)^2 \, e_j^2}

        with the leave-one-out errors :math:`e_j` in place of the unknown standard deviations of the labels: the
        "HC3" estimate of J. G. MacKinnon and H. White (1985), Some heteroskedasticity-consistent covariance matrix
        estimators with improved finite sample properties, Journal of Econometrics 29 (3), 305-325,
        :doi:`10.1016/0304-4076(85)90158-7`. It tells how far f(q) strays from its own expected value, which is a
        smoothed version of the truth, and nothing of the bias: a band of 1.96 standard errors covers the truth less
        often than 95 times in 100. For new labels, take `predict_interval`.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features), or None
            The queries. None stands for the training rows, each predicted without itself, as in
            :class:`~sklearn.neighbors.KNeighborsRegressor`.

        return_std : bool, default=False
            Whether to return standard errors too. For X=None, they are those of the fit to all rows.

        Returns
        -------
        y : ndarray of shape (n_queries,) or (n_queries, n_outputs)
            In the dtype of the training rows.

        std : ndarray of shape (n_queries,) or (n_queries, n_outputs)
            The standard errors, in the unit of y. NaN where no training row is in reach, for nothing is known there.
            Far from the data, a kernel that is positive everywhere gives the error of the nearest row:
            `extrapolates` tells. Only with `return_std`.

        Warns
        -----
        UserWarning
            If no training row is in reach of some query, with their number and what `fallback` gave them.

        Raises
        ------
        ValueError
            If X has other features than the training rows, or if the fallback is "raise" and needed. For X=None and
            for standard errors, if there is only one training row.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 1.0, 3.0]
        >>> model = NadarayaWatsonRegressor(bandwidth=1.0).fit(X, y)
        >>> fit, std = model.predict([[1.5]], return_std=True)
        >>> fit.round(2), std.round(2)
        (array([1.5]), array([0.73]))
        """
        check_is_fitted(self)
        fallback, problem = check_fallback(self.fallback), self._algorithm.problem
        queries = problem.keys if X is None else problem.scale(check_queries(self, X, problem.metric))
        if return_std:
            fits, std, n_unreached = self._uncertainty.smooth(queries, fallback)
        elif X is not None:
            fits, n_unreached = smooth(self._algorithm, queries, fallback, self.n_jobs)
        if X is None:
            left_out = leave_one_out(self._algorithm, fallback, self.n_jobs)
            fits, n_unreached = left_out.predictions, left_out.n_unreached
        warn_unreached(n_unreached, len(fits), problem.kernel.name, fallback)
        return (self._shaped(fits), self._shaped(std)) if return_std else self._shaped(fits)

    def gradient(self, X):
        """Compute the slope of the fitted curve at each query: the derivative of `predict` by the query.

        It is exact, for all kernels and degrees, in time that grows with the number of queries times that of training
        rows. Where the kernel has a kink, at the query itself or where it ends, the part of a row just there is left
        out; where no training row is in reach, the slope is zero.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        Returns
        -------
        gradient : ndarray of shape (n_queries, n_features) or (n_queries, n_features, n_outputs)
            In units of the labels over those of the features.

        Raises
        ------
        ValueError
            If the metric is not the Euclidean.

        Examples
        --------
        >>> from sknw import LocalPolynomialRegressor
        >>> model = LocalPolynomialRegressor(bandwidth=1.0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        >>> model.gradient([[0.5]]).round(6)
        array([[2.]])
        """
        check_is_fitted(self)
        problem = self._algorithm.problem
        check_features(problem.metric, "gradient")
        queries = problem.scale(check_queries(self, X, problem.metric))
        slopes = query_gradient(problem, queries, self.n_jobs)
        return slopes.reshape(*slopes.shape[:2], *self._output_shape).astype(problem.X.dtype)

    def attention_weights(self, X, *, sparse=False):
        """Compute the weight of each training label in the prediction for each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        sparse : bool, default=False
            Return a sparse array, made without the dense one. Of use for kernels that end.

        Returns
        -------
        weights : ndarray or csr_array of shape (n_queries, n_samples)
            Rows sum to 1; ``weights @ y`` equals ``predict(X)``. Those of a weighted mean are never negative; those of
            a local line or parabola may be.

        Warns
        -----
        UserWarning
            If no training row is in reach of some query, with their number and what `fallback` gave them.
        """
        check_is_fitted(self)
        fallback, problem = check_fallback(self.fallback), self._algorithm.problem
        queries = problem.scale(check_queries(self, X, problem.metric))
        weights, n_unreached = attention(self._algorithm, queries, fallback, sparse=sparse, n_jobs=self.n_jobs)
        warn_unreached(n_unreached, len(queries), problem.kernel.name, fallback)
        return weights

    @property
    def attention_weights_(self):
        check_is_fitted(self)
        return AttentionMatrix([self._algorithm], check_fallback(self.fallback), self.n_jobs)
