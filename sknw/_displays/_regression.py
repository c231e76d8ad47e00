"""RegressionDisplay: data of one feature, and the fit to them."""

from __future__ import annotations

import numpy as np


class RegressionDisplay:
    """Data, the fit to them, how far it can be trusted and, where it is known, the truth.

    Make one with `from_estimator`.

    Parameters
    ----------
    x : ndarray of shape (n_samples,)
        The feature.

    y : ndarray of shape (n_samples,)
        The targets.

    grid : ndarray of shape (n_points,)
        Where the fit is drawn.

    fit : ndarray of shape (n_points,)
        The predictions there.

    truth : ndarray of shape (n_points,), default=None
        The function behind the data, there.

    name : str, default="x"
        The feature's name.

    std : ndarray of shape (n_points,), default=None
        The standard errors of the fit.

    interval : ndarray of shape (n_points, 2), default=None
        The intervals of new targets.

    Attributes
    ----------
    scatter_ : matplotlib PathCollection
        The data.

    line_ : matplotlib Line2D
        The fit.

    truth_line_ : matplotlib Line2D or None
        The truth.

    band_ : matplotlib PolyCollection or None
        The standard errors about the fit.

    interval_band_ : matplotlib PolyCollection or None
        The intervals.

    ax_ : matplotlib Axes
        The axes drawn on.

    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> from sknw import NadarayaWatsonRegressor, RegressionDisplay
    >>> from sknw.datasets import make_sine
    >>> X, y = make_sine(random_state=0)
    >>> model = NadarayaWatsonRegressor(bandwidth=0.3).fit(X, y)
    >>> display = RegressionDisplay.from_estimator(model, X, y)
    >>> display.fit.shape
    (500,)
    >>> display = RegressionDisplay.from_estimator(model, X, y, return_std=True, coverage=0.9)
    >>> display.std.shape, display.interval.shape
    ((500,), (500, 2))
    """

    def __init__(self, x, y, grid, fit, *, truth=None, name="x", std=None, interval=None):
        self.x = x
        self.y = y
        self.grid = grid
        self.fit = fit
        self.truth = truth
        self.name = name
        self.std = std
        self.interval = interval

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        truth=None,
        return_std=False,
        coverage=None,
        n_points=500,
        ax=None,
        n_std=1.96,
        scatter_kwargs=None,
        band_kwargs=None,
        interval_kwargs=None,
        **kwargs,
    ):
        """Draw the fit of an estimator over the range of X.

        Parameters
        ----------
        estimator : regressor
            Fitted, on one feature.

        X : array-like of shape (n_samples, 1)
            The data to draw.

        y : array-like of shape (n_samples,)
            Their targets.

        truth : callable, default=None
            The function behind the data: from an array of shape (n_points,) to one of the same shape.

        return_std : bool, default=False
            Whether to draw a band of standard errors about the fit, from ``predict(X, return_std=True)``.

        coverage : float, default=None
            The share of new targets that the intervals of `predict_interval` are to cover; None draws none.

        n_points : int, default=500
            Number of points of the curves.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        n_std : float, default=1.96
            How many standard errors the band reaches to either side.

        scatter_kwargs : dict, default=None
            For :meth:`matplotlib.axes.Axes.scatter`.

        band_kwargs, interval_kwargs : dict, default=None
            For :meth:`matplotlib.axes.Axes.fill_between` of the band and of the intervals.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot` of the fit.

        Returns
        -------
        display : RegressionDisplay
        """
        columns = np.asarray(X)
        if columns.ndim != 2 or columns.shape[1] != 1:
            raise ValueError(f"RegressionDisplay draws one feature: X must be (n_samples, 1), got {columns.shape}.")
        x = columns[:, 0].astype(float)
        grid = np.linspace(x.min(), x.max(), n_points)
        names = list(getattr(X, "columns", []))
        queries = type(X)({names[0]: grid}) if names else grid[:, None]
        fit, std = estimator.predict(queries, return_std=True) if return_std else (estimator.predict(queries), None)
        if np.size(fit) != n_points:
            raise ValueError("RegressionDisplay draws one output: the estimator predicts several.")
        display = cls(
            x,
            np.ravel(y),
            grid,
            np.ravel(fit),
            truth=None if truth is None else truth(grid),
            name=str(names[0]) if names else "x",
            std=None if std is None else np.ravel(std),
            interval=None if coverage is None else estimator.predict_interval(queries, coverage).reshape(-1, 2),
        )
        if coverage is not None:
            interval_kwargs = {"label": f"{coverage:.0%} interval", **(interval_kwargs or {})}
        return display.plot(
            ax=ax,
            n_std=n_std,
            scatter_kwargs=scatter_kwargs,
            band_kwargs=band_kwargs,
            interval_kwargs=interval_kwargs,
            **kwargs,
        )

    def plot(self, *, ax=None, n_std=1.96, scatter_kwargs=None, band_kwargs=None, interval_kwargs=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        n_std : float, default=1.96
            How many standard errors the band reaches to either side.

        scatter_kwargs : dict, default=None
            For :meth:`matplotlib.axes.Axes.scatter`.

        band_kwargs, interval_kwargs : dict, default=None
            For :meth:`matplotlib.axes.Axes.fill_between` of the band and of the intervals.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot` of the fit.

        Returns
        -------
        display : RegressionDisplay
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots()
        scatter_kwargs = {"s": 15, "c": "0.5", "label": "data", **(scatter_kwargs or {})}
        self.scatter_ = ax.scatter(self.x, self.y, **scatter_kwargs)
        self.truth_line_ = None
        if self.truth is not None:
            (self.truth_line_,) = ax.plot(self.grid, self.truth, color="0.3", linestyle="--", label="truth")
        (self.line_,) = ax.plot(self.grid, self.fit, **{"label": "fit", **kwargs})
        # In the colour of the fit, for they belong to it.
        shade = {"color": self.line_.get_color(), "linewidth": 0}
        self.band_ = self.interval_band_ = None
        if self.std is not None:
            low, high = self.fit - n_std * self.std, self.fit + n_std * self.std
            style = {**shade, "alpha": 0.35, "label": f"fit ± {n_std:g} standard errors", **(band_kwargs or {})}
            self.band_ = ax.fill_between(self.grid, low, high, **style)
        if self.interval is not None:
            style = {**shade, "alpha": 0.12, "label": "interval", **(interval_kwargs or {})}
            self.interval_band_ = ax.fill_between(self.grid, *self.interval.T, **style)
        ax.set(xlabel=self.name, ylabel="y")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
