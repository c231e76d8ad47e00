"""Fit: an algorithm that is ready, and what was computed with it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from sknw._algorithms._protocol import Algorithm
from sknw._problem._problem import Problem

Result = TypeVar("Result")


@dataclass(eq=False)
class Fit:
    """An algorithm for a problem, and a memory for what all queries share.

    What is computed for queries are functions of a fit. It knows neither a fallback nor a number of threads: those are
    arguments of these functions.

    Parameters
    ----------
    algorithm : Algorithm
    """

    algorithm: Algorithm
    _results: dict[tuple[Hashable, ...], object] = field(default_factory=dict, init=False, repr=False)

    def __getstate__(self):
        return {"algorithm": self.algorithm, "_results": {}}

    @property
    def problem(self) -> Problem:
        """What is summed, over which distances, and what is fitted from it."""
        return self.algorithm.problem

    def once(self, function: Callable[..., Result], *arguments: Hashable, n_jobs: int | None = None) -> Result:
        """Compute ``function(fit, *arguments, n_jobs=n_jobs)``, once, and keep the result; it is not pickled.

        n_jobs : int, default=None
            Threads, which have no influence on results.
        """
        key = (function, *arguments)
        if key not in self._results:
            self._results[key] = function(self, *arguments, n_jobs=n_jobs)
        return self._results[key]  # type: ignore[return-value]
