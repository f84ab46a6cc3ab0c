"""The webhook channel against real servers on loopback sockets."""

import base64
import hashlib
import hmac
import json
import logging
import socket
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dbplanmon_pipeline.core.alerts.incident_alerts import RetryLater
from dbplanmon_pipeline.core.ports import Alert, Channel
from dbplanmon_pipeline.errors import NotificationError
from dbplanmon_pipeline.notify.http_sender import seconds_to_wait
from dbplanmon_pipeline.notify.webhook import MAX_BODY_BYTES, WebhookChannel, payload

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ALERT = Alert("id-1", "incident-1", "opened", "dba", "high", NOW, "subject ü", "body", {"effect_ratio": 8.2})
SECRETS = ("hunter2", "T0K3N", "s3cr3t-path")


@contextmanager
def http_server(status=200, headers=None):
    """A server that answers every POST alike and keeps the requests."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def raw_server(answer):
    """A server that takes one connection, calls `answer(connection)` and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join()
        listener.close()


def url_of(port):
    return lambda: f"http://bot:hunter2@127.0.0.1:{port}/s3cr3t-path?key=T0K3N"


def channel(port, **options):
    return WebhookChannel("dba", url_of(port), clock=lambda: NOW, **({"timeout_s": 3.0} | options))


def refusal(given):
    with pytest.raises(NotificationError) as caught:
        given.send(ALERT)
    error = caught.value
    chain = [error, error.__cause__, None if error.__suppress_context__ else error.__context__]
    for said in (str(link) + repr(link) for link in chain if link is not None):
        assert not [secret for secret in SECRETS if secret in said]
    return error


def test_a_taken_alert_arrives_whole():
    with http_server() as (port, seen):
        as_port: Channel = channel(port)
        as_port.send(ALERT)
    ((path, headers, body),) = seen
    assert path == "/s3cr3t-path?key=T0K3N"
    assert headers["idempotency-key"] == "id-1"
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {
        "alert_id": "id-1",
        "incident_id": "incident-1",
        "event": "opened",
        "severity": "high",
        "channel": "dba",
        "created_at": "2026-11-22T12:00:00+00:00",
        "subject": "subject ü",
        "body": "body",
        "facts": {"effect_ratio": 8.2},
    }


def test_credentials_of_the_url_become_basic_authentication():
    with http_server() as (port, seen):
        channel(port).send(ALERT)
    assert seen[0][1]["authorization"] == "Basic " + base64.b64encode(b"bot:hunter2").decode()
    assert seen[0][1]["host"] == f"127.0.0.1:{port}"


