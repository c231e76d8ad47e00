"""Bases: what is fitted about a query, and so what is summed for it. They know nothing of kernels and distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sknw._accuracy import MEAN_SQUARE, MIN_WEIGHT, TAIL, VARIANCE
from sknw._problem._conditions import Conditions
from sknw._problem._monomials import monomials
from sknw._problem._sums import Sums


@dataclass(frozen=True)
class Polynomial:
    """Polynomials of a degree in the coordinates.

    What is summed for each key are its target and its weight, times monomials of its coordinates about an expansion
    point: those of the target with all up to the degree, then those of the weight with all up to twice the degree.

    Parameters
    ----------
    degree : int
    """

    degree: int

    #: What the share of a kernel sum that may be left out is multiplied by: far keys may be strong levers.
    tail_factor = TAIL
    #: Whether fits lie between the least target and the greatest.
    keeps_range = False

    def n_values(self, n_coordinates: int, n_outputs: int) -> int:
        """How many numbers are summed for each query; one of the weight itself is the last."""
        return n_outputs * len(monomials(n_coordinates, self.degree)) + len(monomials(n_coordinates, 2 * self.degree))

    def n_expanded(self, n_coordinates: int) -> int:
        """How many coordinates an expansion point has: all."""
        return n_coordinates

    def determined_by(self, n_rows: int, n_coordinates: int) -> Polynomial:
        """Give this basis, or one of a lower degree if there are fewer rows than a parabola has coefficients."""
        few = self.degree == 2 and n_rows < len(monomials(n_coordinates, self.degree))
        return Polynomial(1) if few else self

    def expansion_point(self, queries: np.ndarray, bounds: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """What neighbouring queries see keys from: the middle of the queries, held between the bounds of the keys.

        A query far outside would draw it away from all keys.
        """
        return np.clip(np.median(queries, axis=0), *bounds)

    def seen_from(self, points: np.ndarray, expansion_point: np.ndarray) -> np.ndarray:
        """Coordinates of points about an expansion point."""
        return points - expansion_point

    def columns(self, values: np.ndarray, z: np.ndarray) -> np.ndarray:
        """What is summed for keys with these values, [weight * target, weight], and coordinates: (n_keys, n_values)."""
        terms = monomials(z.shape[1], 2 * self.degree)(z).T
        lower = terms[:, -len(monomials(z.shape[1], self.degree)) :]
        targets = lower[:, :, None] * values[:, None, :-1]
        targets = targets.reshape(len(z), lower.shape[1] * (values.shape[1] - 1))
        return np.hstack([targets, terms * values[:, -1:]])

    def summed(self, values: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Sums of `columns` over the keys of each query, of shapes (n_queries, n_keys, ...): (n_queries, n_values)."""
        terms = monomials(z.shape[2], self.degree)
        powers = terms(z.reshape(-1, z.shape[2])).reshape(len(terms), *z.shape[:2]).transpose(1, 0, 2)
        sums = np.empty((len(z), self.n_values(z.shape[2], values.shape[2] - 1)))
        targets = powers @ values[:, :, :-1]
        sums[:, : targets[0].size] = targets.reshape(len(z), -1)
        products = powers * values[:, None, :, -1] @ powers.swapaxes(1, 2)
        sums[:, targets[0].size + terms.products.ravel()] = products.reshape(len(z), -1)
        return sums

    def ill_conditioned(
        self,
        sums: Sums,
        conditions: Conditions,
        errors: np.ndarray | float = 0.0,
        tolerance: float = VARIANCE,
    ) -> np.ndarray:
        """Which sums, about a point far from the keys in reach, have lost digits of how these vary: (n_queries,).

        Parameters
        ----------
        errors : ndarray of shape (n_queries,), default=0.0
            What the means of the highest powers may be wrong by beyond their rounding.
        tolerance : float
            What that may be of a variance, to the power of the degree.
        """
        variances = np.maximum(self.mean_squares(sums) - np.square(self.means(sums, 1)), 0)
        _, weights = self.blocks(sums)
        highest = monomials(sums.expansion_point.shape[1], 2 * self.degree).highest_powers
        powers = weights[:, highest] / np.maximum(sums.values[:, -1:], MIN_WEIGHT)
        error = np.maximum(MEAN_SQUARE * powers, np.reshape(errors, (-1, 1)))
        lost = error > tolerance * variances**self.degree
        return (lost & (variances + error ** (1 / self.degree) > conditions.least_known)).any(axis=1)

    def moments(self, sums: Sums, degree: int) -> tuple[np.ndarray, np.ndarray]:
        """Weighted means of the monomials up to a degree, and of their products: (n_queries, n), (n_queries, n, n)."""
        terms, n_coordinates = monomials(sums.expansion_point.shape[1], degree), sums.expansion_point.shape[1]
        n_products = len(monomials(n_coordinates, 2 * degree))
        shares = sums.values[:, -n_products:] / np.maximum(sums.values[:, -1:], MIN_WEIGHT)
        products = terms.products[:-1, :-1]
        return shares[:, terms.up_to(degree)], shares[:, products.ravel()].reshape(len(shares), *products.shape)

    def means(self, sums: Sums, degree: int) -> np.ndarray:
        """Weighted means of the monomials up to a degree: (n_queries, n_monomials)."""
        terms = monomials(sums.expansion_point.shape[1], degree)
        return sums.values[:, -len(terms) : -1] / np.maximum(sums.values[:, -1:], MIN_WEIGHT)

    def mean_squares(self, sums: Sums) -> np.ndarray:
        """Weighted mean squares of the coordinates: (n_queries, n_coordinates)."""
        terms = monomials(sums.expansion_point.shape[1], 2)
        return sums.values[:, terms.highest_powers - len(terms)] / np.maximum(sums.values[:, -1:], MIN_WEIGHT)

    def recentred(self, sums: Sums, expansion_point: np.ndarray) -> Sums:
        """The same sums about other points: (n_queries, n_coordinates)."""
        step = sums.expansion_point - expansion_point
        targets, weights = self.blocks(sums)
        n_coordinates = step.shape[1]
        shifted = (
            monomials(n_coordinates, self.degree).shifted_sums(targets, step).reshape(len(step), -1),
            monomials(n_coordinates, 2 * self.degree).shifted_sums(weights, step),
        )
        return Sums(np.hstack(shifted), sums.log_scale, expansion_point)

    def centre(self, sums: Sums) -> np.ndarray:
        """The weighted means of the keys, about which nothing cancels: (n_queries, n_coordinates)."""
        return sums.expansion_point + self.means(sums, 1)

    def blocks(self, sums: Sums) -> tuple[np.ndarray, np.ndarray]:
        """The sums of targets, (n_queries, n_monomials, n_outputs), and of weights, (n_queries, n_monomials)."""
        n_coordinates = sums.expansion_point.shape[1]
        n_weights, n_terms = (len(monomials(n_coordinates, power * self.degree)) for power in (2, 1))
        targets, weights = sums.values[:, :-n_weights], sums.values[:, -n_weights:]
        return targets.reshape(len(targets), n_terms, targets.shape[1] // n_terms), weights


@dataclass(frozen=True)
class Constant(Polynomial):
    """The weighted mean: nothing but targets and weights is summed, and no coordinate looked at."""

    degree: int = 0

    tail_factor = 1.0
    keeps_range = True

    def n_values(self, n_coordinates, n_outputs):
        """How many numbers are summed for each query: targets and the weight, which is the last."""
        return n_outputs + 1

    def n_expanded(self, n_coordinates):
        """How many coordinates an expansion point has: none."""
        return 0

    def expansion_point(self, queries, bounds):
        """No coordinates."""
        return np.zeros(0)

    def seen_from(self, points, expansion_point):
        """No coordinates of points."""
        return np.zeros((*points.shape[:-1], 0))

    def columns(self, values, z):
        """The values themselves."""
        return values

    def ill_conditioned(self, sums, conditions, errors=0.0, tolerance=VARIANCE):
        """No sums: nothing is known of how keys vary."""
        return np.zeros(len(sums.values), dtype=bool)

    def recentred(self, sums, expansion_point):
        """The same sums."""
        return sums

    def centre(self, sums):
        """No coordinates."""
        return sums.expansion_point


#: Bases by their degree.
BASES: dict[int, Polynomial] = {0: Constant(), 1: Polynomial(1), 2: Polynomial(2)}
