"""Compiled: inner loops in numba, the extra `fast`. Only `_readiness` and `_kinds` may be imported without it."""
