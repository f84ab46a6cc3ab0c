"""Our SQL statements, one per file in `sql/`."""

from functools import cache
from importlib.resources import files

from psycopg import sql

MARKER = "/* dbplanmon */"
"""In every statement of ours, behind its first word: PostgreSQL 18 drops a comment in front of a statement."""


@cache
def statement(name: str) -> str:
    """The statement in `sql/<name>.sql`, without its heading."""
    text = files("dbplanmon_pipeline.providers.postgres").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def statement_in(name: str, schema: str) -> sql.Composed:
    """The statement with the schema that holds the extension; the only name that ever enters a statement's text."""
    return sql.SQL(statement(name)).format(schema=sql.Identifier(schema))  # type: ignore[arg-type,unused-ignore]
