"""A registry of our own: what the store tells, how long checks took, and this process."""

import threading
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from dbplanmon_pipeline.core.breaker import BreakerPolicy
from dbplanmon_pipeline.web.metrics.counters import Durations
from dbplanmon_pipeline.web.metrics.families import counter_families, duration_family, gauge_families
from dbplanmon_pipeline.web.metrics.figures import Figures
from dbplanmon_pipeline.web.metrics.names import HEALTH_DURATION


class CheckTimes:
    """How long checks of the health took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._durations: dict[str, Durations] = {}

    def observe(self, check: str, seconds: float) -> None:
        """One more."""
        with self._lock:
            self._durations.setdefault(check, Durations()).add(seconds)

    def family(self) -> Family:
        """A histogram by check."""
        with self._lock:
            return duration_family(HEALTH_DURATION, self._durations)


class FigureCollector(Collector):
    """All our families from the newest snapshot; reads no store itself."""

    def __init__(self, figures: Figures, checks: CheckTimes, breaker: BreakerPolicy) -> None:
        self._figures = figures
        self._checks = checks
        self._breaker = breaker

    def describe(self) -> list[Family]:
        """Nothing, so that registering does not ask."""
        return []

    def collect(self) -> Iterator[Family]:
        """All families; few of them before the store could be read for the first time."""
        answer = self._figures.newest
        yield self._checks.family()
        with self._figures.lock:
            families = list(counter_families(self._figures.counters))
        yield from families
        if answer is not None:
            yield from gauge_families(answer.value, answer.age_seconds(), self._breaker)


class Exposition:
    """Attributes: our collector, the registry it is in, and the times of checks."""

    def __init__(self, figures: Figures, breaker: BreakerPolicy) -> None:
        self.checks = CheckTimes()
        self.collector = FigureCollector(figures, self.checks, breaker)
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self.collector)
        ProcessCollector(registry=self.registry)
