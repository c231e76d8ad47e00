"""SeriesTable: the sums of `ChebyshevSums` by compiled loops, for queries in any order."""

from __future__ import annotations

from typing import Any

import numpy as np

from sknw._accuracy import CHEBYSHEV
from sknw._problem._sums import Sums

_NONE = np.empty(0, dtype=np.intp)


class SeriesTable:
    """Sums over all keys from the series of the cells that have keys.

    Parameters
    ----------
    method : ChebyshevSums
        For a degree of zero. It sums what is not found here.
    """

    #: Queries that are worked on together: many, for what is left of them is summed by NumPy.
    tile = 2**16

    def __init__(self, method, problem, cells, row, series, bound):
        self._method, self._keys = method, (method.keys.x, method.keys.values)
        number = cells.cell
        span = number[-1] - number[0] + 1
        step = max(1.0, np.ceil(span / (4 * len(number))))
        start = np.searchsorted(number, number[0] + step * np.arange(span // step + 2))
        self._cells: Any = number, row, start, step, cells.width
        self._series, self._bound = series, np.ascontiguousarray(bound[:, 0])
        self._at_zero = float(problem.kernel(0.0))
        # Nearer to the middle, a query is not far outside, and the unit of its sums is K(0).
        middle, ptp = problem.distance.middle[0], problem.distance.coordinates.ptp[0]
        self._limits = middle - 1.9 * ptp, middle + 1.9 * ptp, CHEBYSHEV

    def sums(self, points: np.ndarray, excluded: np.ndarray | None) -> Sums:
        """Kernel sums for queries in any order; excluded is the rank of a key that does not count."""
        from sknw._compiled._series import evaluate

        points = np.ascontiguousarray(points)
        sums, found = self._method.keys.powers.empty(len(points)), np.empty(len(points), dtype=bool)
        gone = _NONE if excluded is None else excluded
        series = self._cells, self._series, self._bound, self._limits
        evaluate(points, *series, gone, self._keys, self._at_zero, sums.values, found)
        rest = np.flatnonzero(~found)
        if len(rest):
            rest = rest[points[rest].argsort()]
            sums.put(rest, self._method.sums(points[rest], None if excluded is None else excluded[rest]))
        return sums
