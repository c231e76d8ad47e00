"""KernelSeries: a smooth kernel between two cells, as Chebyshev polynomials of the offsets in them."""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np

from sknw._accuracy import KERNEL_SERIES
from sknw._kernels import Kernel

# Terms of a series, and the points on which its error is measured. Between these it is at most twice as large.
TERMS = 16
_GRID = np.linspace(-1, 1, 2 * TERMS + 1)

# The nodes of Chebyshev, and the matrix from numbers there to the coefficients of the series that they are of.
_ORDER = np.arange(TERMS)
NODES = np.cos(np.pi * (_ORDER + 0.5) / TERMS)
TRANSFORM = np.cos(np.pi * _ORDER[:, None] * (_ORDER + 0.5) / TERMS) * 2 / TERMS
TRANSFORM[0] /= 2

# Keys are left out where log K has fallen by this.
_DROP = 60.0


class KernelSeries:
    """Chebyshev series of a kernel between two cells at each distance up to a reach.

    K((distance + (s - r) / 2) * width) == T(r) @ matrix(distance) @ T(s) for r, s from -1 to 1, with an error below
    error[|distance|]; T is the vector of Chebyshev polynomials, r the offset of the key in its cell, s that of the
    query.

    Parameters
    ----------
    kernel : Kernel
    width : float
        Of a cell, in bandwidths.
    reach : int
        The largest distance, in cells.

    Attributes
    ----------
    error : ndarray of shape (reach + 1,)
        A bound on what each series is wrong by.
    max_weight : ndarray of shape (reach + 1,)
        The largest weight of a key at each distance.
    weight_beyond : float
        What a key that is further away weighs at most.
    """

    def __init__(self, kernel: Kernel, width: float, reach: int):
        self.reach = reach
        self._kernel, self._width = kernel, width
        self.weight_beyond = float(kernel(reach * width))
        grid = polynomials(_GRID)
        distance = np.arange(reach + 1)[:, None, None]
        known, wanted = (kernel((distance + (points - points[:, None]) / 2) * width) for points in (NODES, _GRID))
        self._matrix = TRANSFORM @ known @ TRANSFORM.T
        self.max_weight = wanted.max(axis=(1, 2))
        error = 2 * np.abs(grid.T @ self._matrix @ grid - wanted).max(axis=(1, 2))
        self.error = error + 2.0**-50 * self.max_weight

    def matrix(self, distance: int) -> np.ndarray:
        """The series of a query's cell from the moments of a cell of keys, so many cells before it: (TERMS, TERMS)."""
        matrix = self._matrix[abs(distance)]
        return matrix if distance >= 0 else matrix.T

    @cached_property
    def stacked_matrices(self) -> np.ndarray:
        """The matrices from cells of keys at all distances, from -reach to reach, on top of each other."""
        return np.concatenate([self.matrix(-distance) for distance in range(-self.reach, self.reach + 1)])

    @cached_property
    def stacked_errors(self) -> np.ndarray:
        """Bounds on what the series at all distances, from -reach to reach, are wrong by."""
        return self.error[np.abs(np.arange(-self.reach, self.reach + 1))]

    @cached_property
    def stacked_weights(self) -> np.ndarray:
        """The largest weights of keys at all distances, from -reach to reach."""
        return self.max_weight[np.abs(np.arange(-self.reach, self.reach + 1))]

    def moment_beyond(self, power: int, ptp: float) -> float:
        """What a key beyond the reach weighs at most, times a power of its distance from a key in reach.

        Distances, and the range of all keys, are in bandwidths.
        """
        first = self.reach * self._width
        distance = first * 2.0 ** np.arange(max(1, np.ceil(np.log2(ptp / first))))
        # A key that is one distance from the query is at most two from one in reach; the next is twice as large.
        return float((self._kernel(distance) * (4 * distance) ** power).max())


# Widths that are a power of two leave few relative to a ladder of bandwidths: the same series return.
@lru_cache(16)
def series_of(kernel: Kernel, width: float, reach: int) -> KernelSeries:
    """A series, kept for those who ask for it again."""
    return KernelSeries(kernel, width, reach)


@lru_cache
def max_cell_width(kernel: Kernel) -> float:
    """The width of the widest cell, in bandwidths, in which a series is exact enough; zero if none is."""
    for width in np.sqrt(2.0) ** np.arange(2, -5, -1):
        if KernelSeries(kernel, width, 0).error[0] <= KERNEL_SERIES * kernel(0.0):
            return float(width)
    return 0.0


@lru_cache
def cutoff(kernel: Kernel) -> float:
    """How many bandwidths away keys are left out."""
    return float(kernel.step(np.zeros(1), np.array(_DROP))[0])


def log_unit(problem, queries: np.ndarray) -> np.ndarray:
    """The logarithm of the unit of sums from series, K(0), relative to K at `Distance.reference` of each query."""
    t0 = problem.distance.reference(queries)
    return -problem.kernel.log_ratio(np.zeros_like(t0), t0)


def polynomials(x: np.ndarray) -> np.ndarray:
    """Chebyshev polynomials of numbers from -1 to 1: (TERMS, n)."""
    values = np.empty((TERMS, len(x)))
    values[0], values[1] = 1, x
    doubled = 2 * x
    for k in range(2, TERMS):
        np.multiply(doubled, values[k - 1], out=values[k])
        values[k] -= values[k - 2]
    return values
