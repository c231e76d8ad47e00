"""The lazy array is an array to everyone who looks, and computes only what is asked for."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from sknw import NadarayaWatsonRegressor

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 2)), RNG.normal(size=30)


@pytest.fixture(params=["gaussian", "epanechnikov"])
def pair(request, rng):
    """The lazy array, and the array."""
    model = NadarayaWatsonRegressor(request.param, 0.8).fit(X, Y, rng.uniform(1, 2, 30))
    return model.attention_weights_, model.attention_weights(X)


def test_it_looks_like_an_array(pair):
    lazy, dense = pair
    assert lazy.shape == dense.shape
    assert lazy.dtype == dense.dtype
    assert lazy.ndim == 2
    assert lazy.size == dense.size
    assert len(lazy) == len(dense)
    assert repr(lazy) == "AttentionMatrix(shape=(30, 30), dtype=float64)"


@pytest.mark.parametrize(
    "index",
    [
        3,
        -1,
        slice(2, 5),
        slice(None, None, -7),
        [1, 4, 1],
        np.arange(30) % 3 == 0,
        (3, 4),
        (3, slice(2, 9)),
        (slice(2, 5), slice(None, 3)),
        (slice(2, 5), 4),
        (slice(2, 5), [1, 2]),
        ([1, 2, 3], 0),
        ([1, 2, 3], slice(1, 4)),
        ([1, 2, 3], [4, 5, 6]),
        (np.arange(30) % 10 == 0, [4, 5, 6]),
        Ellipsis,
        (Ellipsis, 0),
        None,
        (slice(None), None),
        np.eye(30, dtype=bool),
        (np.array([[1], [2]]), [3, 4]),
    ],
    ids=str,
)
def test_indexing_is_that_of_numpy(pair, index):
    lazy, dense = pair
    np.testing.assert_allclose(lazy[index], dense[index], rtol=1e-12)
    assert np.shape(lazy[index]) == np.shape(dense[index])


def test_an_index_out_of_range_raises(pair):
    with pytest.raises(IndexError):
        pair[0][30]


def test_products_and_the_diagonal(pair, rng):
    lazy, dense = pair
    several = rng.normal(size=(30, 3))
    for left, right in [
        (lazy @ Y, dense @ Y),
        (lazy @ several, dense @ several),
        (Y @ lazy, Y @ dense),
        (several.T @ lazy, several.T @ dense),
        (lazy @ lazy, dense @ dense),
        (lazy.diagonal(), dense.diagonal()),
        (lazy.trace(), dense.trace()),
    ]:
        np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-15)


def test_numpy_and_others_take_it_for_an_array(pair):
    lazy, dense = pair
    for left, right in [
        (np.asarray(lazy), dense),
        (np.array(lazy, dtype=np.float32), dense.astype(np.float32)),
        (np.sum(lazy), dense.sum()),
        (lazy.sum(axis=1), np.ones(30)),
        (np.linalg.eigvals(lazy), np.linalg.eigvals(dense)),
        (lazy > 0.1, dense > 0.1),
        (2 * lazy + 1, 2 * dense + 1),
        (np.log1p(lazy), np.log1p(dense)),
        (lazy.T, dense.T),
        (lazy.mean(axis=0), dense.mean(axis=0)),
        (np.dot(lazy, Y), dense @ Y),
        (pd.DataFrame(lazy).to_numpy(), dense),
        (csr_array(lazy).toarray(), dense),
        (np.array([list(row) for row in lazy]), dense),
    ]:
        np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-15)
    with pytest.raises(AttributeError):
        _ = lazy.columns
    with pytest.raises(ValueError, match="always a copy"):
        lazy.__array__(copy=False)


def test_imshow(pair):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    np.testing.assert_allclose(ax.imshow(pair[0]).get_array(), pair[1])
    plt.close("all")


def test_it_pickles(pair):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pair[0])), np.asarray(pair[0]))


def test_it_belongs_to_the_fit_that_it_was_taken_from():
    model = NadarayaWatsonRegressor(bandwidth=0.8).fit(X, Y)
    weights = model.attention_weights_
    before = np.array(weights)
    model.fit(X[:5], Y[:5])
    np.testing.assert_array_equal(weights, before)


def test_memory_for_a_few_rows_only(rng):
    rows = rng.normal(size=(4000, 2))  # 128 MB of weights
    weights = NadarayaWatsonRegressor(bandwidth=0.5).fit(rows, rows[:, 0]).attention_weights_
    tracemalloc.start()
    weights.trace(), weights[7], weights[:3], weights @ rows, rows[:, 0] @ weights
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


def test_sparse_weights_without_the_dense(rng):
    rows = np.sort(rng.uniform(size=(5000, 1)), axis=0)
    model = NadarayaWatsonRegressor("epanechnikov", 1e-3).fit(rows, rows[:, 0])
    tracemalloc.start()
    weights = model.attention_weights(rows, sparse=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6  # dense: 200 MB
    assert isinstance(weights, csr_array)
    assert weights.nnz < 100_000
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights @ rows[:, 0], model.predict(rows))
