"""Breakpoints: the bandwidths at which the criterion of a compact kernel jumps."""

from __future__ import annotations

from math import comb

import numpy as np
from scipy.spatial import cKDTree

from sknw._problem._problem import Problem

# Up to so many places, all pairs of them are looked at.
_MAX_PLACES = 1024

# Distances that differ by less, in relation to the larger, are equal but for rounding.
_ROUNDING = 1e-9

# By how much a bandwidth exceeds a distance, in relation to it, to reach so far in any unit.
_MARGIN = 1e-6

# With more features, a tree of samples looks at about all of them.
_MAX_FEATURES_OF_TREE = 10

# Neighbours that a polynomial needs: where it needs more, their distances say little.
_MAX_NEIGHBORS = 6


def places_of(problem: Problem) -> np.ndarray:
    """The different places of the samples that have a weight: (n_places, n_coordinates)."""
    return np.unique(problem.rows.with_weight(problem.distance.keys), axis=0)


def breakpoints(problem: Problem, places: np.ndarray, fallback: str) -> np.ndarray:
    """Multiples of the bandwidth, ascending, between or just above which a criterion can jump; none if there are many.

    Where the kernel ends with a jump, each distance between two samples is such a place, and one multiple is given
    between each two of them: if the kernel is flat, these have all scores there are. Where it ends at zero, a
    prediction jumps where a sample loses its last neighbours, and the multiples are those that just reach them.
    """
    support = problem.kernel.support
    if problem.kernel(support) > 0:
        reached = _distinct(_pair_distances(problem, places))
        return np.sqrt(reached[1:] * reached[:-1]) / support
    n_neighbors = comb(problem.distance.n_coordinates + problem.basis.degree, problem.basis.degree)
    if (n_neighbors == 1 and fallback == "nearest") or n_neighbors > _MAX_NEIGHBORS:
        return np.empty(0)
    return _distinct(_neighbor_distances(problem, places, n_neighbors)) * (1 + _MARGIN) / support


def _pair_distances(problem, places):
    """From each sample to all."""
    if len(places) > _MAX_PLACES:
        return np.empty((0, 1))
    samples = np.flatnonzero(~problem.rows.zero_weight)
    return np.sqrt(problem.distance.squares_of_keys(samples)[:, samples])


def _neighbor_distances(problem, places, n_neighbors):
    """From each place to the nearest others."""
    distance = problem.distance
    if not distance.has_coordinates or distance.n_coordinates > _MAX_FEATURES_OF_TREE:
        pairs = _pair_distances(problem, places)
        return pairs.min(axis=1, where=pairs > 0, initial=np.inf)
    points = distance.centred(places)
    return cKDTree(points).query(points, k=np.arange(2, min(n_neighbors + 1, len(points)) + 1))[0]


def _distinct(distances):
    """Those that are positive, in ascending order, without what differs from another by rounding."""
    distances = np.unique(distances[(distances > 0) & (distances < np.inf)])
    return distances[np.append(True, np.diff(distances) > _ROUNDING * distances[1:])[: len(distances)]]
