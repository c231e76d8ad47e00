"""RegressionDisplay: data of one feature, and the fit to them."""

from __future__ import annotations

import numpy as np


class RegressionDisplay:
    """Data, the fit to them and, where it is known, the truth.

    Make one with `from_estimator`.

    Parameters
    ----------
    x : ndarray of shape (n_samples,)
        The feature.

    y : ndarray of shape (n_samples,)
        The labels.

    grid : ndarray of shape (n_points,)
        Where the fit is drawn.

    fit : ndarray of shape (n_points,)
        The predictions there.

    truth : ndarray of shape (n_points,), default=None
        The function behind the data, there.

    name : str, default="x"
        The feature's name.

    Attributes
    ----------
    scatter_ : matplotlib PathCollection
        The data.

    line_ : matplotlib Line2D
        The fit.

    truth_line_ : matplotlib Line2D or None
        The truth.

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
    """

    def __init__(self, x, y, grid, fit, *, truth=None, name="x"):
        self.x = x
        self.y = y
        self.grid = grid
        self.fit = fit
        self.truth = truth
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, y, *, truth=None, n_points=500, ax=None, scatter_kwargs=None, **kwargs):
        """Draw the fit of an estimator over the range of X.

        Parameters
        ----------
        estimator : regressor
            Fitted, on one feature.

        X : array-like of shape (n_samples, 1)
            The data to draw.

        y : array-like of shape (n_samples,)
            Their labels.

        truth : callable, default=None
            The function behind the data: from an array of shape (n_points,) to one of the same shape.

        n_points : int, default=500
            Number of points of the curves.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        scatter_kwargs : dict, default=None
            For :meth:`matplotlib.axes.Axes.scatter`.

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
        fit = np.ravel(estimator.predict(queries))
        if len(fit) != n_points:
            raise ValueError("RegressionDisplay draws one output: the estimator predicts several.")
        display = cls(
            x,
            np.ravel(y),
            grid,
            fit,
            truth=None if truth is None else truth(grid),
            name=str(names[0]) if names else "x",
        )
        return display.plot(ax=ax, scatter_kwargs=scatter_kwargs, **kwargs)

    def plot(self, *, ax=None, scatter_kwargs=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        scatter_kwargs : dict, default=None
            For :meth:`matplotlib.axes.Axes.scatter`.

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
        ax.set(xlabel=self.name, ylabel="y")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
