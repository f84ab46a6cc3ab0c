"""Short reads for health and metrics; each takes milliseconds, however large the store is."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from dbplanmon_pipeline.core.incidents.incident import IncidentEvent, IncidentState
from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.ports.alert_rules import AlertState
from dbplanmon_pipeline.core.ports.collection import JobState
from dbplanmon_pipeline.core.ports.figures import (
    DatabaseState,
    LoggedDelivery,
    LoggedIncident,
    LoggedKpi,
    LoggedReading,
    StoreFigures,
)
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.store.baselines import WRITES
from dbplanmon_pipeline.store.bulk import plain_moment, plain_rows
from dbplanmon_pipeline.store.intervals.days import (
    HOUR_EXPRESSION,
    HOUR_US,
    epoch_us,
    hot_days,
    hours_between,
    longest_us,
    table_name,
)
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import (
    alert,
    alert_delivery,
    archive_segment,
    audit_log,
    baseline,
    collection_log,
    database_hour,
    incident,
    job_state,
    kpi_result,
    monitored_database,
)
from dbplanmon_pipeline.store.targets import database_ids, id_list

_OPEN = [state.value for state in IncidentState if state.is_open]
_UNSENT = [AlertState.PENDING.value, AlertState.HELD.value, AlertState.GIVEN_UP.value]
_BEGINNINGS = [f"incident {event.value}" for event in (IncidentEvent.OPENED, IncidentEvent.REOPENED)]
_BUSY_SPAN = timedelta(hours=3)
_LATELY = timedelta(days=1)
_STATES = """
SELECT d.instance, d."database", l.started_at, s.read_at, l.status, l.error_class, l.lag_seconds, l.duration_ms,
    l.cost_ms
FROM monitored_database d
LEFT JOIN collection_log l ON l.database_id = d.database_id
    AND l.started_at = (SELECT MAX(o.started_at) FROM collection_log o WHERE o.database_id = d.database_id)
