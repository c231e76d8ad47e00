"""Powers: sums over the keys of one feature times powers of z, the place of a key from a centre.

K(u) * z**s is summed as moments of a kernel and of a power are: seen from an origin among the keys, where nothing
cancels, and then moved to the centre of the query.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sknw._algorithms._problem import Problem, Sums

# What the errors of sums over one feature may be of a variance. There are few powers, and to sum key by key takes long.
_MOST_BLUR = 1e-10

_TINY = np.finfo(float).tiny


class Powers:
    """Where products of values with powers of z are among the columns of sums: as `Problem.columns` has them.

    Parameters
    ----------
    problem : Problem
        With one feature that matters. Its bandwidth has no influence.
    """

    def __init__(self, problem: Problem):
        self.degree, self._n_outputs = problem.degree, problem.y.shape[1]
        self.highest = 2 * problem.degree
        self.n_columns = problem.n_columns

    def empty(self, n: int) -> Sums:
        """Room for the sums of so many queries."""
        return Sums(np.zeros((self.n_columns, n)).T, np.zeros(n), np.zeros((n, min(self.degree, 1))))

    def blocks(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Views of rows, (n_columns, ...), by the power: the labels' up to the degree, the weights' up to its double.

        Returns
        -------
        labels : ndarray of shape (degree + 1, n_outputs, ...)
        weights : ndarray of shape (2 * degree + 1, 1, ...)
        """
        n_labels = (self.degree + 1) * self._n_outputs
        labels = rows[:n_labels].reshape(self.degree + 1, self._n_outputs, *rows.shape[1:])
        return labels[::-1], rows[n_labels:, None][::-1]

    def multiplied(self, values: np.ndarray) -> Iterator[tuple[int, slice]]:
        """Each power, and which columns of the values are multiplied by it."""
        for power in range(self.highest + 1):
            yield power, slice(None) if power <= self.degree else slice(values.shape[-1] - 1, None)

    def put(self, rows: np.ndarray, power: int, columns: Any) -> None:
        """Put products with one power, those with weights last, into their rows."""
        labels, weights = self.blocks(rows)
        if power <= self.degree:
            for row, column in zip(labels[power], columns, strict=False):
                row[...] = column
        weights[power] = columns[-1]

    def shift(self, rows: np.ndarray, step: np.ndarray) -> None:
        """Make of sums over powers of z those over powers of z + step."""
        for block in self.blocks(rows):
            shift(block, step)

    def scale(self, rows: np.ndarray, unit: float) -> None:
        """Make of sums over powers of z those over powers of z * unit."""
        for block in self.blocks(rows):
            for power, some in enumerate(block[1:], start=1):
                some *= unit**power

    def products(self, values: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Values, (n, n_outputs + 1), times powers of z: (n_columns, n)."""
        rows = np.empty((self.n_columns, len(z)))
        product = values.T.copy()
        for power in range(self.highest + 1):
            self.put(rows, power, product)
            product *= z
        return rows

    def add_blurred(self, inaccurate: np.ndarray, problem: Problem, sums: Sums, bound: np.ndarray) -> np.ndarray:
        """Add to those that are inaccurate the sums that `Problem.blurred` finds.

        bound : ndarray of shape (n_queries,), on the errors of the weights' highest power
        """
        if self.degree:
            rest = np.flatnonzero(~inaccurate)
            columns = sums.columns[rest]
            _, weights = self.blocks(columns.T)
            inaccurate[rest] = problem.blurred(columns, bound[rest] / np.maximum(weights[0, 0], _TINY), _MOST_BLUR)
        return inaccurate


def shift(moments: np.ndarray, step: np.ndarray) -> None:
    """Make of moments with the powers 0, 1, ... of z those with powers of z + step."""
    product = np.empty_like(moments[0]) if len(moments) > 1 else None
    for lowest in range(1, len(moments)):
        for power in range(len(moments) - 1, lowest - 1, -1):
            moments[power] += np.multiply(moments[power - 1], step, out=product)
