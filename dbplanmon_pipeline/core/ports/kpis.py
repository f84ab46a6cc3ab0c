"""What reading KPIs needs from our store."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.core.kpis import KpiMemory, KpiResult, Span
from dbplanmon_pipeline.core.ports.alerts import Alert


class KpiStore(Protocol):
    """What `run_kpis` needs."""

    def kpi_memories(self, names: Sequence[str]) -> dict[str, KpiMemory]:
        """Memory by name; a fresh one where there is none."""
        ...

    def lease_kpi(self, memory: KpiMemory, started_at: datetime, until: datetime) -> bool:
        """Take a KPI for a reading; false where it moved on since `memory` was read, or is under way."""
        ...

    def release_kpi(self, name: str, started_at: datetime) -> None:
        """Give a lease back without a result, where it is still ours."""
        ...

    def kpi_values(self, name: str, spans: Sequence[Span]) -> list[float]:
        """Values that were read within these spans, half open."""
        ...

    def record_kpi(self, result: KpiResult, memory: KpiMemory, alerts: Sequence[Alert]) -> bool:
        """Keep a reading, its memory and what people are told, all or nothing, and give the lease back.

        Returns:
            False where the lease was lost meanwhile; then nothing is kept.
        """
        ...

    def kpi_results(self, name: str, since: datetime | None = None, limit: int = 100) -> list[KpiResult]:
        """Readings of one KPI, the newest first."""
        ...

    def latest_kpi_results(self, names: Sequence[str]) -> Mapping[str, KpiResult]:
        """The newest reading of each KPI that has one."""
        ...
