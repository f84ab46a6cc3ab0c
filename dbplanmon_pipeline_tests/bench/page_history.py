"""What lists and histories of a year are made from, for the benchmark of pages."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.model import DatabaseRef, hash_text
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.ports import Alert, Hotspot, PlanChange
from dbplanmon_pipeline.core.readings.counters import COUNTERS
from dbplanmon_pipeline.store import SqlStore

CHANGES, MESSAGES, ENTRIES = 20_000, 10_000, 100_000
WINDOWS = 7 * 24
PLANS = 3
_HOUR = timedelta(hours=1)


def history_paths(ref: DatabaseRef) -> list[tuple[str, str]]:
    """What each page is, and its path."""
    place = f"{ref.instance}/{ref.database}"
    statement = f"/statements/{place}/{hash_text(1)}"
    return [
        ("a statement, a day by reading", statement),
        ("a statement, three days by reading", f"{statement}?span=3d"),
        ("a statement, 30 days by hour", f"{statement}?span=30d"),
        ("a statement, a year by day", f"{statement}?span=365d"),
        ("a database, a day", f"/databases/{place}"),
        ("a database, a week", f"/databases/{place}?window=7d"),
        (f"a page of {CHANGES:,} changes of plans", "/plan-changes?period=365d"),
        ("changes of plans of statements that hold a word", "/plan-changes?period=365d&q=t7"),
        ("hotspots", "/hotspots"),
        (f"a page of {MESSAGES:,} messages", "/alerts?period=365d"),
        (f"a page of {ENTRIES:,} entries of the audit", "/audit?period=365d"),
        ("the collector", "/collector"),
        ("the collector with all databases", "/collector?databases=all"),
        ("the settings", "/settings"),
    ]


def write_history(store: SqlStore, refs: Sequence[DatabaseRef], now: datetime, statements: int) -> None:
    """A year of hours of the first database and a week of the others; changes, rankings, messages, audit."""
    _write_hours(store, refs[0], now, statements)
    changes = [
        PlanChange(
            refs[n % len(refs)], 1 + n % statements, now - timedelta(minutes=26 * n), 900 + n % PLANS, 1, "a scan"
        )
        for n in range(CHANGES)
    ]
    store.save_plan_changes(changes)
    for number in range(WINDOWS):
        end = now - number * _HOUR
        ranked = [
            Hotspot(refs[place], 1 + place % statements, kind, 1 + place, 10, 1e6, 1e6, 10, 0.05)
            for kind in ("worker_time_us", "elapsed_time_us", "logical_reads_pages", "combined")
            for place in range(20)
        ]
        store.save_hotspots(end - _HOUR, end, ranked)
    messages = [
        Alert(f"m{n}", f"{n % 2_000:012x}", "opened", "log", "high", now - timedelta(minutes=50 * n), "subject", "body")
        for n in range(MESSAGES)
    ]
    store.add_alerts(messages)
    with store._database.write() as connection:
        at = f"strftime('%Y-%m-%d %H:%M:%S', '{now:%Y-%m-%d %H:%M:%S}', '-' || (n * 5) || ' minutes') || '.000000'"
        connection.exec_driver_sql(
            "WITH RECURSIVE entries(n) AS (SELECT ? UNION ALL SELECT n - 1 FROM entries WHERE n > 1) "
            f"INSERT INTO audit_log (at, actor, action, subject, detail) SELECT {at}, 'analysis', 'incident opened', "
            "printf('%012x', n), '{\"note\": \"worse\"}' FROM entries",
            (ENTRIES,),
        )


def _write_hours(store: SqlStore, first: DatabaseRef, now: datetime, statements: int) -> None:
    columns = ", ".join(f'"{name}"' for name in COUNTERS)
    values = ", ".join("1000.0 * (1 + h % 24)" for _ in COUNTERS)
    midnight = epoch_us(now.replace(hour=0, minute=0))
    with store._database.write() as connection:
        for hours, term in ((365 * 24, "="), (7 * 24, "<>")):
            connection.exec_driver_sql(
                "WITH RECURSIVE hours(h) AS (SELECT 1 UNION ALL SELECT h + 1 FROM hours WHERE h < ?), "
                "statements(s) AS (SELECT 1 UNION ALL SELECT s + 1 FROM statements WHERE s < ?) "
                f"INSERT INTO hourly_rollup (database_id, hour_start_us, query_hash, plan_hash, intervals, {columns}) "
                f"SELECT database_id, ? - h * 3600000000, s, 900 + (h / 500) % {PLANS}, 12, {values} "
                "FROM monitored_database CROSS JOIN hours CROSS JOIN statements "
                f"WHERE (instance || '/' || \"database\") {term} ?",
                (hours, statements, midnight, str(first)),
            )
