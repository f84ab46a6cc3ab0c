"""Facts of tables that plans read: rows, statistics, indexes, columns; and what a change of one says.

Each is one fact of the database, `<prefix><schema>.<table>`, so that the store keeps every value with the moment since
when it holds. Lists are told as JSON, so that two values tell which index or column came, went or became another one.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dbplanmon_pipeline.core.causes.distribution import (
    DISTRIBUTION_FACT,
    ColumnStatistics,
    distribution_value,
    is_other_data,
)
from dbplanmon_pipeline.core.plans.comparing.context import DISABLED, STALE_ROWS

ROWS_FACT = "rows of "
UPDATED_FACT = "statistics time of "
INDEXES_FACT = "indexes of "
COLUMNS_FACT = "columns of "
ALTERED_FACT = "alteration of "
TABLE_FACTS = (ROWS_FACT, UPDATED_FACT, INDEXES_FACT, COLUMNS_FACT, ALTERED_FACT, DISTRIBUTION_FACT)
"""Prefixes; the rest of the name is the table, as `schema.table`."""

LONGEST_NAME = 255
"""A table whose fact would have a longer name is left out: the store keeps no longer one."""

LONGEST_LIST = 16_000
"""Characters of a list of definitions; a longer one is told by digests of them, which still shows what changed."""

ROWS_STEP = 0.1
DATA_APART = timedelta(hours=1)

_DIGEST_BYTES = 6
_DIGITS = 2


@dataclass(frozen=True, slots=True)
class TableShape:
    """What a catalogue says of one table; None and the empty text are "not known".

    Attributes:
        name: `schema.table`.
        rows: an estimate will do [count].
        updated: when its statistics were taken, by what and from how much; a moment (ISO, UTC, `Z`) comes first
            where the server tells one.
        altered: when the table or one of its indexes was last changed, as the clock on the server's wall has it.
        indexes: definition by name, literals masked.
        columns: type by name, with what else the planner goes by.
        distribution: what the planner knows of the data, by column.
    """

    name: str
    rows: float | None = None
    updated: str = ""
    altered: str = ""
    indexes: Mapping[str, str] | None = None
    columns: Mapping[str, str] | None = None
    distribution: Mapping[str, ColumnStatistics] | None = None


@dataclass(frozen=True, slots=True)
class PartChange:
    """An index or a column of a table that came, went or changed; `before` and `after` are empty where it was not."""

    name: str
    before: str
    after: str

    @property
    def verb(self) -> str:
        """`is gone`, `is new`, `was disabled`, `is no longer disabled` or `was changed`."""
        if not self.after:
            return "is gone"
        if not self.before:
            return "is new"
        if self.after.startswith(DISABLED) and not self.before.startswith(DISABLED):
            return "was disabled"
        if self.before.startswith(DISABLED) and not self.after.startswith(DISABLED):
            return "is no longer disabled"
        return "was changed"


def table_facts(shape: TableShape) -> dict[str, str]:
    """Facts of one table by name; what is not known is left out."""
    found = {
        ROWS_FACT: "" if shape.rows is None else f"{rounded(shape.rows):.0f}",
        UPDATED_FACT: shape.updated,
        ALTERED_FACT: shape.altered,
        INDEXES_FACT: "" if shape.indexes is None else _told(shape.indexes),
        COLUMNS_FACT: "" if shape.columns is None else _told(shape.columns),
        DISTRIBUTION_FACT: distribution_value(shape.updated, shape.distribution) if shape.distribution else "",
    }
    named = {f"{prefix}{shape.name}": value for prefix, value in found.items() if value}
    return {name: value for name, value in named.items() if len(name) <= LONGEST_NAME}


def rounded(rows: float) -> float:
    """Two digits that count, since row counts move all the time."""
    if rows < 10**_DIGITS:
        return max(0.0, float(round(rows)))
    size = 10.0 ** (math.floor(math.log10(rows)) - _DIGITS + 1)
    return round(rows / size) * size


def table_of(fact: str) -> str:
    """`schema.table` of a fact of a table; empty for any other."""
    return next((fact.removeprefix(prefix) for prefix in TABLE_FACTS if fact.startswith(prefix)), "")


def is_news(fact: str, held: str, told: str, held_for: timedelta) -> bool:
    """Whether a value is worth keeping beside the one that holds.

    Rows are, once they moved by the share ROWS_STEP, and data is, once it moved far; both no more often than
    DATA_APART: tables that serve as queues fill and empty all day. Rows below STALE_ROWS may move as they like.

    Args:
        fact: its name.
        held: the value kept last.
        told: the value now.
        held_for: how long ago that was kept.
    """
    if held == told:
        return False
    if fact.startswith(DISTRIBUTION_FACT):
        return held_for >= DATA_APART and is_other_data(held, told)
    if not fact.startswith(ROWS_FACT):
        return True
    low, high = sorted(max(1.0, number_of(value)) for value in (held, told))
    return held_for >= DATA_APART and high >= STALE_ROWS and high - low >= ROWS_STEP * low


def number_of(value: str) -> float:
    """A count as facts have it; 0 where it is none."""
    try:
        return float(value)
    except ValueError:
        return 0.0


def part_changes(before: str, after: str) -> Iterator[PartChange]:
    """What differs between two values of INDEXES_FACT or COLUMNS_FACT; nothing where one of them cannot be read."""
    was, now = _list_of(before), _list_of(after)
    if was is None or now is None:
        return
    # A list that grew too long tells digests; its definitions did not change by that.
    if was.keys() & now.keys() and _is_short(was) != _is_short(now):
        was, now = _short(was), _short(now)
    for name in dict.fromkeys([*was, *now]):
        if was.get(name, "") != now.get(name, ""):
            yield PartChange(name, was.get(name, ""), now.get(name, ""))


def _told(parts: Mapping[str, str]) -> str:
    text = _json(parts)
    return text if len(text) <= LONGEST_LIST else _json(_short(parts))


def _json(parts: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(parts.items())), ensure_ascii=False, separators=(",", ":"))


def _short(parts: Mapping[str, str]) -> dict[str, str]:
    return {name: value if _is_digest(value) else _digest(value) for name, value in parts.items()}


def _digest(text: str) -> str:
    return f"#{hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()}"


def _is_digest(value: str) -> bool:
    return value.startswith("#") and len(value) == 1 + 2 * _DIGEST_BYTES


def _is_short(parts: Mapping[str, str]) -> bool:
    return bool(parts) and all(map(_is_digest, parts.values()))


def _list_of(value: str) -> dict[str, str] | None:
    try:
        found: Any = json.loads(value)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
