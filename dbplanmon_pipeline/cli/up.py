"""`dbplanmon up`: everything on one host, looked after until it is told to stop."""

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation
from dbplanmon_pipeline.cli.output import print_json_line, print_line
from dbplanmon_pipeline.cli.running.home import DagsterHome, find_home, only_one
from dbplanmon_pipeline.cli.running.ports import free_port, require_free
from dbplanmon_pipeline.cli.running.stop_signals import noted_stop_signals
from dbplanmon_pipeline.logs import HumanLines, ScrubbingFilter
from dbplanmon_pipeline.settings.environment import child_environment, variables

if TYPE_CHECKING:
    from dbplanmon_pipeline.settings.web import WebSettings

LOG_BYTES, LOG_FILES = 10_000_000, 3
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address on which the Dagster UI listens.")
@click.option(
    "--status-port",
    type=click.IntRange(0, 65_535),
    help="Port of the status page on `web.host`, 0 for a free one; default: `web.port`.",
)
@click.option("--no-status-page", is_flag=True, help="Leave the status page to `dbplanmon serve`.")
@json_option
@pass_invocation
def up(
    invocation: Invocation,
    port: int,
    host: str,
    status_port: int | None,
    no_status_page: bool,
    as_json: bool,
) -> None:
    """Run Dagster's daemon, its web UI and the status page on this host until SIGTERM or Ctrl-C.

    State lies in DAGSTER_HOME, else in the working directory where it holds dagster.yaml, else in the state folder.
    The Dagster UI asks for no password: keep it on the loopback address, or put a proxy that does before it.
    """
    settings = invocation.settings()
    require_free(host, port)
    status = None if no_status_page else _status_address(settings.web, status_port)
    try:
        home = find_home(settings.state_dir, variables(), Path.cwd())
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}; it must be a folder I may write to") from None
    environ = child_environment(**home.variables(invocation.config))
    with only_one(home), noted_stop_signals() as requests, _children_log(home) as log:
        teller = _Teller(home, as_json=as_json)
        # Dagster takes a second to import: after the checks, so that a mistake is told at once.
        from dbplanmon_pipeline.cli.running.supervisor import Address, Supervisor  # noqa: PLC0415

        if host not in LOOPBACK:
            log.warning("the web UI on %s asks for no password: whoever reaches it may start runs", host)
        shown = None if status is None else Address(*status)
        Supervisor(home, Address(host, port), shown, environ, lambda: bool(requests), teller.tell, log).run()
    _leave(128 + signal.SIGINT if requests[:1] == [signal.SIGINT] else 0)


def _leave(code: int) -> NoReturn:
    """End the process without taking the modules of Dagster apart first: on a busy machine that alone takes seconds."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _status_address(web: "WebSettings", port: int | None) -> tuple[str, int]:
    """Where the status page will listen."""
    chosen = web.port if port is None else port
    require_free(web.host, chosen, "--status-port")
    return web.host, chosen or free_port()


class _Teller:
    """Says what happens: lines for people, one JSON document per event for programs, and the status file."""

    def __init__(self, home: DagsterHome, *, as_json: bool) -> None:
        self._home = home
        self._as_json = as_json

    def tell(self, event: str, facts: Mapping[str, object]) -> None:
        if event == "ready":
            self._home.status_file.write_text(json.dumps({"pid": os.getpid(), "url": facts["url"]}), encoding="utf-8")
        if event == "stopping":
            self._home.status_file.unlink(missing_ok=True)
        if self._as_json:
            print_json_line({"event": event, **facts})
        else:
            print_line(_words(event, facts))


def _words(event: str, facts: Mapping[str, object]) -> str:
    match event:
        case "starting":
            return f"starting; Dagster home {facts['home']}, log {facts['log']}"
        case "ready":
            rest = ("the status page at {status_url}", "its health at {health_url}") if "status_url" in facts else ()
            places = ", ".join([f"Dagster answers at {facts['url']}", *(place.format(**facts) for place in rest)])
            return f"{places} (stop with Ctrl-C)"
        case "restarting":
            return f"the {facts['child']} ended with {facts['exit_code']}; again in {facts['wait_seconds']:.0f} s"
        case "stopped":
            runs = facts["runs_terminated"]
            return f"stopped, {runs} runs in progress terminated" if runs else "stopped"
        case _:
            return event


class _FileWithGaps(RotatingFileHandler):
    """Loses lines while its disk is full, and says so once, in place of a traceback for each."""

    _failed = _told = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line where that is possible."""
        self._failed = False
        super().emit(record)
        self._told = self._failed

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of the standard library
        """Called within the handling of what went wrong."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._failed = True
        if not self._told:
            click.echo(
                f"{self.baseFilename} cannot be written: {error.strerror}; lines are lost until it can", err=True
            )


@contextmanager
def _children_log(home: DagsterHome) -> Iterator[logging.Logger]:
    """A log file of what the children say; warnings also go where our own log goes."""
    log = logging.getLogger("dbplanmon_pipeline.up")
    handler = _FileWithGaps(home.log_file, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    handler.addFilter(ScrubbingFilter())
    handler.setFormatter(HumanLines())
    root = logging.getLogger()
    for shown in root.handlers:
        shown.setLevel(root.level)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield log
    finally:
        log.removeHandler(handler)
        handler.close()
