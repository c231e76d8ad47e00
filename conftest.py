"""Doctests of compiled modules are collected where numba is; and SciPy is told that arrays may be of any library."""

import importlib.util
import os
from importlib.metadata import version
from pathlib import Path

# Before SciPy is imported: scikit-learn takes arrays of other libraries only then, and with SciPy 1.14 or later.
if tuple(map(int, version("scipy").split(".")[:2])) >= (1, 14):
    os.environ.setdefault("SCIPY_ARRAY_API", "1")

_HERE = Path(__file__).parent
_WITHOUT_NUMBA = {"__init__.py", "_kinds.py", "_readiness.py"}

collect_ignore = [
    str(path.relative_to(_HERE))
    for path in (_HERE / "sknw" / "_compiled").glob("*.py")
    if path.name not in _WITHOUT_NUMBA and importlib.util.find_spec("numba") is None
]
