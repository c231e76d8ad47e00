"""Threads follow scikit-learn's meaning of n_jobs."""

import threading

import joblib
import pytest

from sknw._tiles import batches, map_tiles


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
