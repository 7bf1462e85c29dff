"""Settings of all tests: generated examples are the same on every machine and in every run."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "house",
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
# For a long look by hand: HYPOTHESIS_PROFILE=deep pytest tests/engine tests/coordinators
settings.register_profile(
    "deep", settings.get_profile("house"), derandomize=False, max_examples=5_000, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))
