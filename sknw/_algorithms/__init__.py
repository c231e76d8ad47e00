"""Algorithms: how kernel sums are computed. All keep one promise.

``sums, log_scale = algorithm.sums(queries)`` with
``sums * exp(log_scale)[:, None] == K(queries, keys) @ values``
"""

from sknw._algorithms._brute import Brute
from sknw._algorithms._problem import Problem
from sknw._algorithms._tiles import batches, map_tiles, row_batch

#: From the most to the least special: "auto" takes the first that does not refuse.
ALGORITHMS = {algorithm.name: algorithm for algorithm in (Brute,)}


def choose(problem: Problem) -> str:
    """The name of the algorithm that "auto" takes for a problem."""
    return next(name for name, algorithm in ALGORITHMS.items() if algorithm.refuses(problem) is None)


def build(name: str, problem: Problem) -> Brute:
    """The named algorithm, or that of "auto", made ready for a problem.

    Raises
    ------
    ValueError
        If the algorithm cannot serve the problem.
    """
    algorithm = ALGORITHMS[choose(problem) if name == "auto" else name]
    refusal = algorithm.refuses(problem)
    if refusal is not None:
        raise ValueError(f"algorithm={name!r} cannot run this problem: {refusal}")
    return algorithm(problem)


__all__ = ["ALGORITHMS", "Brute", "Problem", "batches", "build", "choose", "map_tiles", "row_batch"]
