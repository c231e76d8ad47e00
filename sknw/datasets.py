"""Data to learn with."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_random_state


def make_sine(n_samples=40, *, noise=1.0, random_state=None):
    r"""Make the textbook's data: :math:`y = 2 \sin(x) + x + \varepsilon` with x uniform on [0, 5], sorted.

    Parameters
    ----------
    n_samples : int, default=40
        Number of samples.

    noise : float, default=1.0
        Standard deviation of the Gaussian noise :math:`\varepsilon`.

    random_state : int, RandomState instance or None, default=None
        Pass an int for the same data on every call.

    Returns
    -------
    X : ndarray of shape (n_samples, 1)
        Ascending.

    y : ndarray of shape (n_samples,)
        The targets.

    References
    ----------
    A. Zhang, Z. C. Lipton, M. Li and A. J. Smola (2023). Dive into Deep Learning, section 11.2, Attention pooling by
    similarity. Cambridge University Press. https://d2l.ai

    Examples
    --------
    >>> from sknw.datasets import make_sine
    >>> X, y = make_sine(n_samples=3, noise=0, random_state=0)
    >>> X.ravel().round(2)
    array([2.74, 3.01, 3.58])
    >>> y.round(2)
    array([3.52, 3.27, 2.73])
    """
    rng = check_random_state(random_state)
    x = np.sort(rng.uniform(0, 5, size=n_samples))
    return x[:, None], 2 * np.sin(x) + x + noise * rng.normal(size=n_samples)
