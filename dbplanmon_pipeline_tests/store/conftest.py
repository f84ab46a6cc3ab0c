"""Every test that asks for `store` runs on SQLite and on a real PostgreSQL."""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline_tests.store.samples import NOON
from dbplanmon_pipeline_tests.support.postgres import fresh_database


class SettableClock:
    """A clock that stands until it is moved."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOON + timedelta(days=2))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a place without a store, or, for tests that ask for `store`, of one without rows."""
    migrated = "store" in request.fixturenames
    if request.param == "sqlite":
        path = tmp_path / "state" / "store.db"
        if migrated:
            path.parent.mkdir(parents=True)
            shutil.copy(request.getfixturevalue("migrated_file"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgres_server")
    template = request.getfixturevalue("migrated_database") if migrated else "template0"
    with fresh_database(server, template=template) as name:
        yield server.url(name)


@pytest.fixture
def empty_store(store_url: str, tmp_path: Path, clock: SettableClock) -> Iterator[SqlStore]:
    """A store that was never upgraded."""
    store = open_store(store_url, archive=str(tmp_path / "archive"), clock=clock)
    yield store
    store.close()


@pytest.fixture
def store(store_url: str, tmp_path: Path, clock: SettableClock) -> Iterator[SqlStore]:
    """A store with all tables."""
    store = open_store(store_url, archive=str(tmp_path / "archive"), clock=clock)
    yield store
    store.close()
