"""What the planner knows of the data in tables, in numbers; asked for again once statistics were taken anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dbplanmon_pipeline.core.causes.distribution import ColumnStatistics
from dbplanmon_pipeline.core.plans.comparing.context import STALE_ROWS
from dbplanmon_pipeline.errors import ProviderError
from dbplanmon_pipeline.providers.postgres.session import Session
from dbplanmon_pipeline.providers.postgres.sqltext import statement

MOST_TABLES = 40
"""Tables asked for in one reading; others have their turn in the next ones."""

MOST_REMEMBERED = 2_000

Name = tuple[str, str]
Columns = Mapping[str, ColumnStatistics]


@dataclass(frozen=True, slots=True)
class AnalyzedTable:
    """A table that plans read: rows as last counted, None where never, and when; None where the server forgot."""

    name: Name
    rows: float | None
    analyzed_at: datetime | None


@dataclass(slots=True)
class KnownDistributions:
    """Columns of tables of one database as last read, with the moment of the statistics they came from."""

    by_table: dict[Name, tuple[datetime, Columns]] = field(default_factory=dict)

    def of(self, table: AnalyzedTable) -> Columns | None:
        """None where statistics were taken since, or nobody knows whether they were."""
        analyzed_at, columns = self.by_table.get(table.name, (None, {}))
        return columns if table.analyzed_at is not None and table.analyzed_at == analyzed_at else None

    def remember(self, table: AnalyzedTable, columns: Columns) -> None:
        """Keep what was read; what was not asked for longest gives way."""
        self.by_table.pop(table.name, None)
        if table.analyzed_at is not None:
            self.by_table[table.name] = (table.analyzed_at, columns)
        while len(self.by_table) > MOST_REMEMBERED:
            del self.by_table[next(iter(self.by_table))]


def read_distributions(
    session: Session, tables: Iterable[AnalyzedTable], known: KnownDistributions
) -> dict[Name, Columns]:
    """Columns of each table by name, empty where this role may not see them; small tables are left out.

    Nothing but what was known before where the server does not answer: a cause that cannot be told is no failure.
    """
    large = [table for table in tables if table.rows is not None and table.rows >= STALE_ROWS]
    found = {table.name: columns for table in large if (columns := known.of(table)) is not None}
    asked = [table for table in large if table.name not in found][:MOST_TABLES]
    if not asked:
        return found
    try:
        read = _read(session, asked)
    except ProviderError:
        return found
    for table in asked:
        found[table.name] = read.get(table.name, {})
        known.remember(table, found[table.name])
    return found


def _read(session: Session, tables: Iterable[AnalyzedTable]) -> dict[Name, dict[str, ColumnStatistics]]:
    rows = {table.name: table.rows or 1.0 for table in tables}
    names = {"schemas": [schema for schema, _ in rows], "names": [name for _, name in rows]}
    found: dict[Name, dict[str, ColumnStatistics]] = {}
    for schema, table, column, distinct, null_share, top_share, correlation in session.rows(
        statement("column_statistics"), names
    ):
        name = (schema, table)
        found.setdefault(name, {})[column] = _column(rows[name], distinct, null_share, top_share, correlation)
    return found


def _column(
    rows: float, distinct: float, null_share: float, top_share: float | None, correlation: float | None
) -> ColumnStatistics:
    """A negative number of distinct values is their share of the rows; without a common value all are as common."""
    count = -distinct * rows if distinct < 0 else distinct
    return ColumnStatistics(
        distinct=count,
        distinct_per_row=count / rows,
        null_share=null_share,
        top_share=top_share if top_share is not None else (1.0 - null_share) / count if count > 0 else 0.0,
        correlation=correlation,
    )
