"""Rows, statistics and last alteration of tables that plans read, asked for at every reading."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dbplanmon_pipeline.core.causes.table_facts import TableShape, table_facts
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.providers.sqlserver.optional_rows import optional_rows
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement_in
from dbplanmon_pipeline.providers.sqlserver.value_lists import WIDTHS, value_lists

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_table_facts(session: Session, tables: Sequence[str]) -> dict[str, str]:
    """Facts of tables by name; a table that is gone or hidden from the login is left out.

    Args:
        session: an open connection to the database.
        tables: as `schema.table`; those beyond the widest list of values are left out.

    Raises:
        ProviderError: the server did not answer.
    """
    if not tables:
        return {}
    (wanted,) = value_lists([_bracketed(name) for name in tables[: WIDTHS[-1]]])
    changes, statistics = (
        optional_rows(session, name, wanted, statement_in(name, len(wanted)))
        for name in ("table_changes", "table_statistics")
    )
    updated = _updated(statistics)
    shapes = (
        TableShape(f"{schema}.{name}", rows, updated.get((schema, name), ""), altered=_local_moment(altered))
        for schema, name, rows, altered in changes
    )
    return {name: value for shape in shapes for name, value in table_facts(shape).items()}


def _bracketed(name: str) -> str:
    """`[dbo].[Orders]` for `dbo.Orders`; a name with more dots is cut at the first."""
    schema, _, table = name.partition(".")
    return f"[{schema}].[{table}]"


def _updated(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[str, str], str]:
    """The newest update of each table, with what it was of and from how much."""
    newest: dict[tuple[str, str], tuple[Any, ...]] = {}
    for row in rows:
        key, moment = (row[0], row[1]), row[3]
        if moment is not None and (key not in newest or moment > newest[key][3]):
            newest[key] = row
    return {key: _update_words(*row[2:]) for key, row in newest.items()}


def _update_words(name: str, updated_local_s: int, rows: int | None, sampled: int | None) -> str:
    words = f"{_local_moment(updated_local_s)} by the server's clock ({name}"
    if rows and sampled is not None:
        words += f", from {figure(float(sampled))} of {figure(float(rows))} rows"
    return f"{words})"


def _local_moment(seconds: int | None) -> str:
    """`2026-03-01T10:02:00`, as the wall of the server shows it: which zone that is in, nobody knows."""
    if seconds is None:
        return ""
    return f"{_EPOCH + timedelta(seconds=int(seconds)):%Y-%m-%dT%H:%M:%S}"
