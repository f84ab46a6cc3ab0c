"""`dbplanmon serve`: status page, health and metrics until it is told to stop."""

import json
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation
from dbplanmon_pipeline.cli.output import print_json_line, print_line
from dbplanmon_pipeline.cli.running.home import serve_file
from dbplanmon_pipeline.cli.running.ports import listen, reachable_host
from dbplanmon_pipeline.cli.running.stop_signals import noted_stop_signals
from dbplanmon_pipeline.errors import StoreError

if TYPE_CHECKING:
    from dbplanmon_pipeline.composition import Monitor

LEAVE_SECONDS = 0.1

_log = logging.getLogger(__name__)


@click.command()
@click.option("--host", help="Address to listen on; default: `web.host`.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="Port to listen on, 0 for a free one; default: `web.port`."
)
@json_option
@pass_invocation
@click.pass_context
def serve(ctx: click.Context, invocation: Invocation, host: str | None, port: int | None, as_json: bool) -> None:
    """Serve the status page, the health and the metrics until SIGTERM or Ctrl-C.

    Reads and writes our own store only; no monitored server is asked. A store that is not there yet is made.
    """
    settings = invocation.settings()
    chosen = host or settings.web.host
    with listen(chosen, settings.web.port if port is None else port) as listener, noted_stop_signals() as received:
        invocation.log_as(settings, service=True)
        # They take a second to import: after the checks, so that a mistake is told at once.
        from dbplanmon_pipeline.composition import Monitor  # noqa: PLC0415
        from dbplanmon_pipeline.web.app import build_app  # noqa: PLC0415
        from dbplanmon_pipeline.web.server import status_server  # noqa: PLC0415

        url = _url(chosen, listener)
        status = serve_file(settings.state_dir)
        # The name that was asked for is one by which the page may be asked.
        monitor = Monitor(settings.model_copy(update={"web": settings.web.model_copy(update={"host": chosen})}))
        _make_store(monitor)
        _warn_if_open(monitor, chosen)
        path = urlsplit(settings.web.public_url or "").path
        server = status_server(build_app(monitor), path=path, ready=lambda: _tell(url, status, as_json=as_json))
        if not received:
            try:
                server.run(sockets=[listener])
            finally:
                _forget(status)
    code = 128 + signal.SIGINT if signal.SIGINT in received else 0
    _leave_without(code)
    ctx.exit(code)


def _url(host: str, listener: socket.socket) -> str:
    name = reachable_host(host)
    return f"http://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}"


def _make_store(monitor: "Monitor") -> None:
    """Create the tables of an empty store; without them pages and health say what is wrong."""
    try:
        with monitor.session():
            pass
    except StoreError as error:
        _log.warning("%s", error, extra={"event": "store_not_ready"})


def _warn_if_open(monitor: "Monitor", host: str) -> None:
    from dbplanmon_pipeline.web.access.exposure import exposure  # noqa: PLC0415 - see `serve`

    session = monitor.open_session()
    try:
        line = exposure(monitor.settings.web, host, session.store, monitor.clock())
    finally:
        session.close()
    if line:
        _log.warning("%s", line, extra={"event": "open_to_everybody"})


def _tell(url: str, status: Path, *, as_json: bool) -> None:
    try:
        status.parent.mkdir(parents=True, exist_ok=True)
        status.write_text(json.dumps({"pid": os.getpid(), "url": url}), encoding="utf-8")
    except OSError as error:
        _log.warning(
            "%s: %s; `dbplanmon health` needs --url", status, error.strerror, extra={"event": "no_status_file"}
        )
    if as_json:
        print_json_line({"event": "ready", "url": url})
    else:
        print_line(f"the status page answers at {url} (stop with Ctrl-C)")
        sys.stdout.flush()


def _forget(status: Path) -> None:
    """Take the file away, unless another process has written it since."""
    try:
        if json.loads(status.read_text("utf-8")).get("pid") == os.getpid():
            status.unlink()
    except (OSError, ValueError, AttributeError):
        return


def _leave_without(code: int) -> None:
    """End at once where a thread waits for a store that does not answer; Python would wait with it."""
    waiting = [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    for thread in waiting:
        thread.join(LEAVE_SECONDS / len(waiting))
    if any(thread.is_alive() for thread in waiting):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
