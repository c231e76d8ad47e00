"""Equivalent kernels: those of queries, from sums where these determine them, and from the keys where they do not.

A fit is a sum of targets with effective weights, which sum up to one. If their absolute values sum up to L, it leaves
the range of the targets in reach by at most (L - 1) / 2 of it::

    sum_j a_j y_j = middle + sum_j a_j (y_j - middle),    |y_j - middle| <= range / 2

A limit of L is held by drawing a line towards the weighted mean, and a parabola towards the line, by the least that it
takes. Interpolation, as between two places, has L = 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._problem._conditions import Conditions
from sknw._problem._definition import kernel_rows
from sknw._problem._local_fit import EquivalentKernel, are_faint, equivalent_kernel, fits_of_kernels
from sknw._problem._monomials import monomials
from sknw._problem._problem import Problem
from sknw._problem._reach import Queries, nearest_places, nearest_reach, whole_reach
from sknw._problem._sums import Sums
from sknw._tiles import batches, map_tiles, row_batch

# L is held within this.
ROUNDING = 1e-9

# What rounding may change an effective weight by.
_MAX_ROUNDING = 1e-12

# Sums of squared weights, over the shares, above which a kernel has to be made from the keys to be limited.
_MAX_SQUARE = 1e6

# Up to this square of the largest distance from the middle, in bandwidths, and for levers whose parts are below the
# second, single precision serves; it errs by less than the third, a share, then. No squared distance is as large as the
# fourth, and weights below the exponential of the fifth, which would be subnormal, count as that. The sixth stands for
# a squared distance of zero.
_MAX_RADIUS_SQUARE, _STEEP, _SURELY_BELOW, _FAR, _LOWEST_LOG, _NEAR = 1e4, 1e4, 0.98, 1e6, -80.0, 1e-20

# Places that lines are first seen to hang by, beside one for each coordinate.
_FEW_PLACES = 4

# Queries that a thread looks at together.
_TILE = 1024

# Numbers of queries, keys and coordinates that are held at a time.
_NUMBERS = 2**20


class EquivalentKernels(NamedTuple):
    """Equivalent kernels of queries, and what they were made from.

    Parameters
    ----------
    sums : Sums
        Of the queries, some made anew.
    kernels : EquivalentKernel
    polynomials : ndarray of shape (n_queries, n_monomials, n_outputs)
        The factors of the same monomials in what is fitted to the targets.
    of_keys : ndarray of shape (n_queries,) of bool
        Which sums were made anew, from the keys.
    is_drawn : ndarray of shape (n_queries,) of bool
        Which kernels the limit has changed.
    """

    sums: Sums
    kernels: EquivalentKernel
    polynomials: np.ndarray
    of_keys: np.ndarray
    is_drawn: np.ndarray

    def take(self, some: np.ndarray | slice) -> EquivalentKernels:
        """Those of some queries."""
        slopes, means, terms = self.kernels
        kernels = EquivalentKernel(slopes[some], means[some], terms)
        polynomials, of_keys, is_drawn = (part[some] for part in self[2:])
        return EquivalentKernels(self.sums.take(some), kernels, polynomials, of_keys, is_drawn)

    def fits(self, basis) -> np.ndarray:
        """The fits, (n_queries, n_outputs), without the offset of the targets."""
        return fits_of_kernels(basis, self.sums, self.kernels)

    def at(self, basis, points: np.ndarray) -> np.ndarray:
        """The value of each query's kernel at a point of its own, (n_queries, n_coordinates): (n_queries,)."""
        return self.kernels.at(basis.seen_from(points, self.sums.expansion_point))


def limit_for(n_features: int) -> float:
    """A limit that only fits which are hardly determined meet.

    3 lets fits leave the range of the targets by one range. The absolute weights in a plane fitted to n samples of
    normal features sum up to about sqrt(2 n_features / pi) at a typical sample, for any n, so that many features take
    more.
    """
    return max(3.0, float(np.sqrt(n_features + 2)))


