"""What all tests share: how long hypothesis looks for a counterexample (`make fuzz`: longer), and random numbers."""

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("test", max_examples=150, deadline=None)
settings.register_profile("fuzz", max_examples=2000, deadline=None)
settings.load_profile("test")


@pytest.fixture(autouse=True)
def _same_draws(request, monkeypatch):
    """A test draws the same numbers, whichever tests ran before it."""
    module = getattr(request.node, "module", None)
    if hasattr(module, "RNG"):
        monkeypatch.setattr(module, "RNG", np.random.default_rng(1))
