"""Facts of databases that may explain a slower statement: each value with the moment since when it holds.

The empty value stands for a fact that has ended, such as a plan that is no longer forced.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Connection, select

from dbplanmon_pipeline.core.causes.context_facts import OF_STATEMENTS
from dbplanmon_pipeline.core.causes.table_facts import ROWS_FACT, TABLE_FACTS, is_news
from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import FactChange
from dbplanmon_pipeline.store.bulk import insert_records, plain_moment, plain_rows
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import database_fact, monitored_database
from dbplanmon_pipeline.store.targets import database_ids, id_list

GONE = ""
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class ToldFacts:
    """Facts of one collection of one database; `whole` where all there are of statements were told."""

    database_id: int
    seen_at: datetime
    facts: Mapping[str, str]
    whole: bool


class Held(NamedTuple):
    """The newest value of a fact, and since when it holds."""

    value: str
    seen_at: datetime


class FactPart(StorePart):
    """Reads what `record_facts` wrote."""

    def facts(self, ref: DatabaseRef, at: datetime | None = None) -> dict[str, str]:
        """Value of every fact of one database, by name, now or as known then; empty for an unknown database."""
        with self._database.read() as connection:
            number = database_ids(connection).get(ref)
            numbers = [] if number is None else [number]
            held = _held(connection, numbers) if at is None else _held_at(connection, numbers, at)
        return {name: value for (_, name), value in sorted(held.items()) if value != GONE}

    def facts_of_all(self) -> dict[DatabaseRef, dict[str, str]]:
        """Present value of every fact of every database that has any; those of tables are left out."""
        with self._database.read(snapshot=True) as connection:
            refs = {number: ref for ref, number in database_ids(connection).items()}
            held = _held(connection, list(refs), of_tables=False)
        found: dict[DatabaseRef, dict[str, str]] = {}
        for (number, name), value in sorted(held.items()):
            if value != GONE:
                found.setdefault(refs[number], {})[name] = value
        return found

    def fact_changes(self, ref: DatabaseRef, start: datetime, end: datetime) -> list[FactChange]:
        """Facts of one database that changed in [start, end], oldest first; first sights are no changes."""
        with self._database.read() as connection:
            return _changes(connection, start, end, ref.instance, ref.database)

    def fact_changes_on(self, instance: str, start: datetime, end: datetime) -> list[FactChange]:
        """The same for every database of an instance."""
        with self._database.read() as connection:
            return _changes(connection, start, end, instance)

    def changes_of_facts(self, names: Collection[str], start: datetime, end: datetime) -> list[FactChange]:
        """The same for every database together, of the facts of these names."""
        with self._database.read() as connection:
            return _changes(connection, start, end, names=names)

    def fact_changes_of_all(self, start: datetime, end: datetime) -> list[FactChange]:
        """The same for every database together; facts of tables are left out."""
        with self._database.read() as connection:
            return _changes(connection, start, end, of_tables=False)


def _changes(
    connection: Connection,
    start: datetime,
    end: datetime,
    instance: str | None = None,
    database: str | None = None,
    *,
    of_tables: bool = True,
    names: Collection[str] = (),
) -> list[FactChange]:
    fact, target, older = database_fact, monitored_database, database_fact.alias()
    same = (older.c.database_id == fact.c.database_id, older.c.name == fact.c.name, older.c.seen_at < fact.c.seen_at)
    # Looked up for the few facts that changed: lists of indexes are long, and their history is.
    before = select(older.c.value).where(*same).order_by(older.c.seen_at.desc()).limit(1).correlate(fact)
    history = (
        select(
            target.c.instance,
            target.c.database,
            fact.c.name,
            fact.c.seen_at,
            before.scalar_subquery().label("before"),
            fact.c.value,
        )
        .join(target, target.c.database_id == fact.c.database_id)
        .where(fact.c.seen_at >= start, fact.c.seen_at <= end)
    )
    if not of_tables:
        history = history.where(*(~fact.c.name.startswith(prefix) for prefix in TABLE_FACTS))
    if names:
        history = history.where(fact.c.name.in_(names))
    if instance is not None:
        history = history.where(target.c.instance == instance)
    if database is not None:
        history = history.where(target.c.database == database)
    every = history.subquery()
    wanted = select(every).where(every.c.before.is_not(None))
    order = (every.c.seen_at, every.c.instance, every.c.database, every.c.name)
    rows = connection.execute(wanted.order_by(*order))
    return [FactChange(DatabaseRef(*row[:2]), *row[2:]) for row in rows]


def digest_of_facts(told: ToldFacts) -> bytes:
    """Equal for equal facts, so that those of the last collection need not be read to see that nothing changed."""
    text = repr((told.whole, sorted(told.facts.items())))
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


def record_facts(connection: Connection, told: Sequence[ToldFacts]) -> None:
    """Add the facts that are new or have another value than before, and end those of statements that are gone."""
    if not told:
        return
    names_of: dict[int, dict[str, Held]] = {one.database_id: {} for one in told}
    for (number, name), held in _newest(connection, list(names_of)).items():
        names_of[number][name] = held
    records = [
        {"database_id": one.database_id, "name": name, "seen_at": one.seen_at, "value": value}
        for one in told
        for name, value in _changed(one, names_of[one.database_id]).items()
    ]
    insert_records(connection, database_fact, records, "ON CONFLICT DO NOTHING")


def known_tables(connection: Connection, numbers: Iterable[int]) -> dict[int, list[str]]:
    """Tables of which databases of SQL Server told their rows, as `schema.table`, those that changed last first.

    Plans of other engines are read again and again, and their tables with them.
    """
    sql = (
        "SELECT f.database_id, f.name FROM database_fact f "  # noqa: S608 - our own numbers and words
        "JOIN monitored_database d ON d.database_id = f.database_id "
        f"WHERE f.database_id IN ({id_list(numbers)}) AND d.engine = '{Engine.SQLSERVER.value}' "
        f"AND substr(f.name, 1, {len(ROWS_FACT)}) = '{ROWS_FACT}' "
        "GROUP BY f.database_id, f.name ORDER BY max(f.seen_at) DESC, f.name"
    )
    found: dict[int, list[str]] = {}
    for number, name in plain_rows(connection, sql):
        found.setdefault(number, []).append(name.removeprefix(ROWS_FACT))
    return found


def _changed(told: ToldFacts, held: Mapping[str, Held]) -> dict[str, str]:
    changed = {
        name: value
        for name, value in told.facts.items()
        if name not in held or is_news(name, held[name].value, value, told.seen_at - held[name].seen_at)
    }
    if told.whole:
        ended = (name for name in held if name.startswith(OF_STATEMENTS) and name not in told.facts)
        changed |= {name: GONE for name in ended if held[name].value != GONE}
    return changed


def _held_at(connection: Connection, numbers: Sequence[int], at: datetime) -> dict[tuple[int, str], str]:
    """The newest value of each fact that had been seen by then."""
    fact = database_fact
    seen = select(fact.c.database_id, fact.c.name, fact.c.value).where(
        fact.c.database_id.in_(numbers), fact.c.seen_at <= at
    )
    return {(number, name): value for number, name, value in connection.execute(seen.order_by(fact.c.seen_at))}


def _held(connection: Connection, numbers: Sequence[int], *, of_tables: bool = True) -> dict[tuple[int, str], str]:
    """The newest value of each fact of these databases."""
    return {key: held.value for key, held in _newest(connection, numbers, of_tables=of_tables).items()}


def _newest(connection: Connection, numbers: Sequence[int], *, of_tables: bool = True) -> dict[tuple[int, str], Held]:
    wanted = "" if of_tables else "".join(f" AND name NOT LIKE '{prefix}%'" for prefix in TABLE_FACTS)
    sql = (
        "SELECT database_id, name, value, seen_at FROM (SELECT database_id, name, value, seen_at, "  # noqa: S608
        "row_number() OVER (PARTITION BY database_id, name ORDER BY seen_at DESC) AS age FROM database_fact "
        f"WHERE database_id IN ({id_list(numbers)}){wanted}) newest WHERE age = 1"
    )
    moments: dict[str | datetime, datetime] = {}
    found: dict[tuple[int, str], Held] = {}
    for number, name, value, seen_at in plain_rows(connection, sql):
        if seen_at not in moments:
            moments[seen_at] = cast("datetime", plain_moment(seen_at))
        found[number, name] = Held(value, moments[seen_at])
    return found