def equivalent_kernels(
    problem: Problem,
    sums: Sums,
    queries: np.ndarray,
    left_out: np.ndarray | None = None,
    multiples: np.ndarray | None = None,
    conditions: Conditions | None = None,
) -> EquivalentKernels:
    """The equivalent kernels of queries in reach of a key, for a basis of a degree above zero.

    Parameters
    ----------
    sums : Sums
        At the queries.
    left_out : ndarray of shape (n_queries,), default=None
        For each query the index of a row of which one sample is not in the sums.
    multiples : ndarray of shape (n_queries,), default=None
        Of the problem's bandwidth, where each query has one of its own.
    conditions : Conditions, default=None
        With these; those of the problem by default.
    """
    conditions = problem.conditions if conditions is None else conditions
    found, wild = _from_sums(problem, sums, queries, conditions)
    if not (found.of_keys | wild).any():
        return found
    near = _nearest_places(problem, queries, found.of_keys, None if multiples is None else left_out)
    each = np.ones(len(queries)) if multiples is None else multiples
    flagged = Queries(queries, left_out, each[:, None], near, conditions)
    for look, chosen in ((_draw_in, wild), (_look_at_keys, found.of_keys)):
        indices = np.flatnonzero(chosen)
        if len(indices):
            look(problem, found, indices, flagged.take(indices))
    return found


def fits_of_nearest(
    problem: Problem, queries: np.ndarray, left_out: np.ndarray, multiples: np.ndarray, n_jobs: int | None = None
) -> np.ndarray:
    """The fits of lines that hang by the keys next to queries alone, without the offset: (n_queries, n_outputs).

    NaN for queries for which other keys matter.

    Parameters
    ----------
    left_out : ndarray of shape (n_queries,)
        For each query the index of a row of which one sample does not count.
    multiples : ndarray of shape (n_queries,)
        Of the problem's bandwidth, which each query has.
    """
    near = _nearest_places(problem, queries, np.ones(len(queries), dtype=bool), left_out)
    conditions, terms = problem.distance.conditions(problem.ridge, multiples), monomials(queries.shape[1], 1)
    flagged = Queries(queries, left_out, multiples[:, None], near, conditions)
    slopes, means = np.zeros((2, *queries.shape))
    polynomials, of_keys = np.zeros((*queries.shape, problem.rows.targets.shape[1])), np.zeros(len(queries), dtype=bool)
    kernels = EquivalentKernel(slopes, means, terms)
    found = EquivalentKernels(problem.empty_sums(len(queries)), kernels, polynomials, of_keys, of_keys.copy())

    def put_nearest(batch):
        found.of_keys[batch] = True
        indices = np.arange(batch.start, batch.stop)
        found.of_keys[indices[_put_nearest(problem, found, indices, flagged.take(batch))]] = False

    map_tiles(put_nearest, len(queries), _TILE, n_jobs)
    with np.errstate(invalid="ignore"):
        return np.where(found.of_keys[:, None], found.fits(problem.basis), np.nan)


def _from_sums(problem, sums, queries, conditions):
    """Equivalent kernels, those of keys to be made, and those for which the limit has to be looked at."""
    basis = problem.basis
    faint = are_faint(basis, sums, conditions) if basis.degree else np.zeros(len(queries), dtype=bool)
    is_drawn = np.zeros(len(queries), dtype=bool)
    if not faint.any():
        kernels, polynomials, vague = equivalent_kernel(basis, sums, queries, conditions)
    else:
        rest = np.flatnonzero(~faint)
        some, slopes, vague = equivalent_kernel(basis, sums.take(rest), queries[rest], conditions.take(rest))
        shape = len(queries), some.slopes.shape[1]
        kernels = EquivalentKernel(np.zeros(shape), np.zeros(shape), some.terms)
        polynomials = np.zeros((*shape, slopes.shape[2]))
        kernels.slopes[rest], kernels.means[rest], polynomials[rest] = some.slopes, some.means, slopes
        faint[rest], vague = vague, faint
    square = kernels.at(basis.seen_from(queries, sums.expansion_point))
    # Of a steep parabola, sums about a point far from the keys in reach tell too little.
    vague |= (square > (_MAX_SQUARE if basis.degree == 1 else problem.limit**2)) & (problem.limit < np.inf)
    wild = ~vague & (square > problem.limit**2)
    if vague.any():
        sums = Sums(*(part.copy(order="K") for part in sums))
    return EquivalentKernels(sums, kernels, polynomials, vague, is_drawn), wild


