"""Doctests of compiled modules are collected where numba is; and SciPy is told that arrays may be of any library."""

import importlib.util
import os
from importlib.metadata import version

# Before SciPy is imported: scikit-learn takes arrays of other libraries only then, and with SciPy 1.14 or later.
if tuple(map(int, version("scipy").split(".")[:2])) >= (1, 14):
    os.environ.setdefault("SCIPY_ARRAY_API", "1")

collect_ignore_glob = [] if importlib.util.find_spec("numba") else ["sknw/_compiled/_[!kr]*.py"]