LEFT JOIN counter_state s ON s.database_id = d.database_id
ORDER BY d.instance, d."database"
"""
"""The newest outcome of each database, one look into the key each."""


class FigurePart(StorePart):
    """Satisfies `FigureStore`."""

    def database_states(self) -> list[DatabaseState]:
        """Every database ever read, by name."""
        with self._database.read() as connection:
            rows = plain_rows(connection, _STATES)
        return [
            DatabaseState(
                DatabaseRef(instance, database),
                plain_moment(logged_at),
                plain_moment(last_success_at),
                CollectionStatus(status) if status else None,
                error_class or "",
                lag_seconds,
                duration_ms or 0.0,
                cost_ms,
            )
            for (
                instance,
                database,
                logged_at,
                last_success_at,
                status,
                error_class,
                lag_seconds,
                duration_ms,
                cost_ms,
            ) in rows
        ]

    def named_shares(self, since: datetime) -> dict[DatabaseRef, float]:
        """Share of the time of each database that belongs to statements kept by name, 0..1.

        Over all that ended since the hour of that moment began; databases without work are left out.
        """
        first, now = epoch_us(since) // HOUR_US * HOUR_US, epoch_us(self._clock())
        hour = database_hour
        whole = select(hour.c.database_id, func.sum(hour.c.elapsed_time_us)).where(hour.c.hour_start_us >= first)
        others: defaultdict[int, float] = defaultdict(float)
        with self._database.read(snapshot=True) as connection:
            ids = {number: ref for ref, number in database_ids(connection).items()}
            for day in hot_days(connection, first, now):
                hours = hours_between(first - longest_us(connection, [day]), now)
                # One look into the key for each database and hour; a fleet has millions of rows in an hour.
                sql = (
                    f"SELECT database_id, elapsed_time_us FROM {table_name(day)} "  # noqa: S608 - our own names
                    f"WHERE {HOUR_EXPRESSION} IN ({id_list(hours)}) AND database_id IN ({id_list(ids)}) "
                    f"AND query_hash = {OTHER_STATEMENTS} AND +interval_end_us > {first}"
                )
                for number, elapsed_us in plain_rows(connection, sql) if ids else ():
                    others[number] += elapsed_us or 0.0
            sums = connection.execute(whole.group_by(hour.c.database_id)).all()
        return {ids[number]: max(1 - others[number] / spent, 0.0) for number, spent in sums if spent and spent > 0}

    def newest_baseline(self, as_of: datetime, layout: str) -> tuple[datetime, int] | None:
        """Moment of the newest baseline not younger than `as_of`, and of how many statements it is."""
        mine = (baseline.c.layout == layout) & (baseline.c.as_of <= as_of)
        newest = select(baseline.c.as_of, func.count()).where(mine).group_by(baseline.c.as_of)
        with self._database.read() as connection:
            row = connection.execute(newest.order_by(baseline.c.as_of.desc()).limit(1)).first()
        return None if row is None else (row[0], row[1])

    def busiest_databases(self, limit: int) -> list[DatabaseRef]:
        """Databases by the time they spent on statements in the last hours, the busiest first."""
        hour, target = database_hour, monitored_database
        since = int((self._clock() - _BUSY_SPAN).timestamp()) * 1_000_000
        spent = func.sum(hour.c.elapsed_time_us)
        statement = (
            select(target.c.instance, target.c.database)
            .join_from(hour, target, target.c.database_id == hour.c.database_id)
            .where(hour.c.hour_start_us >= since)
            .group_by(target.c.instance, target.c.database)
            .order_by(spent.desc(), target.c.instance, target.c.database)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [DatabaseRef(*row) for row in connection.execute(statement)]

    def store_figures(self, now: datetime) -> StoreFigures:
        """What is in the store now."""
        opened = select(incident.c.severity, func.count()).where(incident.c.state.in_(_OPEN))
        unsent = select(alert.c.channel, alert.c.state, func.count()).where(alert.c.state.in_(_UNSENT))
        pending = alert.c.state == AlertState.PENDING.value
        overdue = select(alert.c.channel, func.min(alert.c.queued_at)).where(pending, alert.c.next_attempt_at <= now)
        dead = (alert.c.state == AlertState.GIVEN_UP.value) & (alert.c.ended_at >= now - _LATELY)
        jobs = select(job_state).where(job_state.c.name != WRITES)
        with self._database.read(snapshot=True) as connection:
            counts = connection.execute(unsent.group_by(alert.c.channel, alert.c.state))
            return StoreFigures(
                open_incidents={row[0]: row[1] for row in connection.execute(opened.group_by(incident.c.severity))},
                alerts={(channel, state): count for channel, state, count in counts},
                overdue_since={row[0]: row[1] for row in connection.execute(overdue.group_by(alert.c.channel))},
                given_up_lately=connection.scalar(select(func.count()).select_from(alert).where(dead)) or 0,
                jobs=[JobState(**row) for row in connection.execute(jobs).mappings()],
                store_bytes=_store_bytes(connection, is_sqlite=self._database.is_sqlite),
                archive_bytes=int(connection.scalar(select(func.sum(archive_segment.c.bytes))) or 0),
            )

    def logged_batches(self, since: datetime) -> dict[datetime, int]:
        """How many readings were logged at each moment since then."""
        at = collection_log.c.recorded_at
        statement = select(at, func.count()).where(at >= since).group_by(at)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def logged_readings(self, moments: Sequence[datetime]) -> list[LoggedReading]:
        """Readings logged at these moments."""
        log, target = collection_log, monitored_database
        names = ("started_at", "recorded_at", "status", "error_class", "rows", "duration_ms")
        statement = (
            select(target.c.instance, target.c.database, *(log.c[name] for name in names))
            .join(target, target.c.database_id == log.c.database_id)
            .where(log.c.recorded_at.in_(moments))
            .order_by(log.c.recorded_at)
        )
        with self._database.read() as connection:
            return [
                LoggedReading(DatabaseRef(instance, database), started, recorded, CollectionStatus(status), *rest)
                for instance, database, started, recorded, status, *rest in connection.execute(statement)
            ]

    def logged_incidents(self, since: datetime) -> list[LoggedIncident]:
        """Incidents that were opened or reopened since then."""
        statement = (
            select(audit_log.c.audit_id, audit_log.c.at, audit_log.c.detail, incident.c.instance, incident.c.label)
            .outerjoin_from(audit_log, incident, incident.c.incident_id == audit_log.c.subject)
            .where(audit_log.c.at >= since, audit_log.c.action.in_(_BEGINNINGS))
        )
        with self._database.read() as connection:
            return [
                LoggedIncident(number, at, instance or "", label or "", str(detail.get("severity", "")))
                for number, at, detail, instance, label in connection.execute(statement)
            ]

    def logged_deliveries(self, since: datetime) -> list[LoggedDelivery]:
        """Attempts to send alerts since then."""
        tried = alert_delivery
        statement = (
            select(tried.c.alert_id, tried.c.attempted_at, alert.c.channel, tried.c.succeeded)
            .join(alert, alert.c.alert_id == tried.c.alert_id)
            .where(tried.c.attempted_at >= since)
        )
        with self._database.read() as connection:
            return [LoggedDelivery(*row) for row in connection.execute(statement)]

    def logged_kpis(self, since: datetime) -> list[LoggedKpi]:
        """Readings of KPIs that began since then."""
        table = kpi_result
        statement = select(table.c.name, table.c.started_at, table.c.state).where(table.c.started_at >= since)
        with self._database.read() as connection:
            return [LoggedKpi(*row) for row in connection.execute(statement)]


def _store_bytes(connection: Connection, *, is_sqlite: bool) -> int:
    if not is_sqlite:
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)
    size, pages = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0 for name in ("page_size", "page_count"))
    return int(size) * int(pages)
