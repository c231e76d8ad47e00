"""Algorithms: how kernel sums are computed. All keep one promise, `_protocol.Algorithm`."""

import logging

from sknw._algorithms._protocol import Algorithm
from sknw._algorithms.brute._brute import Brute
from sknw._algorithms.cells._cells import Cells
from sknw._algorithms.tree._tree import Tree
from sknw._problem._problem import Problem

_logger = logging.getLogger("sknw")

#: Algorithms by name.
ALGORITHMS: dict[str, type[Algorithm]] = {each.name: each for each in (Brute, Cells, Tree)}


def serving(name: str, problem: Problem) -> dict[str, type[Algorithm]]:
    """The algorithms that a name stands for, one or with "auto" all, without those that refuse a problem."""
    named = ALGORITHMS if name == "auto" else {name: ALGORITHMS[name]}
    return {name: algorithm for name, algorithm in named.items() if algorithm.refuses(problem) is None}


def choose(problem: Problem) -> str:
    """The name of the algorithm that "auto" takes for a problem: of those that do not refuse it, the cheapest.

    The logger "sknw" says why, at the level DEBUG.

    Raises
    ------
    ValueError
        If none can serve the problem.
    """
    refusals = {name: each.refuses(problem) for name, each in ALGORITHMS.items()}
    costs = {name: ALGORITHMS[name].cost(problem) for name, refusal in refusals.items() if refusal is None}
    if not costs:
        reasons = [f"{name!r} refuses, for {refusal}" for name, refusal in refusals.items()]
        raise ValueError(f"No algorithm can run this problem: {' '.join(reasons)}")
    cheapest = min(costs, key=lambda name: costs[name])
    if _logger.isEnabledFor(logging.DEBUG):
        estimates = [f"{name} about {seconds:.2g} s" for name, seconds in costs.items()]
        reasons = [f"{name} refuses, for {refusal[:-1]}" for name, refusal in refusals.items() if refusal]
        why, inner_loop = "; ".join(estimates + reasons), ALGORITHMS[cheapest].inner_loop(problem)
        _logger.debug("algorithm=%r is taken: %s. Inner loop: %s.", cheapest, why, inner_loop)
    return cheapest


def build(name: str, problem: Problem, last: Algorithm | None = None) -> Algorithm:
    """The named algorithm, or that of "auto", made ready for a problem.

    Parameters
    ----------
    last : Algorithm, default=None
        One for another bandwidth of the same rows: if it is of the same kind, it hands on what it can.

    Raises
    ------
    ValueError
        If the algorithm cannot serve the problem.
    """
    algorithm = ALGORITHMS[choose(problem) if name == "auto" else name]
    refusal = algorithm.refuses(problem)
    if refusal is not None:
        raise ValueError(f"algorithm={name!r} cannot run this problem: {refusal}")
    return last.at(problem) if type(last) is algorithm else algorithm(problem)
