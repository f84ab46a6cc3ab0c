"""Leave the Dagster UI running on the runs that the demo has made."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
from rich.console import Console

from dbplanmon_pipeline.errors import DbPlanMonError
from dbplanmon_pipeline.settings.environment import child_environment

START_SECONDS = 90
STOP_SECONDS = 8


class UiNotStarted(DbPlanMonError):
    """The Dagster UI did not come up."""


def leave_running(console: Console, home: Path, settings_file: Path, port: int) -> None:
    """Serve the UI until Ctrl-C or SIGTERM.

    Raises:
        UiNotStarted: it did not answer in time; the message names its log.
    """
    log = home / "webserver.log"
    command = [sys.executable, "-m", "dagster_webserver", "-m", "dbplanmon_pipeline.definitions"]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            env=child_environment(DAGSTER_HOME=str(home), DBPLANMON_CONFIG=str(settings_file)),
            cwd=home,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _await_answer(process, port, log)
            console.print(f"\nDagster UI with the runs of this demo: [bold]http://127.0.0.1:{port}/assets[/bold]")
            console.print("[dim]Ctrl-C ends it, the server and the workload.[/dim]")
            _wait(process)
        finally:
            _end(process)


def _await_answer(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise UiNotStarted(f"the Dagster UI ended at once; is port {port} taken? Its log: {log}")
        try:
            if httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise UiNotStarted(f"the Dagster UI did not answer within {START_SECONDS} s; its log: {log}")


def _wait(process: "subprocess.Popen[bytes]") -> None:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
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
