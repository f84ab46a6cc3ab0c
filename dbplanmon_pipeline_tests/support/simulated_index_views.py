"""Catalogue of the tables of one simulated database: schemas, tables, columns, indexes and their sizes."""

from collections.abc import Callable
from datetime import UTC, datetime

from dbplanmon_pipeline.providers.simulated.indexes import SCHEMA, SimulatedIndex, indexes_of
from dbplanmon_pipeline.providers.simulated.provider import SimulatedProvider
from dbplanmon_pipeline.providers.simulated.statements import subject
from dbplanmon_pipeline_tests.support.simulated_values import Row

_SCHEMA_ID = 1
_FIRST_TABLE = 1000
_CLUSTERED, _NONCLUSTERED = 1, 2
_MADE, _ALTERED = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
"""When a table was last changed: at first, and once an index of it is gone."""


class IndexViews:
    """Rows of each view; the same at every moment, but for indexes that are `gone`."""

    def __init__(self, provider: SimulatedProvider, database: str, gone: frozenset[str] = frozenset()) -> None:
        self._provider = provider
        self._gone = gone
        self._database = database
        self.makers: dict[str, Callable[[], list[Row]]] = {
            "sys.schemas": lambda: [{"name": SCHEMA, "schema_id": _SCHEMA_ID}],
            "sys.objects": self._objects,
            "sys.partitions": self._partitions,
            "sys.columns": self._columns,
            "sys.indexes": self._indexes,
            "sys.index_columns": self._index_columns,
        }

    def _tables(self) -> dict[str, tuple[int, int, dict[str, SimulatedIndex]]]:
        """Number, rows and indexes of each table, by its name."""
        rows: dict[str, int] = {}
        indexes: dict[str, dict[str, SimulatedIndex]] = {}
        for profile in self._provider.profiles(self._database):
            about = subject(profile.statement)
            rows |= {about.table: about.table_rows, about.other: about.other_rows}
            for index in indexes_of(about):
                if index.name not in self._gone:
                    indexes.setdefault(index.table, {})[index.name] = index
        return {name: (_FIRST_TABLE + at, rows[name], indexes[name]) for at, name in enumerate(sorted(rows))}

    def _objects(self) -> list[Row]:
        abouts = [subject(profile.statement) for profile in self._provider.profiles(self._database)]
        altered = {index.table for about in abouts for index in indexes_of(about) if index.name in self._gone}
        return [
            {
                "name": name,
                "object_id": number,
                "schema_id": _SCHEMA_ID,
                "type": "U",
                "modify_date": _ALTERED if name in altered else _MADE,
            }
            for name, (number, _, _) in self._tables().items()
        ]

    def _partitions(self) -> list[Row]:
        return [
            {"partition_id": number, "object_id": number, "index_id": _CLUSTERED, "partition_number": 1, "rows": rows}
            for number, rows, _ in self._tables().values()
        ]

    def _columns(self) -> list[Row]:
        return [
            {"object_id": number, "name": column, "column_id": place}
            for number, _, indexes in self._tables().values()
            for column, place in _places(indexes).items()
        ]

    def _indexes(self) -> list[Row]:
        return [
            {
                "object_id": number,
                "name": index.name,
                "index_id": place,
                "type": _CLUSTERED if index.is_primary_key else _NONCLUSTERED,
                "is_unique": index.is_primary_key,
                "is_primary_key": index.is_primary_key,
                "is_unique_constraint": False,
                "is_disabled": False,
                "is_hypothetical": False,
            }
            for number, _, indexes in self._tables().values()
            for place, index in enumerate(_in_order(indexes), 1)
        ]

    def _index_columns(self) -> list[Row]:
        return [
            {
                "object_id": number,
                "index_id": place,
                "index_column_id": ordinal,
                "column_id": _places(indexes)[key],
                "key_ordinal": ordinal,
                "is_descending_key": False,
                "is_included_column": False,
            }
            for number, _, indexes in self._tables().values()
            for place, index in enumerate(_in_order(indexes), 1)
            for ordinal, key in enumerate(index.keys, 1)
        ]


def _in_order(indexes: dict[str, SimulatedIndex]) -> list[SimulatedIndex]:
    """The primary key first, as the clustered index has the number 1."""
    return sorted(indexes.values(), key=lambda index: (not index.is_primary_key, index.name))


def _places(indexes: dict[str, SimulatedIndex]) -> dict[str, int]:
    """Numbers of the columns by name."""
    names = dict.fromkeys(key for index in _in_order(indexes) for key in index.keys)
    return {name: place for place, name in enumerate(names, 1)}
