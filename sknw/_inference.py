"""KernelRegressor: predictions of numbers, and how far they can be trusted."""

from __future__ import annotations

from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from sknw._base import KernelSmoother
from sknw._fit._fallbacks import numeric_fallback, warn_few, warn_unreached
from sknw._fit._intervals import intervals, least_samples
from sknw._fit._leave_one_out import predict_left_out
from sknw._fit._noise import quantiles as _quantiles
from sknw._fit._noise import residual_variances
from sknw._fit._predictions import predict
from sknw._fit._standard_errors import effective_sizes, predict_with_errors
from sknw._fit._support import distance_beyond, nearest_distances
from sknw._selection._noise import choose_noise
from sknw._validation import check_quantiles, check_share


class KernelRegressor(MultiOutputMixin, RegressorMixin, KernelSmoother):
    """A kernel smoother of numbers: predictions, standard errors, noise, intervals, quantiles and support."""

    def predict(self, X, return_std=False):
        r"""Predict the targets of queries.

        With `return_std`, the standard errors of the fits as well. A fit is a sum of targets with the weights
        :math:`a_j(q)` that `attention_weights` gives, so that

        .. math::

            \operatorname{std} f(q) = \sqrt{\textstyle\sum_j a_j(q)^2 \, e_j^2}

        with the leave-one-out errors :math:`e_j` in place of the unknown standard deviations of the targets: the
        "HC3" estimate of J. G. MacKinnon and H. White (1985), Some heteroskedasticity-consistent covariance matrix
        estimators with improved finite sample properties, Journal of Econometrics 29 (3), 305-325,
        :doi:`10.1016/0304-4076(85)90158-7`. It tells how far f(q) strays from its own expected value, which is a
        smoothed version of the truth, and nothing of the bias: a band of 1.96 standard errors covers the truth less
        often than 95 times in 100. For new targets, take `predict_interval`.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features), or None
            The queries. None stands for the samples, each predicted without itself, as in
            :class:`~sklearn.neighbors.KNeighborsRegressor`.

        return_std : bool, default=False
            Whether to return standard errors too. For X=None, they are those of the fit to all samples.

        Returns
        -------
        y : ndarray of shape (n_queries,) or (n_queries, n_outputs)
            In the dtype of the samples.

        std : ndarray of shape (n_queries,) or (n_queries, n_outputs)
            The standard errors, in the unit of y. NaN where no sample is in reach, for nothing is known there.
            Far from the data, a kernel that is positive everywhere gives the error of the nearest sample:
            `extrapolates` tells. Only with `return_std`.

        Warns
        -----
        UserWarning
            If no sample is in reach of some query, with what `fallback` gave it. If there is only
            one sample, for X=None and for standard errors, which are NaN then.

        Raises
        ------
        ValueError
            If X has other features than the samples, or if the fallback is "raise" and needed.

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
        fallback = self._fallback()
        queries = self._fit.problem.distance.keys if X is None else self._queries(X, "predict")
        if X is None or return_std:
            warn_few(self._fit.problem.rows, 2, "Leave-one-out predictions and standard errors", "they are NaN")
        if return_std:
            fits, std, n_unreached = predict_with_errors(self._fit, queries, fallback, self.n_jobs)
        elif X is not None:
            fits, n_unreached = predict(self._fit, queries, fallback, self.n_jobs)
        if X is None:
            fits, n_unreached = predict_left_out(self._fit, fallback, self.n_jobs)
        if n_unreached:
            warn_unreached(self.kernel_.name, fallback)
        return (self._shaped(fits), self._shaped(std)) if return_std else self._shaped(fits)

    def residual_variance(self, X):
        r"""Estimate the variance of the targets about the fit, at queries.

        It is the weighted mean of the squared leave-one-out errors, at any degree of the fit:

        .. math::

            \hat\sigma^2(q) = \frac{\sum_j w_j G(|q - x_j| / b) \, e_j^2}{\sum_j w_j G(|q - x_j| / b)}

        after J. Fan and Q. Yao (1998), Efficient estimation of conditional variance functions in stochastic regression,
        Biometrika 85 (3), 645-660, :doi:`10.1093/biomet/85.3.645`. The kernel G is the Gaussian, whatever that of the
        fit, and the bandwidth b is the noise's own: the multiple of the fit's with which the logarithms of the errors'
        sizes are predicted best, by the criterion "aicc", for each output. It is searched once, when it is first
        needed. The errors contain those of the fit, so that the variance is rather too large.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        Returns
        -------
        variance : ndarray of shape (n_queries,) or (n_queries, n_outputs)
            In the squared unit of y.

        Warns
        -----
        UserWarning
            If no sample is in reach of some query, with what `fallback` gave it. If there is only
            one sample: variances are NaN then.

        Raises
        ------
        ValueError
            If X has other features than the samples, or if the fallback is "raise" and needed.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 1.0, 3.0]
        >>> NadarayaWatsonRegressor(bandwidth=1.0).fit(X, y).residual_variance([[1.5]]).round(2)
        array([2.46])
        """
        queries, fallback = self._queries(X, "residual_variance"), self._fallback()
        warn_few(self._fit.problem.rows, 2, "Residual variances", "they are NaN")
        variances, n_unreached = residual_variances(self._fit, self._noises(), queries, fallback, self.n_jobs)
        if n_unreached:
            warn_unreached(self.kernel_.name, fallback)
        return self._shaped(variances)

    def predict_interval(self, X, coverage=0.9, *, scaled=False):
        r"""Predict intervals for the targets of queries, by the jackknife+.

        With the fits :math:`f_{-i}` to all samples but one, the leave-one-out errors :math:`e_i`, and n samples, the
        lower end is number :math:`n + 1 - k` of the :math:`f_{-i}(q) - |e_i|`, and the upper end number k of the
        :math:`f_{-i}(q) + |e_i|`, in ascending order, with :math:`k = \lceil \text{coverage} \, (n + 1) \rceil`. No fit
        is made again:

        .. math::

            f_{-i}(q) = f(q) - \frac{a_i(q) \, r_i(q)}{1 - g_i(q)}

        with the weight of sample i in the fit at q, its residual from the polynomial that was fitted there, and its
        leverage in that; for a weighted mean, :math:`r_i = y_i - f(q)` and :math:`g_i = a_i`.

        If samples and queries are drawn alike, a new target is in its interval with a probability of at least
        2 coverage - 1, and in practice about that of the coverage: R. F. Barber, E. J. Candès, A. Ramdas and
        R. J. Tibshirani (2021), Predictive inference with the jackknife+, Annals of Statistics 49 (1), 486-507,
        :doi:`10.1214/20-AOS1965`. That is so for all queries together, not for each; and for a bandwidth that was
        given: one chosen on the same samples makes intervals a little too short, and so do weights that express
        importance, which count each row once here.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        coverage : float, default=0.9
            The share of new targets that are to be in their intervals, between 0 and 1.

        scaled : bool, default=False
            Whether errors are divided by what is to be expected where they arose, and multiplied by that at the query:
            the root of `residual_variance`, of the other samples, plus the squared standard error of the fit.
            Intervals are then wide where targets scatter, and where the fit is uncertain.

        Returns
        -------
        interval : ndarray of shape (n_queries, 2) or (n_queries, n_outputs, 2)
            The lower and the upper end, in the unit of y. They are infinite where no sample is in reach, and
            everywhere if there are fewer samples than coverage / (1 - coverage), or than two.

        Warns
        -----
        UserWarning
            If there are so few samples.

        Raises
        ------
        ValueError
            If the coverage is not between 0 and 1, or if X has other features than the samples.

        Notes
        -----
        It takes time in proportion to the number of queries times the number of samples. A row whose repetitions an
        integer weight counts is left out once. With a `ridge`, its penalty is that of all samples throughout.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> from sknw.datasets import make_sine
        >>> X, y = make_sine(n_samples=40, random_state=1)
        >>> NadarayaWatsonRegressor(bandwidth=0.5).fit(X, y).predict_interval([[1.0]], coverage=0.8).round(1)
        array([[1. , 3.1]])
        """
        queries, coverage = self._queries(X, "predict_interval"), check_share(coverage, "coverage")
        needed = least_samples(coverage)
        warn_few(self._fit.problem.rows, needed, f"Intervals with coverage={coverage}", "they are infinite")
        noises = self._noises() if scaled else None
        return self._shaped(intervals(self._fit, queries, coverage, noises, self._fallback(), self.n_jobs))

    def predict_quantiles(self, X, quantiles=(0.05, 0.5, 0.95)):
        r"""Predict quantiles of the targets of queries.

        They are those of the leave-one-out errors :math:`e_i` about the fit, at any degree of it, with weights that
        are never negative:

        .. math::

            Q_p(q) = f(q) + \min \left\{ e_i : \sum_{e_j \le e_i} w_j G(|q - x_j| / b) \ge
            p \sum_j w_j G(|q - x_j| / b) \right\}

        The kernel G and the bandwidth b are those of `residual_variance`. They follow the noise, and f follows the
        curve: quantiles of the targets themselves, with the weights of the fit, would be too far out where targets rise
        or fall by much within a bandwidth. A higher quantile is never lower. One need not be a target, and may be
        beyond a limit that targets have, as counts have one at zero. The outer ones ask for many errors: of twenty in
        reach, that of 0.05 is the smallest. Far from the samples, all are those of the nearest one's error:
        `extrapolates` tells.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.5, 0.95)
            From 0, that of the smallest error that has weight, to 1, the largest. Less than 1e-10 of all counts as
            none.

        Returns
        -------
        targets : ndarray of shape (n_queries, n_quantiles) or (n_queries, n_outputs, n_quantiles)
            In the unit of y.

        Warns
        -----
        UserWarning
            If no sample is in reach of some query, with what `fallback` gave it. If there is only one sample:
            quantiles are NaN then.

        Raises
        ------
        ValueError
            If a quantile is not between 0 and 1, if X has other features than the samples, or if the fallback is
            "raise" and needed.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> from sknw.datasets import make_sine
        >>> X, y = make_sine(n_samples=200, random_state=0)
        >>> NadarayaWatsonRegressor(bandwidth=0.3).fit(X, y).predict_quantiles([[1.0], [4.0]]).round(1)
        array([[0.9, 2.6, 4.2],
               [0.8, 2.3, 4.2]])
        """
        points, fallback, levels = self._queries(X, "predict_quantiles"), self._fallback(), check_quantiles(quantiles)
        warn_few(self._fit.problem.rows, 2, "Quantiles", "they are NaN")
        targets, n_unreached = _quantiles(self._fit, self._noises(), points, levels, fallback, self.n_jobs)
        if n_unreached:
            warn_unreached(self.kernel_.name, fallback)
        return self._shaped(targets)

    def effective_sample_size(self, X):
        r"""Compute how many samples of equal weight would tell as much as those about each query.

        .. math::

            n(q) = \left( \sum_j w_j K(|q - x_j| / h) \right)^2 / \sum_j w_j^2 K(|q - x_j| / h)^2

        of L. Kish (1965), Survey Sampling, Wiley, with the kernel's weights at any degree of the fit. An integer weight
        of w stands for w samples: its :math:`w^2` below is then w.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        Returns
        -------
        size : ndarray of shape (n_queries,)
            At least 1, but 0 where no sample is in reach.

        Raises
        ------
        ValueError
            If X has other features than the samples.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 1.0, 3.0]
        >>> NadarayaWatsonRegressor("boxcar", bandwidth=1.0).fit(X, y).effective_sample_size([[2.0], [3.0], [5.0]])
        array([3., 2., 0.])
        """
        sizes = effective_sizes(self._fit, self._queries(X, "effective_sample_size"), self.n_jobs)
        return self._returned(sizes.astype(self._dtype, copy=False))

    def nearest_distance(self, X):
        """Compute the distance from each query to the nearest sample, in bandwidths.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        Returns
        -------
        distance : ndarray of shape (n_queries,)
            The u of the kernel; without unit.

        Raises
        ------
        ValueError
            If X has other features than the samples.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 1.0, 3.0]
        >>> NadarayaWatsonRegressor(bandwidth=2.0).fit(X, y).nearest_distance([[2.0], [7.0]])
        array([0., 2.])
        """
        distances = nearest_distances(self._fit, self._queries(X, "nearest_distance", clip=False))
        return self._returned(distances.astype(self._dtype, copy=False))

    def extrapolates(self, X, *, share=0.01):
        """Tell which queries are further from the samples than these are from each other.

        A query counts as further if its `nearest_distance` exceeds the distance to their nearest other sample of all
        samples but a `share`. Of queries drawn like the samples, about that share is found; a sample
        itself never is. It knows of distances only: a query in a gap between samples is found if the gap is wide, one
        beyond the last sample if it is far beyond, and none that differs in a way that no feature shows.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        share : float, default=0.01
            The share of samples that may be further from their nearest other sample, between 0 and 1.

        Returns
        -------
        extrapolates : ndarray of bool of shape (n_queries,)
            Whether to doubt the prediction.

        Warns
        -----
        UserWarning
            If there is only one sample: all queries elsewhere are further then.

        Raises
        ------
        ValueError
            If the share is not between 0 and 1, or if X has other features than the samples.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 1.0, 3.0]
        >>> NadarayaWatsonRegressor(bandwidth=2.0).fit(X, y).extrapolates([[2.5], [7.0]])
        array([False,  True])
        """
        queries, share = self._queries(X, "extrapolates", clip=False), check_share(share, "share")
        warn_few(self._fit.problem.rows, 2, "Distances between samples", "all queries elsewhere count as further")
        return self._returned(nearest_distances(self._fit, queries) > distance_beyond(self._fit, share))

    def _noises(self):
        """The noise of each output."""
        return self._fit.once(choose_noise, numeric_fallback(self._fallback()), n_jobs=self.n_jobs)
