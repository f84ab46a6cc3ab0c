"""What reading KPIs needs from our store."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.core.kpis.rules import KpiMemory, KpiResult, Span
from dbplanmon_pipeline.core.ports.alerts import Alert
from dbplanmon_pipeline.core.ports.collection import JobState


class KpiStore(Protocol):
    """What `run_kpis` needs."""

    def kpi_memories(self, names: Sequence[str]) -> dict[str, KpiMemory]:
        """Memory by name; a fresh one where there is none."""
        ...

    def troubled_kpis(self) -> list[KpiMemory]:
        """Memory of all KPIs in trouble, also of those that are no longer read, by name."""
        ...

    def end_kpi(self, memory: KpiMemory, alerts: Sequence[Alert]) -> bool:
        """Forget the trouble of a KPI that is no longer read, and queue what people are told, all or nothing.

        Returns:
            False where it moved on since `memory` was read, or is under way; then nothing is done.
        """
        ...

    def job_states(self, names: Iterable[str]) -> dict[str, JobState]:
        """Memory by name; a fresh `JobState` where there is none."""
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
