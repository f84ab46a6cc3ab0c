"""What the lists of the status page read, a page at a time and along an index."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, or_, select, tuple_

from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef, hash_sought
from dbplanmon_pipeline.core.ports import Alert, Delivery, Hotspot, PlanChange
from dbplanmon_pipeline.core.ports.alert_rules import AlertRow, AlertRule, AlertState
from dbplanmon_pipeline.core.ports.page_lists import (
    AlertPage,
    AuditPage,
    AuditRow,
    HotspotRanking,
    ListFilter,
    PlanChangePage,
    PlanChangeRow,
    ReadingRow,
    TableSize,
)
from dbplanmon_pipeline.store.alerts.queue import IDLE_REMINDER
from dbplanmon_pipeline.store.incidents import HOTSPOT_FIELDS
from dbplanmon_pipeline.store.intervals.days import hot_days, table_name
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import (
    alert,
    alert_delivery,
    audit_log,
    collection_log,
    hotspot,
    incident,
    metadata,
    monitored_database,
    plan_change,
    query,
    query_text,
)

_MARK = "~"
_LARGEST = (1 << 63) - 1
_BEFORE, _AT_ONCE = timedelta(minutes=15), timedelta(hours=1)
"""An incident that began so much around a change of plan is its consequence."""

_READING = tuple(ReadingRow.__dataclass_fields__)[1:]


class PageListPart(StorePart):
    """Lists."""

    def plan_change_page(self, chosen: ListFilter, *, after: str = "", limit: int = 50) -> PlanChangePage:
        """Changes of plans, the newest first.

        Raises:
            ValueError: `after` is no mark of a page.
        """
        table, target = plan_change, monitored_database
        terms = _of_databases(chosen) + _of_statements(chosen, table)
        terms += [table.c.changed_at >= chosen.since] if chosen.since is not None else []
        source = table.join(target, target.c.database_id == table.c.database_id)
        order = (table.c.changed_at, table.c.database_id, table.c.query_hash)
        wanted = select(target.c.instance, target.c.database, table).select_from(source).where(*terms)
        if after:
            moment, number, query_hash = _mark(after, 3)
            wanted = wanted.where(_behind(order, (_moment(moment), _integer(number), _integer(query_hash))))
        ordered = wanted.order_by(*(column.desc() for column in order)).limit(limit + 1)
        with self._database.read(snapshot=True) as connection:
            total = connection.scalar(select(func.count()).select_from(source).where(*terms)) or 0
            rows = connection.execute(ordered).mappings().all()
            changes = [_change(row) for row in rows[:limit]]
            led_to = _incidents(connection, changes)
        following = _joined(*(rows[limit - 1][column.name] for column in order)) if len(rows) > limit else ""
        found = tuple(PlanChangeRow(c, led_to.get((c.ref, c.query_hash, c.changed_at), "")) for c in changes)
        return PlanChangePage(found, following, total)

    def hotspot_ranking(self, as_of: datetime, rank_by: str, chosen: ListFilter) -> HotspotRanking | None:
        """The newest stored ranking of a window that ended by then; None where there is none."""
        table, target = hotspot, monitored_database
        newest = (
            select(table.c.window_end, table.c.window_start)
            .where(table.c.window_end <= as_of)
            .order_by(table.c.window_end.desc(), table.c.window_start.desc())
            .limit(1)
        )
        with self._database.read(snapshot=True) as connection:
            window = connection.execute(newest).first()
            if window is None:
                return None
            end, start = window
            wanted = (
                select(table, target.c.instance, target.c.database)
                .join(target, target.c.database_id == table.c.database_id)
                .where(table.c.window_end == end, table.c.window_start == start, table.c.rank_by == rank_by)
                .where(*_of_databases(chosen), *_of_statements(chosen, table))
                .order_by(table.c.rank)
            )
            rows = connection.execute(wanted).mappings().all()
        return HotspotRanking(
            start, end, tuple(Hotspot(_ref(row), **{name: row[name] for name in HOTSPOT_FIELDS}) for row in rows)
        )

    def alert_page(
        self, *, states: Sequence[str] = (), channel: str = "", since: datetime, after: str = "", limit: int = 50
    ) -> AlertPage:
        """Alerts created since then, the newest first, but for reminders that wait or were not needed.

        Raises:
            ValueError: `after` is no mark of a page.
        """
        columns = alert.c
        wanted = select(alert).where(columns.created_at >= since, ~IDLE_REMINDER)
        wanted = wanted.where(columns.state.in_(list(states))) if states else wanted
        wanted = wanted.where(columns.channel == channel) if channel else wanted
        if after:
            moment, alert_id = _mark(after, 2)
            order = (columns.created_at, columns.alert_id)
            wanted = wanted.where(_behind(order, (_moment(moment), alert_id)))
        wanted = wanted.order_by(columns.created_at.desc(), columns.alert_id.desc()).limit(limit + 1)
        with self._database.read(snapshot=True) as connection:
            rows = [_message(row) for row in connection.execute(wanted).mappings()]
            attempts = _attempts(connection, [row.alert.alert_id for row in rows[:limit]])
        last = rows[limit - 1].alert if len(rows) > limit else None
        following = _joined(last.created_at, last.alert_id) if last else ""
        return AlertPage(tuple(rows[:limit]), attempts, following)

    def audit_page(
        self, *, actor: str = "", action: str = "", subject: str = "", since: datetime, after: str = "", limit: int = 50
    ) -> AuditPage:
        """Entries of the audit, the newest first; actor whole, action by its beginning, subject by a part.

        Raises:
            ValueError: `after` is no mark of a page.
        """
        columns = audit_log.c
        wanted = select(*(columns[name] for name in AuditRow.__dataclass_fields__)).where(columns.at >= since)
        wanted = wanted.where(columns.actor == actor) if actor else wanted
        wanted = wanted.where(columns.action.istartswith(action, autoescape=True)) if action else wanted
        wanted = wanted.where(columns.subject.icontains(subject, autoescape=True)) if subject else wanted
        order = (columns.at, columns.audit_id)
        if after:
            moment, number = _mark(after, 2)
            wanted = wanted.where(_behind(order, (_moment(moment), _integer(number))))
        # Along the index of moments, so that a rare actor is looked for in the chosen time alone.
        wanted = wanted.order_by(*(column.desc() for column in order)).limit(limit + 1)
        with self._database.read() as connection:
            rows = connection.execute(wanted).mappings().all()
        found = tuple(AuditRow(**row) for row in rows[:limit])
        return AuditPage(found, _joined(found[-1].at, found[-1].audit_id) if len(rows) > limit else "")

    def newest_readings(self, ref: DatabaseRef | None = None) -> list[ReadingRow]:
        """The newest outcome of every database ever read, by name; of one where asked. One look into the key each."""
        log, target = collection_log, monitored_database
        newest = select(func.max(log.c.started_at)).where(log.c.database_id == target.c.database_id)
        wanted = (
            select(target.c.instance, target.c.database, *(log.c[name] for name in _READING))
            .join_from(target, log, target.c.database_id == log.c.database_id)
            .where(log.c.started_at == newest.correlate(target).scalar_subquery())
            .order_by(target.c.instance, target.c.database)
        )
        if ref is not None:
            wanted = wanted.where(target.c.instance == ref.instance, target.c.database == ref.database)
        with self._database.read() as connection:
            return [
                ReadingRow(
                    ref=_ref(row),
                    **{name: row[name] for name in _READING} | {"status": CollectionStatus(row["status"])},
                )
                for row in connection.execute(wanted).mappings()
            ]

    def table_sizes(self) -> list[TableSize]:
        """Tables of the store, the largest first: about how many rows, and sizes on PostgreSQL.

        Nothing is counted, since that would read the whole store.
        """
        with self._database.read() as connection:
            days = [table_name(day) for day in hot_days(connection)]
            names = [*metadata.tables, *days]
            known = _sqlite_rows(connection, names) if self._database.is_sqlite else _postgres_rows(connection)
        found = [TableSize(name, *known[name]) for name in metadata.tables if name in known]
        found.append(_together("interval_metric", [known[name] for name in days if name in known]))
        return sorted(found, key=lambda one: (-(one.bytes or 0), -(one.rows or 0), one.name))


def _ref(row: RowMapping) -> DatabaseRef:
    return DatabaseRef(row["instance"], row["database"])


def _change(row: RowMapping) -> PlanChange:
    names = ("query_hash", "changed_at", "plan_hash", "previous_plan_hash", "summary")
    return PlanChange(ref=_ref(row), **{name: row[name] for name in names})


def _of_databases(chosen: ListFilter) -> list[ColumnElement[bool]]:
    named = ((monitored_database.c.instance, chosen.instance), (monitored_database.c.database, chosen.database))
    return [column == value for column, value in named if value]


def _of_statements(chosen: ListFilter, table: Any) -> list[ColumnElement[bool]]:
    terms = [table.c.query_hash == chosen.query_hash] if chosen.query_hash else []
    if not chosen.text:
        return terms
    value = hash_sought(chosen.text)
    if value:
        return [*terms, table.c.query_hash == value]
    mentioned = (
        select(query.c.database_id, query.c.query_hash)
        .join(query_text, query_text.c.text_sha256 == query.c.text_sha256)
        .where(query_text.c.text.icontains(chosen.text, autoescape=True))
    )
    return [*terms, tuple_(table.c.database_id, table.c.query_hash).in_(mentioned)]


def _joined(*values: object) -> str:
    return _MARK.join(value.isoformat() if isinstance(value, datetime) else str(value) for value in values)


def _mark(text: str, parts: int) -> list[str]:
    found = text.split(_MARK, parts - 1)
    if len(found) != parts:
        raise ValueError("this is no mark of a page")
    return found


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("this moment has no time zone")
    return moment


def _integer(text: str) -> int:
    value = int(text)
    if not -_LARGEST - 1 <= value <= _LARGEST:
        raise ValueError("this number is too large")
    return value


def _behind(columns: Sequence[ColumnElement[Any]], values: Sequence[Any]) -> ColumnElement[bool]:
    """Rows that follow these values where all columns fall."""
    terms = []
    for place, (column, value) in enumerate(zip(columns, values, strict=True)):
        same = [before == known for before, known in zip(columns[:place], values[:place], strict=True)]
        terms.append(and_(*same, column < value))
    return or_(*terms)


def _incidents(connection: Connection, changes: Sequence[PlanChange]) -> dict[tuple[DatabaseRef, int, datetime], str]:
    """The incident of each statement that began with a change: with its plan, or at about its time."""
    hashes = sorted({change.query_hash for change in changes})
    if not hashes:
        return {}
    columns = incident.c
    wanted = (
        select(columns.query_hash, columns.instance, columns.database, columns.plan_hash, columns.began_at)
        .add_columns(columns.incident_id)
        # By one column, which has an index on both engines; rows of databases that are not asked for are few.
        .where(columns.query_hash.in_(hashes))
        .order_by(columns.opened_at)
    )
    of_statement: dict[tuple[int, str, str], list[tuple[int, datetime, str]]] = {}
    for query_hash, instance, database, *found in connection.execute(wanted):
        of_statement.setdefault((query_hash, instance, database), []).append((found[0], found[1], found[2]))
    led_to: dict[tuple[DatabaseRef, int, datetime], str] = {}
    for change in changes:
        for plan_hash, began_at, number in of_statement.get(
            (change.query_hash, change.ref.instance, change.ref.database), []
        ):
            after = began_at - change.changed_at
            if -_BEFORE <= after <= _AT_ONCE or (plan_hash == change.plan_hash and after >= -_BEFORE):
                led_to.setdefault((change.ref, change.query_hash, change.changed_at), number)
    return led_to


def _message(row: RowMapping) -> AlertRow:
    return AlertRow(
        Alert(**{name: row[name] for name in Alert.__dataclass_fields__}),
        state=AlertState(row["state"]),
        rule=AlertRule(row["rule"]),
        reason=row["reason"],
        next_attempt_at=row["next_attempt_at"],
        grouped_into=row["grouped_into"] or "",
        decided_at=row["decided_at"],
    )


def _attempts(connection: Connection, alert_ids: Iterable[str]) -> Mapping[str, tuple[Delivery, ...]]:
    table = alert_delivery
    wanted = select(table).where(table.c.alert_id.in_(list(alert_ids))).order_by(table.c.attempted_at)
    found: dict[str, tuple[Delivery, ...]] = {}
    for row in connection.execute(wanted).mappings():
        found[row["alert_id"]] = (*found.get(row["alert_id"], ()), Delivery(**row))
    return found


def _together(name: str, sizes: Sequence[tuple[int | None, int | None]]) -> TableSize:
    rows, used = ([size[place] for size in sizes if size[place] is not None] for place in (0, 1))
    return TableSize(name, sum(filter(None, rows)) if rows else None, sum(filter(None, used)) if used else None)


def _sqlite_rows(connection: Connection, names: Iterable[str]) -> dict[str, tuple[int | None, int | None]]:
    """The span of row numbers: two looks into each table, exact where the oldest rows go first."""
    found: dict[str, tuple[int | None, int | None]] = {}
    for name in names:
        sql = f'SELECT (SELECT max(rowid) FROM "{name}") - (SELECT min(rowid) FROM "{name}") + 1'  # noqa: S608 - ours
        found[name] = (int(connection.exec_driver_sql(sql).scalar() or 0), None)
    return found


def _postgres_rows(connection: Connection) -> dict[str, tuple[int | None, int | None]]:
    told = connection.exec_driver_sql(
        "SELECT c.relname, c.reltuples::bigint, pg_total_relation_size(c.oid) FROM pg_class c "
        "WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"
    )
    return {name: (int(rows) if rows >= 0 else None, int(size)) for name, rows, size in told}
