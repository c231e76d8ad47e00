"""Grid search: multiples of the keys' spreads, and how well each does; the search for the best of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.utils import check_random_state

from sknw._algorithms import Algorithm, build, serving
from sknw._fit._fit import Fit
from sknw._fit._leave_one_out import leave_one_out, left_out_of_path, mean_squares_of_path
from sknw._problem._problem import Problem
from sknw._selection._breakpoints import breakpoints, places_of
from sknw._selection._criteria import CRITERIA, MEAN_SQUARES, SearchOptions, are_lowest, as_errors, equal_within

# Multiples of the spreads that are tried before the best are refined: six decades, so that neither a function that
# oscillates a thousand times over the data nor one that they say nothing about is out of range. Each is the one before
# times the root of two, for which a Gaussian is a square (see `_algorithms/brute/_path.py`).
GRID = 100 * 2.0 ** (np.arange(-40, 1) / 2)

# Below half the distance between neighbours, about n ** (-1 / d) spreads, in many features times a share of the root of
# d, lines and parabolas hang by the nearest samples, and change little with the bandwidth: every fourth multiple is
# enough, and none at all in many features, where the nearest samples are far.
_NARROW, _NARROW_OF_MANY, _NARROW_STEP, _MANY_FEATURES = 0.5, 0.3, 4, 10

# Basins of the criterion that are refined, the lowest first.
_BASINS = 4

# How well the logarithm of the best multiple is known in the end: where all keys count; and where those of a sample do,
# whose choice matters more.
_EXACT, _LIMITED, _SAMPLED = 1e-4, 3e-3, 1e-2

# Decimals of the logarithm of a multiple. More would be those of rounding errors.
_DIGITS = 5

# Logarithms of multiples this close are equal.
_EQUAL = 1e-12

# Beyond this many keys, a search is made on a sample of them, by the errors of a part (a quarter, or half for one
# bandwidth a feature), and refined by errors among all keys: so many, or fewer, for no more pairs of keys than that.
_MAX_KEYS = 2000
_MAX_ERRORS = 1000
_MAX_PAIRS = 5e8

# Of fits in many features, which have many numbers in their sums, so many errors count, or as many as these numbers
# allow.
_MIN_ERRORS, _MAX_NUMBERS = 100, 2**22

# Where a bandwidth takes n log n, the errors of a sample among all keys are enough throughout.
_MAX_KEYS_LOG_LINEAR = 20_000

# On a device all pairs of so many keys take no longer.
_MAX_KEYS_ON_DEVICE = 200_000

# Up to so many pairs of keys, to look at all is faster than n log n.
_FEW_PAIRS = 2**18

# A guess that is nearer to the lowest point need not be tried: the score would change in its tenth digit.
_NEARLY_THERE = 1.5e-5

# Points that a polynomial is drawn through to guess the lowest between them, and how often it is guessed.
_POINTS = 6
_GUESSES = 8

# The criterion of a compact kernel has jumps and kinks where a bandwidth reaches from one sample to another. Bandwidths
# about these are tried, so many for so many pairs of samples, between a least number and a largest, fewer for each
# degree of a polynomial: all where there are no more, else first even ones, then those halfway from each of the lowest
# to the next. Each basin is looked at in so many steps, or fewer.
_PAIRS_TRIED = 2**22
_BREAKPOINTS_TRIED = (48, 1024)
_LOWEST = 8
_STEPS = 16

# A basin may be this many times lower than a parabola through its lowest points, or at an end of what was tried, than
# these differ: if it is not the lowest even then, it is not refined.
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
        self._problem, self._criterion, self._options = problem, criterion, options
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
        given = self._path, multiples[::-1], self._options.fallback, self._options.n_jobs
        if self._criterion in MEAN_SQUARES:
            scores = iter(mean_squares_of_path(*given))
        else:
            scores = map(self._score, left_out_of_path(*given))
        for multiple, score in zip(multiples[::-1], scores, strict=True):
            self._keep(multiple, score)

    def try_one(self, multiple: float) -> float:
        """Compute the criterion at a multiple."""
        if self._path is not None and self._path.is_kept:
            self.try_all(np.array([multiple]))
        else:
            problem = self._problem.with_bandwidth(self._problem.distance.bandwidth * multiple)
            algorithm = self._algorithm = build(self._name, problem, self._algorithm)
            _, fallback, n_jobs = self._options.errors
            self._keep(multiple, self._score(leave_one_out(Fit(algorithm), fallback, n_jobs, self.indices)))
        return self.scores[multiple]

    def _score(self, left_out):
        return CRITERIA[self._criterion](left_out.problem.rows, left_out)

    def _keep(self, multiple, score):
        self.scores[float(multiple)] = score
        self._options.step()

    def try_breakpoints(self) -> bool:
        """Try bandwidths about those where the criterion of a compact kernel has jumps and kinks.

        Whether these have all the scores that there are.
        """
        problem, places = self._problem, places_of(self._problem)
        least, most = _BREAKPOINTS_TRIED
        most = max(least, min(most, _PAIRS_TRIED // len(places) ** 2) >> problem.basis.degree)
        multiples = breakpoints(problem, places, self._options.fallback)
        multiples = multiples[(multiples > GRID[0]) & (multiples < GRID[-1])]
        basins = self._lowest_basins()
        if len(multiples) > 2 * most:
            inside = [(multiples > low) & (multiples < high) for low, *_, high in basins]
            multiples = multiples[np.any(inside, axis=0)]
        if problem.kernel.is_flat:
            self._subdivide(multiples, most)
            return len(multiples) > 0
        n_steps = min(_STEPS, most // _STEPS)
        steps = [np.geomspace(*ends, n_steps + 1)[1:-1] for each in basins for ends in pairwise(each)]
        self._subdivide(np.unique(np.concatenate([multiples, *steps])), most)
        return False

    def _subdivide(self, multiples, most):
        """Try all of these multiples, or so many: even ones, then those halfway from each of the lowest to the next."""
        n_first = len(multiples) if len(multiples) <= most else most // 2
        chosen = np.unique(np.linspace(0, len(multiples) - 1, n_first).astype(int))
        tried = chosen[:0]
        while len(chosen):
            self.try_all(multiples[chosen])
            tried = np.union1d(tried, chosen)
            lowest = np.argsort([self.scores[multiple] for multiple in multiples[tried]], kind="stable")[:_LOWEST]
            gaps = np.append(lowest - 1, lowest)
            gaps = gaps[(gaps >= 0) & (gaps < len(tried) - 1)]
            chosen = np.setdiff1d((tried[gaps] + tried[gaps + 1]) // 2, tried)[: most - len(tried)]

    def refine(self, tolerance: float) -> None:
        """Look for the minimum in each of the lowest basins, between the neighbours of a local minimum.

        tolerance : of the logarithm of the multiple
        """
        # The criterion of a kernel that is positive everywhere is smooth.
        smooth = self._problem.kernel.log_ratio is not None
        for basin in self._lowest_basins():
            if smooth and _deepest(basin, np.array([self.scores[each] for each in basin])) > min(self.scores.values()):
                continue
            bounds = np.log(basin[[0, -1]])
            if np.isfinite(self._problem.limit):
                tolerance = max(tolerance, _LIMITED)
            if not (smooth and self._guess(bounds, tolerance)):
                self._minimise(bounds, tolerance)

    def _lowest_basins(self):
        """The multiples of the lowest local minima, each between its neighbours."""
        multiples, scores = self._tried()
        basins = _basins(as_errors(scores, self._criterion), equal_within(self._problem.rows))
        lowest = basins[np.argsort(scores[basins], kind="stable")][:_BASINS]
        return [multiples[max(k - 1, 0) : k + 2] for k in lowest]

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
        multiples, scores = self._tried()
        return multiples[are_lowest(scores, self._criterion, self._problem.rows)].tolist()


def _basins(errors, margin):
    """Where errors have a local minimum that is no end of a criterion that no longer changes."""
    around = np.pad(errors, 1, constant_values=np.inf)
    bottoms = np.flatnonzero((errors <= around[:-2]) & (errors <= around[2:]) & np.isfinite(errors))
    return bottoms[~_on_plateau(errors, margin)[bottoms]]


def _on_plateau(errors, margin):
    """Which errors, from either end, are those of a criterion that no longer changes: there is nothing to find."""
    equal = np.isclose(errors[1:], errors[:-1], rtol=0, atol=margin)
    from_start, from_end = np.logical_and.accumulate(equal), np.logical_and.accumulate(equal[::-1])[::-1]
    plateau = np.zeros(len(errors), dtype=bool)
    for run in (from_start, from_end):
        plateau[1:] |= run
        plateau[:-1] |= run
    return plateau


def _deepest(multiples, scores):
    """How low the basin of a local minimum between its neighbours may be."""
    if not np.isfinite(scores).all():
        return -np.inf
    if len(scores) < 3:
        return scores.min() - _DEPTH * np.ptp(scores)
    x, y = np.log(multiples / multiples[1]), scores - scores[1]
    second, first, _ = np.polyfit(x, y, 2)
    return scores[1] - (_DEPTH * first**2 / (4 * second) if second > 0 else 0.0)


def _polynomial_minimum(x, y, bounds):
    """Where, between bounds, the polynomial through these points is lowest."""
    unit = np.ptp(x)
    polynomial = np.polynomial.Polynomial.fit((x - x[0]) / unit, y, len(x) - 1)
    roots = polynomial.deriv().roots()
    places = x[0] + unit * roots.real[np.abs(roots.imag) < 1e-8]
    places = np.append(places[(places > bounds[0]) & (places < bounds[1])], bounds)
    return float(places[np.argmin(polynomial((places - x[0]) / unit))])


def grid(problem: Problem) -> np.ndarray:
    """The multiples of `GRID` that are tried for a problem, in ascending order."""
    if problem.basis.keeps_range:
        return GRID
    n_features = np.isfinite(np.broadcast_to(problem.distance.bandwidth, problem.rows.keys.shape[1:])).sum()
    between = problem.rows.n_samples ** (-1 / max(n_features, 1))
    first = int(np.searchsorted(GRID, max(_NARROW, _NARROW_OF_MANY * np.sqrt(n_features)) * between))
    if n_features > _MANY_FEATURES:
        return GRID[first:]
    narrow = np.arange(first - _NARROW_STEP, 0, -_NARROW_STEP)[::-1]
    return np.concatenate([GRID[:1], GRID[narrow], GRID[first:]]) if first else GRID


def search(problem: Problem, criterion: str, options: SearchOptions) -> GridSearch:
    """A search among multiples of a problem's bandwidth, the best among them."""
    log_linear = any(each.is_log_linear(problem) for each in serving(options.algorithm, problem).values())
    device = problem.rows.device
    on_device = device is not None and device.has_float64 and problem.basis.keeps_range
    most = _MAX_KEYS_ON_DEVICE if on_device else _MAX_KEYS_LOG_LINEAR if log_linear else _MAX_KEYS
    sample = sample_keys(problem, options, most)
    if sample is None or log_linear:
        if sample is None:
            sample = sample_keys(problem, options, max(_MIN_ERRORS, _MAX_NUMBERS // problem.n_values))
        all_keys = np.flatnonzero(~problem.rows.zero_weight)
        found = GridSearch(problem, criterion, options, all_keys if sample is None else sample)
        found.try_all(grid(problem))
        ends = problem.kernel.support < np.inf and sample is None
        if not (ends and found.try_breakpoints()):
            found.refine(_EXACT if sample is None else _SAMPLED)
        return found
    first_problem = problem.take(sample)
    first = GridSearch(first_problem, criterion, options, np.arange(len(sample) // 4))
    first.try_all(grid(first_problem))
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
