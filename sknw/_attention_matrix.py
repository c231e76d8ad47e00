"""The lazy array behind `attention_weights_`: it looks like an array, and computes what it is asked for."""

from __future__ import annotations

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from sknw._algorithms import Algorithm, batches, row_batch
from sknw._boosting import boosted_weights
from sknw._local_fit import levers
from sknw._pooling import attention


class AttentionMatrix(NDArrayOperatorsMixin):
    """A square array of attention weights whose rows are computed when they are used, and not kept.

    Row i holds the weights of all training labels in the prediction for training row i. Rows, products with ``@``,
    `diagonal` and `trace` are computed in memory for a few rows. Everything else that an ndarray can do, and NumPy's
    functions, work too: they make an ordinary array of it first.

    Parameters
    ----------
    algorithms : list of Algorithm
        With the training rows as their keys. Of several, the weights are the mean.
    fallback : str
        What stands in for the row of a training row without weight that no other row reaches.
    n_jobs : int, default=None
        Threads.
    n_rounds : list of int, default=None
        Of boosting, by each algorithm; None is one of each.
    """

    ndim = 2

    def __init__(
        self,
        algorithms: list[Algorithm],
        fallback: str,
        n_jobs: int | None = None,
        n_rounds: list[int] | None = None,
    ):
        self._algorithms = algorithms
        self._fallback = fallback
        self._n_jobs = n_jobs
        self._n_rounds = [1] * len(algorithms) if n_rounds is None else n_rounds

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), len(self)

    @property
    def dtype(self) -> np.dtype:
        return self._algorithms[0].problem.X.dtype

    @property
    def size(self) -> int:
        return len(self) ** 2

    def __len__(self):
        return len(self._algorithms[0].problem.y)

    def __repr__(self):
        return f"AttentionMatrix(shape={self.shape}, dtype={self.dtype})"

    def diagonal(self) -> np.ndarray:
        """The weight of each training row's own label, (n_samples,); without boosting, from one pass of sums."""
        if max(self._n_rounds) > 1:
            return np.concatenate([self._rows(batch)[:, batch].diagonal() for batch in self._batches()])
        return self._mean(self._diagonal_of(algorithm) for algorithm in self._algorithms)

    def _diagonal_of(self, algorithm):
        problem = algorithm.problem
        sums = algorithm.sums(problem.keys, n_jobs=self._n_jobs)
        own = problem.kernel(np.zeros(1)) * problem.weight * np.exp(-sums.log_scale)
        own = np.divide(own, sums.columns[:, -1], out=np.zeros(len(own)), where=own > 0)
        if problem.degree > 0:
            own *= levers(problem, sums, problem.keys).at(problem.keys - sums.centre)
        return own

    def trace(self) -> float:
        """The sum of the diagonal: the effective degrees of freedom of the fit."""
        return float(self.diagonal().sum(dtype=np.float64))

    def _rows(self, numbers) -> np.ndarray:
        parts = zip(self._algorithms, self._n_rounds, strict=True)
        return self._mean(self._rows_of(algorithm, n_rounds, numbers) for algorithm, n_rounds in parts)

    def _rows_of(self, algorithm, n_rounds, numbers):
        weights, _ = attention(algorithm, algorithm.problem.keys[numbers], self._fallback, n_jobs=self._n_jobs)
        return boosted_weights(weights, AttentionMatrix([algorithm], self._fallback, self._n_jobs), n_rounds)

    def _mean(self, parts) -> np.ndarray:
        return (sum(parts) / len(self._algorithms)).astype(self.dtype, copy=False)

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("Attention weights are computed, not stored: an array of them is always a copy.")
        return self._rows(slice(None)).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, index):
        """As for an ndarray; only the rows that the first index selects are computed."""
        first, *others = index if isinstance(index, tuple) else (index,)
        if first is Ellipsis or first is None or np.ndim(first) > 1:
            return np.asarray(self)[index]
        numbers = np.arange(len(self))[first]
        rows = self._rows(np.atleast_1d(numbers))
        if np.ndim(numbers) == 0:
            return rows[(0, *others)]
        pairs = np.ndim(first) == 1 and len(others) == 1 and np.ndim(others[0]) == 1
        return rows[(np.arange(len(rows)) if pairs else slice(None), *others)]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if ufunc is np.matmul and method == "__call__" and not kwargs:
            left, right = inputs
            return self._times(np.asarray(right)) if left is self else self._times_left(np.asarray(left))
        inputs = tuple(np.asarray(item) if isinstance(item, AttentionMatrix) else item for item in inputs)
        return getattr(ufunc, method)(*inputs, **kwargs)

    def _batches(self):
        return batches(len(self), row_batch(len(self)))

    def _times(self, right):
        return np.concatenate([self._rows(batch) @ right for batch in self._batches()])

    def _times_left(self, left):
        return sum(left[..., batch] @ self._rows(batch) for batch in self._batches())

    def __getattr__(self, name):
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(np.asarray(self), name)
