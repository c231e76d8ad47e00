"""Jit: how functions are compiled. Without the interpreter's lock, kept on disk, with the widest vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# Sums may be added in any order, and products fused with sums. Nothing else: infinite numbers stay what they are.
SUMS = {"reassoc", "contract", "nsz"}

# What rounds by adding a large number and taking it away again must not be reordered.
EXACT = {"contract", "nsz"}


def jit(flags: set[str], inline: bool = False) -> Callable:
    """Compile a function when it is called first, with these freedoms of floating-point arithmetic.

    inline : bool, default=False
        Whether it becomes part of its callers, which pass arrays slowly: some 10 nanoseconds each. They then have to
        ask for wide vectors, too.
    """

    def decorate(function):
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": flags, "forceinline": inline}
        try:
            return numba.njit(cache=True, **options)(function)
        except (RuntimeError, FileNotFoundError):  # no folder to keep it in
            return numba.njit(**options)(function)

    return decorate


@intrinsic
def use_wide_vectors(context):
    """Let the function that calls it use vectors of 512 bits where there are: LLVM takes 256 if it is not asked."""

    def code(context, builder, signature, arguments):
        attributes = builder.function.attributes
        if isinstance(attributes, set):  # llvmlite's own `add` knows no text; without it all is right, but slower
            set.add(attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), code


@intrinsic
def keep_short(context):
    """Let the function that calls it stay short, apart from its callers, and so compile in less time."""

    def code(context, builder, signature, arguments):
        for attribute in ("noinline", "optsize"):
            builder.function.attributes.add(attribute)
        return context.get_dummy_value()

    return types.void(), code


@intrinsic
def times_power(context, number, rounded):
    """``number * 2**k`` for the integer k in the lowest bits of a float that was rounded by adding a large number."""
    n_digits = {types.float64: 52, types.float32: 23}[number]

    def code(context, builder, signature, arguments):
        integer = ir.IntType({52: 64, 23: 32}[n_digits])
        bits, power = (builder.bitcast(argument, integer) for argument in arguments)
        power = builder.shl(power, integer(n_digits))
        return builder.bitcast(builder.add(bits, power), context.get_value_type(signature.return_type))

    return number(number, rounded), code
