"""What a test does when a real part is not on this machine: skip with a reason, or fail where it must be there."""

import os
from typing import NoReturn

import pytest

VARIABLE = "DBPLANMON_TEST_REQUIRE"


def required(part: str) -> bool:
    """True where the environment says that `part` must be tested: `all`, or a comma list that names it."""
    wanted = {word.strip() for word in os.environ.get(VARIABLE, "").split(",")}
    return "all" in wanted or part in wanted


def absent(part: str, reason: str) -> NoReturn:
    """Skip the running test, or fail it where `part` is required."""
    if required(part):
        pytest.fail(f"{reason} ({VARIABLE} requires {part})", pytrace=False)
    pytest.skip(reason)
