from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dbplanmon_pipeline_tests.defs.locations import Location


@pytest.fixture
def make_location(tmp_path: Path) -> Iterator[Callable[..., Location]]:
    """Code locations that share one state folder; their instances are given back at the end."""
    made: list[Location] = []

    def make(**sections: Any) -> Location:
        made.append(Location(tmp_path / "state", **sections))
        return made[-1]

    yield make
    for location in made:
        location.instance.dispose()


@pytest.fixture
def location(make_location: Callable[..., Location]) -> Location:
    return make_location()
