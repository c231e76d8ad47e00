"""Algorithms: how kernel sums are computed. All keep one promise.

``columns, log_scale, centre = algorithm.sums(queries)`` with
``columns * exp(log_scale)[:, None] == K(queries, keys) @ problem.columns(problem.values, keys - centre)``
"""

import logging

from sknw._algorithms._brute import Brute
from sknw._algorithms._cells import Cells
from sknw._algorithms._monomials import Monomials, monomials
from sknw._algorithms._path import path_sums
from sknw._algorithms._problem import Problem, Sums, are_repetitions
from sknw._algorithms._tiles import batches, map_tiles, row_batch
from sknw._algorithms._tree import Tree

_logger = logging.getLogger("sknw")

Algorithm = Brute | Cells | Tree

ALGORITHMS: dict[str, type[Algorithm]] = {each.name: each for each in (Brute, Cells, Tree)}


def choose(problem: Problem) -> str:
    """The name of the algorithm that "auto" takes for a problem: of those that do not refuse it, the cheapest.

    The logger "sknw" says why, at the level DEBUG.
    """
    refusals = {name: each.refuses(problem) for name, each in ALGORITHMS.items()}
    costs = {name: ALGORITHMS[name].cost(problem) for name, refusal in refusals.items() if refusal is None}
    cheapest = min(costs, key=lambda name: costs[name])
    estimates = [f"{name} about {seconds:.2g} s" for name, seconds in costs.items()]
    reasons = [f"{name} refuses, for {refusal[:-1]}" for name, refusal in refusals.items() if refusal]
    _logger.debug("algorithm=%r is taken: %s.", cheapest, "; ".join(estimates + reasons))
    return cheapest


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


__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Monomials",
    "Problem",
    "Sums",
    "are_repetitions",
    "batches",
    "build",
    "choose",
    "map_tiles",
    "monomials",
    "path_sums",
    "row_batch",
]