def test_the_signature_can_be_verified_by_the_receiver():
    with http_server() as (port, seen):
        channel(port, secret=lambda: "T0K3N").send(ALERT)
    _, headers, body = seen[0]
    fields = dict(part.split("=") for part in headers["x-dbplanmon-signature"].split(","))
    expected = hmac.new(b"T0K3N", fields["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert fields == {"t": str(int(NOW.timestamp())), "v1": expected}


def test_without_a_secret_nothing_is_signed():
    with http_server() as (port, seen):
        channel(port).send(ALERT)
    assert "x-dbplanmon-signature" not in seen[0][1]


def test_headers_are_added_but_cannot_replace_the_idempotency_key():
    headers = {"Authorization": lambda: "Bearer T0K3N", "idempotency-key": lambda: "other"}
    with http_server() as (port, seen):
        channel(port, headers=headers).send(ALERT)
    assert seen[0][1]["authorization"] == "Bearer T0K3N"
    assert seen[0][1]["idempotency-key"] == "id-1"


def test_the_url_is_resolved_at_each_sending():
    with http_server() as (port, seen):
        asked = []
        given = WebhookChannel("dba", lambda: asked.append(1) or f"http://127.0.0.1:{port}/{len(asked)}")
        assert asked == []
        given.send(ALERT)
        given.send(ALERT)
    assert [path for path, _, _ in seen] == ["/1", "/2"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_success_means_taken(status):
    with http_server(status) as (port, seen):
        channel(port).send(ALERT)
    assert len(seen) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_answers_that_may_pass_are_transient(status):
    with http_server(status) as (port, _):
        error = refusal(channel(port))
    assert error.transient
    assert f"127.0.0.1:{port} answered {status}" in str(error)


def test_retry_after_is_handed_on():
    with http_server(429, {"Retry-After": "120"}) as (port, _):
        error = refusal(channel(port))
    assert isinstance(error, RetryLater)
    assert error.retry_after_seconds == 120


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_other_refusals_are_final(status):
    with http_server(status) as (port, _):
        assert not refusal(channel(port)).transient


def test_redirects_are_not_followed():
    with http_server() as (other, reached), http_server(307, {"Location": f"http://127.0.0.1:{other}/"}) as (port, _):
        error = refusal(channel(port))
    assert not error.transient
    assert "redirects are not followed" in str(error)
    assert reached == []


def test_a_server_that_hangs_is_given_up_in_time():
    released = threading.Event()
    with raw_server(lambda connection: released.wait(60)) as port:
        began = time.monotonic()
        error = refusal(channel(port, timeout_s=0.2))
        took = time.monotonic() - began
        released.set()
    assert error.transient
    assert "did not answer within 0.2 s" in str(error)
    assert took < 30


def test_a_refused_connection_is_transient():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = refusal(channel(port))
    assert error.transient
    assert f"cannot connect to 127.0.0.1:{port}" in str(error)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Le", b"no http at all\r\n\r\n"])
def test_hanging_up_before_the_answer_is_whole_is_transient(said):
    with raw_server(lambda connection: connection.sendall(said)) as port:
        error = refusal(channel(port))
    assert error.transient
    assert "cut the connection" in str(error)


def test_an_answer_whose_body_is_cut_was_taken_all_the_same():
    with raw_server(lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\npart")) as port:
        channel(port).send(ALERT)


def test_an_endless_answer_is_not_read():
    taken = []

    def flood(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            for number in range(2_000):
                connection.sendall(b"x" * 65_536)
                taken.append(number)
        except OSError:
            pass

    with raw_server(flood) as port:
        channel(port).send(ALERT)
    assert len(taken) < 1_000


@pytest.mark.parametrize("url", ["", "hunter2", "ftp://bot:hunter2@host/", "http://", "http://host:hunter2/"])
def test_an_address_that_is_none_is_final_and_not_repeated(url):
    error = refusal(WebhookChannel("dba", lambda: url))
    assert not error.transient
    assert "check the settings" in str(error)


@pytest.mark.parametrize("value", ["T0K3N\r\nX: y", "T0K3N ü 表"], ids=["line break", "letters"])
def test_a_header_that_cannot_be_written_is_not_repeated(value):
    with http_server() as (port, seen):
        error = refusal(channel(port, headers={"X-Token": lambda: value}))
    assert not error.transient
    assert seen == []


def test_a_missing_certificate_file_is_said(tmp_path):
    error = refusal(WebhookChannel("dba", lambda: "https://127.0.0.1:1/", ca_file=str(tmp_path / "none.pem")))
    assert "ca_file cannot be read" in str(error)


def test_no_log_line_names_the_secret_url(caplog):
    with caplog.at_level(logging.DEBUG), http_server(500) as (port, _):
        refusal(channel(port))
    assert not [record for record in caplog.records if any(secret in record.getMessage() for secret in SECRETS)]


def test_proxies_of_the_environment_are_left_aside(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with http_server() as (port, seen):
        channel(port).send(ALERT)
    assert len(seen) == 1


def test_a_proxy_of_the_settings_is_used():
    with http_server() as (port, seen):
        WebhookChannel("dba", lambda: "http://hook.invalid/x", proxy=lambda: f"http://127.0.0.1:{port}").send(ALERT)
    assert seen[0][0] == "http://hook.invalid/x"


def test_the_body_is_bounded():
    huge = Alert("id-1", "i", "opened", "dba", "high", NOW, "s", "b" * 10**6, {"lines": ["x" * 1_000] * 1_000})
    body = payload(huge)
    assert len(body) < MAX_BODY_BYTES
    assert json.loads(body)["facts_omitted"] is True


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999", 86_400.0),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(header, seconds):
    assert seconds_to_wait(header, NOW) == seconds


def test_the_clock_may_stand_in_another_zone():
    elsewhere = NOW.astimezone(tz=None) + timedelta(seconds=30)
    assert seconds_to_wait("Sun, 22 Nov 2026 12:01:30 GMT", elsewhere) == 60.0
