"""Pages of a large store. Run with `... .bench --only bench_pages`."""

import asyncio
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef, Engine, StatementText
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.ports import CollectedDatabase
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, IntervalRows
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline.store.schema import collection_log
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline.web.app import build_app
from dbplanmon_pipeline.web.server import status_server
from dbplanmon_pipeline_tests.bench.figures import Row
from dbplanmon_pipeline_tests.bench.page_history import history_paths, write_history
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION

NAME = "Pages (SQLite)"
NOW = datetime(2026, 3, 10, 12, 2, tzinfo=UTC)
INSTANCES, DATABASES, STATEMENTS = 10, 500, 20
INCIDENTS, OPEN = 2_000, 40
TICK = timedelta(minutes=5)
HOURS, LOGGED = 365 * 24, 30 * 288
TARGET = "<= 0.3"
SETTINGS = "environment: production\ninstances:\n" + "".join(
    f"  - {{name: sql-{number:02}, engine: simulated, databases: 50}}\n" for number in range(INSTANCES)
)

_FIRST_PAINT = """new Promise(told => new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (entry.name === "first-contentful-paint") told(entry.startTime);
}).observe({type: "paint", buffered: true}))"""


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "dbplanmon.yaml").write_text(f"state_dir: {folder}\n{SETTINGS}")
        monitor = Monitor(load_settings(folder / "dbplanmon.yaml", environ={}), FixedClock(NOW))
        with monitor.session() as session:
            _fill(session.store)
            write_history(session.store, _refs(), NOW, STATEMENTS)
            session.store.maintain(may_rewrite=False)
        rows = asyncio.run(_server_times(monitor))
        with _serving(monitor) as url:
            return [*rows, *_paints(url)]


async def _server_times(monitor: Monitor) -> list[Row]:
    """CPU of the app alone: no socket, and none of the probes that run beside it."""
    app = build_app(monitor)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        first = await _spend(client, "/", 1)
        size = len((await client.get("/")).content) / 1e6
        rows = [
            Row(f"the fleet of {DATABASES} databases, the first page after the start, CPU", first, "s"),
            Row("the fleet, size of the page", size, "MB"),
        ]
        for what, path in (
            ("the fleet", "/"),
            (f"{OPEN} open incidents", "/incidents"),
            (f"a page of {INCIDENTS:,} incidents", "/incidents?state=all"),
            ("incidents whose statement holds a word", "/incidents?state=all&q=customers"),
            ("one incident", f"/incidents/{0:012x}"),
            *history_paths(_refs()[0]),
        ):
            rows.append(Row(f"{what}, CPU, mean of 10", await _spend(client, path, 10), "s", TARGET))
    app.state.context.session.close()
    return rows


