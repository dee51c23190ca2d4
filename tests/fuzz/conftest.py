"""How many examples Hypothesis tries: fewer if slow tests are left out."""

import pytest
from hypothesis import settings

settings.register_profile("whole", max_examples=80)
settings.register_profile("quick", max_examples=20)


def pytest_configure(config: pytest.Config) -> None:
    quick = "not slow" in config.getoption("markexpr")
    settings.load_profile("quick" if quick else "whole")
