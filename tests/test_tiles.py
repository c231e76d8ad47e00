"""Threads follow scikit-learn's meaning of n_jobs."""

import sys
import threading

import joblib
import numpy as np
import pytest

from sknw._tiles import add_products, batches, map_tiles


def n_threads(n_jobs):
    barrier = threading.Barrier(2, timeout=0.5)

    def meet(tile):
        try:
            barrier.wait()
        except threading.BrokenBarrierError:
            return 1
        return 2

    return max(map_tiles(meet, 2, 1, n_jobs))


def test_batches_cover_everything_once():
    assert batches(7, 3) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert batches(0, 3) == []


@pytest.mark.parametrize(("n_jobs", "want"), [(None, 1), (1, 1), (2, 2)])
def test_n_jobs(n_jobs, want):
    assert n_threads(n_jobs) == want


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_none_follows_the_context_of_joblib(backend):
    with joblib.parallel_config(backend=backend, n_jobs=2):
        assert n_threads(None) == 2


def test_an_error_in_a_thread_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        map_tiles(lambda tile: 1 / 0, 4, 1, 2)


@pytest.mark.parametrize("n_columns", [1, 2, 3, 4, 9])
def test_products_are_added(n_columns):
    rng = np.random.default_rng(0)
    sums, weights, columns = rng.normal(size=(5, n_columns)), rng.random((5, 40)), rng.normal(size=(40, n_columns))
    want = sums + np.einsum("ij,jk->ik", weights, columns)
    add_products(sums, weights, columns)
    np.testing.assert_allclose(sums, want, rtol=1e-12)


def test_other_threads_work_while_products_are_added():
    weights, columns, sums = np.ones((4, 100_000)), np.ones((100_000, 2)), np.zeros((4, 2))
    start, done = threading.Lock(), []

    def work():
        with start:
            done.append(True)

    start.acquire()
    threading.Thread(target=work, daemon=True).start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # it can work only where this thread gives the interpreter's lock away
    try:
        start.release()
        for _ in range(500):
            add_products(sums, weights, columns)
            if done:
                break
    finally:
        sys.setswitchinterval(interval)
    assert done
