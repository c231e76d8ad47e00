"""Monomials: products of coordinates up to a degree, which local polynomials are made of."""

from __future__ import annotations

from functools import cached_property, lru_cache, reduce
from itertools import combinations_with_replacement, compress, product

import numpy as np


class Monomials:
    """All z**a = z_1**a_1 * ... * z_d**a_d of a degree a_1 + ... + a_d up to one: the highest first, 1 last.

    Parameters
    ----------
    n_features : int
    degree : int
    """

    def __init__(self, n_features: int, degree: int):
        self._n_features, self.degree = n_features, degree
        sizes = range(degree, -1, -1)
        # The features that are multiplied, in ascending order.
        self.factors = [each for size in sizes for each in combinations_with_replacement(range(n_features), size)]

    def __len__(self) -> int:
        return len(self.factors)

    def up_to(self, degree: int) -> slice:
        """Where those up to a lower degree are, but for 1."""
        return slice(-len(monomials(self._n_features, degree)), -1)

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Their values at points of shape (n_points, n_features): (n_monomials, n_points)."""
        values, columns = np.ones((len(self), len(z))), np.ascontiguousarray(z.T)
        known: dict[tuple[int, ...], np.ndarray] = {(): values[-1]}
        for row, factors in zip(values[::-1], self.factors[::-1], strict=True):
            if factors:
                np.multiply(known[factors[1:]], columns[factors[0]], out=row)
            known[factors] = row
        return values

    def shifted(self, coefficients: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Coefficients of the same polynomials, (n, n_monomials), in z - step, a step for each: (n, n_features)."""
        shifted = np.zeros_like(coefficients)
        for column, factors in zip(coefficients.T, self.factors, strict=True):
            for place, factor in self._expansion(factors, step):
                shifted[:, place] += column * factor
        return shifted

    def shifted_sums(self, sums: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Sums of the monomials of z + step, from those of z, (n, n_monomials, ...), with a step for each."""
        shifted = np.zeros_like(sums)
        shape = (len(sums), *[1] * (sums.ndim - 2))
        for row, factors in enumerate(self.factors):
            for place, factor in self._expansion(factors, step):
                shifted[:, row] += sums[:, place] * (np.reshape(factor, shape) if np.ndim(factor) else factor)
        return shifted

    def _expansion(self, factors, step):
        """The product of some features of z + step as (place of a monomial of z, its factor) pairs."""
        for chosen in product((False, True), repeat=len(factors)):
            left = tuple(feature for feature, gone in zip(factors, chosen, strict=True) if not gone)
            yield self._place[left], reduce(np.multiply, step.T[list(compress(factors, chosen))], 1.0)

    @cached_property
    def _place(self):
        return {factors: k for k, factors in enumerate(self.factors)}

    def about(self, centres: np.ndarray) -> np.ndarray:
        """What makes of these, up to a degree of two and but for 1, those of z - centre, but for a constant.

        centres : ndarray of shape (n, n_monomials - 1), values of these whose last columns are those of the features

        Returns
        -------
        matrices : ndarray of shape (n, n_monomials - 1, n_monomials - 1)
        """
        centre = centres[:, -self._n_features :]
        n_terms = len(self) - 1
        matrices = np.tile(np.eye(n_terms), (len(centres), 1, 1))
        linear = n_terms - self._n_features
        for k, factors in enumerate(self.factors[:linear]):
            for one, other in (factors, factors[::-1]):
                matrices[:, k, linear + one] -= centre[:, other]
        return matrices

    @cached_property
    def products(self) -> np.ndarray:
        """Where among the monomials of twice the degree the product of each two of these is: (n, n)."""
        place = monomials(self._n_features, 2 * self.degree)._place
        return np.array([[place[tuple(sorted(a + b))] for b in self.factors] for a in self.factors])

    @cached_property
    def recurrence(self) -> tuple[np.ndarray, np.ndarray]:
        """The feature, and the place of a later monomial, whose product each is; of 1, which is the last, -1 twice."""
        features = [each[0] if each else -1 for each in self.factors]
        return np.array(features), np.array([self._place[each[1:]] if each else -1 for each in self.factors])

    @cached_property
    def highest_powers(self) -> np.ndarray:
        """Where the highest power of each feature is: (n_features,)."""
        places = [self._place[(feature,) * self.degree] for feature in range(self._n_features)]
        return np.array(places, dtype=int)


@lru_cache
def monomials(n_features: int, degree: int) -> Monomials:
    """All monomials of so many features up to a degree, made once."""
    return Monomials(n_features, degree)
