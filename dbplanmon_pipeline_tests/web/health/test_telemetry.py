"""OpenTelemetry, sent to a real collector: a local server that takes OTLP."""

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline.telemetry import destination, destination_of
from dbplanmon_pipeline.telemetry.spans import numbers_of
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline.web.metrics.names import PREFIX
from dbplanmon_pipeline_tests.services.fleets import START
from dbplanmon_pipeline_tests.web.health.monitored import FLEET, watched


class Collector:
    """Takes what is sent, by path."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                unpacked = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
                bodies.append((self.path, unpacked))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def spans(self) -> list:
        requests = [ExportTraceServiceRequest.FromString(body) for path, body in self.bodies if path == "/v1/traces"]
        return [
            (r.resource, span) for q in requests for r in q.resource_spans for s in r.scope_spans for span in s.spans
        ]

    def metrics(self) -> dict:
        requests = [ExportMetricsServiceRequest.FromString(body) for path, body in self.bodies if path == "/v1/metrics"]
        return {m.name: m for q in requests for r in q.resource_metrics for s in r.scope_metrics for m in s.metrics}


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()
        thread.join(10)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def monitor(folder, text: str) -> Monitor:
    (folder / "dbplanmon.yaml").write_text(f"environment: test\n{text}")
    return Monitor(load_settings(environ={}, cwd=folder), FixedClock(START))


def attributes(holder) -> dict[str, object]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in holder.attributes}


def test_each_use_case_is_a_span_with_numbers_only(tmp_path, collector):
    ours = monitor(tmp_path, f"telemetry: {{otlp_endpoint: '{collector.url}', service_name: night watch}}\n{FLEET}")
    with ours.session() as session:
        session.collect()
        session.analyse()
    (resource, collected), (_, analysed) = collector.spans()
    assert attributes(resource)["service.name"] == "night watch"
    assert (collected.name, analysed.name) == ("dbplanmon.collect", "dbplanmon.analyse")
    assert attributes(collected)["dbplanmon.outcomes"] == 3
    assert {type(value) for span in (collected, analysed) for value in attributes(span).values()} <= {int, float}
    assert collected.end_time_unix_nano > collected.start_time_unix_nano


def test_a_failure_is_told_by_its_class_alone(tmp_path, collector):
    ours = monitor(tmp_path, f"telemetry: {{otlp_endpoint: '{collector.url}'}}\n{FLEET}")
    with ours.session() as session, pytest.raises(Exception, match="nobody"):
        session.run_kpis(["nobody"])
    ((_, span),) = collector.spans()
    assert (span.name, span.status.code, attributes(span).keys()) == ("dbplanmon.run_kpis", 2, {"error.type"})
    assert not span.events
    assert b"nobody" not in span.SerializeToString()


def test_the_figures_of_the_metrics_are_sent_too(tmp_path, collector):
    settings = f"telemetry: {{otlp_endpoint: '{collector.url}'}}\n{FLEET}"
    with watched(tmp_path, settings) as page:
        page.session.collect()
        page.get("/metrics")
    sent = collector.metrics()
    figures = {name for name in sent if name.startswith(PREFIX)}
    assert {
        f"{PREFIX}store_up",
        f"{PREFIX}samples_collected_total",
        f"{PREFIX}health_check_duration_seconds_sum",
    } <= figures
    (up,) = sent[f"{PREFIX}store_up"].gauge.data_points
    assert up.as_double == 1
    assert sent[f"{PREFIX}alerts_sent_total"].sum.is_monotonic


def test_nothing_is_imported_unless_it_is_asked_for(tmp_path):
    (tmp_path / "dbplanmon.yaml").write_text(FLEET)
    script = (
        "import sys\n"
        "from dbplanmon_pipeline.composition import Monitor\n"
        "from dbplanmon_pipeline.settings import load_settings\n"
        "from dbplanmon_pipeline.web.app import build_app\n"
        "monitor = Monitor(load_settings())\n"
        "with monitor.session() as session:\n"
        "    session.rank_hotspots()\n"
        "build_app(monitor)\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    ("environ", "endpoint", "service"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SERVICE_NAME": "watch"}, "", "watch"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"}, "", "dbplanmon"),
    ],
)
def test_the_standard_variables_are_enough(environ, endpoint, service):
    found = destination_of(load_settings(environ={}), environ)
    assert (found.endpoint, found.service) == (endpoint, service)


@pytest.mark.parametrize("environ", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}])
def test_without_an_endpoint_or_when_disabled_it_is_off(environ):
    assert destination_of(load_settings(environ={}), environ) is None


def test_a_missing_extra_is_told_where_the_settings_ask_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(destination, "find_spec", lambda _: None)
    destination._is_installed.cache_clear()
    try:
        ours = monitor(tmp_path, "telemetry: {otlp_endpoint: 'http://127.0.0.1:4318'}\n")
        with pytest.raises(SettingsError, match=r"pip install 'dbplanmon-pipeline\[otel\]'"):
            destination_of(ours.settings, {})
        assert destination_of(load_settings(environ={}), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}) is None
    finally:
        destination._is_installed.cache_clear()


@pytest.mark.parametrize(
    ("result", "numbers"),
    [(7, {"result": 7}), ("text", {}), ([1, 2], {"result": 2}), (None, {}), (True, {"result": 1})],
)
def test_only_numbers_and_sizes_become_attributes(result, numbers):
    assert numbers_of(result) == numbers
