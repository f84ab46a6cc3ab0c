from collections.abc import Iterator
from pathlib import Path

import pytest

from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.fleets import START


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def store(store_url: str, clock: FixedClock) -> Iterator[SqlStore]:
    store = open_store(store_url, clock=clock)
    store.upgrade()
    yield store
    store.close()
