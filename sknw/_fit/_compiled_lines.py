"""Compiled lines: leave-one-out fits of local lines at many bandwidths by the loops of `_compiled/_lines.py`."""

from __future__ import annotations

import numpy as np

from sknw._compiled import _readiness
from sknw._compiled._kinds import MAX_POSITIVE, kind_of
from sknw._fit._compiled_errors import MAX_RADIUS_SQUARE, in_chunks
from sknw._fit._equivalent_kernels import ROUNDING
from sknw._problem._problem import Problem
from sknw._tiles import map_tiles

# About what a pair takes in NumPy at a bandwidth, and what each number adds to that which is summed.
_SECONDS, _SECONDS_OF_VALUE = 1e-8, 3e-10

# Sums of squared weights, over the shares, above which a fit, seen from the centre of all keys, loses too many digits.
_MAX_SQUARE = 1e3

# Pairs in a tile, at all bandwidths.
_PAIRS = 2**19


def are_compiled(problem: Problem, n_samples: int, n_bandwidths: int) -> bool:
    """Whether compiled loops are to fit so many samples at so many bandwidths."""
    kind = kind_of(problem.kernel)
    if problem.basis.degree != 1 or not problem.distance.has_coordinates or kind is None or kind > MAX_POSITIVE:
        return False
    seconds = n_samples * n_bandwidths * float(len(problem.rows)) * (_SECONDS + _SECONDS_OF_VALUE * problem.n_values)
    return (
        bool(problem.conditions.varies.all())
        and seconds >= _readiness.LEAST_SECONDS
        and _readiness.is_worth("lines", seconds)
    )


def fits_left_out(problem: Problem, indices: np.ndarray, multiples: np.ndarray, n_jobs: int | None) -> np.ndarray:
    """Leave-one-out fits at multiples of a bandwidth, which descend, without the offset of the targets.

    NaN where it takes more to tell: (n_multiples, n_indices, n_outputs).
    """
    from sknw._compiled._lines import put_fits  # it imports numba

    rows, distance, factors = problem.rows, problem.distance, 1 / np.square(multiples)
    fits = np.full((len(multiples), len(indices), rows.targets.shape[1]), np.nan)
    factors = factors[factors * distance.radius_square <= MAX_RADIUS_SQUARE]
    keys, unit = distance.centred(distance.keys).T, np.broadcast_to(distance.scaled_bandwidth, distance.n_coordinates)
    conditions = distance.conditions(problem.ridge, multiples[: len(factors)])
    ratios = np.append(0, factors[1:] / factors[:-1])[: len(factors)]
    given = (
        in_chunks(keys),
        in_chunks(np.vstack([np.ones((1, len(rows))), keys, (rows.targets - rows.frame.offset).T])),
        np.ascontiguousarray(in_chunks(rows.relative_weight[None])[:, 0]),
        (factors, (np.abs(ratios - 2) < 1e-12) & problem.kernel.is_product),
        np.broadcast_to(conditions.penalty, len(keys)) / np.square(unit),
        conditions.least_variances / np.square(unit),
        (problem.limit, problem.limit * (1 + ROUNDING), _MAX_SQUARE),
    )
    own = 1 - 1 / np.maximum(rows.counts[indices], 1)

    def put_tile(tile):
        put_fits(kind_of(problem.kernel), indices[tile], own[tile], *given, fits[:, tile])

    size = max(1, _PAIRS // (len(rows) * max(len(factors), 1)))
    map_tiles(put_tile, len(indices), size, n_jobs)
    return fits
