"""The families of Prometheus as figures of OpenTelemetry: the same names, a histogram as its sum and its count."""

import threading
import time
from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import Metric as Family

from dbplanmon_pipeline.telemetry import ExportedFigure
from dbplanmon_pipeline.web.metrics.exposition import FigureCollector
from dbplanmon_pipeline.web.metrics.names import METRICS, Metric

TOGETHER_SECONDS = 1.0
"""One sending asks for every figure by itself; all of them are read once."""


class Families:
    """What the collector gave lately, by full name."""

    def __init__(self, collector: FigureCollector) -> None:
        self._collector = collector
        self._lock = threading.Lock()
        self._at = 0.0
        self._families: dict[str, Family] = {}

    def samples(self, metric: Metric, suffix: str = "") -> list[tuple[dict[str, str], float]]:
        """Values of one metric by labels."""
        name = metric.full_name + suffix
        with self._lock:
            if time.monotonic() - self._at > TOGETHER_SECONDS or not self._families:
                self._families = {family.name: family for family in self._collector.collect()}
                self._at = time.monotonic()
            family = self._families.get(metric.full_name.removesuffix("_total"))
        samples: Iterable[tuple[str, dict[str, str], float]] = (s[:3] for s in family.samples) if family else ()
        return [(labels, value) for found, labels, value in samples if found == name]


def exported_figures(collector: FigureCollector) -> Iterator[ExportedFigure]:
    """Every metric of ours."""
    families = Families(collector)
    for metric in METRICS:
        if metric.kind == "histogram":
            for suffix in ("_sum", "_count"):
                yield _figure(families, metric, suffix)
        else:
            yield _figure(families, metric, "")


def _figure(families: Families, metric: Metric, suffix: str) -> ExportedFigure:
    is_counter = metric.kind != "gauge"
    return ExportedFigure(
        metric.full_name + suffix, metric.meaning, is_counter, lambda: families.samples(metric, suffix)
    )
