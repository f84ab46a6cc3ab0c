"""Versions of what is normal; a version is added, never overwritten."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import and_, func, select

from dbplanmon_pipeline.core.ports import BaselineVersion
from dbplanmon_pipeline.core.verdict.model import BASELINE_COLUMNS, BaselineSet
from dbplanmon_pipeline.store.bulk import insert_rows, replace_on
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import baseline as table
from dbplanmon_pipeline.store.schema import job_state

_KEY = ("layout", "database_id", "query_hash", "as_of")
_AT_ONCE = 10_000
WRITES = "baselines:writes"
"""A row of `job_state` that counts; no job of that name runs."""

_COUNT_WRITE = (
    f"INSERT INTO job_state (name, consecutive_failures, detail) VALUES ('{WRITES}', 0, '1') "  # noqa: S608
    "ON CONFLICT (name) DO UPDATE SET detail = CAST(CAST(job_state.detail AS BIGINT) + 1 AS TEXT)"
)
"""A version that is written once more has the same key, so writes are counted together with what they write."""


class BaselinePart(StorePart):
    """Saving and reading of baselines."""

    def save_baselines(self, baselines: BaselineSet) -> int:
        """Add a version (or the same one again); older versions stay. Returns the rows written.

        Written 10,000 rows at a time, so that no other writer waits long; repeating after a crash completes it.
        """
        written = 0
        for first in range(0, len(baselines.table), _AT_ONCE):
            columns = _columns(baselines, slice(first, first + _AT_ONCE))
            with self._database.write() as connection:
                written += insert_rows(connection, table, columns, replace_on(_KEY, list(columns)))
                connection.exec_driver_sql(_COUNT_WRITE)
        return written

    def baseline_version(self, layout: str) -> BaselineVersion:
        """Tells whether anything that `baselines` reads was written or removed since."""
        rows = select(func.count(), func.max(table.c.as_of)).where(table.c.layout == layout)
        writes = select(job_state.c.detail).where(job_state.c.name == WRITES)
        with self._database.read(snapshot=True) as connection:
            number, as_of = connection.execute(rows).one()
            return BaselineVersion(f"{number} {connection.scalar(writes) or 0}", as_of)

    def baselines(self, as_of: datetime, layout: str) -> BaselineSet:
        """Per statement the newest version not younger than `as_of` in this layout; empty when there is none.

        `as_of` of the result is that of its newest row.
        """
        keys = (table.c.database_id, table.c.query_hash)
        newest = select(*keys, func.max(table.c.as_of).label("as_of")).group_by(*keys)
        newest = newest.where(table.c.layout == layout, table.c.as_of <= as_of)
        chosen = newest.subquery()
        same = and_(*(table.c[name] == chosen.c[name] for name in _KEY[1:]), table.c.layout == layout)
        columns = [table.c[name] for name in (*BASELINE_COLUMNS, "parameters")]
        with self._database.read() as connection:
            rows = connection.execute(select(*columns).join(chosen, same).order_by(*keys)).all()
            latest = connection.scalar(select(func.max(chosen.c.as_of)))
        return _baseline_set(rows, latest or as_of, layout)


def _columns(baselines: BaselineSet, part: slice) -> dict[str, list[Any]]:
    frame = baselines.table.iloc[part]
    parameters = np.ascontiguousarray(baselines.parameters[part], dtype="<f8")
    columns: dict[str, list[Any]] = {
        "layout": [baselines.layout] * len(frame),
        "as_of": [baselines.as_of] * len(frame),
        "parameters": [row.tobytes() for row in parameters],
    }
    for name in BASELINE_COLUMNS[:3]:
        columns[name] = frame[name].astype("int64").tolist()
    for name in BASELINE_COLUMNS[3:]:
        values = frame[name].astype(float).tolist()
        columns[name] = [None if value != value else value for value in values]  # noqa: PLR0124 - NaN
    return columns


def _baseline_set(records: Sequence[Any], as_of: datetime, layout: str) -> BaselineSet:
    columns = list(zip(*records, strict=True)) if records else [()] * (len(BASELINE_COLUMNS) + 1)
    kinds = ["int32", "int64", "int64", *["float64"] * (len(BASELINE_COLUMNS) - 3)]
    frame = pd.DataFrame(
        {
            name: np.array(column, dtype=kind)
            for name, column, kind in zip(BASELINE_COLUMNS, columns[:-1], kinds, strict=True)
        }
    )
    parameters = np.frombuffer(b"".join(bytes(value) for value in columns[-1]), "<f8")
    return BaselineSet(as_of, frame, parameters.reshape(len(records), -1) if records else np.empty((0, 0)), layout)
