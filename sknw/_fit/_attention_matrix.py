"""The lazy array behind `attention_weights_`: it looks like an array, and computes what it is asked for."""

from __future__ import annotations

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from sknw._fit._equivalent_kernels import equivalent_kernels
from sknw._fit._fit import Fit
from sknw._fit._predictions import sums_in_batches
from sknw._fit._rounds import weights_of_rounds
from sknw._fit._weights import attention_weights
from sknw._tiles import batches, row_batch


class AttentionMatrix(NDArrayOperatorsMixin):
    """A square array of attention weights whose rows are computed when they are used, and not kept.

    Row i holds the weights of all targets in the fit at sample i. Rows, products with ``@``, `diagonal` and `trace` are
    computed in memory for a few rows. Everything else that an ndarray can do, and NumPy's functions, work too: they
    make an ordinary array of it first.

    Parameters
    ----------
    fits : list of Fit
        To the same samples. Of several, the weights are the mean.
    fallback : str
        What stands in for the row of a sample without weight that no other sample reaches.
    n_jobs : int, default=None
        Threads.
    n_rounds : list of int, default=None
        Of boosting, for each fit; None is one for each.
    """

    ndim = 2

    def __init__(self, fits: list[Fit], fallback: str, n_jobs: int | None = None, n_rounds: list[int] | None = None):
        self._fits = fits
        self._fallback = fallback
        self._n_jobs = n_jobs
        self._n_rounds = [1] * len(fits) if n_rounds is None else n_rounds

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), len(self)

    @property
    def dtype(self) -> np.dtype:
        return self._fits[0].problem.rows.keys.dtype

    @property
    def size(self) -> int:
        return len(self) ** 2

    def __len__(self):
        return len(self._fits[0].problem.rows)

    def __repr__(self):
        return f"AttentionMatrix(shape={self.shape}, dtype={self.dtype})"

    def diagonal(self) -> np.ndarray:
        """The weight of each sample's own target, (n_samples,); without boosting, from one pass of sums."""
        if max(self._n_rounds) > 1:
            return np.concatenate([self._rows(batch)[:, batch].diagonal() for batch in _batches(len(self))])
        return np.mean([_leverages(fit, self._n_jobs) for fit in self._fits], axis=0).astype(self.dtype, copy=False)

    def trace(self) -> float:
        """The sum of the diagonal: the effective degrees of freedom of the fit."""
        return float(self.diagonal().sum(dtype=np.float64))

    def _rows(self, indices) -> np.ndarray:
        """The rows of these indices, the mean of the fits."""
        each = []
        for fit, n_rounds in zip(self._fits, self._n_rounds, strict=True):
            keys = fit.problem.distance.keys[indices]
            weights, _ = attention_weights(fit, keys, self._fallback, n_jobs=self._n_jobs)
            smoother = AttentionMatrix([fit], self._fallback, self._n_jobs)
            each.append(weights_of_rounds(weights, smoother, n_rounds))
        return (np.sum(each, axis=0) / len(each)).astype(self.dtype, copy=False)

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("Attention weights are computed, not stored: an array of them is always a copy.")
        return self._rows(slice(None)).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, index):
        """Rows and columns as of an ndarray; only the rows that the first index selects are computed."""
        first, *others = index if isinstance(index, tuple) else (index,)
        if first is Ellipsis or first is None or np.ndim(first) > 1:
            return np.asarray(self)[index]
        indices = np.arange(len(self))[first]
        rows = self._rows(np.atleast_1d(indices))
        if np.ndim(indices) == 0:
            return rows[(0, *others)]
        pairs = np.ndim(first) == 1 and len(others) == 1 and np.ndim(others[0]) == 1
        return rows[(np.arange(len(rows)) if pairs else slice(None), *others)]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if ufunc is np.matmul and method == "__call__" and not kwargs:
            left, right = inputs
            if left is self:
                return np.concatenate([self._rows(batch) @ np.asarray(right) for batch in _batches(len(self))])
            return sum(np.asarray(left)[..., batch] @ self._rows(batch) for batch in _batches(len(self)))
        inputs = tuple(np.asarray(item) if isinstance(item, AttentionMatrix) else item for item in inputs)
        return getattr(ufunc, method)(*inputs, **kwargs)

    def __getattr__(self, name):
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(np.asarray(self), name)


def _batches(n):
    """Rows of a square of n by n that are held at a time."""
    return batches(n, row_batch(n))


def _leverages(fit, n_jobs):
    """The weight of each sample's own target in the fit at it, from one pass of sums."""
    problem, keys = fit.problem, fit.problem.distance.keys
    own, leverages = problem.kernel(np.zeros(1)) * problem.rows.relative_weight, np.zeros(len(keys))
    for batch, sums in sums_in_batches(fit, keys, n_jobs):
        some = np.flatnonzero(own[batch])
        points = keys[batch][some]
        local = equivalent_kernels(problem, sums.take(some), points)
        shares = own[batch][some] * np.exp(-local.sums.log_scale) / local.sums.values[:, -1]
        leverages[batch][some] = shares * local.at(problem.basis, points)
    return leverages
