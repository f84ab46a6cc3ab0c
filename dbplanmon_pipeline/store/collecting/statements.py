"""Statements, their texts and plans: what is seen for the first time, and what they run with now.

Texts and plans are content-addressed: the first body wins and is never written again. A plan that cannot be kept has a
row with the reason instead, until a body comes. `last_seen` moves at most once an hour, so a tick changes few rows.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import zstandard
from sqlalchemy import Connection, select, tuple_

from dbplanmon_pipeline.core.model import CapturedPlan, DatabaseRef, StatementText
from dbplanmon_pipeline.core.ports import CollectedDatabase, PlanChange
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.store.bulk import insert_records, insert_rows, replace_on
from dbplanmon_pipeline.store.collecting.sightings import Sightings, decode_sightings, encode_sightings
from dbplanmon_pipeline.store.intervals.write import IntervalBatch
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import monitored_database, plan, plan_change, plan_observation, query, query_text
from dbplanmon_pipeline.store.targets import database_ids, ensure_databases

REASON_HOLDS = timedelta(days=7)
"""So long a plan that could not be kept is not asked for again; by then its reason may have passed."""

_PLAN_LEVEL = 3
_KEYS_AT_ONCE = 500

Collected = Sequence[tuple[int, CollectedDatabase]]


class StatementPart(StorePart):
    """Plans, texts and plan changes."""

    def plan(self, plan_hash: int) -> CapturedPlan | None:
        """A stored plan body with its context, or the reason why there is none."""
        with self._database.read() as connection:
            row = connection.execute(select(plan).where(plan.c.plan_hash == plan_hash)).mappings().first()
        if row is None:
            return None
        body = zstandard.ZstdDecompressor().decompress(row["body_zstd"]).decode()
        facts = {name: row[name] for name in ("query_hash", "plan_hash", "format", "origin", "reason", "context")}
        return CapturedPlan(body=body, **facts)

    def statement_texts(self, keys: Sequence[tuple[DatabaseRef, int]]) -> dict[tuple[DatabaseRef, int], StatementText]:
        """Redacted texts of those that are known."""
        texts: dict[tuple[DatabaseRef, int], StatementText] = {}
        with self._database.read() as connection:
            ids = database_ids(connection)
            wanted = {(ids[ref], query_hash): (ref, query_hash) for ref, query_hash in keys if ref in ids}
            pairs = list(wanted)
            for first in range(0, len(pairs), _KEYS_AT_ONCE):
                for number, *told in _texts(connection, pairs[first : first + _KEYS_AT_ONCE]):
                    texts[wanted[number, told[0]]] = StatementText(*told)
        return texts

    def save_plan_changes(self, changes: Sequence[PlanChange]) -> int:
        """Insert those not yet there; returns how many were new."""
        with self._database.write() as connection:
            ids = ensure_databases(connection, dict.fromkeys((change.ref for change in changes), ""), self._clock())
            names = ("query_hash", "changed_at", "plan_hash", "previous_plan_hash", "summary")
            records = [
                {"database_id": ids[change.ref], **{name: getattr(change, name) for name in names}}
                for change in changes
            ]
            return insert_records(connection, plan_change, records, "ON CONFLICT DO NOTHING")

    def plan_changes(self, since: datetime, ref: DatabaseRef | None = None) -> list[PlanChange]:
        """Changes since then, newest first; of one database where asked."""
        target = monitored_database
        statement = (
            select(target.c.instance, target.c.database, plan_change)
            .join(target, target.c.database_id == plan_change.c.database_id)
            .where(plan_change.c.changed_at >= since)
            .order_by(plan_change.c.changed_at.desc(), plan_change.c.database_id, plan_change.c.query_hash)
        )
        if ref is not None:
            statement = statement.where(target.c.instance == ref.instance, target.c.database == ref.database)
        with self._database.read() as connection:
            return [
                PlanChange(
                    ref=DatabaseRef(row["instance"], row["database"]),
                    query_hash=row["query_hash"],
                    changed_at=row["changed_at"],
                    plan_hash=row["plan_hash"],
                    previous_plan_hash=row["previous_plan_hash"],
                    summary=row["summary"],
                )
                for row in connection.execute(statement).mappings()
            ]


def _texts(connection: Connection, pairs: Sequence[tuple[int, int]]) -> Iterable[Any]:
    statement = (
        select(query.c.database_id, query.c.query_hash, query_text.c.text, query_text.c.kind, query.c.plan_reason)
        .join(query_text, query_text.c.text_sha256 == query.c.text_sha256)
        .where(tuple_(query.c.database_id, query.c.query_hash).in_(pairs))
    )
    return connection.execute(statement)


def record_statements(
    connection: Connection, collected: Collected, batch: IntervalBatch, written: Mapping[int, bytes | None]
) -> dict[int, bytes]:
    """Write down what the readings show of statements, texts and plans; part of the transaction of `record`.

    Args:
        connection: the transaction of `record`.
        collected: what is stored, with the number of each database.
        batch: all interval rows of `collected`.
        written: sightings of each database as the last `record` left them.

    Returns:
        New sightings of the databases where they changed.
    """
    seen = {number: _moment(item) for number, item in collected}
    sightings = _save_running(connection, batch, seen, {number: written.get(number) for number in seen})
    save_texts(connection, [(number, item.texts) for number, item in collected], seen)
    _save_captured(connection, collected, seen)
    return sightings


def _moment(item: CollectedDatabase) -> datetime:
    return item.reading.read_at if item.reading is not None else item.outcome.started_at


def _save_running(
    connection: Connection, batch: IntervalBatch, seen: dict[int, datetime], written: Mapping[int, bytes | None]
) -> dict[int, bytes]:
    now, earlier = Sightings(batch.plans_in_use(), batch.pairs_with_plan()), decode_sightings(written, seen)
    new = now.new_against(earlier)
    if not new.databases():
        return {}
    _save_queries(connection, new.current, seen)
    _save_observations(connection, new.observed.tolist(), seen)
    return encode_sightings(new.after(earlier), seen, new.databases())


def _save_queries(connection: Connection, keys: Longs, seen: dict[int, datetime]) -> None:
    pairs = list(zip(keys[:, 0].tolist(), keys[:, 1].tolist(), strict=True))
    columns = _query_columns(pairs, seen) | {"current_plan_hash": keys[:, 2].tolist()}
    refresh = _refresh_limit(connection, "query")
    clause = (
        "ON CONFLICT (database_id, query_hash) DO UPDATE SET last_seen = excluded.last_seen, current_plan_hash = "
        "CASE WHEN excluded.current_plan_hash = 0 THEN query.current_plan_hash ELSE excluded.current_plan_hash END "
        f"WHERE {refresh} OR (excluded.current_plan_hash NOT IN (0, query.current_plan_hash) "
        "AND excluded.last_seen >= query.last_seen)"
    )
    insert_rows(connection, query, columns, clause)


def _save_observations(connection: Connection, triples: Sequence[Sequence[int]], seen: dict[int, datetime]) -> None:
    columns: dict[str, list[Any]] = {
        "database_id": [triple[0] for triple in triples],
        "query_hash": [triple[1] for triple in triples],
        "plan_hash": [triple[2] for triple in triples],
        "first_seen": [seen[triple[0]] for triple in triples],
        "last_seen": [seen[triple[0]] for triple in triples],
    }
    refresh = _refresh_limit(connection, "plan_observation")
    clause = (
        f"ON CONFLICT (database_id, query_hash, plan_hash) DO UPDATE SET last_seen = excluded.last_seen WHERE {refresh}"
    )
    insert_rows(connection, plan_observation, columns, clause)


def _refresh_limit(connection: Connection, table: str) -> str:
    """SQL that is true when the new row was seen in a later hour than the stored one."""
    hour = "substr({}.last_seen, 1, 13)" if connection.dialect.name == "sqlite" else "date_trunc('hour', {}.last_seen)"
    return f"{hour.format(table)} < {hour.format('excluded')}"


def save_texts(
    connection: Connection, told: Sequence[tuple[int, Sequence[StatementText]]], seen: Mapping[int, datetime]
) -> None:
    """Keep texts of statements, by database; a statement that is not known yet was first seen at `seen`."""
    texts = {
        (number, text.query_hash): (hashlib.sha256(f"{text.kind}\n{text.text}".encode()).hexdigest(), text)
        for number, of_database in told
        for text in of_database
    }
    bodies = sorted(dict(texts.values()).items(), key=lambda body: body[0])
    records = [{"text_sha256": digest, "text": text.text, "kind": text.kind} for digest, text in bodies]
    insert_records(connection, query_text, records, "ON CONFLICT DO NOTHING")
    keys = sorted(texts)
    columns = _query_columns(keys, seen) | {"text_sha256": [texts[key][0] for key in keys]}
    clause = (
        "ON CONFLICT (database_id, query_hash) DO UPDATE SET text_sha256 = excluded.text_sha256 "
        "WHERE query.text_sha256 IS NULL OR query.text_sha256 <> excluded.text_sha256"
    )
    insert_rows(connection, query, columns, clause)


def _save_captured(connection: Connection, collected: Collected, seen: dict[int, datetime]) -> None:
    captured = {(number, found.query_hash): found for number, item in collected for found in item.plans}
    save_plan_bodies(connection, [(seen[number], found) for number, item in collected for found in item.plans])
    triples = sorted((*key, found.plan_hash) for key, found in captured.items() if found.plan_hash)
    _save_observations(connection, triples, seen)
    keys = sorted(captured)
    columns = _query_columns(keys, seen) | {
        "current_plan_hash": [captured[key].plan_hash if captured[key].body else 0 for key in keys],
        "plan_checked_at": [seen[number] for number, _hash in keys],
        "plan_origin": [captured[key].origin for key in keys],
        "plan_reason": [captured[key].reason for key in keys],
    }
    # A look that found no plan says why, and leaves the plan of the last good look in place.
    clause = (
        "ON CONFLICT (database_id, query_hash) DO UPDATE SET plan_checked_at = excluded.plan_checked_at, "
        "plan_reason = excluded.plan_reason, "
        "plan_origin = CASE WHEN excluded.current_plan_hash = 0 THEN query.plan_origin ELSE excluded.plan_origin END, "
        "current_plan_hash = CASE WHEN excluded.current_plan_hash = 0 THEN query.current_plan_hash "
        "ELSE excluded.current_plan_hash END"
    )
    insert_rows(connection, query, columns, clause)


def save_plan_bodies(connection: Connection, captured: Sequence[tuple[datetime, CapturedPlan]]) -> None:
    """Keep plans (with the moment they were seen first) whose shape is not there yet.

    A reason why there is no plan makes room for a body and for a later reason, and replaces no body.
    """
    bodies_last = sorted(captured, key=lambda pair: bool(pair[1].body))
    told = {found.plan_hash: (seen, found) for seen, found in bodies_last if found.plan_hash}
    records = [_plan_record(found, seen) for _, (seen, found) in sorted(told.items())]
    columns = list(records[0]) if records else []
    open_yet = "WHERE \"plan\".reason <> '' AND (excluded.reason = '' OR excluded.first_seen > \"plan\".first_seen)"
    insert_records(connection, plan, records, replace_on(["plan_hash"], columns, open_yet))


def _query_columns(keys: Sequence[tuple[int, int]], seen: Mapping[int, datetime]) -> dict[str, list[Any]]:
    moments = [seen[number] for number, _hash in keys]
    return {
        "database_id": [number for number, _hash in keys],
        "query_hash": [query_hash for _number, query_hash in keys],
        "current_plan_hash": [0] * len(keys),
        "plan_origin": [""] * len(keys),
        "plan_reason": [""] * len(keys),
        "first_seen": moments,
        "last_seen": moments,
    }


def _plan_record(found: CapturedPlan, seen: datetime) -> dict[str, Any]:
    return {
        "plan_hash": found.plan_hash,
        "query_hash": found.query_hash,
        "format": found.format,
        "origin": found.origin,
        "body_zstd": zstandard.ZstdCompressor(level=_PLAN_LEVEL).compress(found.body.encode()),
        "reason": found.reason,
        "context": found.context,
        "first_seen": seen,
    }
