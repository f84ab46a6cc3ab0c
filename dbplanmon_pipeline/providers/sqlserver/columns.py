"""Rows of a statement as columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats, Longs


def columns_of(rows: Sequence[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    """One tuple per column, also where there are no rows."""
    return list(zip(*rows, strict=True)) if rows else [()] * width


def number_table(columns: Sequence[tuple[Any, ...]]) -> Floats:
    """Columns of numbers as float64 [rows, columns]; NULL is NaN."""
    return np.array(columns, dtype=np.float64).T


def long_column(values: Sequence[int]) -> Longs:
    """Whole numbers as int64."""
    return np.array(values, dtype=np.int64)


def hash_column(values: Sequence[bytes | None]) -> Longs:
    """Eight bytes each, most significant first; NULL is 0, the unknown hash."""
    return np.frombuffer(b"".join(value or bytes(8) for value in values), dtype=">i8").astype(np.int64)
