"""KernelSmoother: what all estimators share that sum targets by a kernel. Check, state, choose, fit; and shape."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import replace

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sknw._algorithms import ALGORITHMS, build
from sknw._arrays import Device, device_of
from sknw._fit._attention_matrix import AttentionMatrix
from sknw._fit._fallbacks import FALLBACKS, warn_unreached
from sknw._fit._fit import Fit
from sknw._fit._query_gradient import query_gradient
from sknw._fit._weights import attention_weights
from sknw._problem._distances import DISTANCES
from sknw._problem._problem import Problem
from sknw._problem._rows import Rows
from sknw._progress import CallbackSupportMixin, progress, with_callbacks
from sknw._selection._criteria import SearchOptions
from sknw._selection._rules import RULES, choose_bandwidth
from sknw._validation import (
    check_bandwidth,
    check_clip,
    check_coordinates,
    check_counts,
    check_name,
    check_queries,
    check_training_data,
)


@contextmanager
def all_or_nothing(estimator):
    """Fit into an estimator that forgets an earlier fit, or, should this one fail, is left as it was."""
    before = vars(estimator).copy()
    for name in before:
        if name.endswith("_") and not name.startswith("_"):
            delattr(estimator, name)

    def restore():
        vars(estimator).clear()
        vars(estimator).update(before)

    with ExitStack() as undo:
        undo.callback(restore)
        yield
        undo.pop_all()


class KernelEstimator(CallbackSupportMixin, BaseEstimator):
    """An estimator that gives numbers back in the shape of its y, and in the dtype of its X and where that lies."""

    _output_shape: tuple[int, ...]
    _dtype: str
    _device: Device | None = None

    def _shaped(self, numbers, axis=1):
        """Numbers with an axis of outputs as they are returned: outputs as those of y, in the dtype of X."""
        shape = *numbers.shape[:axis], *self._output_shape, *numbers.shape[axis + 1 :]
        numbers = numbers.reshape(shape).astype(self._dtype, copy=False)
        return numbers if self._device is None else self._returned(numbers)

    def _returned(self, array):
        """An array of NumPy as it is returned: where the samples lie, if arrays of other libraries may be."""
        if self._device is None or not get_config()["array_api_dispatch"]:
            return array
        return self._device.put(array)


class KernelSmoother(KernelEstimator):
    """An estimator whose predictions are sums of the targets, with weights that fall with the distance of their keys.

    A subclass has the parameters `bandwidth`, `sample_weight_type`, `algorithm`, `fallback`, `clip`, `random_state` and
    `n_jobs`. Its `_parameters` gives a distance, its metric and the metric's parameters, and the other fields of a
    `Problem`.
    """

    _fit: Fit

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Store the samples, and find the bandwidth.

        A fit that fails leaves an earlier one in place.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples, one a row. float32 is kept; everything else becomes float64.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.

        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts; not negative, and not all zero. `sample_weight_type` says in what sense. The
            targets of a row without weight may be missing.

        Returns
        -------
        self : object
            Fitted.

        Warns
        -----
        UserWarning
            If the search for a bandwidth ended at its smallest or largest, with what that means; or if integer weights
            were taken for counts, and copies of rows decided.

        Raises
        ------
        ValueError, TypeError
            If the data or a parameter cannot be used, with what was wanted and what was got: dates too, which have no
            unit of their own.
        """
        with progress(self, X, y) as step, all_or_nothing(self):
            device = device_of(X) if get_config()["array_api_dispatch"] else None
            (distance, metric, metric_params), parameters = self._parameters()
            algorithm = check_name(self.algorithm, ("auto", *ALGORITHMS), "algorithm")
            check_clip(self.clip, distance)
            X, y, sample_weight = check_training_data(X, y, sample_weight, distance, self)
            counts = check_counts(sample_weight, self.sample_weight_type)
            options = SearchOptions(
                algorithm,
                self._fallback(),
                self.n_jobs,
                self.random_state,
                step,
                getattr(self, "feature_names_in_", None),
                self.sample_weight_type == "auto" and counts.max() > 1,
            )
            features = getattr(self, "feature_names_in_", range(X.shape[1]))
            bandwidth = check_bandwidth(self.bandwidth, distance, metric, features, RULES)
            rule = bandwidth if isinstance(bandwidth, str) else None
            rows = Rows(X, y.reshape(len(y), -1), sample_weight, counts, device=device and device.accelerator)
            keys = distance(rows, None if rule else bandwidth, metric, metric_params)
            problem, search = self._choose(rule, Problem(rows, keys, **parameters), options)
            if search is not None:
                self.bandwidth_search_ = search
            self._fit = Fit(build(algorithm, problem))
            self._output_shape, self._dtype, self._device = y.shape[1:], X.dtype.name, device
            self.kernel_ = problem.kernel
            self.algorithm_ = self._fit.algorithm.name
        return self

    def _choose(self, rule, problem, options):
        """The problem at the bandwidth of a rule, if there is one, and the report of a search."""
        return (problem, None) if rule is None else choose_bandwidth(rule, problem, options)

    def gradient(self, X):
        """Compute the slope of the fitted curve at each query: the derivative of `predict` by the query.

        It is exact, for all kernels and degrees, in time that grows with the number of queries times that of samples.
        Where the kernel has a kink, at the query itself or where it ends, the part of a sample just there is left out;
        where no sample is in reach, the slope is zero. Of a parabola that hangs by samples of hardly any weight, it
        does not count how their say changes.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        Returns
        -------
        gradient : ndarray of shape (n_queries, n_features) or (n_queries, n_features, n_outputs)
            In units of the targets over those of the features.

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
        return self._by_feature(lambda queries: query_gradient(self._fit.problem, queries, self.n_jobs), X, "gradient")

    def attention_weights(self, X, *, sparse=False):
        """Compute the weight of each target in the prediction for each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        sparse : bool, default=False
            Return a sparse array, made without the dense one. Of use for compact kernels.

        Returns
        -------
        weights : ndarray or csr_array of shape (n_queries, n_samples)
            Rows sum to 1; ``weights @ y`` equals ``predict(X)``. Those of a weighted mean are never negative; those of
            a local line or parabola may be.

        Warns
        -----
        UserWarning
            If no sample is in reach of some query, with what `fallback` gave it.
        """
        queries, fallback = self._queries(X, "attention_weights"), self._fallback()
        weights, n_unreached = attention_weights(self._fit, queries, fallback, sparse=sparse, n_jobs=self.n_jobs)
        if n_unreached:
            warn_unreached(self.kernel_.name, fallback)
        return weights if sparse else self._returned(weights)

    def to_device(self, like):
        """Copy this fitted estimator to where an array lies.

        The copy takes queries of that library and device, and gives its answers there, where scikit-learn's
        configuration has ``array_api_dispatch=True``. Nothing is fitted again.

        Parameters
        ----------
        like : array of shape (...)
            An array of NumPy, or of another library on one of its devices. Only where it lies is looked at.

        Returns
        -------
        estimator : object
            A fitted copy.

        Raises
        ------
        ValueError
            If what was fitted does not run on a device.

        Examples
        --------
        >>> import numpy as np
        >>> from sknw import NadarayaWatsonRegressor
        >>> model = NadarayaWatsonRegressor(bandwidth=1.0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        >>> model.to_device(np.zeros(1)).predict([[1.0]])
        array([3.])
        """
        check_is_fitted(self)
        moved, problem = copy(self), self._fit.problem
        moved._device = device_of(like)
        rows = problem.rows.on(moved._device and moved._device.accelerator)
        problem = replace(problem, rows=rows, distance=problem.distance.take(rows, np.arange(len(rows))))
        moved._fit = Fit(build(self.algorithm, problem))
        moved.algorithm_ = moved._fit.algorithm.name
        return moved

    @property
    def bandwidth_(self):
        check_is_fitted(self)
        bandwidth = self._fit.problem.distance.bandwidth
        return self._returned(bandwidth) if isinstance(bandwidth, np.ndarray) else bandwidth

    @property
    def attention_weights_(self):
        check_is_fitted(self)
        return AttentionMatrix([self._fit], self._fallback(), self.n_jobs)

    @property
    def inner_loop_(self):
        check_is_fitted(self)
        return self._fit.algorithm.inner_loop(self._fit.problem)

    # ---- inputs and outputs

    def __sklearn_tags__(self):
        tags, metric = super().__sklearn_tags__(), getattr(self, "metric", None)
        pairwise = isinstance(metric, str) and metric in DISTANCES and DISTANCES[metric].pairwise
        tags.input_tags.pairwise = tags.input_tags.positive_only = pairwise
        tags.array_api_support = True
        return tags

    def _fallback(self):
        """The fallback, which may have changed since `fit`: all that depends on it is computed when it is asked for."""
        return check_name(self.fallback, FALLBACKS, "fallback")

    def _queries(self, X, method, clip=True):
        """Queries, checked, and clipped if the estimator clips, as points of the fit."""
        check_is_fitted(self)
        distance = self._fit.algorithm.problem.distance
        X = check_queries(self, X, distance, method, self._device)
        return distance.transform(self._clipped(X) if clip and self.clip else X)

    def _by_feature(self, function, X, name):
        """What a function gives for queries, (n_queries, n_features, n_outputs), zero in features that are clipped."""
        check_is_fitted(self)
        distance = self._fit.algorithm.problem.distance
        X = check_queries(self, X, distance, name, self._device)
        check_coordinates(distance, distance.metric, name)
        clipped = self._clipped(X) if self.clip else X
        numbers = function(distance.transform(clipped))
        numbers[clipped != X] = 0
        return self._shaped(numbers, axis=2)

    def _clipped(self, X):
        """Queries whose features are in the range of the samples."""
        frame = self._fit.problem.rows.frame
        return np.clip(X, frame.key_low, frame.key_high)