def _nearest_places(problem, queries, flagged, sample):
    """The numbers of the places next to flagged queries, of which those of one sample are the same."""
    if not flagged.any():
        return np.empty((0, 0), dtype=int)
    indices = np.flatnonzero(flagged)
    names = indices if sample is None else sample[indices]
    _, first, back = np.unique(names, return_index=True, return_inverse=True)
    found = nearest_places(problem, queries[indices[first]])
    near = np.empty((len(queries), found.shape[1]), dtype=int)
    near[indices] = found[back]
    return near


def _look_at_keys(problem, found, indices, queries):
    """Put the equivalent kernels of queries that are made from the keys, with all digits of their weights."""
    rest = _put_nearest(problem, found, indices, queries)
    for batch in batches(len(rest), max(1, _NUMBERS // problem.rows.keys.size)):
        some = queries.take(rest[batch])
        _put_reach(problem, found, indices[rest[batch]], some, whole_reach(problem, some))


def _put_nearest(problem, found, indices, queries):
    """Put the equivalent kernels of queries that hang by the places next to them alone; and give which others remain.

    A line mostly hangs by few.
    """
    n_places, n_coordinates = queries.near.shape[1], queries.points.shape[1]
    few = (min(n_places, _FEW_PLACES + n_coordinates),) if problem.basis.degree == 1 else ()
    rest = np.arange(len(queries.points))
    for n_near in (*few, n_places):
        known = np.empty(len(rest), dtype=bool)
        for batch in batches(len(rest), max(1, _NUMBERS // (n_near * n_coordinates))):
            some = queries.take(rest[batch])
            reach, known[batch] = nearest_reach(problem, some._replace(near=some.near[:, :n_near]))
            if known[batch].any():
                here = np.flatnonzero(known[batch])
                _put_reach(problem, found, indices[rest[batch][here]], some.take(here), reach.take(here))
        rest = rest[~known]
    return rest


def _put_reach(problem, found, indices, queries, reach):
    """Put the equivalent kernels of queries that reach these keys."""
    sums = reach.sums(problem)
    kernels, polynomials, _ = equivalent_kernel(problem.basis, sums, queries.points, queries.conditions, of_keys=True)
    square = kernels.at(queries.points - reach.heaviest)
    # Where directions are softly left out of a parabola, the sum of squares is no bound.
    wild = np.flatnonzero((square > problem.limit**2) | (problem.basis.degree == 2 and problem.limit < np.inf))
    if len(wild):
        some, offsets = reach.take(wild), reach.offsets[wild]
        terms = kernels.terms(offsets.reshape(-1, offsets.shape[2]))[:-1].reshape(-1, *offsets.shape[:2])
        deviations = terms.swapaxes(0, 1) - kernels.means[wild][:, :, None]
        weights = some.values[:, :, -1]
        drawn, bent = _drawn_in(
            problem,
            queries.take(wild),
            sums.take(wild),
            kernels.slopes[wild],
            polynomials[wild],
            weights / weights.sum(axis=1, keepdims=True),
            lambda slopes: np.einsum("mi,mij->mj", slopes, deviations),
        )
        found.is_drawn[indices[wild]] = (drawn != kernels.slopes[wild]).any(axis=1)
        kernels.slopes[wild], polynomials[wild] = drawn, bent
    found.sums.put(indices, sums)
    found.kernels.slopes[indices], found.kernels.means[indices] = kernels.slopes, kernels.means
    found.polynomials[indices] = polynomials


def _draw_in(problem, found, indices, queries):
    """Put the slopes that the limit allows, for queries whose sums have all digits."""
    values = found.kernels.terms(problem.distance.keys - problem.distance.middle)
    rows = _SinglePrecision(problem, values)

    def draw_in(batch):
        about_middle = _about_middle(problem, found.take(indices[batch]))
        over = batch.start + np.flatnonzero(rows.may_exceed_limit(queries.take(batch), about_middle))
        if len(over):
            _draw_in_batch(problem, found, indices[over], queries.take(over), values)

    map_tiles(draw_in, len(indices), row_batch(len(problem.rows)), None)


def _draw_in_batch(problem, found, indices, queries, values):
    """The same for some of them, with values of the monomials of all keys about their middle."""
    terms, largest = found.kernels.terms, np.abs(values).max(axis=1) * np.finfo(float).eps
    local, shares = found.take(indices), _shares(problem, queries)

    def levers(slopes):
        kernels = local.kernels._replace(slopes=slopes)
        about_middle = _about_middle(problem, local._replace(kernels=kernels))
        found = about_middle @ values
        # Seen from the middle of all, steep kernels cancel at keys that are far from it.
        error = np.abs(about_middle) @ largest
        steep = np.flatnonzero(error > _MAX_ROUNDING)
        query, key = np.nonzero(shares[steep] > _MAX_ROUNDING / error[steep, None])
        query = steep[query]
        z = problem.basis.seen_from(problem.distance.keys[key], local.sums.expansion_point[query])
        found[query, key] = np.einsum("ni,ni->n", slopes[query], terms(z)[:-1].T - kernels.means[query])
        return found

    drawn, bent = _drawn_in(problem, queries, local.sums, local.kernels.slopes, local.polynomials, shares, levers)
    found.is_drawn[indices] = (drawn != local.kernels.slopes).any(axis=1)
    found.kernels.slopes[indices], found.polynomials[indices] = drawn, bent


def _about_middle(problem, local):
    """What equivalent kernels add to 1, as coefficients about the middle of all keys: (n_queries, n_monomials + 1)."""
    slopes, means, terms = local.kernels
    constant = -np.einsum("mi,mi->m", slopes, means)
    return terms.shifted(np.column_stack([slopes, constant]), problem.distance.middle - local.sums.expansion_point)


def _have_copies(problem, queries):
    """For which queries other samples of the row remain, of which one is left out: (n_queries,)."""
    if queries.left_out is None:
        return np.zeros(len(queries.points), dtype=bool)
    return problem.rows.counts[queries.left_out] > 1


def _shares(problem, queries):
    """The shares of keys in kernel sums: (n_queries, n_keys)."""
    rows, left_out = problem.rows, queries.left_out
    copies = _have_copies(problem, queries)
    if copies.any() and not copies.all():
        shares = np.empty((len(copies), len(rows)))
        shares[copies], shares[~copies] = (_shares(problem, queries.take(some)) for some in (copies, ~copies))
        return shares
    shares, _ = kernel_rows(problem, queries.points, None if copies.any() else left_out, queries.multiples**-2.0)
    if copies.any():
        shares[np.arange(len(shares)), left_out] *= 1 - 1 / rows.counts[left_out]
    shares *= rows.relative_weight
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


class _SinglePrecision:
    """Sums of absolute weights in single precision, to tell for which queries they are far below the limit.

    Parameters
    ----------
    problem : Problem
    values : ndarray of shape (n_monomials + 1, n_keys)
        Of the monomials of all keys about their middle.
    """

    def __init__(self, problem, values):
        self._problem, self._values, self._largest = problem, values.astype(np.float32), np.abs(values).max(axis=1)
        points = problem.distance.centred(problem.distance.keys)
        lengths = np.square(points).sum(axis=1)
        self._keys = np.vstack([-2 * points.T, lengths, np.ones(len(points))]).astype(np.float32)
        self._radius_square = lengths.max()
        self._weight = problem.rows.relative_weight.astype(np.float32)

    def may_exceed_limit(self, queries, about_middle):
        """Which equivalent kernels, with these coefficients, may have weights that exceed the limit: (n_queries,)."""
        if _have_copies(self._problem, queries).any():
            return np.ones(len(about_middle), dtype=bool)
        points, kernel = self._problem.distance.centred(queries.points), self._problem.kernel
        lengths, factor = np.square(points).sum(axis=1, keepdims=True), queries.multiples**-2.0
        far = np.maximum(lengths, self._radius_square) * factor > _MAX_RADIUS_SQUARE
        factor[far] = 1
        t = (np.hstack([points, np.ones_like(lengths), lengths]) * factor).astype(np.float32) @ self._keys
        self._problem.rows.exclude(t, queries.left_out, np.inf)
        if kernel.log_ratio is None:
            weights = kernel.of_square(np.maximum(t, 0, out=t))
        else:
            lowest = t.min(axis=1, keepdims=True)
            t -= lowest
            logs = kernel.log_ratio(np.maximum(lowest, _NEAR), np.minimum(t, _FAR, out=t))
            weights = np.exp(np.maximum(logs, _LOWEST_LOG, out=logs), out=logs)
        weights *= self._weight
        levers = about_middle.astype(np.float32) @ self._values
        levers += 1
        levers *= weights
        total = np.abs(levers, out=levers).sum(axis=1)
        steep = np.abs(about_middle) @ self._largest > _STEEP
        return ~(total < _SURELY_BELOW * self._problem.limit * weights.sum(axis=1)) | far[:, 0] | steep


def _drawn_in(problem, queries, sums, slopes, polynomials, shares, levers):
    """Slopes of equivalent kernels, and polynomials, that hold the limit: (n_queries, n_monomials, ...).

    levers : callable
        Gives what slopes add to 1 at each key: (n_queries, n_keys).
    """
    basis, limit = problem.basis, problem.limit
    if basis.degree == 1:
        step = largest_step(shares, shares * levers(slopes), limit)[:, None]
        return slopes * step, polynomials * step[:, :, None]
    line, flat = np.zeros_like(slopes), np.zeros_like(polynomials)
    linear, tilted, _ = equivalent_kernel(basis, sums, queries.points, queries.conditions, degree=1)
    n_linear = linear.slopes.shape[1]
    line[:, -n_linear:], flat[:, -n_linear:] = linear.slopes, tilted
    change = shares * levers(line)
    step = largest_step(shares, change, limit)[:, None]
    line, flat, weights = line * step, flat * step[:, :, None], shares + change * step
    step = largest_step(weights, shares * levers(slopes - line), limit)[:, None]
    return line + step * (slopes - line), flat + step[:, :, None] * (polynomials - flat)


def largest_step(weights: np.ndarray, change: np.ndarray, limit: float) -> np.ndarray:
    """The largest t in [0, 1] with ``sum |weights + t * change| <= limit``: (n_queries,).

    The sum is convex in t, and not above the limit at 0, so that Newton's method from 1 comes down to it.
    """
    step, rest = np.ones(len(weights)), np.arange(len(weights))
    while len(rest):
        at = weights + step[rest, None] * change
        total = np.abs(at).sum(axis=1)
        over = np.flatnonzero(total > limit * (1 + ROUNDING))
        slope = np.einsum("mj,mj->m", np.sign(at[over]), change[over])
        with np.errstate(divide="ignore"):
            lower = step[rest[over]] - (total[over] - limit) / slope
        # Beyond rounding, it descends.
        moved = (slope > 0) & (lower < step[rest[over]])
        step[rest[over]] = np.where(moved, np.maximum(lower, 0), step[rest[over]])
        over = over[moved & (lower > 0)]
        rest, weights, change = rest[over], weights[over], change[over]
    return step
