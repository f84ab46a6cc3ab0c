"""What collection leaves in the store and finds there again.

`record` is one transaction: the counter state moves on only together with the rows that were differenced from it, so no
work counts twice and none is lost, whatever breaks in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select

from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.ports import CaptureState, CollectedDatabase, KnownStatement
from dbplanmon_pipeline.store.bulk import insert_records, insert_rows, plain_moment, plain_rows
from dbplanmon_pipeline.store.collecting.counter_states import (
    LockedStates,
    keep_sightings,
    lock_states,
    move_newest_ends,
    move_states,
    moved_on,
    read_readings,
)
from dbplanmon_pipeline.store.collecting.facts import ToldFacts, digest_of_facts, known_tables, record_facts
from dbplanmon_pipeline.store.collecting.reading_codec import ReadingEncoder
from dbplanmon_pipeline.store.collecting.recorded_from import mark_recorded_from
from dbplanmon_pipeline.store.collecting.statements import REASON_HOLDS, record_statements
from dbplanmon_pipeline.store.intervals.write import IntervalBatch, write_intervals
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import collection_log, counter_state, monitored_database
from dbplanmon_pipeline.store.targets import database_ids, ensure_databases, id_list

_EMPTY = CaptureState(previous=None, statements={}, plans=frozenset())
_COUNTED = tuple(item.name for item in fields(CollectionOutcome) if item.name not in ("ref", "status"))


@dataclass(frozen=True, slots=True)
class DatabaseOverview:
    """How one database fares: last outcome, last success and recorded rows of the last hour (times aware UTC)."""

    ref: DatabaseRef
    engine: str
    last_outcome: CollectionOutcome | None
    last_success_at: datetime | None
    rows_last_hour: int


class CollectionPart(StorePart):
    """Counter states, interval rows, statements, plans and the collection log."""

    def capture_states(self, refs: Sequence[DatabaseRef]) -> dict[DatabaseRef, CaptureState]:
        """State per database; unknown databases have an empty one."""
        with self._database.read(snapshot=True) as connection:
            ids = database_ids(connection)
            wanted = {ids[ref]: ref for ref in refs if ref in ids}
            readings = read_readings(connection, wanted)
            statements = _known_statements(connection, wanted)
            plans = _known_plans(connection, wanted, self._clock() - REASON_HOLDS)
            tables = known_tables(connection, wanted)
        states = dict.fromkeys(refs, _EMPTY)
        for number, ref in wanted.items():
            read_at, previous = readings.get(number, (None, None))
            known = frozenset(plans.get(number, ()))
            states[ref] = CaptureState(
                previous, statements.get(number, {}), known, read_at, tables=tuple(tables.get(number, ()))
            )
        return states

    def record(self, collected: Sequence[CollectedDatabase]) -> frozenset[DatabaseRef]:
        """Store all of them in one transaction; returns the databases refused because their state had moved on."""
        encoder = ReadingEncoder()
        bodies = {item.outcome.ref: encoder.encode(item.reading) for item in collected if item.reading is not None}
        now = self._clock()
        with self._database.write() as connection:
            ids = ensure_databases(connection, {item.outcome.ref: str(item.engine) for item in collected}, now)
            locked = lock_states(connection, collected, ids)
            refused = moved_on(collected, ids, locked)
            taken = [item for item in collected if item.outcome.ref not in refused]
            batch = IntervalBatch.of((ids[item.outcome.ref], item.rows) for item in taken if item.rows is not None)
            write_intervals(connection, batch, now)
            numbered = [(ids[item.outcome.ref], item) for item in taken]
            sightings = record_statements(connection, numbered, batch, locked.sightings)
            _record_facts(connection, numbered, locked)
            move_states(connection, numbered, bodies, locked)
            move_newest_ends(connection, batch.newest_ends())
            mark_recorded_from(connection, numbered)
            keep_sightings(connection, sightings)
            _log(connection, taken, ids, now)
        return refused

    def collection_log(self, since: datetime) -> list[CollectionOutcome]:
        """Outcomes by start time, oldest first."""
        table = collection_log
        order = (table.c.started_at, monitored_database.c.instance, monitored_database.c.database)
        statement = _outcomes().where(table.c.started_at >= since).order_by(*order)
        with self._database.read() as connection:
            return [_outcome(row) for row in connection.execute(statement).mappings()]

    def known_databases(self) -> list[DatabaseRef]:
        """Every database ever read, by name."""
        with self._database.read() as connection:
            return sorted(database_ids(connection))

    def database_overview(self) -> list[DatabaseOverview]:
        """One entry per known database, by name."""
        log, target, state = collection_log, monitored_database, counter_state
        newest = select(func.max(log.c.started_at)).where(log.c.database_id == target.c.database_id).correlate(target)
        last = _outcomes().where(log.c.started_at == newest.scalar_subquery())
        since = self._clock() - timedelta(hours=1)
        recent = select(log.c.database_id, func.sum(log.c.rows)).where(log.c.started_at > since)
        known = select(target.c.database_id, target.c.instance, target.c.database, target.c.engine, state.c.read_at)
        known = known.outerjoin_from(target, state, state.c.database_id == target.c.database_id)
        with self._database.read(snapshot=True) as connection:
            outcomes = {outcome.ref: outcome for outcome in map(_outcome, connection.execute(last).mappings())}
            rows = {row[0]: row[1] for row in connection.execute(recent.group_by(log.c.database_id))}
            targets = connection.execute(known.order_by(target.c.instance, target.c.database)).all()
        overview = []
        for number, instance, name, engine, success in targets:
            ref = DatabaseRef(instance, name)
            overview.append(DatabaseOverview(ref, engine, outcomes.get(ref), success, int(rows.get(number, 0))))
        return overview


def _known_statements(
    connection: Connection, wanted: Mapping[int, DatabaseRef]
) -> dict[int, dict[int, KnownStatement]]:
    sql = (
        "SELECT database_id, query_hash, current_plan_hash, plan_checked_at, text_sha256 IS NOT NULL FROM query "  # noqa: S608
        f"WHERE database_id IN ({id_list(wanted)})"
    )
    statements: dict[int, dict[int, KnownStatement]] = {number: {} for number in wanted}
    moments: dict[str | datetime | None, datetime | None] = {}
    for number, query_hash, plan_hash, checked_at, has_text in plain_rows(connection, sql):
        if checked_at not in moments:
            moments[checked_at] = plain_moment(checked_at)
        statements[number][query_hash] = KnownStatement(plan_hash, moments[checked_at], bool(has_text))
    return statements


def _known_plans(
    connection: Connection, wanted: Mapping[int, DatabaseRef], asked_since: datetime
) -> dict[int, list[int]]:
    """Plans that are stored, or that could not be kept when they were asked for after that moment."""
    lately = f"p.first_seen > '{asked_since.astimezone(UTC):%Y-%m-%d %H:%M:%S}+00'"
    sql = (
        "SELECT o.database_id, o.plan_hash FROM plan_observation o JOIN plan p ON p.plan_hash = o.plan_hash "  # noqa: S608
        f"WHERE o.database_id IN ({id_list(wanted)}) AND (p.reason = '' OR {lately})"
    )
    plans: dict[int, list[int]] = {number: [] for number in wanted}
    for number, plan_hash in plain_rows(connection, sql):
        plans[number].append(plan_hash)
    return plans


def _record_facts(
    connection: Connection, numbered: Sequence[tuple[int, CollectedDatabase]], locked: LockedStates
) -> None:
    """Most collections tell what the last one told; then nothing is read or written."""
    told = [
        ToldFacts(number, item.outcome.started_at, item.facts, item.facts_are_whole)
        for number, item in numbered
        if item.facts
    ]
    digests = {one.database_id: digest_of_facts(one) for one in told}
    told = [one for one in told if digests[one.database_id] != locked.facts_digests.get(one.database_id)]
    record_facts(connection, told)
    numbers = sorted(one.database_id for one in told if one.database_id in locked.facts_digests)
    columns: dict[str, list[Any]] = {
        "database_id": numbers,
        "counters": [0] * len(numbers),
        "facts_digest": [digests[number] for number in numbers],
    }
    keep = "ON CONFLICT (database_id) DO UPDATE SET facts_digest = excluded.facts_digest"
    insert_rows(connection, counter_state, columns, keep)


def _log(
    connection: Connection, taken: Sequence[CollectedDatabase], ids: Mapping[DatabaseRef, int], now: datetime
) -> None:
    records = [
        {
            "database_id": ids[item.outcome.ref],
            "status": str(item.outcome.status),
            # A reading that waited in the spool is logged long after it began.
            "recorded_at": now,
            **{name: getattr(item.outcome, name) for name in _COUNTED},
        }
        for item in taken
    ]
    insert_records(connection, collection_log, records, "ON CONFLICT DO NOTHING")


def _outcomes() -> Select[Any]:
    log, target = collection_log, monitored_database
    columns = [log.c[name] for name in ("status", *_COUNTED)]
    return select(target.c.instance, target.c.database, *columns).join(
        target, target.c.database_id == log.c.database_id
    )


def _outcome(row: RowMapping) -> CollectionOutcome:
    facts = {name: row[name] for name in _COUNTED}
    ref = DatabaseRef(row["instance"], row["database"])
    return CollectionOutcome(ref=ref, status=CollectionStatus(row["status"]), **facts)
