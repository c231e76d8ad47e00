"""Readiness: whether numba is there, and whether work is worth compiling loops for."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Hashable

_logger = logging.getLogger("sknw")

# A first use imports numba and compiles, or loads what was compiled before: 0.5 to 5 s. It begins once the work that
# compiled loops would have taken over has taken NumPy so many seconds: nobody waits much longer than without them.
LOAD_SECONDS = 1.0

# Work that takes NumPy less than this is not worth asking for.
LEAST_SECONDS = 3e-4

# How long NumPy has worked in place of each compiled function.
_spent: dict[Hashable, float] = {}


class _Numba:
    """Whether numba can be imported, and why not; known once it was tried."""

    is_usable: bool | None = None


def is_worth(function: Hashable, seconds: float) -> bool:
    """Whether a compiled function is to do the work that comes now, for which NumPy takes about so many seconds.

    function : hashable
        What is compiled for itself: a name, a number of features, a dtype.
    """
    _spent[function] = _spent.get(function, 0.0) + seconds
    return would_be_worth(function, 0.0) and is_usable()


def would_be_worth(function: Hashable, seconds: float) -> bool:
    """Whether it would be asked to do so much work if that came now. Numba is not imported for that."""
    return _spent.get(function, 0.0) + seconds >= LOAD_SECONDS and is_there()


def is_usable() -> bool:
    """Whether numba can be imported. It is, if so."""
    if is_there() and _Numba.is_usable is None:
        try:
            importlib.import_module("numba")
            _Numba.is_usable = True
        except Exception as error:  # older than this NumPy, or led astray by a file on the path
            _give_up(error)
    return bool(_Numba.is_usable)


def is_there() -> bool:
    """Whether numba is installed, as far as that is known before it is imported."""
    if _Numba.is_usable is None and importlib.util.find_spec("numba") is None:
        _give_up("numba is not installed")
    return _Numba.is_usable is not False


def _give_up(reason):
    _Numba.is_usable = False
    _logger.debug("Loops are not compiled: %s. The extra 'fast' installs numba.", reason)
