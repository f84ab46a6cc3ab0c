"""Every test that asks for `store` runs on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline_tests.store.samples import NOON


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
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/store.db"
    server = request.getfixturevalue("postgres_server")
    return server.url(request.getfixturevalue("postgres_database"))


@pytest.fixture
def empty_store(store_url: str, tmp_path: Path, clock: SettableClock) -> Iterator[SqlStore]:
    store = open_store(store_url, archive=str(tmp_path / "archive"), clock=clock)
    yield store
    store.close()


@pytest.fixture
def store(empty_store: SqlStore) -> SqlStore:
    empty_store.upgrade()
    return empty_store
