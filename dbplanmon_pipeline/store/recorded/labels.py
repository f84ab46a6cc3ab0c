"""Labels of what really happened during a record, from a CSV or Parquet file; docs/backtest.md has the columns."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from dbplanmon_pipeline.core.incidents.incident import IncidentScope
from dbplanmon_pipeline.core.known_events import KnownEvent
from dbplanmon_pipeline.core.model import hash_int
from dbplanmon_pipeline.errors import StoreError

_NUMBERED = {"instance_id", "query_id", "onset_t", "end_t"}
_NEEDED = {"instance", "start", "end"}
_NUMBER = timedelta(minutes=5)
_OPEN_END = datetime(9999, 1, 1, tzinfo=UTC)
_YES, _NO = {"true", "1", "yes"}, {"false", "0", "no"}

Row = Mapping[str, Any]
Value = TypeVar("Value")


def read_labels(path: Path, origin: datetime) -> list[KnownEvent]:
    """The events of a file.

    Args:
        path: CSV, or Parquet where the name ends so.
        origin: midnight before the first recorded interval; labels by number count intervals of five minutes from it.

    Raises:
        StoreError: the file cannot be read, lacks a column, or holds a value that is none.
    """
    table = _read(path)
    if set(table.columns) >= _NUMBERED:
        convert: Callable[[Row], KnownEvent] = lambda row: _numbered(row, origin)  # noqa: E731 - one of two
    elif missing := sorted(_NEEDED - set(table.columns)):
        raise StoreError(f"{path} has no column {', '.join(missing)}; docs/backtest.md names the columns of labels")
    else:
        convert = _named
    events = []
    for number, row in enumerate(table.to_dict("records"), start=1):
        try:
            events.append(_checked(convert({str(name): value for name, value in row.items()})))
        except ValueError as error:
            raise StoreError(f"{path}, label {number}: {error}") from error
    return events


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise StoreError(f"{path} cannot be read as labels: {reason}") from error


def _checked(event: KnownEvent) -> KnownEvent:
    if event.end <= event.start:
        raise ValueError("end is not later than start")
    return event


def _named(row: Row) -> KnownEvent:
    scope = _value(row, "scope", IncidentScope, IncidentScope.QUERY)
    query_hash = _value(row, "query_hash", lambda text: hash_int(str(text)), 0)
    if scope is IncidentScope.QUERY and not query_hash:
        raise ValueError(
            "query_hash is empty; a label of a statement needs it, one of an instance needs scope instance"
        )
    database = _value(row, "database", str, "")
    if scope is IncidentScope.DATABASE and not database:
        raise ValueError("database is empty; a label of scope database needs it")
    return KnownEvent(
        scope=scope,
        instance=_value(row, "instance", str, None),
        database="" if scope is IncidentScope.INSTANCE else database,
        query_hash=query_hash if scope is IncidentScope.QUERY else 0,
        kind=_value(row, "kind", str, scope.value),
        start=_value(row, "start", _moment, None),
        end=_value(row, "end", _moment, _OPEN_END),
        magnitude=_value(row, "magnitude", float, math.nan),
        extra_seconds_per_hour=_value(row, "extra_seconds_per_hour", float, math.nan),
        is_regression=_value(row, "is_regression", _truth, True),
        is_neutral=_value(row, "is_neutral", _truth, False),
    )


def _numbered(row: Row, origin: datetime) -> KnownEvent:
    """A label of a generated record, in which instances, statements and intervals have numbers."""
    scope = _value(row, "scope", IncidentScope, IncidentScope.QUERY)
    return KnownEvent(
        scope=scope,
        instance=f"sim-{_value(row, 'instance_id', int, None)}",
        database="",
        query_hash=_value(row, "query_id", int, None) if scope is IncidentScope.QUERY else 0,
        kind=_value(row, "kind", str, scope.value),
        start=origin + _value(row, "onset_t", int, None) * _NUMBER,
        end=origin + _value(row, "end_t", int, None) * _NUMBER,
        magnitude=_value(row, "magnitude", float, math.nan),
        extra_seconds_per_hour=_value(row, "extra_us_per_hour", float, math.nan) / 1e6,
        is_regression=_value(row, "true_regression", _truth, True),
        is_neutral=_value(row, "neutral", _truth, False),
    )


def _value(row: Row, name: str, convert: Callable[[Any], Value], otherwise: Value | None) -> Value:
    """A value of a row, or what stands for an empty one.

    Raises:
        ValueError: it is not of its kind, or empty where nothing can stand for it.
    """
    value = row.get(name, "")
    if value is None or value == "" or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        if otherwise is None:
            raise ValueError(f"{name} is empty")
        return otherwise
    try:
        return convert(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} {str(value)[:60]!r} cannot be read: {_expected(name)}") from error


def _expected(name: str) -> str:
    kinds = {
        "scope": "query or instance is meant",
        "query_hash": "16 hexadecimal digits are meant",
        "start": "a moment such as 2026-01-31T14:05:00+00:00 is meant",
        "end": "a moment such as 2026-01-31T14:05:00+00:00 is meant",
    }
    return kinds.get(name, "true or false is meant" if name.startswith("is_") else "a number is meant")


def _moment(value: Any) -> datetime:
    moment = value.to_pydatetime() if isinstance(value, pd.Timestamp) else datetime.fromisoformat(str(value))
    found: datetime = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return found


def _truth(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in _YES | _NO:
        raise ValueError(f"{value!r} is neither true nor false")
    return word in _YES
