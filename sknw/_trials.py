"""Trials: multiples of the features' spreads, and how well each does; the search for the best of them."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.utils import check_random_state

from sknw._algorithms import ALGORITHMS, Problem, build
from sknw._leave_one_out import CRITERIA, Settings, leave_one_out, leave_one_out_path

# Multiples of the spreads that are tried before the best are refined: six decades, so that neither a function that
# oscillates a thousand times over the data nor one that they say nothing about is out of range. Each is the one before
# times the root of two, for which a Gaussian is a square (see `_algorithms/_path.py`).
LADDER = 100 * 2.0 ** (np.arange(-40, 1) / 2)

# Basins of the criterion that are refined, the lowest first.
_BASINS = 4

# How well the logarithm of the best multiple is known in the end: where all rows count; and where those of a sample do,
# whose choice matters more.
_EXACT, _SAMPLED = 1e-4, 1e-2

# Decimals of the logarithm of a multiple. More would be those of rounding errors.
_DIGITS = 5

# Scores this close are equal: the difference is rounding.
_EQUAL = 1e-12

# Beyond this many rows, a search is made on a sample of them, by the errors of a part (a quarter, or half for one
# bandwidth a feature), and refined by errors among all rows: so many, or fewer, for no more pairs of rows than that.
_MOST_ROWS = 2000
_MOST_ERRORS = 1000
_MOST_PAIRS = 5e8

# Where a bandwidth takes n log n, the errors of a sample among all rows are enough throughout.
_MOST_ROWS_IN_CELLS = 20_000


class Trials:
    """Multiples of a unit that have been tried, and their scores.

    Parameters
    ----------
    problem : Problem
    unit : ndarray of shape (n_features,), or (1,) for a metric other than the Euclidean
    criterion : str
    settings : Settings
    rows : ndarray of shape (n_rows,)
        The training rows whose errors count.
    """

    def __init__(self, problem: Problem, unit: np.ndarray, criterion: str, settings: Settings, rows: np.ndarray):
        self._unit, self._criterion, self._settings = unit, CRITERIA[criterion], settings
        self._problem = problem.at(as_bandwidth(problem, unit))
        # Neighbours in memory are neighbours on the line, if the keys are on one.
        self.rows = rows[np.argsort(self._problem.keys[rows, 0])]
        self.scores: dict[float, float] = {}

    def try_all(self, multiples: np.ndarray) -> None:
        """Compute the criterion at these multiples, in ascending order."""
        if not self._by_path():
            for multiple in multiples:
                self.try_one(multiple)
            return
        largest = self._problem.at(as_bandwidth(self._problem, self._unit * multiples[-1]))
        path = leave_one_out_path(largest, multiples[-1] / multiples[::-1], self.rows, self._settings.n_jobs)
        for multiple, left_out in zip(multiples[::-1], path, strict=True):
            self.scores[multiple] = self._criterion(self._problem, left_out)
            self._settings.step()

    def try_one(self, multiple: float) -> float:
        """Compute the criterion at a multiple."""
        algorithm, fallback, n_jobs, _, step = self._settings
        problem = self._problem.at(as_bandwidth(self._problem, self._unit * multiple))
        # To choose takes longer than what cells need for few rows, and so does all else for many.
        fitted = build("cells" if _in_cells(problem, algorithm) else algorithm, problem)
        left_out = leave_one_out(fitted, fallback, n_jobs, self.rows)
        self.scores[multiple] = self._criterion(self._problem, left_out)
        step()
        return self.scores[multiple]

    def _by_path(self):
        """Whether one pass over all distances is faster than a pass for each bandwidth."""
        wanted = self._settings.algorithm
        if self._problem.kernel.log_ratio is None or wanted not in ("auto", "brute"):
            return False
        return wanted == "brute" or not _in_cells(self._problem, wanted)

    def refine(self, basins: int, tolerance: float) -> None:
        """Look for the minimum between the neighbours of each of the lowest local minima.

        tolerance : of the logarithm of the multiple
        """
        multiples = np.array(sorted(self.scores))
        scores = np.array([self.scores[multiple] for multiple in multiples])
        around = np.pad(scores, 1, constant_values=np.inf)
        bottoms = np.flatnonzero((scores <= around[:-2]) & (scores <= around[2:]) & np.isfinite(scores))
        bottoms = bottoms[~_settled(scores)[bottoms]]
        for k in bottoms[np.argsort(scores[bottoms], kind="stable")][:basins]:
            bounds = np.log(multiples[[max(k - 1, 0), min(k + 1, len(multiples) - 1)]])
            minimize_scalar(self._try_power, bounds=bounds, method="bounded", options={"xatol": tolerance})

    def interpolate(self) -> None:
        """Try the vertex of the parabola through the lowest score and its neighbours."""
        multiples = np.array(sorted(self.scores))
        scores = np.array([self.scores[multiple] for multiple in multiples])
        k = int(scores.argmin())
        if 0 < k < len(scores) - 1:
            x, y = np.log(multiples[k - 1 : k + 2]), scores[k - 1 : k + 2]
            second, first, _ = np.polyfit(x - x[1], y - y[1], 2)
            if second > 0:
                self.try_all(np.exp([x[1] - first / (2 * second)]))

    def _try_power(self, power):
        # A minimiser can do nothing with infinity.
        highest = max(score for score in self.scores.values() if np.isfinite(score))
        return min(self.try_one(float(np.exp(round(power, _DIGITS)))), highest)

    @property
    def equal(self) -> list[float]:
        """The multiples with the lowest score, in ascending order."""
        scores = np.array(list(self.scores.values()))
        finite = scores[np.isfinite(scores)]
        if not len(finite):
            return sorted(self.scores)
        limit = finite.min() + _EQUAL * np.median(np.abs(finite))
        return sorted(multiple for multiple, score in self.scores.items() if score <= limit)


def _settled(scores):
    """Which scores, from either end, are those of a criterion that no longer changes: there is nothing to find."""
    margin = _EQUAL * np.median(np.abs(scores[np.isfinite(scores)])) if np.isfinite(scores).any() else 0.0
    equal = np.isclose(scores[1:], scores[:-1], rtol=0, atol=margin)
    from_start, from_end = np.logical_and.accumulate(equal), np.logical_and.accumulate(equal[::-1])[::-1]
    settled = np.zeros(len(scores), dtype=bool)
    for run in (from_start, from_end):
        settled[1:] |= run
        settled[:-1] |= run
    return settled


def _in_cells(problem, algorithm):
    """Whether sums take n log n at any bandwidth."""
    one = np.isfinite(problem.bandwidth).sum() == 1
    return bool(one and algorithm in ("auto", "cells") and ALGORITHMS["cells"].refuses(problem) is None)


def as_bandwidth(problem: Problem, unit: np.ndarray) -> np.ndarray | float:
    """A unit as the bandwidth of a problem."""
    return unit if problem.metric == "euclidean" else float(unit[0])


def search(problem: Problem, unit: np.ndarray, criterion: str, settings: Settings) -> Trials:
    """Trials of multiples of the unit, among them the best."""
    in_cells = _in_cells(problem.at(as_bandwidth(problem, unit)), settings.algorithm)
    sample = draw(problem, settings, _MOST_ROWS_IN_CELLS if in_cells else None)
    if sample is None or in_cells:
        trials = Trials(problem, unit, criterion, settings, np.arange(len(problem.y)) if sample is None else sample)
        trials.try_all(LADDER)
        trials.refine(_BASINS, _EXACT if sample is None else _SAMPLED)
        return trials
    first = Trials(problem.part(sample), unit, criterion, settings, np.arange(len(sample) // 4))
    first.try_all(LADDER)
    trials = Trials(problem, unit, criterion, settings, sample[: n_errors(problem)])
    _walk(trials, first.equal[-1] * shrinkage(problem, sample, np.isfinite(unit).sum()))
    trials.interpolate()
    return trials


def draw(problem: Problem, settings: Settings, most: int | None = None) -> np.ndarray | None:
    """The training rows that a search begins with; None, and so all, unless they are many."""
    present, most = np.flatnonzero(~problem.absent), most or _MOST_ROWS
    if len(present) <= most:
        return None
    return check_random_state(settings.random_state).choice(present, most, replace=False)


def n_errors(problem: Problem) -> int:
    """How many rows of a sample are predicted from all rows."""
    return max(200, int(min(_MOST_ERRORS, _MOST_PAIRS / np.count_nonzero(~problem.absent))))


def shrinkage(problem: Problem, sample: np.ndarray, n_features: int) -> float:
    """About what the best bandwidth of a sample is to be multiplied by to suit all rows."""
    return float((np.count_nonzero(~problem.absent) / len(sample)) ** (-1 / (n_features + 4)))


def _walk(trials, start):
    """Try multiples in steps down the criterion until its minimum is inside."""
    step = np.sqrt(2)
    trials.try_all(start * step ** np.arange(-2.0, 3.0))
    for _ in range(30):
        multiples = sorted(trials.scores)
        best = min(multiples, key=trials.scores.__getitem__)
        if best == multiples[0] > LADDER[0]:
            trials.try_one(best / step)
        elif best == multiples[-1] < LADDER[-1]:
            trials.try_one(best * step)
        else:
            return
