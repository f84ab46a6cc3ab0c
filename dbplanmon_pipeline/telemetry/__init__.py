"""OpenTelemetry: nothing is imported, and nothing happens, unless the settings or the variables OTEL_* ask for it."""

from dbplanmon_pipeline.telemetry.destination import Destination, destination_of
from dbplanmon_pipeline.telemetry.figures import ExportedFigure, export_figures
from dbplanmon_pipeline.telemetry.spans import flush, traced

__all__ = ["Destination", "ExportedFigure", "destination_of", "export_figures", "flush", "traced"]
