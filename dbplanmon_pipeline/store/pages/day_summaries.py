"""What a summary of a day needs, added up by the database, so that a large fleet costs seconds."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Integer, case, cast, func, select

from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.ports.summary import DayWork, KpiSpan, Watch
from dbplanmon_pipeline.store.intervals.days import (
    HOUR_EXPRESSION,
    HOUR_US,
    day_bounds_us,
    hot_days,
    hours_between,
    longest_us,
    table_name,
)
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import (
    alert,
    archive_segment,
    collection_log,
    kpi_result,
    monitored_database,
)
from dbplanmon_pipeline.store.targets import database_ids

_READERS = 2
"""Hours are added up by so many threads; each spends its time within the database."""

_SUMS = "SUM(execution_count), SUM(elapsed_time_us), SUM(worker_time_us), SUM(logical_reads_pages)"
_TOTALS = ("executions", "elapsed", "worker", "reads")
_ENTRY = np.dtype([(name, "<i8") for name in ("hour", "database", "query")] + [(name, "<f8") for name in _TOTALS])
_GOOD = (CollectionStatus.OK.value, CollectionStatus.FIRST_READING.value)


class DaySummaryPart(StorePart):
    """Sums over a day or a span."""

    def day_work(self, day: date) -> DayWork:
        """Work of one UTC day; of a sealed day from its hourly totals."""
        first, last = day_bounds_us(day)
        with self._database.read() as connection:
            ids = database_ids(connection)
            sealed = connection.scalar(select(func.count()).where(archive_segment.c.day == day))
            hot = day in hot_days(connection) and not sealed
            longest = longest_us(connection, [day])
        if hot:
            hours = list(hours_between(first - longest, last))
            with ThreadPoolExecutor(_READERS) as pool:
                parts = list(
                    pool.map(lambda hour: self._hour(hour, table_name(day), f"{HOUR_EXPRESSION} = {hour}"), hours)
                )
        else:
            hours = list(range(first // HOUR_US, last // HOUR_US))
            parts = [self._hour(hour, "hourly_rollup", f"hour_start_us = {hour * HOUR_US}") for hour in hours]
        entries = np.concatenate(parts) if parts else np.empty(0, _ENTRY)
        return DayWork(
            hours=np.clip(entries["hour"] - first // HOUR_US, 0, 23),
            database_ids=entries["database"],
            query_hashes=entries["query"],
            totals=np.stack([entries[name] for name in _TOTALS], axis=1),
            databases={number: ref for ref, number in ids.items()},
        )

    def _hour(self, hour: int, table: str, condition: str) -> np.ndarray:
        # One hour at a time: its rows lie together in the index, in the order of the groups.
        sql = (
            f"SELECT {hour}, database_id, query_hash, {_SUMS} FROM {table} WHERE {condition} "  # noqa: S608
            "GROUP BY database_id, query_hash"
        )
        with self._database.read() as connection:
            cursor = connection.exec_driver_sql(sql).cursor
            # Plain tuples, in which an unknown sum becomes NaN: rows of SQLAlchemy take twice the time.
            return np.fromiter(cursor.fetchall() if cursor is not None else (), _ENTRY)

    def watches(self, start: datetime, end: datetime) -> list[Watch]:
        """One per database with an entry in the collection log, by name."""
        log, target = collection_log, monitored_database
        gap, cost = func.coalesce(log.c.gap_seconds, 0.0), func.coalesce(log.c.cost_ms, 0.0)
        sums = (
            func.count(),
            _number(log.c.status.in_(_GOOD)),
            _number(log.c.status == CollectionStatus.FAILED.value),
            _number(gap > 0),
            func.sum(gap),
            func.sum(cost),
            func.sum(log.c.duration_ms),
        )
        names = (target.c.instance, target.c.database)
        wanted = (
            select(*names, *sums)
            .join(target, target.c.database_id == log.c.database_id)
            .where(log.c.started_at >= start, log.c.started_at < end)
            .group_by(*names)
            .order_by(*names)
        )
        with self._database.read() as connection:
            return [Watch(DatabaseRef(*row[:2]), *row[2:]) for row in connection.execute(wanted)]

    def kpi_spans(self, start: datetime, end: datetime) -> list[KpiSpan]:
        """One per KPI that was read, by name."""
        table = kpi_result
        within = (table.c.started_at >= start, table.c.started_at < end)
        sums = (
            select(
                table.c.name,
                func.count().label("readings"),
                _number(table.c.state == "breach").label("breaches"),
                _number(table.c.state == "error").label("errors"),
                func.max(table.c.started_at).label("last"),
            )
            .where(*within)
            .group_by(table.c.name)
            .subquery()
        )
        counted = (sums.c.name, sums.c.readings, sums.c.breaches, sums.c.errors)
        wanted = (
            select(*counted, table.c.state, table.c.value, table.c.message)
            .join(table, (table.c.name == sums.c.name) & (table.c.started_at == sums.c.last))
            .order_by(sums.c.name)
        )
        with self._database.read() as connection:
            return [KpiSpan(*row[:5], _known(row[5]), row[6]) for row in connection.execute(wanted)]

    def alert_totals(self, start: datetime, end: datetime) -> dict[str, int]:
        """Alerts that were created in the span, summaries aside, by what became of them."""
        wanted = (
            select(alert.c.state, func.count())
            .where(alert.c.created_at >= start, alert.c.created_at < end, alert.c.incident_id.not_like("summary:%"))
            .group_by(alert.c.state)
        )
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(wanted)}


def _number(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    """How many rows fulfil it."""
    return cast(func.sum(case((condition, 1), else_=0)), Integer)


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else value
