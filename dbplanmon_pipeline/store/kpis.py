"""KPIs: who reads one now, what was read, and what is wrong since when."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, func, or_, select

from dbplanmon_pipeline.core.kpis.rules import KpiMemory, KpiResult, KpiState, Span
from dbplanmon_pipeline.core.ports.alerts import Alert
from dbplanmon_pipeline.store.alerts.queue import queue_alerts
from dbplanmon_pipeline.store.bulk import insert_records
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import kpi_result, kpi_state

_FIELDS = tuple(KpiMemory.__dataclass_fields__)


class KpiPart(StorePart):
    """Readings of KPIs and the memory between them."""

    def kpi_memories(self, names: Sequence[str]) -> dict[str, KpiMemory]:
        """Memory by name; a fresh one where there is none."""
        with self._database.read() as connection:
            rows = connection.execute(select(kpi_state).where(kpi_state.c.name.in_(list(names)))).mappings()
            found = {row["name"]: _memory(row) for row in rows}
        return {name: found.get(name, KpiMemory(name)) for name in names}

    def troubled_kpis(self) -> list[KpiMemory]:
        """Memory of all KPIs in trouble, also of those that are no longer read, by name."""
        wrong = select(kpi_state).where(kpi_state.c.trouble != KpiState.OK.value).order_by(kpi_state.c.name)
        with self._database.read() as connection:
            return [_memory(row) for row in connection.execute(wrong).mappings()]

    def end_kpi(self, memory: KpiMemory, alerts: Sequence[Alert]) -> bool:
        """Forget the trouble of a KPI that is no longer read, and queue what people are told, all or nothing.

        Returns:
            False where it moved on since `memory` was read, or is under way; then nothing is done.
        """
        same = (kpi_state.c.name == memory.name) & (kpi_state.c.started_at == memory.started_at)
        unmoved = same & (kpi_state.c.trouble == memory.trouble.value) & kpi_state.c.leased_until.is_(None)
        calm = _record(KpiMemory(memory.name, memory.started_at))
        with self._database.write() as connection:
            if not connection.execute(kpi_state.update().where(unmoved).values(**calm)).rowcount:
                return False
            queue_alerts(connection, alerts)
        return True

    def lease_kpi(self, memory: KpiMemory, started_at: datetime, until: datetime) -> bool:
        """Take a KPI for a reading; false where it moved on since `memory` was read, or is under way."""
        table = kpi_state
        at = table.c.started_at
        unmoved: ColumnElement[bool] = at.is_(None) if memory.started_at is None else at == memory.started_at
        free = or_(table.c.leased_until.is_(None), table.c.leased_until <= started_at)
        lease = table.update().where(table.c.name == memory.name, unmoved, free)
        with self._database.write() as connection:
            insert_records(connection, table, [_record(KpiMemory(memory.name))], "ON CONFLICT DO NOTHING")
            return bool(connection.execute(lease.values(started_at=started_at, leased_until=until)).rowcount)

    def release_kpi(self, name: str, started_at: datetime) -> None:
        """Give a lease back without a result, where it is still ours."""
        mine = (kpi_state.c.name == name) & (kpi_state.c.started_at == started_at)
        with self._database.write() as connection:
            connection.execute(kpi_state.update().where(mine).values(leased_until=None))

    def kpi_values(self, name: str, spans: Sequence[Span]) -> list[float]:
        """Values that were read within these spans, half open."""
        at = kpi_result.c.started_at
        known = select(kpi_result.c.value).where(kpi_result.c.name == name, kpi_result.c.value.is_not(None))
        # One range of the key each; as one statement with OR, SQLite walks through all readings of the KPI.
        with self._database.read() as connection:
            found = [connection.scalars(known.where(at >= start, at < end)).all() for start, end in spans]
        return [float(value) for values in found for value in values]

    def record_kpi(self, result: KpiResult, memory: KpiMemory, alerts: Sequence[Alert]) -> bool:
        """Keep a reading, its memory and what people are told, all or nothing, and give the lease back.

        Returns:
            False where the lease was lost meanwhile; then nothing is kept.
        """
        mine = (kpi_state.c.name == result.name) & (kpi_state.c.started_at == result.started_at)
        state = {**_record(memory), "started_at": result.started_at, "leased_until": None}
        with self._database.write() as connection:
            if not connection.execute(kpi_state.update().where(mine).values(**state)).rowcount:
                return False
            insert_records(connection, kpi_result, [asdict(result) | {"state": result.state.value}])
            queue_alerts(connection, alerts)
        return True

    def kpi_results(self, name: str, since: datetime | None = None, limit: int = 100) -> list[KpiResult]:
        """Readings of one KPI, the newest first."""
        wanted = select(kpi_result).where(kpi_result.c.name == name)
        if since is not None:
            wanted = wanted.where(kpi_result.c.started_at >= since)
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(kpi_result.c.started_at.desc()).limit(limit)).mappings()
            return [_result(row) for row in rows]

    def latest_kpi_results(self, names: Sequence[str]) -> dict[str, KpiResult]:
        """The newest reading of each KPI that has one."""
        # One look into the key for each name; grouping would walk through all readings there are.
        older = kpi_result.alias("older")
        newest = select(func.max(older.c.started_at)).where(older.c.name == kpi_state.c.name).scalar_subquery()
        same = and_(kpi_result.c.name == kpi_state.c.name, kpi_result.c.started_at == newest)
        wanted = select(kpi_result).select_from(kpi_state).join(kpi_result, same)
        with self._database.read() as connection:
            rows = connection.execute(wanted.where(kpi_state.c.name.in_(list(names)))).mappings()
            return {row["name"]: _result(row) for row in rows}


def _record(memory: KpiMemory) -> dict[str, Any]:
    return asdict(memory) | {"trouble": memory.trouble.value}


def _memory(row: RowMapping) -> KpiMemory:
    return KpiMemory(**{**{name: row[name] for name in _FIELDS}, "trouble": KpiState(row["trouble"])})


def _result(row: RowMapping) -> KpiResult:
    value, normal = (None if math.isnan(row[name]) else row[name] for name in ("value", "normal"))
    return KpiResult(
        name=row["name"],
        started_at=row["started_at"],
        duration_ms=row["duration_ms"],
        state=KpiState(row["state"]),
        value=value,
        normal=normal,
        message=row["message"],
    )
