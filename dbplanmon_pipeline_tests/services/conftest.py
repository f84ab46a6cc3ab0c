import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.notify.test_webhook import http_server
from dbplanmon_pipeline_tests.services.fleets import START
from dbplanmon_pipeline_tests.services.paged_stories import NOON, PagedStory
from dbplanmon_pipeline_tests.services.spools import Disk


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def store(migrated_file: Path, tmp_path: Path, store_url: str, clock: FixedClock) -> Iterator[SqlStore]:
    shutil.copy(migrated_file, tmp_path / "store.db")
    store = open_store(store_url, clock=clock)
    yield store
    store.close()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.fixture
def paged(migrated_file: Path, tmp_path: Path) -> Iterator[Callable[..., PagedStory]]:
    """Makes a story of a policy; it begins at `NOON`."""
    shutil.copy(migrated_file, tmp_path / "paged.db")
    clock = FixedClock(NOON)
    store = open_store(f"sqlite:///{tmp_path}/paged.db", clock=clock)
    with http_server(202) as (port, seen):
        yield lambda **policy: PagedStory(store, clock, port, seen, **policy)
    store.close()
