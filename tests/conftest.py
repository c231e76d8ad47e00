"""What all tests share: how long hypothesis looks for a counterexample (`make fuzz`: longer), and random numbers."""

import numpy as np
import pytest
import scipy.linalg  # noqa: F401  (it brings a library of its own)
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

from sknw._arrays import Device
from sknw._compiled import _readiness
from sknw._problem._rows import Rows

# Tests run beside each other, on matrices that are too small for threads of BLAS.
threadpool_limits(1, "blas")

# Loops are compiled where a test asks for them: see `inner_loop`.
_readiness.LOAD_SECONDS = np.inf

# All examples of a test may share its fixtures.
health = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
settings.register_profile("test", max_examples=150, **health)
settings.register_profile("fuzz", max_examples=2000, **health)
settings.load_profile("test")


@pytest.fixture
def rng():
    """Random numbers of a test's own: the same, whichever tests ran before it."""
    return np.random.default_rng(1)


@pytest.fixture(params=["numpy", "compiled"])
def inner_loop(request, monkeypatch):
    """Each inner loop of the algorithms in turn, where it serves."""
    return _take(request.param, monkeypatch)


@pytest.fixture(params=["numpy", "compiled", "device"])
def any_inner_loop(request, monkeypatch):
    """The same for tests that name no algorithm: all samples may come from a device that NumPy has no access to."""
    return _take(request.param, monkeypatch)


def _take(inner_loop, monkeypatch):
    if inner_loop == "compiled":
        pytest.importorskip("numba")
        monkeypatch.setattr(_readiness, "LOAD_SECONDS", 0.0)
        monkeypatch.setattr(_readiness, "LEAST_SECONDS", 0.0)
    if inner_loop == "device":
        pytest.importorskip("array_api_strict")
        pytest.importorskip("numpy", "2.0")  # with which it moves arrays between devices
        device = Device("array_api_strict", "array_api_strict.Device('device1')")
        make = Rows.__init__
        monkeypatch.setattr(
            Rows, "__init__", lambda rows, *given, **named: make(rows, *given[:5], **named | {"device": device})
        )
    return inner_loop
