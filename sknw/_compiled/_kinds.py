"""Kinds: what compiled loops call the kernels of the table, and take numbers in. No numba is imported here."""

from __future__ import annotations

import numpy as np

from sknw._kernels import Kernel, name_in_table

#: What `fill_weights` calls kernels.
KINDS = {
    "gaussian": 0,
    "exponential": 1,
    "matern32": 2,
    "logistic": 3,
    "sigmoid": 4,
    "cauchy": 5,
    "constant": 6,
    "boxcar": 7,
    "triangular": 8,
    "epanechnikov": 9,
    "biweight": 10,
    "triweight": 11,
    "tricube": 12,
    "cosine": 13,
}

#: The last of those that fall as an exponential does.
LAST_DECAYING = KINDS["sigmoid"]

#: The last of those that are positive everywhere, their squares apart.
MAX_POSITIVE = KINDS["constant"]

#: Those for which loops over pairs have one of their own.
WITH_OWN_LOOP = KINDS["gaussian"], KINDS["epanechnikov"]

#: Added to the kind of a kernel, it is that of its square.
SQUARED = 100

#: Keys that loops over several rows of numbers look at together: these stay in the fastest cache.
CHUNK = 128

#: Keys that loops over pairs look at together.
BLOCK = 256

#: Rows of zeros that loops find after the last: they add up to five at a time.
PADDING = 4


def kind_of(kernel: Kernel) -> int | None:
    """What `fill_weights` calls a kernel or the square of one; None for one of the user's own."""
    found = name_in_table(kernel)
    if found is None or found[0] not in KINDS:
        return None
    return KINDS[found[0]] + SQUARED * found[1]


def in_blocks(columns: np.ndarray, fill: float | np.ndarray = 0.0) -> np.ndarray:
    """Columns over keys as compiled loops take them: (n_blocks, n_columns, BLOCK), with what fills up the last."""
    padded = np.full((-(-len(columns) // BLOCK) * BLOCK, columns.shape[1]), fill, columns.dtype)
    padded[: len(columns)] = columns
    return np.ascontiguousarray(padded.reshape(-1, BLOCK, columns.shape[1]).swapaxes(1, 2))
