"""How long hypothesis looks for a counterexample: `make fuzz` looks longer."""

from hypothesis import settings

settings.register_profile("test", max_examples=150, deadline=None)
settings.register_profile("fuzz", max_examples=2000, deadline=None)
settings.load_profile("test")
