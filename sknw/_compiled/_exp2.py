"""Exp2: powers of two, as sums of few products that a processor computes for several numbers at once."""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from sknw._compiled._jit import EXACT, times_power

# Of the files that it imports: numba keeps what it compiled until this file changes. `tests/stamps.py` writes it.
_BUILT_ON = "2afc299c2200"

# The polynomials 1 + r * (c[0] + c[1] * r + ...) that are nearest to 2**r for |r| <= 1/2, by Remez' algorithm: their
# relative errors are 3e-16 and 3e-9. At zero they are one.
_DOUBLE = (
    0.6931471805599516,
    0.24022650695910472,
    0.05550410866434652,
    0.009618129107380434,
    0.0013333558246489605,
    0.0001540353080118033,
    1.5252647742928662e-05,
    1.3215235456504992e-06,
    1.0210507312920704e-07,
    7.111788410926697e-09,
)
_SINGLE = tuple(
    np.float32(c)
    for c in (
        0.6931472149680392,
        0.24022652782875928,
        0.05550310550996663,
        0.009617692974918414,
        0.001340664390476156,
        0.00015594677540713261,
    )
)

# Added to a number and taken away again, it rounds to an integer, which is left in its lowest bits.
_ROUND, _ROUND_SINGLE = 1.5 * 2.0**52, np.float32(1.5 * 2.0**23)

# Below these powers results, or their products with values, would be subnormal, which is slow on many a processor: they
# are as good as nothing.
LOWEST, LOWEST_SINGLE = -1000.0, np.float32(-115.0)


def exp2(x):
    """2**x for x <= 0, at least 2**LOWEST."""
    raise NotImplementedError("It is called by compiled functions.")


@overload(exp2, jit_options={"fastmath": EXACT, "error_model": "numpy"})
def _exp2(x):
    # Even and odd powers apart, whose sums do not wait for each other. Written out: with a loop over the coefficients,
    # sums of pairs take up to a quarter longer.
    if x == types.float64:

        def power(x):
            x = max(x, LOWEST)
            k = x + _ROUND
            r = x - (k - _ROUND)
            c = _DOUBLE
            s = r * r
            p = c[9] * s + c[7]
            q = c[8] * s + c[6]
            p = p * s + c[5]
            q = q * s + c[4]
            p = p * s + c[3]
            q = q * s + c[2]
            p = p * s + c[1]
            q = q * s + c[0]
            p = p * s + 1.0
            return times_power(q * r + p, k)

    elif x == types.float32:

        def power(x):
            x = max(x, LOWEST_SINGLE)
            k = x + _ROUND_SINGLE
            r = x - (k - _ROUND_SINGLE)
            c = _SINGLE
            s = r * r
            p = c[5] * s + c[3]
            q = c[4] * s + c[2]
            p = p * s + c[1]
            q = q * s + c[0]
            p = p * s + np.float32(1.0)
            return times_power(q * r + p, k)

    return power
