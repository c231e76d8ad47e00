"""Compiled rows: sums about samples, and lines from them, by the loops of `_compiled` and products of matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sknw._accuracy import MIN_EIGENVALUE, NO_EIGENVALUE
from sknw._compiled._kinds import CHUNK, LAST_DECAYING, PADDING, kind_of
from sknw._problem._problem import Problem

# Up to this square of the largest distance from the centre, in bandwidths, differences of centred coordinates give
# squared distances to ten digits.
MAX_RADIUS_SQUARE = 1e8

# Where the logarithm of the weight of the farthest key is above this, sums in units of K(0) do not underflow.
_LOWEST_LOG = -500.0

# What squares of inverses of correlations may add up to: more tells of small eigenvalues, in which rounding would
# decide. About the centre of all keys, it is larger.
_MAX_INVERSE_ABOUT_MEANS = MIN_EIGENVALUE**-2
_MAX_INVERSE = _MAX_INVERSE_ABOUT_MEANS / 100

# Eigenvalues of correlations that are well between those of terms that are independent, and that depend on each other.
_SURELY_VAGUE = NO_EIGENVALUE / 10, MIN_EIGENVALUE / 2

# Samples that are looked at together: few enough that their rows stay in the cache between steps.
TILE = 128


class Lines(NamedTuple):
    """Lines fitted about samples, or weighted means, from sums.

    Parameters
    ----------
    total : ndarray of shape (n_samples,)
        The sums of weights.
    means : ndarray of shape (n_samples, n_terms + n_outputs)
        Of coordinates, in bandwidths about the centre of all keys, and of targets without their offset.
    slopes : ndarray of shape (n_samples, 1 + n_outputs, n_terms)
        Those of equivalent kernels, and of the lines.
    steps : ndarray of shape (n_samples, 1 + n_outputs)
        What equivalent kernels over the kernel are beyond 1, and lines beyond the means of targets, at the samples.
    told : ndarray of shape (n_samples,) of bool
        Where the sums tell these.
    faint : ndarray of shape (n_samples,) of bool
        Where some coordinate hardly varies, as far as sums tell that.
    vague : ndarray of shape (n_samples,) of bool
        Where coordinates surely depend on each other nearly, but not quite.
    """

    total: np.ndarray
    means: np.ndarray
    slopes: np.ndarray
    steps: np.ndarray
    told: np.ndarray
    faint: np.ndarray
    vague: np.ndarray

    @property
    def fits(self) -> np.ndarray:
        """The fits, (n_samples, n_outputs), without the offset of the targets."""
        return self.means[:, self.slopes.shape[2] :] + self.steps[:, 1:]


class CompiledRows:
    """Rows of the kernel matrix of a problem at its own keys, and what is summed by them.

    Attributes
    ----------
    keys : ndarray of shape (n_chunks, n_coordinates + PADDING, CHUNK)
        Their coordinates in bandwidths, about their centre. Keys without weight fill up the last chunk.
    weight : ndarray of shape (n_chunks, CHUNK)
    about : ndarray of shape (n_chunks, 1 + n_terms + n_outputs + PADDING, CHUNK)
        Ones, the coordinates that lines are fitted in, and the targets without their offset.
    n_terms : int
        How many coordinates that are.
    radius : float
        The largest distance of a key from the centre.
    """

    def __init__(self, problem: Problem):
        rows, distance = problem.rows, problem.distance
        kind = kind_of(problem.kernel)
        assert kind is not None
        self._kind, self._counts = kind, rows.counts
        self._is_product, self._log_profile = problem.kernel.is_product, problem.kernel.log_profile
        self.radius = float(np.sqrt(distance.radius_square))
        keys = distance.centred(distance.keys).T
        terms, targets = keys[: problem.basis.n_expanded(len(keys))], rows.targets - rows.frame.offset
        self.keys, self.about = in_chunks([keys]), in_chunks([np.ones((1, len(rows))), terms, targets.T])
        self.weight = np.ascontiguousarray(in_chunks([rows.relative_weight[None]])[:, 0])
        self._points = np.zeros((len(rows), len(keys) + PADDING))
        self._points[:, : len(keys)] = keys.T
        about = np.ascontiguousarray(self.about.swapaxes(0, 1)).reshape(self.about.shape[1], -1)[:-PADDING]
        products = [row * self.weight.ravel() * about[k:] for k, row in enumerate(about[: len(terms) + 1])]
        # Products of matrices are faster with numbers of columns like these.
        self._columns = np.zeros((-(-sum(map(len, products)) // 8) * 8, self.weight.size))
        np.concatenate(products, out=self._columns[: sum(map(len, products))])
        self.n_terms, self._unit = len(terms), np.square(np.broadcast_to(distance.scaled_bandwidth, len(keys)))

    def in_bandwidths(self, squares: np.ndarray | float) -> np.ndarray:
        """Squares of coordinates that lines are fitted in, (..., n_coordinates), in bandwidths: (..., n_terms)."""
        return np.ascontiguousarray((squares / self._unit)[..., : self.n_terms])

    def own(self, samples: np.ndarray) -> np.ndarray:
        """What is left of the own weight of samples of these indices."""
        return 1 - 1 / np.maximum(self._counts[samples], 1)

    def may_underflow(self, factor: float) -> bool:
        """Whether sums in units of K(0) may be too small for a float where squared distances are multiplied so."""
        return bool(self._log_profile(np.sqrt([factor]) * 2 * self.radius)[0] < _LOWEST_LOG)

    def squares(self, samples: np.ndarray, from_nearest: bool) -> tuple[np.ndarray, np.ndarray]:
        """Squared distances of samples from all keys, in rows, and what was subtracted of each row.

        That is the lowest, but for the sample itself, if it is wanted, of samples of whose own weight nothing is left;
        else zero.
        """
        from sknw._compiled._rows import fill_squares, subtract_lowest  # they import numba

        t, lowest = np.empty((len(samples), *self.weight.shape)), np.zeros(len(samples))
        fill_squares(self._points[samples], self.keys, t)
        rows = t.reshape(len(t), -1)
        if from_nearest:
            alone = np.flatnonzero(self.own(samples) == 0)
            part, least = t[alone], lowest[alone]
            own = np.arange(len(alone)), samples[alone] // CHUNK, samples[alone] % CHUNK
            part[own] = np.inf
            subtract_lowest(self.weight, part, least)
            part[own] = 0
            t[alone], lowest[alone] = part, least
        return rows, lowest

    def fill(self, rows: np.ndarray, samples: np.ndarray, factor: float, t: np.ndarray, lowest: np.ndarray) -> None:
        """Fill rows of the kernel matrix for squared distances, as `squares` gives them, that a factor multiplies.

        In units of the kernel at the lowest. What is left of a sample's own weight is in units of K(0).
        """
        from sknw._compiled._weights import fill_algebraic, fill_decaying  # they import numba

        fill = fill_decaying if self._kind <= LAST_DECAYING else fill_algebraic
        if self._is_product or not lowest.any():
            fill(self._kind, factor, 0.0, t.ravel(), rows.ravel())
        else:
            for k, low in enumerate(lowest):
                fill(self._kind, factor, low, t[k], rows[k])
        self.put_own(rows, samples)

    def put_own(self, rows: np.ndarray, samples: np.ndarray) -> None:
        """Put what is left of the own weight of samples in their rows."""
        rows[np.arange(len(rows)), samples] = self.own(samples)

    def moments(self, rows: np.ndarray) -> np.ndarray:
        """What lines are fitted from: sums over rows of the kernel matrix."""
        return np.dot(rows, self._columns.T)

    def moments_about(self, centres: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The same of coordinates about a point for each row, (n_rows, n_terms)."""
        from sknw._compiled._rows import fill_moments  # it imports numba

        moments = np.empty((len(rows), len(self._columns)))
        fill_moments(rows.reshape(len(rows), *self.weight.shape), self.weight, self.about, centres, moments)
        return moments

    def lines(
        self,
        samples: np.ndarray,
        moments: np.ndarray,
        penalty: np.ndarray,
        least: np.ndarray,
        centres: np.ndarray | None = None,
    ) -> Lines:
        """The lines fitted about samples from moments, which are overwritten; slopes are zero where these do not tell.

        Parameters
        ----------
        penalty, least : ndarray of shape (n_terms,)
            What is added to the variances of coordinates, and the least sum that a slope is fitted by.
        centres : ndarray of shape (n_samples, n_terms), default=None
            What moments are about, if not about the centre of all keys.
        """
        from sknw._compiled._solve import solve_lines  # it imports numba

        n_terms, n = self.n_terms, len(samples)
        here, n_right = self._points[samples, :n_terms], self.about.shape[1] - PADDING - n_terms
        slopes, steps = np.empty((n, n_right, n_terms)), np.empty((n, n_right))
        told, faint = np.empty((2, n), dtype=bool)
        most = _MAX_INVERSE if centres is None else _MAX_INVERSE_ABOUT_MEANS
        here = here if centres is None else here - centres
        solve_lines(here, moments, penalty, least, most, slopes, steps, told, faint)
        vague = np.zeros(n, dtype=bool)
        if centres is not None:
            unsure = np.flatnonzero(~told & ~faint)
            vague[unsure] = self._are_vague(moments[unsure], penalty)
            moments[:, 1 : 1 + n_terms] += centres
        if not told.all():
            slopes[~told], steps[~told] = 0, 0
        return Lines(moments[:, 0], moments[:, 1 : n_terms + n_right], slopes, steps, told, faint, vague)

    def _are_vague(self, moments, penalty):
        """Where moments about points amid the keys in reach surely tell of terms that nearly depend on each other."""
        n_terms, n_rows = self.n_terms, self.about.shape[1] - PADDING
        one, other = np.triu_indices(n_terms)
        rows = np.cumsum([n_rows, *range(n_rows - 1, n_rows - n_terms, -1)])
        means, covariances = moments[:, 1 : 1 + n_terms], np.empty((len(moments), n_terms, n_terms))
        covariances[:, one, other] = moments[:, rows[one] + other - one] - means[:, one] * means[:, other]
        covariances[:, other, one] = covariances[:, one, other]
        sizes = np.sqrt(covariances.diagonal(axis1=1, axis2=2) + penalty)
        covariances /= sizes[:, :, None] * sizes[:, None]
        covariances[:, range(n_terms), range(n_terms)] = 1
        values = np.linalg.eigvalsh(covariances)
        return ((values > _SURELY_VAGUE[0]) & (values < _SURELY_VAGUE[1])).any(axis=1)


def in_chunks(parts: list[np.ndarray]) -> np.ndarray:
    """Rows over keys as compiled loops take them: (n_chunks, n_rows + PADDING, CHUNK)."""
    n_rows, n_keys = sum(map(len, parts)), parts[0].shape[1]
    padded = np.zeros((n_rows + PADDING, -(-n_keys // CHUNK) * CHUNK))
    np.concatenate(parts, out=padded[:n_rows, :n_keys])
    return np.ascontiguousarray(padded.reshape(len(padded), -1, CHUNK).swapaxes(0, 1))
