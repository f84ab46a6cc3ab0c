"""What the planner knows of the data in a column, in numbers alone, and what of it moved far enough to change plans.

Values never come here: most common values and the bounds of a histogram are data of the people whose database it is.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dbplanmon_pipeline.core.plans.comparing.differences import figure

DISTRIBUTION_FACT = "distribution of "
"""Facts with this prefix hold the statistics of the columns of a table; the rest of their name is the table."""

DISTINCT_RATIO = 2.0
"""So many times more or fewer distinct values count, where the rows per value moved as much: growth alone does not."""

SHARE_STEP = 0.1
SHARE_RATIO, SHARE_FLOOR = 2.0, 0.02
"""A share that moved by this factor counts, too, where it is or was so large; below that it is a matter of sampling."""

CORRELATION_STEP = 0.3

_DIGITS = 3


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """One column, as the last ANALYZE estimated it.

    Attributes:
        distinct: different values, nulls apart [count].
        distinct_per_row: the same per row of the table; 1 where no value occurs twice.
        null_share: rows without a value, 0 to 1.
        top_share: rows with the most common value, 0 to 1.
        correlation: of the order of the values with that on disk, -1 to 1; None where values have no order.
    """

    distinct: float
    distinct_per_row: float
    null_share: float
    top_share: float
    correlation: float | None = None

    @property
    def figures(self) -> list[float | None]:
        """Rounded, since no two samples are alike."""
        shares = map(_rounded, (self.null_share, self.top_share))
        related = None if self.correlation is None else round(self.correlation, 2)
        return [_rounded(self.distinct), _rounded(self.distinct_per_row), *shares, related]


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """How the data of one column moved.

    Attributes:
        column: its name.
        words: every measure that moved far, `n_distinct of public.orders.customer_id went from 12,000 to 3`.
        size: how far the one that moved farthest did, 1 for just enough.
    """

    column: str
    words: str
    size: float


def distribution_value(updated: str, columns: Mapping[str, ColumnStatistics]) -> str:
    """The value of a fact.

    Args:
        updated: when the statistics were taken and by what; a moment (ISO, UTC, `Z`) comes first.
        columns: by name.
    """
    told = {name: one.figures for name, one in sorted(columns.items())}
    return json.dumps({"updated": updated, "columns": told}, ensure_ascii=False, separators=(",", ":"))


def updated_of(value: str) -> str:
    """When the statistics of a value were taken, as `distribution_value` got it; empty where it cannot be read."""
    return _read(value)[0]


def column_changes(table: str, before: str, after: str) -> list[ColumnChange]:
    """Columns whose data moved far between two values of one fact, the one that moved farthest first.

    Args:
        table: `schema.table`, for the words.
        before: a value; nothing is found where one of both cannot be read, and nothing of a column that one lacks.
        after: the next one.
    """
    (_, was), (_, now) = _read(before), _read(after)
    found = []
    for name in was.keys() & now.keys():
        moved = list(_measures(was[name], now[name]))
        if moved:
            found.append(ColumnChange(name, _words(f"{table}.{name}", moved), max(one.size for one in moved)))
    return sorted(found, key=lambda one: (-one.size, one.column))


def is_other_data(before: str, after: str) -> bool:
    """Whether a value is worth keeping beside the one that holds: data moved far, or there are other columns."""
    (_, was), (_, now) = _read(before), _read(after)
    return was.keys() != now.keys() or bool(column_changes("", before, after))


@dataclass(frozen=True, slots=True)
class _Measure:
    """One that moved far enough: what it is called, from where to where, and how far (1 for just enough)."""

    name: str
    moved: str
    size: float


_SHARES: tuple[tuple[str, Callable[[ColumnStatistics], float]], ...] = (
    ("most common value", lambda one: one.top_share),
    ("nulls", lambda one: one.null_share),
)


def _measures(was: ColumnStatistics, now: ColumnStatistics) -> Iterator[_Measure]:
    apart = min(_times(was.distinct, now.distinct), _times(was.distinct_per_row, now.distinct_per_row))
    if apart >= DISTINCT_RATIO:
        moved = f"from {figure(was.distinct)} to {figure(now.distinct)}"
        yield _Measure("n_distinct", moved, math.log(apart) / math.log(DISTINCT_RATIO))
    for name, share in _SHARES:
        before, after = share(was), share(now)
        far = max(before, after) >= SHARE_FLOOR and _times(before, after) >= SHARE_RATIO
        size = max(abs(after - before) / SHARE_STEP, 1.0 if far else 0.0)
        if size >= 1.0:
            yield _Measure(name, f"from {_percent(before)} to {_percent(after)} of the rows", size)
    if was.correlation is not None and now.correlation is not None:
        size = abs(abs(was.correlation) - abs(now.correlation)) / CORRELATION_STEP
        if size >= 1.0:
            moved = f"from {was.correlation:.2f} to {now.correlation:.2f}"
            yield _Measure("correlation with the order on disk", moved, size)


def _words(column: str, moved: Sequence[_Measure]) -> str:
    """`n_distinct of s.t.c went from 9 to 2, its nulls from 0 % to 20 % of the rows`."""
    first, *others = moved
    head = f"{first.name} of {column} went {first.moved}"
    return ", ".join([head, *(f"its {one.name} {one.moved}" for one in others)])


def _times(one: float, other: float) -> float:
    """How many times the smaller fits into the larger; 1 where both are nothing."""
    low, high = sorted((one, other))
    if high <= 0:
        return 1.0
    return high / low if low > 0 else math.inf


def _percent(share: float) -> str:
    """`0.5 %`, `<0.1 %` or `98 %`."""
    percent = 100 * share
    if 0 < percent < 0.1:
        return "<0.1 %"
    return f"{percent:.1f} %" if 0 < percent < 1 else f"{percent:.0f} %"


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _read(value: str) -> tuple[str, dict[str, ColumnStatistics]]:
    try:
        found: Any = json.loads(value)
        columns = {str(name): ColumnStatistics(*figures) for name, figures in found["columns"].items()}
        return str(found["updated"]), columns
    except (ValueError, TypeError, KeyError, AttributeError):
        return "", {}
