"""Columns of system views of SQL Server in few words: name, type, first version, NULLs."""

from enum import IntEnum
from typing import NamedTuple


class Version(IntEnum):
    """First builds, as `ServerFacts.version_number` counts: major * 1,000,000 + minor * 10,000 + build."""

    V2016 = 13_00_1601
    V2016_SP2 = 13_00_5026
    V2017 = 14_00_3015
    V2019 = 15_00_2000
    V2022 = 16_00_1000
    V2025 = 17_00_1000
    AZURE = 99_00_0000


V2016, V2016_SP2, V2017, V2019, V2022, V2025, AZURE = Version


class Column(NamedTuple):
    """Type in T-SQL words, first version that has the column, and whether it may be NULL."""

    sql_type: str
    since: Version
    nullable: bool


Columns = dict[str, Column]


def columns(since: Version, text: str) -> Columns:
    """`name type [null], ...`; commas inside parentheses belong to a type."""
    found: Columns = {}
    for entry in text.replace("\n", " ").split(", "):
        name, sql_type, *null = entry.strip().rstrip(",").split(" ")
        found[name] = Column(sql_type, since, null == ["null"])
    return found


def runtime_metric(name: str, since: Version, *, since_null: bool) -> Columns:
    null = " null" if since_null else ""
    return columns(
        since,
        f"avg_{name} float null, last_{name} bigint{null}, min_{name} bigint{null}, max_{name} bigint{null}, "
        f"stdev_{name} float null",
    )


def life_metric(name: str, since: Version, unit: str = "") -> Columns:
    words = (f"{word}_{name}{unit} bigint" for word in ("total", "last", "min", "max"))
    return columns(since, ", ".join(words))


def merged(*parts: Columns) -> Columns:
    return {name: column for part in parts for name, column in part.items()}
