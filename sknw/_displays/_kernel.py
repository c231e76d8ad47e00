"""KernelDisplay: one or several kernels."""

from __future__ import annotations

import numpy as np


class KernelDisplay:
    """Kernels as curves over the distance in bandwidths.

    Make one with `from_kernels` or `from_estimator`.

    Parameters
    ----------
    u : ndarray of shape (n_points,)
        Signed distances in bandwidths.

    curves : dict of str to ndarray of shape (n_points,)
        For each kernel's name its values.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One for each kernel.

    ax_ : matplotlib Axes
        The axes drawn on.

    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> from sknw import KERNELS, KernelDisplay
    >>> display = KernelDisplay.from_kernels([KERNELS["gaussian"], KERNELS["boxcar"]])
    >>> len(display.lines_)
    2
    """

    def __init__(self, u, curves):
        self.u = u
        self.curves = curves

    @classmethod
    def from_kernels(cls, kernels, *, ax=None, **kwargs):
        """Draw kernels over [-2.5, 2.5].

        Parameters
        ----------
        kernels : Kernel, callable, or iterable of these
            Functions of u >= 0.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : KernelDisplay
        """
        u = np.linspace(-2.5, 2.5, 1001)
        curves = {}
        for kernel in [kernels] if callable(kernels) else kernels:
            name = getattr(kernel, "name", None) or getattr(kernel, "__name__", repr(kernel))
            curves[name] = np.asarray(kernel(np.abs(u)), dtype=float)
        return cls(u, curves).plot(ax=ax, **kwargs)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **kwargs):
        """Draw the kernel of a fitted estimator.

        Parameters
        ----------
        estimator : NadarayaWatsonRegressor
            Fitted.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : KernelDisplay
        """
        return cls.from_kernels(estimator.kernel_, ax=ax, **kwargs)

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
        display : KernelDisplay
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots()
        self.lines_ = [ax.plot(self.u, k, **{"label": name, **kwargs})[0] for name, k in self.curves.items()]
        ax.set(xlabel="distance / bandwidth", ylabel="kernel")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
