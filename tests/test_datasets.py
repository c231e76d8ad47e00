"""Data sets are what they say."""

import numpy as np

from sknw.datasets import make_sine


def test_make_sine():
    X, y = make_sine(n_samples=5000, random_state=0)
    assert X.shape == (5000, 1)
    assert (np.diff(X[:, 0]) > 0).all()
    assert X.min() >= 0
    assert X.max() <= 5
    noise = y - 2 * np.sin(X[:, 0]) - X[:, 0]
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05


def test_make_sine_repeats_itself_with_a_seed():
    for first, second in zip(make_sine(random_state=3), make_sine(random_state=3), strict=True):
        np.testing.assert_array_equal(first, second)
    X, y = make_sine(7, noise=0)
    np.testing.assert_allclose(y, 2 * np.sin(X[:, 0]) + X[:, 0])
