"""From the definition of an index that is gone to the statements that bring it back and take it away again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.sqlnames import quote_name

_PART = r'(?:"(?:[^"]|"")+"|\[(?:[^\]]|\]\])+\]|[^\s"\[\]().;]+)'
_CREATE = re.compile(
    rf"CREATE\s+(?P<unique>UNIQUE\s+)?(?P<cluster>(?:NON)?CLUSTERED\s+)?INDEX\s+(?P<name>{_PART})\s+"
    rf"ON\s+(?P<only>ONLY\s+)?(?P<table>(?:{_PART}\.)*{_PART})\s*(?P<rest>[^;]*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class IndexScripts:
    """Statements that create the index as it was and drop it again; `table` as the definition writes it.

    `blocks_writes` is True where writes to the table wait while the index is built.
    """

    create: str
    drop: str
    table: str
    blocks_writes: bool


def index_scripts(definition: str, dialect: Engine) -> IndexScripts | None:
    """Scripts for a `CREATE INDEX` definition as the engine gives it; None where it is not one plain statement."""
    found = _CREATE.fullmatch(definition.strip().rstrip(";").strip())
    if found is None:
        return None
    statement, table = found.group().strip(), found["table"]
    if dialect != Engine.POSTGRES:
        return IndexScripts(f"{statement};", f"DROP INDEX {found['name']} ON {table};", table, blocks_writes=True)
    schema = re.fullmatch(rf"(?P<schema>{_PART})\.{_PART}", table)
    name = f"{schema['schema']}.{found['name']}" if schema else found["name"]
    if found["only"]:
        # So PostgreSQL tells the index of a partitioned table. Made with ONLY it stays invalid; without, it takes the
        # indexes that partitions have and makes the others, which cannot be done concurrently.
        whole = f"{found.string[: found.start('only')]}{found.string[found.end('only') :]}"
        return IndexScripts(f"{whole};", f"DROP INDEX IF EXISTS {name};", table, blocks_writes=True)
    concurrently = re.sub(r"\bINDEX\s+", "INDEX CONCURRENTLY ", statement, count=1, flags=re.IGNORECASE)
    return IndexScripts(f"{concurrently};", f"DROP INDEX CONCURRENTLY IF EXISTS {name};", table, blocks_writes=False)


_LIST = r"\((?:\[(?:[^\]]|\]\])+\]|[^()\[\]])+\)"
_PLAIN = re.compile(
    rf"(?P<head>CREATE\s+(?:UNIQUE\s+)?(?:NONCLUSTERED\s+)?INDEX\s+{_PART}\s+ON\s+(?:{_PART}\.)*{_PART}\s*{_LIST})"
    rf"(?:\s*INCLUDE\s*\((?P<included>(?:\[(?:[^\]]|\]\])+\]|[^()\[\]])+)\))?",
    re.IGNORECASE,
)
_IN_PLACE = " WITH (DROP_EXISTING = ON);"


def widening_scripts(definition: str, columns: Sequence[str]) -> tuple[str, str] | None:
    """Statements that put further columns into an index of SQL Server and take them out again.

    Args:
        definition: as the provider tells it; None comes back where it is no plain index: a clustered, filtered or
            other one, or that of a constraint.
        columns: what it shall hold besides, in this order.
    """
    found = _PLAIN.fullmatch(definition.strip().rstrip(";").strip())
    if found is None or not columns:
        return None
    added = ", ".join(quote_name(column, Engine.SQLSERVER) for column in columns)
    included = f"{found['included']}, {added}" if found["included"] else added
    return f"{found['head']} INCLUDE ({included}){_IN_PLACE}", f"{found.group()}{_IN_PLACE}"
