"""Powers: sums over the keys of one feature times powers of z, the coordinate of a key about an expansion point.

K(u) * z**s is summed as moments of a kernel and of a power are: about an origin among the keys, where nothing cancels,
and then moved to the expansion point of the query.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sknw._accuracy import MIN_WEIGHT, VARIANCE_1D
from sknw._problem._sums import Sums


class Powers:
    """Where products of values with powers of z are among the values of sums: as `Polynomial.columns` has them.

    Arrays with one row for each value that is summed, of shape (n_values, ...), are called rows here.

    Parameters
    ----------
    problem : Problem
        With one feature that matters. Its bandwidth has no influence.
    """

    def __init__(self, problem):
        self.degree, self._n_outputs = problem.basis.degree, problem.rows.targets.shape[1]
        self.highest = 2 * self.degree
        self.n_values = problem.n_values

    def empty(self, n_queries: int) -> Sums:
        """Sums over no keys, to put others in."""
        return Sums.empty(n_queries, self.n_values, min(self.degree, 1))

    def blocks(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Views of rows by the power: those of targets up to the degree, those of weights up to its double.

        Returns
        -------
        targets : ndarray of shape (degree + 1, n_outputs, ...)
        weights : ndarray of shape (2 * degree + 1, 1, ...)
        """
        n_targets = (self.degree + 1) * self._n_outputs
        targets = rows[:n_targets].reshape(self.degree + 1, self._n_outputs, *rows.shape[1:])
        return targets[::-1], rows[n_targets:, None][::-1]

    def multiplied(self, values: np.ndarray) -> Iterator[tuple[int, slice]]:
        """Each power, and which columns of the values are multiplied by it."""
        for power in range(self.highest + 1):
            yield power, slice(None) if power <= self.degree else slice(values.shape[-1] - 1, None)

    def put(self, rows: np.ndarray, power: int, products: Any) -> None:
        """Put products with one power, those of weights last, into their rows."""
        targets, weights = self.blocks(rows)
        if power <= self.degree:
            for row, product in zip(targets[power], products, strict=False):
                row[...] = product
        weights[power] = products[-1]

    def shift(self, rows: np.ndarray, step: np.ndarray) -> None:
        """Make of sums over powers of z those over powers of z + step."""
        for block in self.blocks(rows):
            shift(block, step)

    def scale(self, rows: np.ndarray, unit: float) -> None:
        """Make of sums over powers of z those over powers of z * unit."""
        for block in self.blocks(rows):
            for power, sums in enumerate(block[1:], start=1):
                sums *= unit**power

    def products(self, values: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Values, (n, n_outputs + 1), times powers of z: (n_values, n)."""
        rows = np.empty((self.n_values, len(z)))
        product = values.T.copy()
        for power in range(self.highest + 1):
            self.put(rows, power, product)
            product *= z
        return rows

    def add_ill_conditioned(self, inaccurate: np.ndarray, problem, sums: Sums, bound: np.ndarray) -> np.ndarray:
        """Add, to a mask of sums that are inaccurate, those that the basis says have lost digits.

        bound : ndarray of shape (n_queries,), on the errors of the weights' highest power
        """
        if self.degree:
            rest = np.flatnonzero(~inaccurate)
            errors = bound[rest] / np.maximum(sums.values[rest, -1], MIN_WEIGHT)
            ill = problem.basis.ill_conditioned(sums.take(rest), problem.conditions, errors, VARIANCE_1D)
            inaccurate[rest] = ill
        return inaccurate


def shift(moments: np.ndarray, step: np.ndarray) -> None:
    """Make of moments with the powers 0, 1, ... of z those with powers of z + step."""
    product = np.empty_like(moments[0]) if len(moments) > 1 else None
    for lowest in range(1, len(moments)):
        for power in range(len(moments) - 1, lowest - 1, -1):
            moments[power] += np.multiply(moments[power - 1], step, out=product)
