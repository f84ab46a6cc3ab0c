"""Values on their way to ODBC and back: every moment is an aware UTC `datetime` on our side."""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

DATETIMEOFFSET = -155
"""Number of the SQL type for which pyodbc has no reading of its own."""

_OFFSET_LAYOUT = struct.Struct("<6hI2h")

Row = tuple[Any, ...]
RowConversion = Callable[[Sequence[Any]], Row]


def from_datetimeoffset(raw: bytes) -> datetime:
    """A `datetimeoffset` as the drivers deliver it, as an aware UTC datetime, cut to microseconds.

    Args:
        raw: year to second as six 16-bit numbers, nanoseconds, then hours and minutes of the offset, both signed.
    """
    year, month, day, hour, minute, second, nanoseconds, zone_hours, zone_minutes = _OFFSET_LAYOUT.unpack(raw)
    zone = timezone(timedelta(hours=zone_hours, minutes=zone_minutes))
    return datetime(year, month, day, hour, minute, second, nanoseconds // 1000, zone).astimezone(UTC)


def row_conversion(column_types: Sequence[type]) -> RowConversion:
    """How rows with columns of these types become plain tuples; `datetime` and `datetime2` columns hold UTC.

    Our statements turn local times of the server into UTC themselves, so a datetime without a zone is UTC here.
    """
    moments = [index for index, column_type in enumerate(column_types) if column_type is datetime]
    if not moments:
        return tuple

    def convert(row: Sequence[Any]) -> Row:
        values = list(row)
        for index in moments:
            values[index] = as_utc(values[index])
        return tuple(values)

    return convert


def as_utc(value: datetime | None) -> datetime | None:
    """A moment without a zone is UTC already."""
    if value is None:
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def bound(parameters: Sequence[object]) -> list[object]:
    """Parameters as the drivers take them: an aware datetime becomes UTC without a zone, as `datetime2`.

    The driver cuts it, never rounding up, to the precision that the server names for `datetime`: at least milliseconds.

    Raises:
        ValueError: a datetime without a zone; nobody knows which moment it means.
    """
    return [_bound(value) for value in parameters]


def _bound(value: object) -> object:
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be bound")
    return value.astimezone(UTC).replace(tzinfo=None)
