"""SQLite and PostgreSQL hold the same after the same work."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.core.ports import Store
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, IntervalRows
from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline_tests.store.samples import CRM, NOON, SALES, late_rows, ticks, us

WINDOW = (NOON - timedelta(days=3), NOON + timedelta(days=3))


@pytest.fixture
def both(tmp_path: Path, postgres_server: PostgresServer, postgres_database: str) -> Iterator[list[SqlStore]]:
    urls = [f"sqlite:///{tmp_path}/store.db", postgres_server.url(postgres_database)]
    stores = [
        open_store(url, archive=str(tmp_path / f"archive{number}"), clock=lambda: NOON + timedelta(days=4))
        for number, url in enumerate(urls)
    ]
    for store in stores:
        store.upgrade()
    yield stores
    for store in stores:
        store.close()


def random_rows(seed: int, count: int = 400) -> IntervalRows:
    """Rows over three days, any hash, each figure unknown now and then."""
    random = np.random.default_rng(seed)
    ends = us(NOON) + (random.permutation(800)[:count] - 400) * 300_000_000
    metrics = random.lognormal(5, 3, (count, len(COUNTERS) + len(EXTREMA)))
    metrics[random.random(metrics.shape) < 0.3] = np.nan
    return IntervalRows(
        query_hash=random.integers(-(2**63), 2**63, 8)[random.integers(0, 8, count)],
        plan_hash=random.integers(-(2**63), 2**63, 3)[random.integers(0, 3, count)],
        interval_start_us=ends - 300_000_000,
        interval_end_us=ends,
        values=metrics[:, : len(COUNTERS)],
        extrema=metrics[:, len(COUNTERS) :],
        counter_reset=random.random(count) < 0.1,
    )


def test_both_engines_give_equal_frames_hot_and_sealed(both: list[SqlStore], tmp_path: Path) -> None:
    for store in both:
        for number, (ref, seed) in enumerate([(SALES, 0), (CRM, 1), (SALES, 2), (CRM, 1)]):
            store.record([late_rows(ref, NOON + timedelta(seconds=number), random_rows(seed))])
    sqlite, postgres = (store.interval_frame(*WINDOW) for store in both)
    assert len(sqlite.rows) == 1200
    pd.testing.assert_frame_equal(sqlite.rows, postgres.rows)
    assert sqlite.databases == postgres.databases
    day = NOON.date()
    assert both[0].roll_up_day(day) == both[1].roll_up_day(day)
    sealed = [store.seal_day(day) for store in both]
    assert sealed[0] == sealed[1]
    for store in both:
        pd.testing.assert_frame_equal(store.interval_frame(*WINDOW).rows, sqlite.rows)


def test_both_engines_give_equal_exports(both: list[SqlStore], tmp_path: Path) -> None:
    texts = []
    for number, store in enumerate(both):
        for item in ticks(SALES, NOON, 3, [5, -6], plan_hash=7):
            store.record([item])
        for table in ("query", "plan_observation", "collection_log", "interval_metric"):
            store.export(table, tmp_path / f"{number}-{table}.csv")
        texts.append([(tmp_path / f"{number}-{table}.csv").read_text() for table in ("query", "interval_metric")])
    assert texts[0] == texts[1]
    assert "fffffffffffffffa" in texts[0][0]


def test_sql_store_offers_all_that_the_ports_ask(tmp_path: Path) -> None:
    store: Store = open_store(f"sqlite:///{tmp_path}/store.db")
    wanted = {name for port in Store.__mro__ for name in vars(port) if not name.startswith("_")}
    assert {name for name in wanted if not callable(getattr(store, name, None))} == set()
