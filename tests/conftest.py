"""Drawn examples are the same at every run; `make fuzz` draws others, for as long as it is told."""

from hypothesis import HealthCheck, settings

settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile(
    "other",
    derandomize=False,
    database=None,
    deadline=None,
    max_examples=400,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "few", derandomize=True, database=None, deadline=None, max_examples=20
)  # for tests/mutation, where every test runs again and again
settings.load_profile("same")
