"""Grid search: multiples of the keys' spreads, and how well each does; the search for the best of them."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.utils import check_random_state

from sknw._algorithms import Algorithm, build, serving
from sknw._fit._fit import Fit
from sknw._fit._leave_one_out import leave_one_out, left_out_of_path
from sknw._problem._problem import Problem
from sknw._selection._criteria import CRITERIA, SearchOptions

# Multiples of the spreads that are tried before the best are refined: six decades, so that neither a function that
# oscillates a thousand times over the data nor one that they say nothing about is out of range. Each is the one before
# times the root of two, for which a Gaussian is a square (see `_algorithms/brute/_path.py`).
GRID = 100 * 2.0 ** (np.arange(-40, 1) / 2)

# Basins of the criterion that are refined, the lowest first.
_BASINS = 4

# How well the logarithm of the best multiple is known in the end: where all keys count; and where those of a sample do,
# whose choice matters more.
_EXACT, _SAMPLED = 1e-4, 1e-2

# Decimals of the logarithm of a multiple. More would be those of rounding errors.
_DIGITS = 5

# Scores this close are equal: the difference is rounding.
_EQUAL = 1e-12

# Beyond this many keys, a search is made on a sample of them, by the errors of a part (a quarter, or half for one
# bandwidth a feature), and refined by errors among all keys: so many, or fewer, for no more pairs of keys than that.
_MAX_KEYS = 2000
_MAX_ERRORS = 1000
_MAX_PAIRS = 5e8

# Where a bandwidth takes n log n, the errors of a sample among all keys are enough throughout.
_MAX_KEYS_LOG_LINEAR = 20_000

# Up to so many pairs of keys, to look at all is faster than n log n.
_FEW_PAIRS = 2**18

# A guess that is nearer to the lowest point need not be tried: the score would change in its tenth digit.
_NEARLY_THERE = 1.5e-5

# Points that a polynomial is drawn through to guess the lowest between them, and how often it is guessed.
_POINTS = 6
_GUESSES = 8

# A basin may be this many times lower than a parabola through its lowest points: if it is not the lowest even then, it
# is not refined.
_DEPTH = 4


class GridSearch:
    """Multiples of a bandwidth that have been tried, and their scores.

    Parameters
    ----------
    problem : Problem
        With the bandwidth that is multiplied.
    criterion : str
    options : SearchOptions
    indices : ndarray of shape (n_indices,)
        The keys whose errors count.
    """

    def __init__(self, problem: Problem, criterion: str, options: SearchOptions, indices: np.ndarray):
        self._problem, self._criterion, self._options = problem, CRITERIA[criterion], options
        # Neighbours in memory are neighbours on the line, if the keys are on one.
        self.indices = indices[np.argsort(problem.distance.keys[indices, 0])]
        self.scores: dict[float, float] = {}
        served = serving(options.algorithm, problem).values()
        paths = [each for each in served if each.offers_path(problem, len(indices))]
        log_linear = [each for each in served if each.is_log_linear(problem)]
        few = len(indices) * len(problem.rows) <= _FEW_PAIRS
        self._path = paths[0].path(problem, self.indices) if paths and (few or not log_linear) else None
        # To choose takes longer than what n log n needs for few keys, and so does all else for many.
        self._name = log_linear[0].name if log_linear else options.algorithm
        self._algorithm: Algorithm | None = None

    def try_all(self, multiples: np.ndarray) -> None:
        """Compute the criterion at these multiples, in ascending order."""
        if self._path is None:
            for multiple in multiples:
                self.try_one(multiple)
            return
        left_out = left_out_of_path(self._path, multiples[::-1], self._options.fallback, self._options.n_jobs)
        for multiple, each in zip(multiples[::-1], left_out, strict=True):
            self._keep(multiple, each)

    def try_one(self, multiple: float) -> float:
        """Compute the criterion at a multiple."""
        if self._path is not None and self._path.is_kept:
            self.try_all(np.array([multiple]))
        else:
            problem = self._problem.with_bandwidth(self._problem.distance.bandwidth * multiple)
            algorithm = self._algorithm = build(self._name, problem, self._algorithm)
            _, fallback, n_jobs = self._options.errors
            self._keep(multiple, leave_one_out(Fit(algorithm), fallback, n_jobs, self.indices))
        return self.scores[multiple]

    def _keep(self, multiple, left_out):
        self.scores[float(multiple)] = self._criterion(left_out.problem.rows, left_out)
        self._options.step()

    def refine(self, tolerance: float) -> None:
        """Look for the minimum in each of the lowest basins, between the neighbours of a local minimum.

        tolerance : of the logarithm of the multiple
        """
        multiples, scores = self._tried()
        basins = _basins(scores)
        for k in basins[np.argsort(scores[basins], kind="stable")][:_BASINS]:
            bounds = np.log(multiples[[max(k - 1, 0), min(k + 1, len(multiples) - 1)]])
            # The criterion of a kernel that is positive everywhere is smooth.
            smooth = self._problem.kernel.log_ratio is not None
            if smooth and _deepest(multiples, scores, k) > min(self.scores.values()):
                continue
            if not (smooth and self._guess(bounds, tolerance)):
                self._minimise(bounds, tolerance)

    def _minimise(self, bounds, tolerance):
        """Look between bounds by golden sections and parabolas."""
        minimize_scalar(self._try_power, bounds=bounds, method="bounded", options={"xatol": tolerance})

    def _guess(self, bounds, tolerance):
        """Try the minima of polynomials through the lowest points between bounds, until these stay where they are."""
        for _ in range(_GUESSES):
            multiples, scores = self._tried()
            powers = np.log(multiples)
            inside = np.flatnonzero((powers >= bounds[0] - _EQUAL) & (powers <= bounds[1] + _EQUAL))
            k = inside[scores[inside].argmin()]
            bounds = powers[max(k - 1, inside[0])], powers[min(k + 1, inside[-1])]
            known = np.flatnonzero(np.isfinite(scores))
            near = known[np.argsort(np.abs(powers[known] - powers[k]), kind="stable")[:_POINTS]]
            guess = round(_polynomial_minimum(powers[near], scores[near], bounds), _DIGITS)
            if abs(guess - powers[k]) < _NEARLY_THERE:
                return True
            self._try_power(guess)
            if abs(guess - powers[k]) < tolerance:
                return True
        return False

    def interpolate(self) -> None:
        """Try the vertex of the parabola through the lowest score and its neighbours."""
        multiples, scores = self._tried()
        k = int(scores.argmin())
        if 0 < k < len(scores) - 1:
            x, y = np.log(multiples[k - 1 : k + 2]), scores[k - 1 : k + 2]
            second, first, _ = np.polyfit(x - x[1], y - y[1], 2)
            if second > 0:
                self.try_all(np.exp([x[1] - first / (2 * second)]))

    def climb(self, start: float) -> None:
        """Try multiples in steps down the criterion until its minimum is inside."""
        step = np.sqrt(2)
        self.try_all(start * step ** np.arange(-2.0, 3.0))
        for _ in range(30):
            multiples = sorted(self.scores)
            best = min(multiples, key=self.scores.__getitem__)
            if best == multiples[0] > GRID[0]:
                self.try_one(best / step)
            elif best == multiples[-1] < GRID[-1]:
                self.try_one(best * step)
            else:
                return

    def _try_power(self, power):
        # A minimiser can do nothing with infinity.
        highest = max(score for score in self.scores.values() if np.isfinite(score))
        return min(self.try_one(float(np.exp(round(power, _DIGITS)))), highest)

    def _tried(self):
        """The multiples in ascending order, and their scores."""
        multiples = np.array(sorted(self.scores))
        return multiples, np.array([self.scores[multiple] for multiple in multiples])

    @property
    def minimisers(self) -> list[float]:
        """The multiples with the lowest score, in ascending order."""
        scores = np.array(list(self.scores.values()))
        finite = scores[np.isfinite(scores)]
        if not len(finite):
            return sorted(self.scores)
        limit = finite.min() + _EQUAL * np.median(np.abs(finite))
        return sorted(multiple for multiple, score in self.scores.items() if score <= limit)


def _basins(scores):
    """Where scores have a local minimum that is no end of a criterion that no longer changes."""
    around = np.pad(scores, 1, constant_values=np.inf)
    bottoms = np.flatnonzero((scores <= around[:-2]) & (scores <= around[2:]) & np.isfinite(scores))
    return bottoms[~_on_plateau(scores)[bottoms]]


def _on_plateau(scores):
    """Which scores, from either end, are those of a criterion that no longer changes: there is nothing to find."""
    margin = _EQUAL * np.median(np.abs(scores[np.isfinite(scores)])) if np.isfinite(scores).any() else 0.0
    equal = np.isclose(scores[1:], scores[:-1], rtol=0, atol=margin)
    from_start, from_end = np.logical_and.accumulate(equal), np.logical_and.accumulate(equal[::-1])[::-1]
    plateau = np.zeros(len(scores), dtype=bool)
    for run in (from_start, from_end):
        plateau[1:] |= run
        plateau[:-1] |= run
    return plateau


def _deepest(multiples, scores, k):
    """How low the basin about a local minimum may be."""
    if not 0 < k < len(scores) - 1 or not np.isfinite(scores[k - 1 : k + 2]).all():
        return -np.inf
    x, y = np.log(multiples[k - 1 : k + 2] / multiples[k]), scores[k - 1 : k + 2] - scores[k]
    second, first, _ = np.polyfit(x, y, 2)
    return scores[k] - (_DEPTH * first**2 / (4 * second) if second > 0 else 0.0)


def _polynomial_minimum(x, y, bounds):
    """Where, between bounds, the polynomial through these points is lowest."""
    unit = np.ptp(x)
    polynomial = np.polynomial.Polynomial.fit((x - x[0]) / unit, y, len(x) - 1)
    roots = polynomial.deriv().roots()
    places = x[0] + unit * roots.real[np.abs(roots.imag) < 1e-8]
    places = np.append(places[(places > bounds[0]) & (places < bounds[1])], bounds)
    return float(places[np.argmin(polynomial((places - x[0]) / unit))])


def search(problem: Problem, criterion: str, options: SearchOptions) -> GridSearch:
    """A search among multiples of a problem's bandwidth, the best among them."""
    log_linear = any(each.is_log_linear(problem) for each in serving(options.algorithm, problem).values())
    sample = sample_keys(problem, options, _MAX_KEYS_LOG_LINEAR if log_linear else _MAX_KEYS)
    if sample is None or log_linear:
        all_keys = np.flatnonzero(~problem.rows.zero_weight)
        found = GridSearch(problem, criterion, options, all_keys if sample is None else sample)
        found.try_all(GRID)
        found.refine(_EXACT if sample is None else _SAMPLED)
        return found
    first = GridSearch(problem.take(sample), criterion, options, np.arange(len(sample) // 4))
    first.try_all(GRID)
    found = GridSearch(problem, criterion, options, sample[: n_errors(problem)])
    found.climb(first.minimisers[-1] * shrinkage(problem, sample, np.isfinite(problem.distance.bandwidth).sum()))
    found.interpolate()
    return found


def sample_keys(problem: Problem, options: SearchOptions, most: int = _MAX_KEYS) -> np.ndarray | None:
    """The keys that a search begins with; None, and so all, unless they are more than so many."""
    with_weight = np.flatnonzero(~problem.rows.zero_weight)
    if len(with_weight) <= most:
        return None
    return check_random_state(options.random_state).choice(with_weight, most, replace=False)


def n_errors(problem: Problem) -> int:
    """How many keys of a sample are predicted from all keys."""
    return max(200, int(min(_MAX_ERRORS, _MAX_PAIRS / np.count_nonzero(~problem.rows.zero_weight))))


def shrinkage(problem: Problem, sample: np.ndarray, n_features: int) -> float:
    """About what the best bandwidth of a sample is to be multiplied by to suit all keys."""
    return float((np.count_nonzero(~problem.rows.zero_weight) / len(sample)) ** (-1 / (n_features + 4)))
