"""Algorithms: how kernel sums are computed. All keep one promise.

``sums, log_scale = algorithm.sums(queries)`` with
``sums * exp(log_scale)[:, None] == K(queries, keys) @ values``
"""

from sknw._algorithms._brute import Brute
from sknw._algorithms._cells import Cells
from sknw._algorithms._problem import Problem
from sknw._algorithms._tiles import batches, map_tiles, row_batch

Algorithm = Brute | Cells

ALGORITHMS: dict[str, type[Algorithm]] = {each.name: each for each in (Brute, Cells)}


def choose(problem: Problem) -> str:
    """The name of the algorithm that "auto" takes for a problem: of those that do not refuse it, the cheapest."""
    costs = {name: each.cost(problem) for name, each in ALGORITHMS.items() if each.refuses(problem) is None}
    return min(costs, key=lambda name: costs[name])


def build(name: str, problem: Problem) -> Algorithm:
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


__all__ = ["ALGORITHMS", "Algorithm", "Problem", "batches", "build", "choose", "map_tiles", "row_batch"]
