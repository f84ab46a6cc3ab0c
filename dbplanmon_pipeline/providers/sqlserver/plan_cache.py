"""Reads the plan cache, once for all databases of a server, into a `CounterReading` of one of them.

sys.dm_exec_query_stats shows the whole server; asking it once per database would make 300 databases ask 300 times for
the same rows.
"""

import hashlib
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.readings.plan_cache import OUTERMOST, TOTALS, PlanCacheStats
from dbplanmon_pipeline.errors import ProviderError, QueryTimedOut
from dbplanmon_pipeline.providers.sqlserver.columns import columns_of, hash_column, long_column, number_table
from dbplanmon_pipeline.providers.sqlserver.limits import MOST_ROWS
from dbplanmon_pipeline.providers.sqlserver.probe import ServerFacts
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement

KEEP_SECONDS = 15.0
"""How long one look at the cache serves further databases."""

_LOOK_SECONDS = 0.1
_HEAD = 6
_NO_DATABASE = -1
_ZONE_MS = 900_000
"""Time zones differ by quarters of an hour."""
_OFFSETS = struct.Struct("<ii")

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class CachedStatement:
    """Where a statement is found in the cache: its plan, and the bytes of the batch it takes (end -1: to the end)."""

    plan_handle: bytes
    start_offset: int
    end_offset: int

    @property
    def counter(self) -> str:
        """16 hex digits, the same as long as the handle is."""
        place = self.plan_handle + _OFFSETS.pack(self.start_offset, self.end_offset)
        return hashlib.blake2b(place, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class CacheContent:
    """All statements of one look; row i of every part is one of them.

    Attributes:
        taken_at: on our clock, aware UTC.
        places: where each is.
        database_id: of the server; 0 where only one database shows, -1 where the plan is gone meanwhile.
        created: start of the server and time of compilation, as text.
        age_us / query_hash / plan_hash: int64.
        totals / extrema: float64, columns as in `core.plan_cache`.
    """

    taken_at: datetime
    places: tuple[CachedStatement, ...]
    database_id: Longs
    created: tuple[str, ...]
    age_us: Longs
    query_hash: Longs
    plan_hash: Longs
    totals: Floats
    extrema: Floats

    def of_database(
        self, database_id: int, without: frozenset[int]
    ) -> tuple[PlanCacheStats, dict[str, CachedStatement]]:
        """Statements of one database without those of some query hashes, and where each counter is."""
        chosen = np.flatnonzero((self.database_id == database_id) & ~np.isin(self.query_hash, list(without)))
        places = [self.places[row] for row in chosen.tolist()]
        counters = tuple(place.counter for place in places)
        stats = PlanCacheStats(
            counters,
            tuple(self.created[row] for row in chosen.tolist()),
            self.age_us[chosen],
            self.query_hash[chosen],
            self.plan_hash[chosen],
            self.totals[chosen],
            self.extrema[chosen],
        )
        return stats, dict(zip(counters, places, strict=True))


@dataclass(slots=True)
class _Kept:
    content: CacheContent
    until: float
    served: set[str] = field(default_factory=set)


class SharedPlanCache:
    """One look at a server's cache for many readers: the first one looks, the others wait within their budget.

    A database that asks again gets a new look, however fresh the last one is.

    Args:
        keep_seconds: how long a look serves others.
        most_rows: bound of one look.
    """

    def __init__(self, keep_seconds: float = KEEP_SECONDS, most_rows: int = MOST_ROWS) -> None:
        self._keep_seconds = keep_seconds
        self._most_rows = most_rows
        self._changed = threading.Condition()
        self._looking: set[str] = set()
        self._kept: dict[str, _Kept] = {}
        self._databases: dict[bytes, int] = {}

    def content(self, session: Session, facts: ServerFacts, clock: Callable[[], datetime]) -> CacheContent:
        """The cache as it was at most `keep_seconds` ago.

        Raises:
            QueryTimedOut: the budget was spent, or the run cancelled, while another reader looked.
            ProviderError: the server did not answer, or holds too many statements.
        """
        scope = facts.database if facts.engine_edition.is_one_database else ""
        found = self._await(session, scope, facts.database)
        if found is not None:
            return found
        try:
            content = read_content(session, facts, clock, self._databases, self._most_rows)
            with self._changed:
                self._kept[scope] = _Kept(content, monotonic() + self._keep_seconds, {facts.database})
            return content
        finally:
            with self._changed:
                self._looking.discard(scope)
                self._changed.notify_all()

    def forget(self) -> None:
        """Give the memory back."""
        with self._changed:
            self._kept.clear()
            self._databases.clear()

    def _await(self, session: Session, scope: str, database: str) -> CacheContent | None:
        """What another reader found, or None: then the caller is the one who looks."""
        with self._changed:
            while True:
                kept = self._kept.get(scope)
                if kept is not None and monotonic() < kept.until and database not in kept.served:
                    kept.served.add(database)
                    return kept.content
                if scope not in self._looking:
                    self._looking.add(scope)
                    return None
                left = session.budget.remaining()
                if left <= 0 or not session.alive:
                    raise QueryTimedOut(
                        "the plan cache was not read in time by another connection", target=session.target
                    )
                self._changed.wait(min(left, _LOOK_SECONDS))


def read_content(
    session: Session,
    facts: ServerFacts,
    clock: Callable[[], datetime],
    databases: dict[bytes, int],
    most_rows: int = MOST_ROWS,
) -> CacheContent:
    """Look at the cache.

    Args:
        session: open on any database of the server.
        facts: of it.
        clock: ours.
        databases: by plan handle, from earlier looks; holds those of this look afterwards.
        most_rows: bound of one look.

    Raises:
        ProviderError: the server did not answer, or holds more than `most_rows` statements.
    """
    taken_at = clock().astimezone(UTC)
    _, now_local_ms = session.rows(statement("plan_cache_clock"))[0]
    rows = session.rows(statement(_statement_for(facts)), limit=most_rows + 1)
    if len(rows) > most_rows:
        raise ProviderError(
            f"the plan cache holds more than {most_rows} statements",
            target=session.target,
            remedy="Turn Query Store on in these databases, or set 'optimize for ad hoc workloads' on the server.",
        )
    started = f"{facts.started_at:%Y-%m-%dT%H:%M:%SZ}" if facts.started_at is not None else ""
    if facts.engine_edition.is_one_database:
        return _content(rows, [0] * len(rows), taken_at, started, int(now_local_ms))
    _learn_databases(session, rows, databases)
    return _content(rows, [databases[row[0]] for row in rows], taken_at, started, int(now_local_ms))


def _learn_databases(session: Session, rows: Sequence[Row], databases: dict[bytes, int]) -> None:
    """Ask for the plans that are new; a plan that is not told of has left the cache, and is not asked for again."""
    present = {handle: created_ms or 0 for handle, _, _, created_ms, *_ in rows}
    new = {handle: created_ms for handle, created_ms in present.items() if handle not in databases}
    found: dict[bytes, int] = {}
    if new:
        found = dict(session.rows(statement("plan_databases"), (min(new.values()),)))
    for handle in databases.keys() - present.keys():
        del databases[handle]
    databases.update((handle, found.get(handle, _NO_DATABASE)) for handle in new)


def database_number(session: Session, facts: ServerFacts) -> int:
    """Number of the session's database in `CacheContent.database_id`.

    Raises:
        ProviderError: the server did not answer.
    """
    return 0 if facts.engine_edition.is_one_database else int(session.rows(statement("plan_cache_clock"))[0][0])


def _statement_for(facts: ServerFacts) -> str:
    if facts.engine_edition.is_one_database:
        return "plan_cache_azure"
    return "plan_cache_spills" if facts.has_column("dm_exec_query_stats", "total_spills") else "plan_cache"


def _content(
    rows: Sequence[Row], database_id: Sequence[int], taken_at: datetime, started: str, now_local_ms: int
) -> CacheContent:
    columns = columns_of(rows, _HEAD + len(TOTALS) + len(OUTERMOST))
    handles, starts, ends, created_ms, query_hash, plan_hash = columns[:_HEAD]
    totals, extrema = np.split(number_table(columns[_HEAD:]), [len(TOTALS)], axis=1)
    born = long_column([now_local_ms if moment is None else moment for moment in created_ms])
    return CacheContent(
        taken_at,
        tuple(CachedStatement(*place) for place in zip(handles, starts, ends, strict=True)),
        long_column(database_id),
        tuple(_life(started, moment) for moment in created_ms),
        np.maximum(now_local_ms - born, 0) * 1_000,
        hash_column(query_hash),
        hash_column(plan_hash),
        totals,
        extrema,
    )


def _life(started: str, created_local_ms: int | None) -> str:
    """The same in summer and winter, should the server tell the time of a compilation anew in its present zone."""
    return f"{started}/{'' if created_local_ms is None else created_local_ms % _ZONE_MS}"
