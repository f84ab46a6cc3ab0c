"""Facts of databases that may explain a slower statement: each value with the moment since when it holds."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import FactChange
from dbplanmon_pipeline.store.bulk import insert_records
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import database_fact, monitored_database


class FactPart(StorePart):
    """Reads what `record_facts` wrote."""

    def fact_changes(self, ref: DatabaseRef, start: datetime, end: datetime) -> list[FactChange]:
        """Facts of one database that changed in [start, end], oldest first; first sights are no changes."""
        fact, target = database_fact, monitored_database
        history = (
            select(fact.c.name, fact.c.seen_at, fact.c.value)
            .join(target, target.c.database_id == fact.c.database_id)
            .where(target.c.instance == ref.instance, target.c.database == ref.database, fact.c.seen_at <= end)
            .order_by(fact.c.seen_at, fact.c.name)
        )
        changes: list[FactChange] = []
        held: dict[str, str] = {}
        with self._database.read() as connection:
            for name, seen_at, value in connection.execute(history):
                if name in held and seen_at >= start:
                    changes.append(FactChange(ref, name, seen_at, held[name], value))
                held[name] = value
        return changes


def record_facts(connection: Connection, facts: Sequence[tuple[int, datetime, Mapping[str, str]]]) -> None:
    """Add the facts (database id, moment, value by name) that are new or have another value than before."""
    told = [(number, seen_at, found) for number, seen_at, found in facts if found]
    if not told:
        return
    held = _held(connection, [number for number, _, _ in told])
    insert_records(
        connection,
        database_fact,
        [
            {"database_id": number, "name": name, "seen_at": seen_at, "value": value}
            for number, seen_at, found in told
            for name, value in found.items()
            if held.get((number, name)) != value
        ],
        "ON CONFLICT DO NOTHING",
    )


def _held(connection: Connection, numbers: Sequence[int]) -> dict[tuple[int, str], str]:
    fact = database_fact
    newest = (
        select(fact.c.database_id, fact.c.name, func.max(fact.c.seen_at).label("seen_at"))
        .where(fact.c.database_id.between(min(numbers), max(numbers)))
        .group_by(fact.c.database_id, fact.c.name)
        .subquery()
    )
    same = (
        (fact.c.database_id == newest.c.database_id)
        & (fact.c.name == newest.c.name)
        & (fact.c.seen_at == newest.c.seen_at)
    )
    rows = connection.execute(select(fact.c.database_id, fact.c.name, fact.c.value).join(newest, same))
    return {(number, name): value for number, name, value in rows}
