"""The section of OpenTelemetry: where spans and figures go, if anywhere."""

from pydantic import Field

from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.values import Line
from dbplanmon_pipeline.settings.web import WebAddress


class TelemetrySettings(Section):
    """OpenTelemetry: spans of what the monitor does, and its figures. Off unless an endpoint is named."""

    otlp_endpoint: WebAddress | None = Field(
        default=None,
        description="Collector that takes OTLP over HTTP, such as http://127.0.0.1:4318; not set: OTEL_*.",
    )
    service_name: Line | None = Field(
        default=None, description="Name of this service; not set: OTEL_SERVICE_NAME, else dbplanmon."
    )
