"""The interval metric table as one frame schema: what the store reads back, the archive keeps, the verdict takes."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA

KEY_COLUMNS = ("database_id", "query_hash", "plan_hash", "interval_start_us", "interval_end_us")
"""int32 [id], int64 [signed hash] twice, int64 [epoch microseconds] twice, half open."""

INTERVAL_COLUMNS = (*KEY_COLUMNS, *COUNTERS, *EXTREMA, "counter_reset")
"""Columns of `IntervalFrame.rows`: the key, then float64 metrics (NaN unknown), then bool."""


@dataclass(frozen=True)
class IntervalFrame:
    """Interval rows of several databases.

    Attributes:
        rows: one row per (database, query, plan, interval), columns INTERVAL_COLUMNS (a subset when asked for),
            sorted by (database_id, query_hash, interval_end_us, plan_hash), RangeIndex. Work that was added up has
            one row per (database, query) and no columns of plan and interval.
        databases: name of each database_id that occurs.
    """

    rows: pd.DataFrame
    databases: dict[int, DatabaseRef]

    def instance_codes(self) -> tuple[dict[int, int], Sequence[str]]:
        """Number the instances: database_id -> code, and the instance name of each code."""
        names = sorted({ref.instance for ref in self.databases.values()})
        code = {name: number for number, name in enumerate(names)}
        return {database_id: code[ref.instance] for database_id, ref in self.databases.items()}, names
