"""AttentionDisplay: which samples each query looks at."""

from __future__ import annotations

import numpy as np


class AttentionDisplay:
    """Attention weights as a heatmap, queries by keys, both in the order of one feature.

    Make one with `from_estimator`.

    Parameters
    ----------
    weights : ndarray of shape (n_queries, n_keys)
        The rows and columns in the order in which they are drawn.

    name : str, default="x"
        The feature that orders them.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        The heatmap.

    colorbar_ : matplotlib Colorbar or None
        Its colour bar.

    ax_ : matplotlib Axes
        The axes drawn on.

    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> from sknw import AttentionDisplay, NadarayaWatsonRegressor
    >>> from sknw.datasets import make_sine
    >>> X, y = make_sine(random_state=0)
    >>> model = NadarayaWatsonRegressor(bandwidth=0.3).fit(X, y)
    >>> AttentionDisplay.from_estimator(model, X).weights.shape
    (40, 40)
    """

    def __init__(self, weights, *, name="x"):
        self.weights = weights
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator, keys, queries=None, *, feature=0, ax=None, scale="linear", colorbar=True, **kwargs
    ):
        """Draw the attention that queries pay to the samples of an estimator.

        Parameters
        ----------
        estimator : NadarayaWatsonRegressor
            Fitted to `keys`.

        keys : array-like of shape (n_keys, n_features)
            The samples.

        queries : array-like of shape (n_queries, n_features), default=None
            None: the samples.

        feature : int or str, default=0
            The feature by which both are ordered, by number or name.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        scale : {"linear", "log"}, default="linear"
            Of the colours.

        colorbar : bool, default=True
            Whether to draw one.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : AttentionDisplay
        """
        queries = keys if queries is None else queries
        names = [str(name) for name in getattr(keys, "columns", [])]
        number = names.index(feature) if isinstance(feature, str) else feature
        rows, columns = (np.argsort(np.asarray(points)[:, number], kind="stable") for points in (queries, keys))
        weights = estimator.attention_weights(queries)[rows[:, None], columns]
        name = names[number] if names else ("x" if np.shape(keys)[1] == 1 else f"feature {number}")
        return cls(weights, name=name).plot(ax=ax, scale=scale, colorbar=colorbar, **kwargs)

    def plot(self, *, ax=None, scale="linear", colorbar=True, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        scale : {"linear", "log"}, default="linear"
            Of the colours. "log" covers the six decades below the largest weight; what is below them is drawn as they
            end, and zero is left blank.

        colorbar : bool, default=True
            Whether to draw one.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : AttentionDisplay
        """
        import matplotlib.pyplot as plt
        from matplotlib.colors import LogNorm

        if scale not in ("linear", "log"):
            raise ValueError(f"scale must be 'linear' or 'log'; got {scale!r}.")
        if ax is None:
            _, ax = plt.subplots()
        highest = np.nanmax(self.weights)
        weights, colours = self.weights, {"vmin": 0, "vmax": highest}
        if scale == "log":
            weights, colours = np.ma.masked_equal(weights, 0), {"norm": LogNorm(1e-6 * highest, highest, clip=True)}
        self.im_ = ax.imshow(weights, **{"aspect": "auto", "interpolation": "nearest", **colours, **kwargs})
        self.colorbar_ = ax.figure.colorbar(self.im_, ax=ax, label="attention weight") if colorbar else None
        ax.set(xlabel=f"training rows, by {self.name}", ylabel=f"queries, by {self.name}")
        self.ax_, self.figure_ = ax, ax.figure
        return self
