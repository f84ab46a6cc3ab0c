"""Indexes of the simulated tables: those the plans go through, which nobody ever drops."""

from dataclasses import dataclass
from typing import Any

from dbplanmon_pipeline.providers.simulated.statements import Subject

SCHEMA = "dbo"


@dataclass(frozen=True, slots=True)
class SimulatedIndex:
    """One index; the first is the primary key of its table."""

    table: str
    name: str
    keys: tuple[str, ...]
    is_primary_key: bool = False

    @property
    def definition(self) -> str:
        """The statement that makes it."""
        keys, place = ", ".join(f"[{key}]" for key in self.keys), f"[{SCHEMA}].[{self.table}]"
        if self.is_primary_key:
            return f"ALTER TABLE {place} ADD CONSTRAINT [{self.name}] PRIMARY KEY CLUSTERED ({keys})"
        return f"CREATE NONCLUSTERED INDEX [{self.name}] ON {place} ({keys})"


def indexes_of(about: Subject) -> tuple[SimulatedIndex, ...]:
    """What serves one statement: the primary keys of its tables, and two on the column it looks for."""
    name = f"ix_{about.table}_{about.column}"
    return (
        SimulatedIndex(about.table, f"PK_{about.table}", ("id",), is_primary_key=True),
        SimulatedIndex(about.other, f"PK_{about.other}", ("id",), is_primary_key=True),
        SimulatedIndex(about.table, name, (about.column,)),
        SimulatedIndex(about.table, f"{name}_changed_at", (about.column, "changed_at")),
    )


def context_of(about: Subject) -> dict[str, Any]:
    """Indexes and sizes of the tables of one statement, as far as they serve it."""
    rows = {about.table: about.table_rows, about.other: about.other_rows}
    return {
        "indexes": {f"{one.name} on {SCHEMA}.{one.table}": one.definition for one in indexes_of(about)},
        "tables": {f"{SCHEMA}.{table}": {"rows": count} for table, count in rows.items()},
    }
