"""What all tests share: how long hypothesis looks for a counterexample (`make fuzz`: longer), and random numbers."""

import numpy as np
import pytest
import scipy.linalg  # noqa: F401  (it brings a library of its own)
from hypothesis import settings
from threadpoolctl import threadpool_limits

# Tests run beside each other, on matrices that are too small for threads of BLAS.
threadpool_limits(1, "blas")

settings.register_profile("test", max_examples=150, deadline=None)
settings.register_profile("fuzz", max_examples=2000, deadline=None)
settings.load_profile("test")


@pytest.fixture
def rng():
    """Random numbers of a test's own: the same, whichever tests ran before it."""
    return np.random.default_rng(1)
