"""A span around each use case: its name, how long it took, and numbers of what it did; never a text."""

import dataclasses
import threading
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.telemetry.destination import Destination, destination_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

FLUSH_SECONDS = 2.0

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


class _HasSettings(Protocol):
    @property
    def settings(self) -> Settings: ...


SelfT = TypeVar("SelfT", bound=_HasSettings)

_lock = threading.Lock()
_providers: dict[Destination, "TracerProvider"] = {}


def traced(
    method: Callable[Concatenate[SelfT, P], ResultT],
) -> Callable[Concatenate[SelfT, P], ResultT]:
    """Put a span around a method of something that has settings; the plain method where nobody wants spans."""
    name = f"dbplanmon.{method.__name__}"

    @wraps(method)
    def run(self: SelfT, /, *args: P.args, **kwargs: P.kwargs) -> ResultT:
        destination = destination_of(self.settings)
        if destination is None:
            return method(self, *args, **kwargs)
        # The SDK would keep the text of an exception, which may hold names of ours; its class is enough.
        tracer = _provider(destination).get_tracer("dbplanmon_pipeline")
        with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            try:
                result = method(self, *args, **kwargs)
            except BaseException as error:
                span.set_attributes({"error.type": type(error).__name__})
                _mark_failed(span)
                raise
            span.set_attributes({f"dbplanmon.{key}": value for key, value in numbers_of(result).items()})
            return result

    return run


def numbers_of(result: object) -> dict[str, int | float]:
    """The figures of a report: its numbers, and how many items its collections have."""
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        found = {field.name: _number(getattr(result, field.name)) for field in dataclasses.fields(result)}
    else:
        found = {"result": _number(result)}
    return {name: number for name, number in found.items() if number is not None}


def _number(value: object) -> int | float | None:
    if isinstance(value, bool | int | float):
        return int(value) if isinstance(value, bool) else value
    return len(value) if isinstance(value, Collection | Mapping) and not isinstance(value, str | bytes) else None


def flush(settings: Settings) -> None:
    """Send what waits, for two seconds at most: a process of Dagster ends without asking."""
    destination = destination_of(settings) if _providers else None
    provider = _providers.get(destination) if destination else None
    if provider is not None:
        sender = threading.Thread(target=provider.force_flush, name="flush spans", daemon=True)
        sender.start()
        sender.join(FLUSH_SECONDS)


def _provider(destination: Destination) -> "TracerProvider":
    """One for the life of the process: it has a thread and a queue."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    with _lock:
        if destination not in _providers:
            provider = TracerProvider(resource=destination.resource())
            exporter = OTLPSpanExporter(**destination.exporter_options("traces"))
            provider.add_span_processor(BatchSpanProcessor(exporter))
            _providers[destination] = provider
        return _providers[destination]


def _mark_failed(span: Any) -> None:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - an extra

    span.set_status(Status(StatusCode.ERROR))
