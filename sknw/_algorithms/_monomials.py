"""Monomials: products of coordinates up to a degree, which local polynomials are made of."""

from __future__ import annotations

from functools import cached_property, lru_cache
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
        self.factors = [some for size in sizes for some in combinations_with_replacement(range(n_features), size)]

    def __len__(self) -> int:
        return len(self.factors)

    def up_to(self, degree: int) -> slice:
        """Where those of a lower degree are, but for 1."""
        return slice(-len(monomials(self._n_features, degree)), -1)

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Their values at points of shape (n_points, n_features): (n_monomials, n_points)."""
        values = np.ones((len(self), len(z)))
        known: dict[tuple[int, ...], np.ndarray] = {(): values[-1]}
        for row, factors in zip(values[::-1], self.factors[::-1], strict=True):
            if factors:
                np.multiply(known[factors[1:]], z[:, factors[0]], out=row)
            known[factors] = row
        return values

    def shifted(self, coefficients: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Coefficients, (n, n_monomials), of the same polynomials in coordinates z - step, with a step for each."""
        moved = np.zeros_like(coefficients)
        place = {factors: k for k, factors in enumerate(self.factors)}
        for column, factors in zip(coefficients.T, self.factors, strict=True):
            for chosen in product((False, True), repeat=len(factors)):
                term = column.copy()
                for feature in compress(factors, chosen):
                    term *= step[:, feature]
                left = tuple(feature for feature, gone in zip(factors, chosen, strict=True) if not gone)
                moved[:, place[left]] += term
        return moved

    def about(self, centres: np.ndarray) -> np.ndarray:
        """What makes of these, up to a degree of two and but for 1, those of z - centre, but for a constant.

        centres : ndarray of shape (n, n_monomials - 1), values of these whose last columns are those of the features

        Returns
        -------
        matrices : ndarray of shape (n, n_monomials - 1, n_monomials - 1)
        """
        centre = centres[:, self.up_to(1)]
        n_terms = len(self) - 1
        matrices = np.tile(np.eye(n_terms), (len(centres), 1, 1))
        linear = n_terms - self._n_features
        for k, factors in enumerate(self.factors[:linear]):
            for one, other in (factors, factors[::-1]):
                matrices[:, k, linear + one] -= centre[:, other]
        return matrices

    def of(self, unit: np.ndarray) -> np.ndarray:
        """Their values at one point, (n_monomials,)."""
        return self(np.broadcast_to(unit, (1, self._n_features)))[:, 0]

    @cached_property
    def products(self) -> np.ndarray:
        """Where among the monomials of twice the degree the product of each two of these is: (n, n)."""
        place = {factors: k for k, factors in enumerate(monomials(self._n_features, 2 * self.degree).factors)}
        return np.array([[place[tuple(sorted(a + b))] for b in self.factors] for a in self.factors])


@lru_cache
def monomials(n_features: int, degree: int) -> Monomials:
    """Monomials, kept for those who ask for them again."""
    return Monomials(n_features, degree)
