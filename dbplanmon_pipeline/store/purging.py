"""Removing what is older than the retention allows, a batch at a time, so that no writer waits long."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Table, and_, func, select, tuple_

from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store.days import epoch_us
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import baseline, collection_log, hotspot, hourly_rollup, plan_change

_BATCH = 5_000
_MOMENTS = {
    collection_log: collection_log.c.started_at,
    hourly_rollup: hourly_rollup.c.hour_start_us,
    baseline: baseline.c.as_of,
    hotspot: hotspot.c.window_end,
    plan_change: plan_change.c.changed_at,
}


class PurgingPart(StorePart):
    """Retention of tables whose rows have a moment; whole days of metrics are dropped by `drop_hot_days`."""

    def purge(self, table: str, before: datetime) -> int:
        """Delete rows older than a moment (aware UTC), 5,000 per transaction; returns how many.

        The newest baseline of a statement stays, however old.

        Raises:
            StoreError: the rows of this table do not expire.
        """
        expiring = {found.name: found for found in _MOMENTS}
        if table not in expiring:
            raise StoreError(f"rows of {table} do not expire; choose one of {', '.join(sorted(expiring))}")
        chosen = expiring[table]
        key = tuple_(*chosen.primary_key.columns)
        old = select(*chosen.primary_key.columns).where(_is_old(chosen, before)).limit(_BATCH)
        removed = 0
        while True:
            with self._database.write() as connection:
                count = connection.execute(chosen.delete().where(key.in_(old))).rowcount
            removed += count
            if count < _BATCH:
                return removed


def _is_old(table: Table, before: datetime) -> ColumnElement[Any]:
    moment = _MOMENTS[table]
    limit: Any = epoch_us(before) if isinstance(moment.type, BigInteger) else before
    old: ColumnElement[Any] = moment < limit
    if table is not baseline:
        return old
    newer = baseline.alias()
    same = [newer.c[name] == baseline.c[name] for name in ("layout", "database_id", "query_hash")]
    newest = select(func.max(newer.c.as_of)).where(*same).scalar_subquery()
    return and_(old, moment < newest)
