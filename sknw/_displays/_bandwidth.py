"""BandwidthDisplay: how well each bandwidth did, and which was chosen."""

from __future__ import annotations

import numpy as np

_NAMES = {"loo": "squared leave-one-out error", "gcv": "generalised cross-validation", "aicc": "corrected AIC"}


class BandwidthDisplay:
    """A criterion against the bandwidth, with the chosen one marked.

    Make one with `from_estimator` or `from_cv_results`.

    Parameters
    ----------
    curves : dict of str to (ndarray of shape (n_bandwidths,), ndarray of shape (n_bandwidths,))
        For each label, ascending bandwidths and their scores.

    best : (float or ndarray, float)
        The chosen bandwidth, or one for each curve, and its score.

    criterion : str
        What the scores are.

    xlabel : str, default="bandwidth"
        What the bandwidths are.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One for each curve.

    best_point_ : matplotlib Line2D
        The mark.

    ax_ : matplotlib Axes
        The axes drawn on.

    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> from sknw import BandwidthDisplay, NadarayaWatsonRegressor
    >>> from sknw.datasets import make_sine
    >>> model = NadarayaWatsonRegressor().fit(*make_sine(random_state=0))
    >>> display = BandwidthDisplay.from_estimator(model)
    >>> bool(display.best[0] == model.bandwidth_[0])
    True
    """

    def __init__(self, curves, best, *, criterion, xlabel="bandwidth"):
        self.curves = curves
        self.best = best
        self.criterion = criterion
        self.xlabel = xlabel

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **kwargs):
        """Draw the bandwidth search of a fitted estimator.

        Of a search for one bandwidth a feature, each one tried is a point for each feature that was not dropped.

        Parameters
        ----------
        estimator : NadarayaWatsonRegressor
            Fitted with a bandwidth that is found by a search, such as "loo".

        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : BandwidthDisplay
        """
        search = getattr(estimator, "bandwidth_search_", None)
        if search is None:
            raise ValueError(
                "There is no search to draw: fit an estimator whose bandwidth is found by one, such as "
                f"bandwidth='loo'; got {estimator!r}."
            )
        bandwidths, scores = np.asarray(search.bandwidths), np.asarray(search.scores)
        bandwidths = bandwidths.reshape(len(bandwidths), -1)
        chosen = bandwidths[search.best_index]
        features = np.flatnonzero(np.isfinite(chosen))
        if len(features) == 0:
            raise ValueError("There is no search to draw: no feature varies.")
        finite = np.isfinite(scores) & np.isfinite(bandwidths[:, features]).all(axis=1)
        bandwidths, scores, xlabel = bandwidths[finite][:, features], scores[finite], "bandwidth"
        if np.ptp(bandwidths / bandwidths[0], axis=1).max() > 1e-9:
            names = getattr(estimator, "feature_names_in_", [f"feature {k}" for k in range(len(chosen))])
            curves = {names[k]: (bandwidths[:, i], scores) for i, k in enumerate(features)}
            best, kwargs = chosen[features], {"linestyle": "none", **kwargs}
        else:
            typical, best = bandwidths[:, 0], chosen[features[0]]
            if len(features) > 1:
                typical, best = np.exp(np.log(bandwidths).mean(axis=1)), np.exp(np.log(chosen[features]).mean())
                xlabel = "bandwidth (geometric mean of the features')"
            curves = {search.criterion: (typical, scores)}
        criterion = _NAMES.get(search.criterion, search.criterion)
        display = cls(curves, (best, search.best_score), criterion=criterion, xlabel=xlabel)
        return display.plot(ax=ax, **kwargs)

    @classmethod
    def from_cv_results(cls, search, *, param="bandwidth", ax=None, **kwargs):
        """Draw the mean test score of a grid search, one curve for each combination of its other parameters.

        Parameters
        ----------
        search : GridSearchCV
            Fitted, with numbers as the bandwidths.

        param : str, default="bandwidth"
            The parameter, by its name in the grid or the end of it: in a pipeline, "bandwidth" stands for
            "nadarayawatsonregressor__bandwidth".

        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : BandwidthDisplay
        """
        tried = search.cv_results_["params"]
        names = [name for name in tried[0] if name == param or name.endswith(f"__{param}")]
        if len(names) != 1:
            raise ValueError(f"The grid must have one parameter {param!r}; it has {', '.join(tried[0])}.")
        points: dict[str, list] = {}
        for params, score in zip(tried, search.cv_results_["mean_test_score"], strict=True):
            others = [f"{name.split('__')[-1]}={value}" for name, value in params.items() if name != names[0]]
            points.setdefault(", ".join(others), []).append((params[names[0]], score))
        curves = {label: tuple(np.array(sorted(pairs), dtype=float).T) for label, pairs in points.items()}
        best = search.best_params_[names[0]], search.best_score_
        return cls(curves, best, criterion="mean test score").plot(ax=ax, **kwargs)

    def plot(self, *, ax=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : BandwidthDisplay
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots()
        self.lines_ = [
            ax.plot(bandwidths, scores, **{"marker": ".", "label": label, **kwargs})[0]
            for label, (bandwidths, scores) in self.curves.items()
        ]
        best = np.atleast_1d(self.best[0])
        (self.best_point_,) = ax.plot(
            best,
            np.full(len(best), self.best[1]),
            "o",
            markersize=10,
            fillstyle="none",
            color="black",
            label=f"chosen: {best[0]:.3g}" if len(best) == 1 else "chosen",
        )
        ax.set(xscale="log", xlabel=self.xlabel, ylabel=self.criterion)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
