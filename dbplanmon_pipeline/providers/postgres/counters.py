"""Reads pg_stat_statements into a `CounterReading`, our own statements left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, CounterReading
from dbplanmon_pipeline.providers.postgres.probe import ServerFacts
from dbplanmon_pipeline.providers.postgres.session import Session
from dbplanmon_pipeline.providers.postgres.sqltext import MARKER, statement_in

_HEAD = 6
_EXTREMA_READ = ("elapsed_time_us_min", "elapsed_time_us_max")
_COUNTERS_READ = (
    "execution_count",
    "elapsed_time_us",
    "elapsed_time_us_sumsq",
    "logical_reads_pages",
    "logical_writes_pages",
    "physical_reads_pages",
    "rows",
    "spill_pages",
    "io_time_us",
)
_COUNTER_COLUMNS = [COUNTERS.index(name) for name in _COUNTERS_READ]
_EXTREMA_COLUMNS = [EXTREMA.index(name) for name in _EXTREMA_READ]

Row = tuple[Any, ...]


@dataclass(slots=True)
class OwnStatements:
    """Which statements of our role in one database were looked at, and which of them are ours."""

    known: set[int] = field(default_factory=set)
    ours: set[int] = field(default_factory=set)


def read_counters(
    session: Session, facts: ServerFacts, own: OwnStatements, clock: Callable[[], datetime]
) -> CounterReading:
    """One reading of the current database; `own` is brought up to date.

    The reading stands for our clock's time; `life_began_us` is moved onto it from the server's clock, so that a
    server whose clock is off does not seem to begin counters in the future.

    Raises:
        FeatureUnavailable: pg_stat_statements is not installed, not loaded or too old.
        PermissionMissing: only statements are there that this role may not see.
        ProviderError: anything else that went wrong.
    """
    facts.require_counters(session.target)
    read_at = clock().astimezone(UTC)
    rows = session.rows(statement_in(counters_statement(facts), facts.schema))
    visible = [row for row in rows if row[0] is not None]
    _learn_own(session, facts, own, visible)
    kept = [row for row in visible if not (row[1] == facts.role_oid and row[0] in own.ours)]
    if not kept and len(visible) < len(rows):
        raise facts.blind(session.target)
    return _reading(kept, read_at)


def counters_statement(facts: ServerFacts) -> str:
    """Name of the statement that reads the counters of the server's version of pg_stat_statements."""
    if facts.extension_number >= (1, 11):
        return "counters_1_11"
    return "counters_1_10" if facts.extension_number >= (1, 10) else "counters_1_9"


def _learn_own(session: Session, facts: ServerFacts, own: OwnStatements, rows: Sequence[Row]) -> None:
    """Tell our statements from others under the same role; texts are read only when new ones appeared."""
    under_our_role = {row[0] for row in rows if row[1] == facts.role_oid}
    if under_our_role <= own.known:
        return
    found = session.rows(statement_in("own_statements", facts.schema), {"role_oid": facts.role_oid, "marker": MARKER})
    own.ours.update(row[0] for row in found)
    own.known.update(under_our_role)


def _reading(rows: Sequence[Row], read_at: datetime) -> CounterReading:
    """Columns from rows in one pass; NaN where PostgreSQL does not tell."""
    count = len(rows)
    columns = list(zip(*rows, strict=True)) if rows else [()] * (_HEAD + len(_EXTREMA_READ) + len(_COUNTERS_READ))
    query_hash, _, keys, lives, began, server_now = columns[:_HEAD]
    numbers = np.array(columns[_HEAD:], dtype=np.float64).T.reshape(count, -1)
    values = np.full((count, len(COUNTERS)), np.nan)
    extrema = np.full((count, len(EXTREMA)), np.nan)
    if count:
        extrema[:, _EXTREMA_COLUMNS] = numbers[:, : len(_EXTREMA_READ)]
        values[:, _COUNTER_COLUMNS] = numbers[:, len(_EXTREMA_READ) :]
    zeros = np.zeros(count, dtype=np.int64)
    return CounterReading(
        read_at=read_at,
        keys=tuple(keys),
        lives=tuple(lives),
        query_hash=np.array(query_hash, dtype=np.int64),
        plan_hash=zeros,
        values=values,
        extrema=extrema,
        interval_start_us=zeros,
        interval_end_us=zeros,
        life_began_us=_on_our_clock(began, server_now, read_at),
    )


def _on_our_clock(
    began: Sequence[int], server_now: Sequence[int], read_at: datetime
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Epoch microseconds of the server moved onto our clock; 0, the unknown moment, stays."""
    moments = np.array(began, dtype=np.int64)
    ahead = np.array(server_now, dtype=np.int64) - round(read_at.timestamp() * 1_000_000)
    return np.where(moments == 0, 0, moments - ahead)
