"""Compiled lines: leave-one-out fits of local lines at many bandwidths by compiled loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sknw._compiled import _readiness
from sknw._compiled._kinds import MAX_POSITIVE, kind_of
from sknw._fit._compiled_rows import MAX_RADIUS_SQUARE, TILE, CompiledRows
from sknw._fit._equivalent_kernels import ROUNDING
from sknw._problem._problem import Problem
from sknw._tiles import map_tiles

# About what a pair takes in NumPy at a bandwidth, and what each number adds to that which is summed.
_SECONDS, _SECONDS_OF_VALUE = 1e-8, 3e-10

# Sums of squared weights, over the shares, above which a fit loses too many digits: seen from the centre of all keys,
# and from the mean of those in reach. And what an equivalent kernel over the kernel may change by across all keys.
_MAX_SQUARE, _MAX_SQUARE_ABOUT_MEANS = 1e3, 1e6
_MAX_STEEPNESS = 1e5

# A Gaussian at h / sqrt(2) is the square of that at h. Each square doubles the relative error, so that after so many
# the exponential is computed anew.
_MAX_SQUARES = 10


def are_compiled(problem: Problem, n_samples: int, n_bandwidths: int) -> bool:
    """Whether compiled loops are to fit so many samples at so many bandwidths."""
    kind, degree = kind_of(problem.kernel), problem.basis.degree
    if degree > 1 or not problem.distance.has_coordinates or kind is None or kind > MAX_POSITIVE:
        return False
    if degree and not problem.conditions.varies.all():
        return False
    seconds = n_samples * n_bandwidths * float(len(problem.rows)) * (_SECONDS + _SECONDS_OF_VALUE * problem.n_values)
    return seconds >= _readiness.LEAST_SECONDS and _readiness.is_worth("lines", seconds)


def fits_left_out(
    problem: Problem, indices: np.ndarray, multiples: np.ndarray, ridges: Sequence[float], n_jobs: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Leave-one-out fits at multiples of a bandwidth, which descend, with ridges, without the offset of the targets.

    Returns
    -------
    fits : ndarray of shape (n_multiples, n_ridges, n_indices, n_outputs)
        NaN where it takes more to tell.
    of_keys : ndarray of shape (n_multiples, n_ridges, n_indices) of bool
        Where it takes the keys themselves.
    """
    shape = len(multiples), len(ridges), len(indices)
    fits, of_keys = np.full((*shape, problem.rows.targets.shape[1]), np.nan), np.zeros(shape, dtype=bool)
    ladder = _Ladder(problem, multiples, ridges)

    def put_fits(tile):
        ladder.put_fits(indices[tile], fits[:, :, tile], of_keys[:, :, tile])

    map_tiles(put_fits, len(indices), TILE, n_jobs)
    return fits, of_keys


class _Ladder:
    """Leave-one-out fits at multiples of a bandwidth, as far as sums about the centre of all keys tell them."""

    def __init__(self, problem, multiples, ridges):
        distance, self._factors = problem.distance, 1 / np.square(multiples)
        self._limit, self._rows = problem.limit, CompiledRows(problem)
        self._from_nearest = self._rows.may_underflow(self._factors.max())
        ratios = self._factors / np.append(np.inf, self._factors[:-1])
        self._are_doubled = (np.abs(ratios - 2) < 1e-12) & problem.kernel.is_product
        conditions = [distance.conditions(ridge, multiples) for ridge in ridges]
        self._penalties = [self._rows.in_bandwidths(each.penalty) for each in conditions]
        self._least = self._rows.in_bandwidths(conditions[0].least_variances)

    def put_fits(self, samples, fits, of_keys):
        """Put the fits of a few samples in their place, at the widest bandwidth first."""
        from sknw._compiled._rows import square_rows  # it imports numba

        t, lowest = self._rows.squares(samples, self._from_nearest)
        rows, n_squares, faint = np.empty_like(t), 0, np.empty(of_keys.shape[1:], dtype=bool)
        for b, factor in enumerate(self._factors):
            if self._are_doubled[b] and n_squares < _MAX_SQUARES:
                n_squares += 1
                square_rows(rows)
                self._rows.put_own(rows, samples)
            else:
                n_squares = 0
                self._rows.fill(rows, samples, factor, t, lowest)
            moments = self._rows.moments(rows)
            for r, penalty in enumerate(self._penalties):
                faint[r], vague = self._put_lines(samples, rows, moments.copy(), penalty, self._least[b], fits[b, r])
                of_keys[b, r] = faint[r] | vague
            if factor * self._rows.radius**2 > MAX_RADIUS_SQUARE:  # distances are not known well enough for fits
                fits[b] = np.nan
            if faint.all():  # and so at narrower bandwidths
                of_keys[b:] = True
                return

    def _put_lines(self, samples, rows, moments, penalty, least, fits, centres=None):
        """Put the fits from moments in their place; where these do not tell, from those about the means of keys.

        And give for which samples coordinates hardly vary among the keys in reach, and for which they nearly depend on
        each other.
        """
        lines = self._rows.lines(samples, moments, penalty, least, centres)
        told, square, faint, vague = lines.told, lines.steps[:, 0], lines.faint, lines.vague
        if centres is None:
            told &= square < _MAX_SQUARE
        else:
            steepness = self._rows.radius * np.abs(lines.slopes[:, 0]).sum(axis=1)
            told &= (square < _MAX_SQUARE_ABOUT_MEANS) & (steepness < _MAX_STEEPNESS)
        self._hold_limit(lines, rows)
        fits[told] = lines.fits[told]
        left = np.flatnonzero(~told)
        if len(left) and centres is None:
            centres, part, fits_left = lines.means[left, : self._rows.n_terms], rows[left], fits[left]
            moments = self._rows.moments_about(centres, part)
            faint[left], vague[left] = self._put_lines(samples[left], part, moments, penalty, least, fits_left, centres)
            fits[left] = fits_left
        return faint, vague

    def _hold_limit(self, lines, rows):
        """Draw lines towards the mean where their absolute weights exceed the limit."""
        wild = np.flatnonzero(lines.steps[:, 0] > self._limit**2 - 1)
        if len(wild):
            from sknw._compiled._lines import put_steps  # it imports numba

            steps, shape = np.ones(len(rows)), (len(rows), *self._rows.weight.shape)
            # Beside each other in memory, one or many: loops are compiled for each way to lie there.
            means, slopes = np.ascontiguousarray(lines.means), np.ascontiguousarray(lines.slopes[:, 0])
            given = rows.reshape(shape), self._rows.weight, self._rows.about, means, slopes
            put_steps(wild, *given, self._limit, self._limit * (1 + ROUNDING), steps)
            lines.steps[:] *= steps[:, None]