async def _spend(client: httpx.AsyncClient, path: str, times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        (await client.get(path)).raise_for_status()
    return (time.process_time() - began) / times


def _paints(url: str) -> Iterator[Row]:
    """What a browser says of the first paint; nothing without one."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        histories = history_paths(_refs()[0])
        for what, path in (
            ("the fleet", "/"),
            ("incidents", "/incidents"),
            ("one incident", f"/incidents/{0:012x}"),
            *histories,
        ):
            paints = []
            for _ in range(5):
                page.goto(f"{url}{path}")
                paints.append(page.evaluate(_FIRST_PAINT))
            yield Row(f"{what}, Chromium, first paint, median of 5", float(np.median(paints)) / 1000, "s", TARGET)
        browser.close()


@contextmanager
def _serving(monitor: Monitor) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ready = threading.Event()
        server = status_server(build_app(monitor), ready=ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        ready.wait(30)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


def _refs() -> list[DatabaseRef]:
    each = DATABASES // INSTANCES
    return [DatabaseRef(f"sql-{i:02}", f"sim{n + 1:04}") for i in range(INSTANCES) for n in range(each)]


def _fill(store: SqlStore) -> None:
    """A day of interval rows, a year of hours, a month of collections, incidents."""
    refs = _refs()
    for hour in range(24):
        end = NOW.replace(minute=0) - timedelta(hours=23 - hour)
        store.record([_collected(ref, end, is_first=hour == 0) for ref in refs])
    with store._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM database_hour")
        last = epoch_us(NOW) // 3_600_000_000
        connection.exec_driver_sql(
            "WITH RECURSIVE hours(h) AS (SELECT 1 UNION ALL SELECT h + 1 FROM hours WHERE h < ?) "
            "INSERT INTO database_hour "
            "SELECT (? - h) * 3600000000, database_id, 1e4, 4e8 + 1e6 * (h % 24), 3e8, 1e6, 0, 0 "
            "FROM hours CROSS JOIN monitored_database ORDER BY 1, 2",
            (HOURS, last),
        )
        others = [f'one."{column.name}"' for column in collection_log.c if column.name != "started_at"]
        at = "strftime('%Y-%m-%d %H:%M:%S', ?, '-' || (t * 5) || ' minutes') || '.000000'"
        connection.exec_driver_sql(
            "WITH RECURSIVE ticks(t) AS (SELECT 0 UNION ALL SELECT t + 1 FROM ticks WHERE t < ?), one AS "
            "(SELECT * FROM collection_log WHERE started_at = (SELECT max(started_at) FROM collection_log)) "
            f"INSERT INTO collection_log (started_at, {', '.join(others).replace('one.', '')}) "
            f"SELECT {at}, {', '.join(others)} FROM ticks CROSS JOIN one ORDER BY one.database_id, t DESC",
            (LOGGED, f"{NOW - timedelta(minutes=1):%Y-%m-%d %H:%M:%S}"),
        )
        connection.exec_driver_sql(
            "UPDATE counter_state SET read_at = ?", (f"{NOW - timedelta(minutes=1):%Y-%m-%d %H:%M:%S}.000000",)
        )
    store.save_incident_changes([_opened(number, refs[number % len(refs)]) for number in range(INCIDENTS)])
    store.maintain(may_rewrite=False)


def _collected(ref: DatabaseRef, end: datetime, *, is_first: bool) -> CollectedDatabase:
    hashes = np.arange(1, STATEMENTS + 1, dtype=np.int64)
    values = np.tile(np.linspace(10.0, 1e6, len(COUNTERS)), (STATEMENTS, 1))
    rows = IntervalRows(
        query_hash=hashes,
        plan_hash=hashes,
        interval_start_us=np.full(STATEMENTS, epoch_us(end - TICK), np.int64),
        interval_end_us=np.full(STATEMENTS, epoch_us(end), np.int64),
        values=values,
        extrema=np.full((STATEMENTS, len(EXTREMA)), np.nan),
        counter_reset=np.zeros(STATEMENTS, bool),
    )
    texts = [StatementText(n, f"SELECT * FROM dbo.t{n} AS t WHERE t.id = @p1") for n in hashes.tolist()]
    outcome = CollectionOutcome(ref, end, CollectionStatus.OK, rows=STATEMENTS)
    return CollectedDatabase(outcome, Engine.SIMULATED, rows=rows, texts=tuple(texts) if is_first else ())


def _opened(number: int, ref: DatabaseRef) -> IncidentChange:
    at = NOW - timedelta(minutes=10 + number)
    is_open = number < OPEN
    incident = replace(
        PLAN_REGRESSION,
        incident_id=f"{number:012x}",
        instance=ref.instance,
        database=ref.database,
        query_hash=1 + number % STATEMENTS,
        extra_seconds_per_hour=float(INCIDENTS - number),
        began_at=at,
        opened_at=at,
        updated_at=NOW,
        last_bad_at=NOW,
    )
    if not is_open:
        incident = replace(incident, state=type(incident.state).RESOLVED, closed_at=NOW - timedelta(minutes=5))
    return IncidentChange(IncidentEvent.OPENED, incident, at)
