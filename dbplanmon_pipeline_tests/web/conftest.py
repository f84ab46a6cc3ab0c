"""A recorded fleet, and a site over a copy of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbplanmon_pipeline_tests.web.pages.site import Site, serving, write_slow_past


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "slow"
    folder.mkdir()
    write_slow_past(folder)
    return folder


@pytest.fixture
def own_site(past: Path, tmp_path: Path) -> Iterator[Site]:
    """For a test that changes something."""
    with serving(tmp_path, past=past) as running:
        yield running
