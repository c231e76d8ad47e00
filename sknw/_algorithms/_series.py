"""Series: a smooth kernel between two cells, as Chebyshev polynomials of the places in them."""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np

from sknw._kernels import Kernel

# Terms of a series, and the points on which its error is measured. Between these it is at most twice as large.
TERMS = 16
_GRID = np.linspace(-1, 1, 2 * TERMS + 1)

# The nodes of Chebyshev, and the matrix from numbers there to the coefficients of the series that they are of.
_ORDER = np.arange(TERMS)
NODES = np.cos(np.pi * (_ORDER + 0.5) / TERMS)
TRANSFORM = np.cos(np.pi * _ORDER[:, None] * (_ORDER + 0.5) / TERMS) * 2 / TERMS
TRANSFORM[0] /= 2

# The largest error of a series, in units of K(0), that decides how wide a cell may be.
_SERIES_ERROR = 6e-14

# Keys are left out where log K has fallen by this.
_DROP = 60.0


class Series:
    """Chebyshev series of a kernel between two cells at each distance.

    K((distance + (s - r) / 2) * width) == T(r) @ matrix(distance) @ T(s) for r, s from -1 to 1, with an error below
    error[|distance|]; T is the vector of Chebyshev polynomials, and r the place of the key.
    """

    def __init__(self, kernel: Kernel, width: float, reach: int):
        self.reach = reach
        self._kernel, self._width = kernel, width
        # What a key weighs at most that is further away.
        self.beyond = float(kernel(reach * width))
        grid = polynomials(_GRID)
        distance = np.arange(reach + 1)[:, None, None]
        known, wanted = (kernel((distance + (points - points[:, None]) / 2) * width) for points in (NODES, _GRID))
        self._matrix = TRANSFORM @ known @ TRANSFORM.T
        # The largest error, and the largest weight.
        self.largest = wanted.max(axis=(1, 2))
        error = 2 * np.abs(grid.T @ self._matrix @ grid - wanted).max(axis=(1, 2))
        self.error = error + 2.0**-50 * self.largest

    @cached_property
    def stacked(self) -> np.ndarray:
        """The matrices from cells of keys at all distances, from -reach to reach, on top of each other."""
        return np.concatenate([self.matrix(-distance) for distance in range(-self.reach, self.reach + 1)])

    @cached_property
    def errors(self) -> np.ndarray:
        """Their errors."""
        return self.error[np.abs(np.arange(-self.reach, self.reach + 1))]

    @cached_property
    def weights(self) -> np.ndarray:
        """The largest weights of keys at these distances."""
        return self.largest[np.abs(np.arange(-self.reach, self.reach + 1))]

    def moment_beyond(self, power: int, extent: float) -> float:
        """What a key further away weighs at most, times a power of its place from a key in reach.

        Places and the extent of all keys are in units of the argument of the kernel.
        """
        first = self.reach * self._width
        distance = first * 2.0 ** np.arange(max(1, np.ceil(np.log2(extent / first))))
        # A key that is one distance from the query is at most two from one in reach; the next is twice as large.
        return float((self._kernel(distance) * (4 * distance) ** power).max())

    def matrix(self, distance):
        matrix = self._matrix[abs(distance)]
        return matrix if distance >= 0 else matrix.T


# Widths that are a power of two leave few relative to a ladder of bandwidths: the same series return.
@lru_cache(16)
def series_of(kernel: Kernel, width: float, reach: int) -> Series:
    """A series, kept for those who ask for it again."""
    return Series(kernel, width, reach)


@lru_cache
def widest(kernel: Kernel) -> float:
    """The widest cell, in bandwidths, in which a series is exact enough; zero if none is."""
    for width in np.sqrt(2.0) ** np.arange(2, -5, -1):
        if Series(kernel, width, 0).error[0] <= _SERIES_ERROR * kernel(0.0):
            return float(width)
    return 0.0


@lru_cache
def fallen(kernel: Kernel) -> float:
    """How many bandwidths away keys are left out."""
    return float(kernel.step(np.zeros(1), np.array(_DROP))[0])


def polynomials(x):
    """Chebyshev polynomials of x: (TERMS, n)."""
    values = np.empty((TERMS, len(x)))
    values[0], values[1] = 1, x
    doubled = 2 * x
    for k in range(2, TERMS):
        np.multiply(doubled, values[k - 1], out=values[k])
        values[k] -= values[k - 2]
    return values
