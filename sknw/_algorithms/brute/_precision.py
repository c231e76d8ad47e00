"""Precision: in what numbers all pairs are summed, and how far these can be trusted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._accuracy import (
    PRODUCT,
    PRODUCT_BORDERLINE,
    PRODUCT_BORDERLINE_SINGLE,
    PRODUCT_SINGLE,
    PRODUCT_UNDERFLOW,
    PRODUCT_UNDERFLOW_SINGLE,
)


class Precision(NamedTuple):
    """A kind of numbers."""

    dtype: type
    # The relative error of a number. A product gives u * u, and so log K, with this times |q|**2 + |k|**2 ...
    rounding: float
    # ... which has to stay below this.
    tolerance: float
    # Sums with less weight in all are made again. A kernel that is positive everywhere: keys that matter may have been
    # lost to underflow ...
    underflow: float
    # ... and log K is nowhere steeper than this, by u, at keys that matter: as the Gaussian, whose slope is -u.
    steepest: float
    # A kernel of compact support: errors, absolute there, may matter.
    borderline: float

    @property
    def farthest(self) -> tuple[float, float]:
        """How many bandwidths from the centre keys and queries may be, for differences and for products."""
        return self.tolerance / (2 * self.rounding * self.steepest), float(np.sqrt(self.tolerance / self.rounding))


SINGLE = Precision(np.float32, 2.0**-24, PRODUCT_SINGLE, PRODUCT_UNDERFLOW_SINGLE, 11.0, PRODUCT_BORDERLINE_SINGLE)
DOUBLE = Precision(np.float64, 2.0**-53, PRODUCT, PRODUCT_UNDERFLOW, 38.0, PRODUCT_BORDERLINE)
