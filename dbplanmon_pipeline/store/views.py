"""Views for people: one `v_<table>` per table, with names, hexadecimal hashes and readable UTC times.

Built from the table definitions, so a new column shows up by itself. Compressed bodies are left out.
"""

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, LargeBinary

from dbplanmon_pipeline.store.intervals.days import STORED_COLUMNS, refresh_day_view
from dbplanmon_pipeline.store.schema import metadata

_EPOCH_COLUMNS = {
    "interval_start_us",
    "interval_end_us",
    "hour_start_us",
    "newest_end_us",
    "covers_from_us",
    "next_from_us",
}
_NOT_SHOWN = {"monitored_database", "interval_day", "archive_segment", "query_text", "access_login"}


def create_views(connection: Connection, present: Mapping[str, Collection[str]] | None = None) -> None:
    """Make every view; on SQLite also `interval_metric` over the day tables.

    Args:
        connection: within a transaction.
        present: columns by table of an older schema; views of what is not there are left to the older program.
    """
    refresh_day_view(connection)
    for name, columns in _sources():
        is_known = present is None or name == "interval_metric" or set(columns) <= set(present.get(name, ()))
        if not is_known:
            continue
        body = _select(name, columns, is_sqlite=connection.dialect.name == "sqlite")
        connection.exec_driver_sql(f"CREATE VIEW v_{name} AS {body}")


def drop_views(connection: Connection) -> None:
    """Remove every view of ours."""
    for name, _columns in _sources():
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS v_{name}")
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DROP VIEW IF EXISTS interval_metric")


def view_names() -> list[str]:
    """Names of all views for people."""
    return [f"v_{name}" for name, _columns in _sources()]


def _sources() -> Iterable[tuple[str, list[str]]]:
    yield "interval_metric", list(STORED_COLUMNS)
    for table in metadata.sorted_tables:
        if table.name not in _NOT_SHOWN:
            yield table.name, [column.name for column in table.c if not isinstance(column.type, LargeBinary)]


def _select(name: str, columns: list[str], *, is_sqlite: bool) -> str:
    shown = [_shown(column, is_sqlite=is_sqlite) for column in columns]
    joins = ""
    if "database_id" in columns:
        joins += " JOIN monitored_database d ON d.database_id = t.database_id"
    if name == "query":
        shown.append("x.text, x.kind")
        joins += " LEFT JOIN query_text x ON x.text_sha256 = t.text_sha256"
    return f"SELECT {', '.join(shown)} FROM {name} t{joins}"  # noqa: S608 - names of our own tables


def _shown(column: str, *, is_sqlite: bool) -> str:
    if column == "database_id":
        return 'd.instance, d."database"'
    if column.endswith("_hash"):
        digits = f"printf('%016x', t.{column})" if is_sqlite else f"lpad(to_hex(t.{column}), 16, '0')"
        return f"CASE WHEN t.{column} = 0 THEN '' ELSE {digits} END AS {column}"
    if column in _EPOCH_COLUMNS:
        label = column.removesuffix("_us")
        if is_sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%f', t.{column} / 1000000.0, 'unixepoch') AS {label}"
        return f"to_timestamp(t.{column} / 1000000.0) AT TIME ZONE 'UTC' AS {label}"
    return f't."{column}"'
