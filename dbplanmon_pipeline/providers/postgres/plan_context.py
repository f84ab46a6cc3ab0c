"""What explains a plan and helps to restore it, read for all plans of a reading in six statements."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dbplanmon_pipeline.core.causes.table_facts import TableShape
from dbplanmon_pipeline.core.statements.postgres import mask_postgres_literals
from dbplanmon_pipeline.errors import ProviderError
from dbplanmon_pipeline.providers.postgres.distributions import (
    AnalyzedTable,
    Columns,
    KnownDistributions,
    read_distributions,
)
from dbplanmon_pipeline.providers.postgres.session import Session
from dbplanmon_pipeline.providers.postgres.sqltext import statement

_STORAGE = re.compile(r"(?<=\)) WITH \((?:\w+='?[\w.]+'?(?:, )?)+\)")

Name = tuple[str, str]
"""Schema and name."""


@dataclass(frozen=True, slots=True)
class PlanContexts:
    """Facts of all plans of one reading.

    Attributes:
        indexes: definition by index name, by (schema, table).
        tables: `rows` (estimate, None where never counted), `last_analyze` (ISO, None where never) and
            `n_mod_since_analyze` (rows changed since) by (schema, table).
        settings: planner settings, values with their units.
        shapes: what may change about these tables and explain a slower statement later.
    """

    indexes: dict[Name, dict[str, str]] = field(default_factory=dict)
    tables: dict[Name, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    shapes: tuple[TableShape, ...] = ()

    @classmethod
    def read(cls, session: Session, documents: list[Any], distributions: KnownDistributions) -> "PlanContexts":
        """Ask for what the plans mention; nothing is asked when there is no plan.

        Args:
            session: open on the database.
            documents: decoded plans.
            distributions: what earlier readings found; brought up to date.

        Raises:
            ProviderError: the server did not answer.
        """
        if not documents:
            return cls()
        tables = {name for document in documents for name in table_names(document)}
        indexes: dict[Name, dict[str, str]] = {}
        for schema, table, index, definition in session.rows(statement("indexes"), _arrays(tables)):
            indexes.setdefault((schema, table), {})[index] = masked_definition(definition)
        rows = session.rows(statement("tables"), _arrays(tables))
        columns = {(row[0], row[1]): row[2] for row in session.rows(statement("columns"), _arrays(tables))}
        sizes = _sizes(session, tables)
        analyzed = [AnalyzedTable((row[0], row[1]), row[2], row[3]) for row in rows]
        data = read_distributions(session, analyzed, distributions)
        return cls(
            indexes=indexes,
            tables={(row[0], row[1]): _table(row) for row in rows},
            settings=dict(session.rows(statement("settings"))),
            shapes=tuple(_shape(row, indexes, columns, sizes, data) for row in rows),
        )

    def of(self, document: Any, role_settings: Mapping[str, str]) -> dict[str, Any]:
        """The part that concerns one plan; indexes of its tables by bare name, tables as `schema.table`.

        Args:
            document: the decoded plan.
            role_settings: what held for this plan instead of the defaults.
        """
        tables = table_names(document)
        return {
            "indexes": {index: ddl for name in tables for index, ddl in self.indexes.get(name, {}).items()},
            "tables": {".".join(name): self.tables[name] for name in tables if name in self.tables},
            "settings": {**self.settings, **role_settings},
        }


def masked_definition(definition: str) -> str:
    """The definition of an index without the literals of its expressions and its filter.

    Storage parameters stay as they are, but for the rare index with a string before them.
    """
    found = _STORAGE.search(definition)
    if found is None or "'" in definition[: found.start()]:
        return mask_postgres_literals(definition)
    return (
        mask_postgres_literals(definition[: found.start()])
        + found.group()
        + mask_postgres_literals(definition[found.end() :])
    )


def table_names(document: Any) -> list[Name]:
    """Schema and name of each table."""
    return sorted(
        {(schema, node["Relation Name"]) for node, schema in _nodes(document) if schema and "Relation Name" in node}
    )


def _nodes(document: Any) -> Iterator[tuple[dict[str, Any], str]]:
    waiting = [(entry["Plan"], "") for entry in document if "Plan" in entry]
    while waiting:
        node, inherited = waiting.pop()
        schema = node.get("Schema", inherited)
        yield node, schema
        waiting.extend((child, schema) for child in node.get("Plans", ()))


def _arrays(names: set[Name]) -> dict[str, list[str]]:
    ordered = sorted(names)
    return {"schemas": [schema for schema, _ in ordered], "names": [name for _, name in ordered]}


def _sizes(session: Session, tables: set[Name]) -> dict[Name, float]:
    """Rows as the planner reckons them; none where a table is locked for too long.

    The counter of live rows misleads: after a load and ANALYZE in one session it shows twice the rows.
    """
    try:
        return {(row[0], row[1]): row[2] for row in session.rows(statement("table_sizes"), _arrays(tables))}
    except ProviderError:
        return {}


def _shape(
    row: tuple[Any, ...],
    indexes: Mapping[Name, Mapping[str, str]],
    columns: Mapping[Name, Mapping[str, str]],
    sizes: Mapping[Name, float],
    data: Mapping[Name, Columns],
) -> TableShape:
    """Rows as the planner reckons them; as counted while they change where it has no count yet."""
    schema, table, estimated, last_analyze, _, live, by_autovacuum = row
    name = (schema, table)
    return TableShape(
        f"{schema}.{table}",
        sizes.get(name, live if estimated is None or estimated < 0 else estimated),
        _updated(last_analyze, by_autovacuum=by_autovacuum),
        indexes=indexes.get(name, {}),
        columns=columns.get(name),
        distribution=data.get(name),
    )


def _updated(at: datetime | None, *, by_autovacuum: bool) -> str:
    if at is None:
        return ""
    moment = at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f"{moment}Z by {'autovacuum' if by_autovacuum else 'ANALYZE'}"


def _table(row: tuple[Any, ...]) -> dict[str, Any]:
    rows, last_analyze, changes = row[2:5]
    return {
        "rows": rows if rows is not None and rows >= 0 else None,
        "last_analyze": last_analyze.isoformat() if last_analyze else None,
        "n_mod_since_analyze": changes,
    }
