"""ScaleDisplay: which features a learned metric looks at."""

from __future__ import annotations

import numpy as np


class ScaleDisplay:
    """By how much one standard deviation of each feature counts as distance, to each head and in the mean.

    Make one with `from_estimator`.

    Parameters
    ----------
    scales : ndarray of shape (n_heads, n_features)
        As the attribute `scales_` of :class:`AttentionRegressor`.

    names : list of str
        Of the features.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        The means over heads.

    points_ : matplotlib Line2D
        The heads.

    ax_ : matplotlib Axes
        The axes drawn on.

    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import numpy as np
    >>> from sknw import AttentionRegressor, ScaleDisplay
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> model = AttentionRegressor(n_heads=2, random_state=0).fit(X, np.sin(3 * X[:, 1]))
    >>> display = ScaleDisplay.from_estimator(model)
    >>> int(display.scales.mean(axis=0).argmax())
    1
    """

    def __init__(self, scales, names):
        self.scales = scales
        self.names = names

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **kwargs):
        """Draw what an estimator has learned.

        Parameters
        ----------
        estimator : AttentionRegressor
            Fitted.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.barh`.

        Returns
        -------
        display : ScaleDisplay
        """
        scales = estimator.scales_
        names = getattr(estimator, "feature_names_in_", [f"feature {k}" for k in range(scales.shape[1])])
        return cls(scales, list(names)).plot(ax=ax, **kwargs)

    def plot(self, *, ax=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.barh`.

        Returns
        -------
        display : ScaleDisplay
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots()
        places = np.arange(len(self.names))
        self.bars_ = ax.barh(places, self.scales.mean(axis=0), **{"color": "0.8", "label": "mean", **kwargs})
        (self.points_,) = ax.plot(self.scales.ravel(), np.tile(places, len(self.scales)), "o", label="heads")
        ax.set_yticks(places, self.names)
        ax.invert_yaxis()
        ax.set(xlabel="distance of one standard deviation", xlim=(0, None))
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
