"""Protocol: what every algorithm promises."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Protocol, Self

import numpy as np
from scipy.sparse import csr_array, vstack

from sknw._problem._conditions import Conditions
from sknw._problem._definition import kernel_rows
from sknw._problem._problem import Problem
from sknw._problem._sums import Nearest, Sums
from sknw._tiles import batches, row_batch


class Path(Protocol):
    """The sums of some keys, each without itself, at multiples of one bandwidth, from one pass over their distances."""

    problem: Problem
    indices: np.ndarray
    #: Whether distances are kept, so that one bandwidth takes no more than its share of many.
    is_kept: bool

    @abstractmethod
    def sums(self, multiples: np.ndarray, n_jobs: int | None = None) -> tuple[Sums, Conditions]:
        """The sums of all indices at the first of these multiples of the bandwidth, which descend, then at the next.

        And the conditions of fits from them, in the same order.
        """

    @abstractmethod
    def take(self, some: np.ndarray) -> Path:
        """The path of some of the keys."""

    @abstractmethod
    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> Nearest:
        """The nearest keys, ties included, at any bandwidth, for the keys of its indices, each without itself."""


class Algorithm(Protocol):
    """A way to compute kernel sums, made ready for one problem.

    What takes long and needs no query belongs in the constructor. The methods that are not abstract may be left as they
    are.

    Parameters
    ----------
    problem : Problem
        One that it does not refuse.
    """

    name: ClassVar[str]
    problem: Problem

    def __init__(self, problem: Problem):
        self.problem = problem

    @staticmethod
    @abstractmethod
    def refuses(problem: Problem) -> str | None:
        """Why it cannot serve a problem, in a sentence that a user can act on; or None."""

    @staticmethod
    @abstractmethod
    def cost(problem: Problem) -> float:
        """About how many seconds as many queries as keys take. Asked only for problems that it does not refuse."""

    @staticmethod
    def inner_loop(problem: Problem) -> str:
        """What as many queries as keys are summed with: "numpy", "compiled" or "device"."""
        return "numpy"

    @abstractmethod
    def sums(self, queries: np.ndarray, excluded: np.ndarray | None = None, n_jobs: int | None = None) -> Sums:
        """Kernel sums, without the kernel matrix, with exact zeros where no key is in reach.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_coordinates)
            From `Distance.transform`.
        excluded : ndarray of shape (n_queries,), default=None
            For each query the index of one key that does not count. It is left out, not subtracted.
        n_jobs : int, default=None
            Threads; None is one.
        """

    @abstractmethod
    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> Nearest:
        """The nearest keys, ties included."""

    def at(self, problem: Problem) -> Self:
        """The algorithm for another bandwidth of the same rows, with what this one can hand on."""
        return type(self)(problem)

    @staticmethod
    def is_log_linear(problem: Problem) -> bool:
        """Whether it serves the problem at any bandwidth, in a time about proportional to the rows."""
        return False

    def kernel_rows(self, queries: np.ndarray, n_jobs: int | None = None) -> tuple[csr_array, np.ndarray]:
        """Rows of the kernel matrix, sparse, (n_queries, n_keys), in units of the exponential of the second result."""
        parts = [
            kernel_rows(self.problem, queries[some])
            for some in batches(len(queries), row_batch(len(self.problem.rows)))
        ]
        rows, log_scales = zip(*parts, strict=True)
        return csr_array(vstack([csr_array(block) for block in rows], format="csr")), np.concatenate(log_scales)

    @staticmethod
    def offers_path(problem: Problem, n_indices: int) -> bool:
        """Whether it has a `path` of so many keys for a problem."""
        return False

    @staticmethod
    def path(problem: Problem, indices: np.ndarray) -> Path:
        """Sums of the keys of these indices, each without itself, at multiples of a problem's bandwidth."""
        reason = "no path"
        raise NotImplementedError(f"This algorithm offers {reason}.")
