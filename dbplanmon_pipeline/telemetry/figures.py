"""The figures of the metrics, sent every minute (OTEL_METRIC_EXPORT_INTERVAL) to where the spans go."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbplanmon_pipeline.telemetry.destination import Destination

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation

Values = Iterable[tuple[Mapping[str, str], float]]

END_SECONDS = 0.2
"""A collector that does not answer keeps nothing from ending."""


@dataclass(frozen=True, slots=True)
class ExportedFigure:
    """Attributes: name, meaning with unit, whether it only grows, and what gives its values by labels."""

    name: str
    meaning: str
    is_counter: bool
    read: Callable[[], Values]


def export_figures(destination: Destination, figures: Sequence[ExportedFigure]) -> Callable[[], None]:
    """Begin to send; the function that comes back ends it."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

    exporter = OTLPMetricExporter(**destination.exporter_options("metrics"))
    reader = PeriodicExportingMetricReader(exporter)
    provider = MeterProvider([reader], resource=destination.resource())
    meter = provider.get_meter("dbplanmon_pipeline")
    for figure in figures:
        make: Any = meter.create_observable_counter if figure.is_counter else meter.create_observable_gauge
        make(figure.name, callbacks=[_callback(figure)], description=figure.meaning)

    def end() -> None:
        sender = threading.Thread(target=provider.shutdown, name="send last figures", daemon=True)
        sender.start()
        sender.join(END_SECONDS)

    return end


def _callback(figure: ExportedFigure) -> "Callable[[CallbackOptions], list[Observation]]":
    from opentelemetry.metrics import Observation  # noqa: PLC0415 - an extra

    def observe(_: "CallbackOptions") -> "list[Observation]":
        return [Observation(value, dict(labels)) for labels, value in figure.read()]

    return observe
