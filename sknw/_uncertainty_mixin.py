"""UncertaintyMixin: the methods of estimators that tell how far their predictions can be trusted."""

from __future__ import annotations

from sklearn.utils.validation import check_is_fitted

from sknw._algorithms import Algorithm
from sknw._kernels import Kernel
from sknw._pooling import warn_unreached
from sknw._uncertainty import Uncertainty
from sknw._validation import check_coverage, check_fallback, check_quantiles, check_queries, check_share


class UncertaintyMixin:
    """Noise, intervals, quantiles and support, of an estimator that has an `_algorithm` and an `_uncertainty`."""

    fallback: str
    kernel_: Kernel
    _algorithm: Algorithm
    _uncertainty: Uncertainty
    _output_shape: tuple[int, ...]

    def residual_variance(self, X):
        r"""Estimate the variance of the labels about the fit, at queries.

        It is the weighted mean of the squared leave-one-out errors, with the kernel's weights, at any degree of the
        fit:

        .. math::

            \hat\sigma^2(q) = \frac{\sum_j w_j K(|q - x_j| / h) \, e_j^2}{\sum_j w_j K(|q - x_j| / h)}

        after J. Fan and Q. Yao (1998), Efficient estimation of conditional variance functions in stochastic regression,
        Biometrika 85 (3), 645-660, :doi:`10.1093/biomet/85.3.645`. The errors contain those of the fit, so that it is
        rather too large.

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
            If no training row is in reach of some query, with their number and what `fallback` gave them.

        Raises
        ------
        ValueError
            If X has other features than the training rows, if there is only one of these, or if the fallback is
            "raise" and needed.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 1.0, 3.0]
        >>> NadarayaWatsonRegressor(bandwidth=1.0).fit(X, y).residual_variance([[1.5]]).round(2)
        array([2.05])
        """
        queries, fallback = self._queries(X), check_fallback(self.fallback)
        noise, n_unreached = self._uncertainty.noise(queries, fallback)
        warn_unreached(n_unreached, len(queries), self.kernel_.name, fallback)
        return self._shaped(noise**2)

    def predict_interval(self, X, coverage=0.9, *, scaled=False):
        r"""Predict intervals for the labels of queries, by the jackknife+.

        With the fits :math:`f_{-i}` to all rows but one, the leave-one-out errors :math:`e_i`, and n rows, the lower
        end is number :math:`n + 1 - k` of the :math:`f_{-i}(q) - |e_i|`, and the upper end number k of the
        :math:`f_{-i}(q) + |e_i|`, in ascending order, with :math:`k = \lceil \text{coverage} \, (n + 1) \rceil`. No
        fit is made again:

        .. math::

            f_{-i}(q) = f(q) - \frac{a_i(q) \, r_i(q)}{1 - g_i(q)}

        with the weight of row i in the fit at q, its residual from the polynomial that was fitted there, and its
        leverage in that; for a weighted mean, :math:`r_i = y_i - f(q)` and :math:`g_i = a_i`.

        If rows and queries are drawn alike, a new label is in its interval with a probability of at least
        2 coverage - 1, and in practice about that of the coverage: R. F. Barber, E. J. Candès, A. Ramdas and
        R. J. Tibshirani (2021), Predictive inference with the jackknife+, Annals of Statistics 49 (1), 486-507,
        :doi:`10.1214/20-AOS1965`. That is so for all queries together, not for each; and for a bandwidth that was
        given: one chosen on the same rows makes intervals a little too short, and so do weights that express
        importance, which count each row once here.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        coverage : float, default=0.9
            The share of new labels that are to be in their intervals, between 0 and 1.

        scaled : bool, default=False
            Whether errors are divided by the noise level where they arose, and multiplied by that at the query, which
            is the root of `residual_variance`: intervals are then wide where labels scatter.

        Returns
        -------
        interval : ndarray of shape (n_queries, 2) or (n_queries, n_outputs, 2)
            The lower and the upper end, in the unit of y. They are infinite where no training row is in reach, and
            everywhere if there are fewer rows than coverage / (1 - coverage).

        Raises
        ------
        ValueError
            If the coverage is not between 0 and 1, if X has other features than the training rows, or if there is
            only one of these.

        Notes
        -----
        It takes time in proportion to the number of queries times the number of rows. A row whose repetitions an
        integer weight counts is left out once. With a `ridge`, its penalty is that of all rows throughout.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> from sknw.datasets import make_sine
        >>> X, y = make_sine(n_samples=40, random_state=1)
        >>> NadarayaWatsonRegressor(bandwidth=0.5).fit(X, y).predict_interval([[1.0]], coverage=0.8).round(1)
        array([[1. , 3.1]])
        """
        queries, coverage = self._queries(X), check_coverage(coverage)
        return self._shaped(self._uncertainty.intervals(queries, coverage, scaled))

    def predict_quantiles(self, X, quantiles=(0.05, 0.5, 0.95)):
        r"""Predict quantiles of the labels of queries.

        They are quantiles of the distribution that gives each training label the kernel's weight of its row, which is
        never negative, at any degree of the fit:

        .. math::

            Q_p(q) = \min \left\{ y_i : \sum_{y_j \le y_i} w_j K(|q - x_j| / h) \ge
            p \sum_j w_j K(|q - x_j| / h) \right\}

        See C. J. Stone (1977), Consistent nonparametric regression, Annals of Statistics 5 (4), 595-620,
        :doi:`10.1214/aos/1176343886`. Each is a training label, and a higher quantile is never lower. The median is
        the weighted mean's robust sibling; the outer ones are too far out where the labels rise or fall by much
        within a bandwidth.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.5, 0.95)
            From 0, the smallest label that has weight, to 1, the largest. Less than 1e-10 of all counts as none.

        Returns
        -------
        labels : ndarray of shape (n_queries, n_quantiles) or (n_queries, n_outputs, n_quantiles)
            In the unit of y.

        Warns
        -----
        UserWarning
            If no training row is in reach of some query, with their number and what `fallback` gave them.

        Raises
        ------
        ValueError
            If a quantile is not between 0 and 1, if X has other features than the training rows, or if the fallback is
            "raise" and needed.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 1.0, 3.0]
        >>> NadarayaWatsonRegressor("boxcar", bandwidth=1.0).fit(X, y).predict_quantiles([[2.0]], [0.3, 0.5, 1.0])
        array([[1., 2., 3.]])
        """
        queries, fallback, levels = self._queries(X), check_fallback(self.fallback), check_quantiles(quantiles)
        labels, n_unreached = self._uncertainty.quantiles(queries, levels, fallback)
        warn_unreached(n_unreached, len(queries), self.kernel_.name, fallback)
        return self._shaped(labels)

    def effective_sample_size(self, X):
        r"""Compute how many training rows of equal weight would tell as much as those about each query.

        .. math::

            n(q) = \left( \sum_j w_j K(|q - x_j| / h) \right)^2 / \sum_j w_j^2 K(|q - x_j| / h)^2

        of L. Kish (1965), Survey Sampling, Wiley, with the kernel's weights at any degree of the fit. An integer weight
        of w stands for w rows: its :math:`w^2` below is then w.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        Returns
        -------
        size : ndarray of shape (n_queries,)
            At least 1, but 0 where no training row is in reach.

        Raises
        ------
        ValueError
            If X has other features than the training rows.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 1.0, 3.0]
        >>> NadarayaWatsonRegressor("boxcar", bandwidth=1.0).fit(X, y).effective_sample_size([[2.0], [3.0], [5.0]])
        array([3., 2., 0.])
        """
        return self._uncertainty.effective_sizes(self._queries(X)).astype(self._algorithm.problem.X.dtype)

    def nearest_distance(self, X):
        """Compute the distance from each query to the nearest training row, in bandwidths.

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
            If X has other features than the training rows.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 1.0, 3.0]
        >>> NadarayaWatsonRegressor(bandwidth=2.0).fit(X, y).nearest_distance([[2.0], [7.0]])
        array([0., 2.])
        """
        return self._uncertainty.nearest.distances(self._queries(X)).astype(self._algorithm.problem.X.dtype)

    def extrapolates(self, X, *, share=0.01):
        """Tell which queries are further from the training rows than these are from each other.

        A query counts as further if its `nearest_distance` exceeds the distance to their nearest other row of all
        training rows but a `share`. Of queries drawn like the training rows, about that share is found; a training row
        itself never is. It knows of distances only: a query in a gap between rows is found if the gap is wide, one
        beyond the last row if it is far beyond, and none that differs in a way that no feature shows.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        share : float, default=0.01
            The share of training rows that may be further from their nearest other row, between 0 and 1.

        Returns
        -------
        extrapolates : ndarray of bool of shape (n_queries,)
            Whether to doubt the prediction.

        Raises
        ------
        ValueError
            If the share is not between 0 and 1, if X has other features than the training rows, or if there is only
            one of these.

        Examples
        --------
        >>> from sknw import NadarayaWatsonRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 1.0, 3.0]
        >>> NadarayaWatsonRegressor(bandwidth=2.0).fit(X, y).extrapolates([[2.5], [7.0]])
        array([False,  True])
        """
        queries, share = self._queries(X), check_share(share)
        nearest = self._uncertainty.nearest
        return nearest.distances(queries) > nearest.share_beyond(share)

    def _queries(self, X):
        check_is_fitted(self)
        problem = self._algorithm.problem
        return problem.scale(check_queries(self, X, problem.metric))

    def _shaped(self, numbers):
        """Numbers of shape (n_queries, n_outputs, ...) as they are returned: as y was, in the dtype of X."""
        shape = len(numbers), *self._output_shape, *numbers.shape[2:]
        return numbers.reshape(shape).astype(self._algorithm.problem.X.dtype)
