"""Counters since this process began, made from what is new in the logs of the store.

The logs shrink with retention and grow in processes other than this one: so counters add what was never seen, and never
read a total.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from dbplanmon_pipeline.core.model import CollectionStatus
from dbplanmon_pipeline.core.ports.figures import (
    FigureStore,
    LoggedDelivery,
    LoggedIncident,
    LoggedKpi,
    LoggedReading,
)
from dbplanmon_pipeline.errors import CannotConnect, LoginFailed
from dbplanmon_pipeline.web.metrics.labels import Slots
from dbplanmon_pipeline.web.metrics.tail import Tail

BUCKETS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_NEVER_OPENED = (CannotConnect.error_class, LoginFailed.error_class)
"""Failures before a connection stood; every other reading had one of its own, whatever became of it."""

_RECORDED = (CollectionStatus.OK, CollectionStatus.FIRST_READING)


@dataclass(slots=True)
class Durations:
    """Counts by bucket, the last one without a limit, and the sum [seconds]."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_SECONDS) + 1))
    total_seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        self.total_seconds += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Limits and counts up to them, as Prometheus has them."""
        limits = [*(str(limit) for limit in BUCKETS_SECONDS), "+Inf"]
        return [(limit, float(sum(self.counts[: number + 1]))) for number, limit in enumerate(limits)]


class Counters:
    """Attributes: counts by label; `durations` of readings by instance."""

    def __init__(self) -> None:
        self.instances = Slots()
        self.readings: Counter[tuple[str, str]] = Counter()
        self.rows: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()
        self.incidents: Counter[tuple[str, str]] = Counter()
        self.deliveries: Counter[tuple[str, bool]] = Counter()
        self.kpis: Counter[str] = Counter()
        self.durations: dict[str, Durations] = {}
        self._readings: Tail[LoggedReading] = Tail(lambda row: (row.ref, row.started_at), lambda row: row.recorded_at)
        self._incidents: Tail[LoggedIncident] = Tail(lambda row: row.audit_id, lambda row: row.at)
        self._deliveries: Tail[LoggedDelivery] = Tail(lambda row: (row.alert_id, row.at), lambda row: row.at)
        self._kpis: Tail[LoggedKpi] = Tail(lambda row: (row.name, row.at), lambda row: row.at)

    def know(self, instances: Iterable[str], channels: Iterable[str]) -> None:
        """Begin at zero where nothing happened yet: a counter that appears with 1 hides its first event."""
        self.instances.offer(instances)
        for channel in channels:
            for succeeded in (True, False):
                self.deliveries[channel, succeeded] += 0

    def advance(self, store: FigureStore, now: datetime) -> None:
        """Add what is new; all of it, or nothing where the store fails.

        Raises:
            StoreError: the store cannot be read.
        """
        counted = self._readings.counts()
        batches = store.logged_batches(self._readings.since(now))
        moved = [moment for moment, count in batches.items() if counted[moment] != count]
        readings = store.logged_readings(moved) if moved else []
        incidents = store.logged_incidents(self._incidents.since(now))
        deliveries = store.logged_deliveries(self._deliveries.since(now))
        kpis = store.logged_kpis(self._kpis.since(now))
        for reading in self._readings.new(readings, now):
            self._count_reading(reading)
        for incident in self._incidents.new(incidents, now):
            self.incidents[self.instances.label(incident.instance), incident.severity] += 1
        for delivery in self._deliveries.new(deliveries, now):
            self.deliveries[delivery.channel, delivery.succeeded] += 1
        self.kpis.update(kpi.state for kpi in self._kpis.new(kpis, now))

    def _count_reading(self, reading: LoggedReading) -> None:
        instance = self.instances.label(reading.ref.instance)
        self.readings[instance, reading.status.value] += 1
        if reading.status is CollectionStatus.SKIPPED:
            return
        if reading.error_class not in _NEVER_OPENED:
            self.connections[instance] += 1
        self.durations.setdefault(instance, Durations()).add(reading.duration_ms / 1000)
        if reading.status in _RECORDED:
            self.rows[instance] += reading.rows
