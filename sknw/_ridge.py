"""The ridge of local lines: from a problem to the best of a few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sknw._algorithms import Problem
from sknw._bandwidth import BandwidthSearch, choose_bandwidth, criterion_path
from sknw._leave_one_out import Settings

RIDGES = (0.0, 0.003, 0.03, 0.3)


def choose_ridge(
    bandwidth: str | float | np.ndarray, problem: Problem, settings: Settings
) -> tuple[Problem, BandwidthSearch | None]:
    """The problem with the ridge of the lowest criterion, and its bandwidth; and the report of the search for this.

    Parameters
    ----------
    bandwidth : str, float or ndarray
        Where it is the name of a rule, each ridge has a bandwidth of its own.
    problem : Problem
        Its bandwidth and ridge have no influence.
    """
    found = []
    for ridge in RIDGES:
        with_ridge = replace(problem, ridge=ridge)
        search = None
        if isinstance(bandwidth, str):
            chosen, search = choose_bandwidth(bandwidth, with_ridge, settings)
        else:
            chosen = bandwidth
        if search is None:
            score = criterion_path(with_ridge, np.array([chosen]), "loo", settings)[0]
        else:
            score = search.best_score
        found.append((score, -ridge, replace(with_ridge, bandwidth=chosen), search))
    # Of equal ones, the largest.
    return min(found, key=lambda item: item[:2])[2:]
