"""Tables and their indexes as the catalogue of a pretended database shows them."""


class IndexCatalogue:
    """Pass `rows` on to `Pretended`, or to `pretending` as it is."""

    def __init__(self):
        names = ("schemas", "objects", "partitions", "indexes", "index_columns", "columns")
        self.rows = {f"sys.{name}": [] for name in names}
        self.rows["sys.schemas"].append({"name": "dbo", "schema_id": 1})

    def table(self, name, *, rows=(1,)):
        """A table of columns a to d; `rows` per partition. The indexes that follow are on it."""
        number = 100 + len(self.rows["sys.objects"])
        self.rows["sys.objects"].append({"name": name, "object_id": number, "schema_id": 1, "type": "U"})
        self.rows["sys.partitions"] += [{"object_id": number, "index_id": 0, "rows": count} for count in rows]
        for column_id, column in enumerate("abcd", 1):
            self._column(number, column_id, column)
        return self

    def index(
        self,
        name,
        *,
        keys=("a",),
        include=(),
        clustered=False,
        unique=False,
        owner="",
        where=None,
        kind=None,
        disabled=False,
        hypothetical=False,
        hidden=False,
    ):
        """An index on the last table; `owner` is the kind of its constraint, `hidden` that its columns do not show."""
        table = self.rows["sys.objects"][-1]["object_id"]
        number = 1 + sum(index["object_id"] == table for index in self.rows["sys.indexes"])
        self.rows["sys.indexes"].append(
            {
                "object_id": table,
                "name": name,
                "index_id": number,
                "type": kind or (1 if clustered else 2),
                "is_unique": unique or bool(owner),
                "is_primary_key": owner == "PRIMARY KEY",
                "is_unique_constraint": owner == "UNIQUE",
                "is_disabled": disabled,
                "is_hypothetical": hypothetical,
                "filter_definition": where,
            }
        )
        for place, column in enumerate([*keys, *include], 1):
            self.rows["sys.index_columns"].append(
                {
                    "object_id": table,
                    "index_id": number,
                    "index_column_id": place,
                    "column_id": 99 if hidden else self._number(table, column.removesuffix(" DESC")),
                    "key_ordinal": place if place <= len(keys) else 0,
                    "is_descending_key": column.endswith(" DESC"),
                    "is_included_column": place > len(keys),
                }
            )
        return self

    def _number(self, table, name):
        columns = [column for column in self.rows["sys.columns"] if column["object_id"] == table]
        known = {column["name"]: column["column_id"] for column in columns}
        if name not in known:
            self._column(table, len(known) + 1, name)
        return known.get(name, len(known) + 1)

    def _column(self, table, number, name):
        self.rows["sys.columns"].append({"object_id": table, "column_id": number, "name": name})
