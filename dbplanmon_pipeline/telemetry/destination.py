"""Whether spans and figures are wanted, and where they go."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.settings.environment import variables

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

SERVICE = "dbplanmon"
TIMEOUT_SECONDS = 5.0
_ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
_INSTALL = "install the extra: pip install 'dbplanmon-pipeline[otel]'"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Destination:
    """Attributes: address of the collector, empty where the variables OTEL_* name it; name of this service."""

    endpoint: str
    service: str

    def exporter_options(self, signal: str) -> dict[str, Any]:
        """What an exporter of `traces` or `metrics` is made with; headers come from the variables."""
        options: dict[str, Any] = {"timeout": TIMEOUT_SECONDS}
        return {**options, "endpoint": f"{self.endpoint}/v1/{signal}"} if self.endpoint else options

    def resource(self) -> "Resource":
        """Who sends this."""
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra, and half a second to import

        return Resource.create({"service.name": self.service})


def destination_of(settings: Settings, environ: Mapping[str, str] | None = None) -> Destination | None:
    """Where to; None where nobody asked for it.

    Raises:
        SettingsError: the settings name an endpoint, and the extra is not installed.
    """
    chosen, given = settings.telemetry, variables(environ)
    if given.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if chosen.otlp_endpoint is None and not any(given.get(name) for name in _ENDPOINTS):
        return None
    if not _is_installed():
        if chosen.otlp_endpoint is not None:
            raise SettingsError(f"telemetry.otlp_endpoint needs OpenTelemetry; {_INSTALL}")
        return None
    service = chosen.service_name or given.get("OTEL_SERVICE_NAME") or SERVICE
    return Destination(chosen.otlp_endpoint or "", service)


@cache
def _is_installed() -> bool:
    try:
        found = find_spec("opentelemetry.exporter.otlp.proto.http") and find_spec("opentelemetry.sdk")
    except ModuleNotFoundError:
        found = None
    if found is None:
        _log.warning("the variables OTEL_* ask for OpenTelemetry, which is not there; %s", _INSTALL)
    return found is not None
