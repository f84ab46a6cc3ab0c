"""Leave the Dagster UI and the status page running on what the demo has made."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console

from dbplanmon_pipeline.errors import DbPlanMonError
from dbplanmon_pipeline.settings.environment import child_environment

START_SECONDS = 90
STOP_SECONDS = 8


class UiNotStarted(DbPlanMonError):
    """The Dagster UI or the status page did not come up."""


def leave_running(console: Console, home: Path, settings_file: Path, port: int, status_port: int) -> None:
    """Serve the Dagster UI and the status page until Ctrl-C or SIGTERM.

    Raises:
        UiNotStarted: one of them did not answer in time; the message names its log.
    """
    python = (sys.executable, "-m")
    location = ("-m", "dbplanmon_pipeline.definitions", "-h", "127.0.0.1", "-p", str(port))
    settings = {"DBPLANMON_CONFIG": str(settings_file)}
    servers = (
        _Server("Dagster UI", port, "/server_info", home / "webserver.log", (*python, "dagster_webserver", *location)),
        _Server(
            "status page",
            status_port,
            "/health/live",
            home / "status_page.log",
            (*python, "dbplanmon_pipeline", "serve", "--host", "127.0.0.1", "--port", str(status_port)),
        ),
    )
    with ExitStack() as stack:
        running = [stack.enter_context(_started(server, home, settings)) for server in servers]
        for server, process in zip(servers, running, strict=True):
            _await_answer(server, process)
        console.print(f"\nStatus page with what was found: [bold]http://127.0.0.1:{status_port}/[/bold]")
        console.print(f"Dagster UI with the runs of this demo: [bold]http://127.0.0.1:{port}/assets[/bold]")
        console.print("[dim]Ctrl-C ends them, the server and the workload.[/dim]")
        _wait(running)


@dataclass(frozen=True, slots=True)
class _Server:
    """What is started: a name for people, where it answers, its log, and the command line."""

    name: str
    port: int
    path: str
    log: Path
    argv: tuple[str, ...]


@contextmanager
def _started(server: _Server, home: Path, settings: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    with server.log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            server.argv,
            env=child_environment(DAGSTER_HOME=str(home), **settings),
            cwd=home,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


def _await_answer(server: _Server, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise UiNotStarted(f"the {server.name} ended at once; is port {server.port} taken? Its log: {server.log}")
        try:
            answer = httpx.get(f"http://127.0.0.1:{server.port}{server.path}", timeout=2, trust_env=False)
            if answer.status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise UiNotStarted(f"the {server.name} did not answer within {START_SECONDS} s; its log: {server.log}")


def _wait(running: "Sequence[subprocess.Popen[bytes]]") -> None:
    """Until somebody asks to end, or all of them ended by themselves."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for process in running:
            process.wait()
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
