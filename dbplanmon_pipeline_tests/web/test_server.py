"""The server itself: limits on clients, paths below a prefix, and an end that waits for nobody."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from dbplanmon_pipeline.cli import dbplanmon
from dbplanmon_pipeline.cli.running.ports import CannotListen, listen
from dbplanmon_pipeline.web import server as server_module
from dbplanmon_pipeline.web.server import status_server

SERVE = (sys.executable, "-m", "dbplanmon_pipeline", "serve")


async def where(request: Request) -> JSONResponse:
    return JSONResponse({"path": request.scope["path"], "url": str(request.url_for("where"))})


@contextmanager
def served(path: str = "") -> Iterator[int]:
    with listen("127.0.0.1", 0) as listener:
        ready = threading.Event()
        app = Starlette(routes=[Route("/where", where, name="where")])
        server = status_server(app, path=path, ready=ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        assert ready.wait(30)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)


def get(url: str) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=120) as client:
        return client.get(url)


@pytest.mark.parametrize("asked", ["/where", "/dba/where"], ids=["proxy takes it away", "proxy leaves it"])
def test_a_prefix_works_whatever_the_proxy_does(asked):
    with served("/dba") as port:
        answer = get(f"http://127.0.0.1:{port}{asked}").json()
    assert answer["url"] == f"http://127.0.0.1:{port}/dba/where"


def test_it_does_not_say_what_it_runs_on():
    with served() as port:
        assert "server" not in get(f"http://127.0.0.1:{port}/where").headers


@pytest.mark.parametrize("sent", [b"", b"GET /where HTTP/1.1\r\nHost: a\r\nX-Slow: "], ids=["nothing", "half a head"])
def test_a_client_that_does_not_finish_its_head_is_hung_up_on(monkeypatch, sent):
    monkeypatch.setattr(server_module, "HEADER_SECONDS", 0.2)
    with served() as port, socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(sent)
        assert client.recv(100) == b""


def test_a_client_that_finishes_its_head_is_answered_twice(monkeypatch):
    monkeypatch.setattr(server_module, "HEADER_SECONDS", 5)
    with served() as port, httpx.Client(trust_env=False, timeout=20) as client:
        for _ in range(2):
            assert client.get(f"http://127.0.0.1:{port}/where").status_code == 200


def test_a_head_that_never_ends_is_refused():
    with served() as port, socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET /where HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 200_000)
        assert client.recv(100).startswith(b"HTTP/1.1 400")


def test_a_taken_port_is_one_clear_line():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"port {port} on 127.0.0.1 is taken; choose another with --port"):
            listen("127.0.0.1", port)


@contextmanager
def process(folder: Path, **variables: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """`dbplanmon serve` on a free port, with the address it told."""
    command = [*SERVE, "--port", "0", "--json"]
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2]), **variables}
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            told = json.loads(child.stdout.readline())
            assert told["event"] == "ready"
            yield child, told["url"]
        finally:
            child.kill()


def test_it_serves_an_empty_fleet_without_settings_and_ends_when_told(tmp_path):
    with process(tmp_path) as (child, url):
        assert get(f"{url}/health/live").json() == {"status": "healthy"}
        health = get(f"{url}/health")
        assert (health.status_code, health.json()["status"]) == (200, "healthy")
        assert "db_exec_monitor_store_up 1.0" in get(f"{url}/metrics").text
        status = json.loads((tmp_path / ".dbplanmon" / "serve.json").read_text())
        assert status == {"pid": child.pid, "url": url}
        child.send_signal(signal.SIGTERM)
        assert child.wait(120) == 0
        assert child.stderr.read() == ""
    assert not (tmp_path / ".dbplanmon" / "serve.json").exists()


def test_the_command_line_asks_a_running_page(tmp_path, monkeypatch):
    def health(*words: str) -> tuple[int, dict]:
        done = CliRunner().invoke(dbplanmon, ["health", *words, "--json"])
        return done.exit_code, json.loads(done.stdout)

    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("DBPLANMON_")]:
        monkeypatch.delenv(name)
    with process(tmp_path) as (_, url):
        code, live = health("live")
        assert (code, live["checks"][0]["name"], live["checks"][0]["detail"]) == (0, "status_page", f"{url} answers")
        code, ready = health("ready", "--url", url)
        assert (code, [check["name"] for check in ready["checks"]]) == (0, ["storage", "targets"])
        assert health("live", "--url", url)[0] == 0
    code, ready = health("ready", "--url", url)
    assert (code, ready["checks"][0]["detail"]) == (1, f"{url} does not answer")


def test_a_store_that_cannot_be_made_does_not_keep_the_page_from_serving(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "dbplanmon.yaml").write_text(f"store: {{url: 'sqlite:///{tmp_path}/file/store.db'}}\n")
    with process(tmp_path) as (child, url):
        assert get(f"{url}/health/live").status_code == 200
        assert get(f"{url}/health/ready").status_code == 503
        child.send_signal(signal.SIGTERM)
        assert child.wait(120) == 0
        events = [json.loads(line)["event"] for line in child.stderr.read().splitlines()]
    assert "store_not_ready" in events


def test_a_store_that_hangs_neither_hangs_the_probes_nor_the_end(tmp_path, postgres_server, postgres_database):
    store = postgres_server.url(postgres_database).replace("+psycopg", "")
    with process(tmp_path, DBPLANMON_STORE_URL=store) as (child, url), psycopg.connect(store) as other:
        assert get(f"{url}/health/ready").status_code == 200
        other.execute("LOCK TABLE alembic_version, monitored_database, incident IN ACCESS EXCLUSIVE MODE")
        page = threading.Thread(target=ask_in_vain, args=(f"{url}/incidents",))
        page.start()
        until_every_check_is_late(f"{url}/health/ready")
        assert get(f"{url}/health/live").status_code == 200
        child.send_signal(signal.SIGTERM)
        # Nobody gives the lock back: whoever waited for the store would wait forever.
        assert child.wait(120) == 0
        page.join(60)
        assert not page.is_alive()


def ask_in_vain(url: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        get(url)


def until_every_check_is_late(url: str) -> None:
    """Old answers are good for some seconds, of each check for others; a probe comes again and again."""
    for _ in range(240):
        answer = get(url)
        if {check["detail"] for check in answer.json()["checks"]} == {"no answer within 5 s"}:
            assert answer.status_code == 503
            return
        time.sleep(0.5)
    raise AssertionError(f"{url} said {answer.text}")
