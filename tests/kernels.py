"""Kernels that tests share. Unlike lambdas they can be pickled, and have the same name in every process."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Decay:
    """exp(-rate * u)."""

    rate: float = 1.0

    def __call__(self, u):
        return np.exp(-self.rate * u)


class Counted:
    """A function that counts the numbers it gives."""

    def __init__(self, function):
        self.function, self.count = function, 0

    def __call__(self, *args):
        result = self.function(*args)
        self.count += np.size(result)
        return result


def counted(kernel):
    """A kernel that counts, and a function that gives the number of its evaluations so far."""
    functions = [Counted(kernel.profile), Counted(kernel.log_ratio)]
    log_ratio = None if kernel.log_ratio is None else functions[1]
    return replace(kernel, profile=functions[0], log_ratio=log_ratio), lambda: sum(each.count for each in functions)
