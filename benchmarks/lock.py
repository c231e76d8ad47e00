"""The share of time in which threads hold the interpreter's lock, in which no other thread gets on in Python.

    .venv/bin/python benchmarks/lock.py        # what it tells of work that is known; some 20 seconds

A thread that needs next to no time rests for random times, of a millisecond in the mean, then takes the lock, and gives
it up again. Who comes at random meets a lock that is held as often as the share of time in which it is. It is told by
the time until the thread has it: a lock that is free is had in a few microseconds; for one that is held, the thread is
put to sleep, and is woken after tens of microseconds at least. The time is taken in C++ between two calls of Python's
C interface, as Python itself takes longer after a rest than a free lock.

What it tells is some tenths of a percent too much where the system takes the core away between the two calls, and too
little where the lock is held for longer than a millisecond at a time and for much of the time: who has just had it
comes again before the next one takes it. So it is exact where it is to be small.
"""

from __future__ import annotations

import ctypes
import threading
from time import perf_counter

import numpy as np
from native import compiled

MEAN_REST = 1e-3
# Free locks are had in less, held ones are not.
HELD_SECONDS = 1e-5


def library(with_lock):
    """The functions of lock.cpp, called with the lock or without."""
    functions = (ctypes.PyDLL if with_lock else ctypes.CDLL)(compiled("lock"))
    functions.rest_and_take.restype = ctypes.c_double
    functions.rest_and_take.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_double]
    functions.work.argtypes = [ctypes.c_double]
    return functions


def held_share(function, seconds=2.0):
    """The share of time in which the lock is held while a function runs, again and again for so many seconds."""
    give_up, take = (
        ctypes.cast(each, ctypes.c_void_p)
        for each in (ctypes.pythonapi.PyEval_SaveThread, ctypes.pythonapi.PyEval_RestoreThread)
    )
    rest_and_take, rng = library(True).rest_and_take, np.random.default_rng(0)
    done, waits = threading.Event(), []

    def come_and_go():
        while not done.is_set():
            waits.append(rest_and_take(give_up, take, rng.exponential(MEAN_REST)))

    probe = threading.Thread(target=come_and_go)
    probe.start()
    try:
        begin = perf_counter()
        while perf_counter() - begin < seconds:
            function()
    finally:
        done.set()
        probe.join()
    return float(np.mean(np.array(waits) > HELD_SECONDS))


def by_two_threads(function):
    """A function that lets two threads run a function."""

    def run():
        threads = [threading.Thread(target=function) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return run


def main():
    """Print what is told of work that is known."""
    with_lock, without = library(True), library(False)

    def in_turn(held, free):
        def run():
            begin = perf_counter()
            while perf_counter() - begin < 0.5:
                with_lock.work(held)
                without.work(free)

        return run

    def in_python():
        begin = perf_counter()
        while perf_counter() - begin < 0.5:
            pass

    known = {
        "two threads without the lock": (0, by_two_threads(lambda: without.work(0.5))),
        "a loop in Python": (1, in_python),
        "20 µs with it, 2 ms without": (0.0099, in_turn(2e-5, 2e-3)),
        "20 µs with it, 1 ms without": (0.0196, in_turn(2e-5, 1e-3)),
        "20 µs with it, 0.2 ms without": (0.091, in_turn(2e-5, 2e-4)),
        "1 ms with it, 9 ms without": (0.1, in_turn(1e-3, 9e-3)),
        "1 ms with it, 1 ms without": (0.5, in_turn(1e-3, 1e-3)),
    }
    print("| work | lock held | told |\n|---|---|---|")
    for name, (share, function) in known.items():
        print(f"| {name} | {share:.1%} | {held_share(function):.1%} |", flush=True)


if __name__ == "__main__":
    main()
