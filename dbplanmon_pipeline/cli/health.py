"""`dbplanmon health`: two questions for probes of a container or a service manager."""

import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation
from dbplanmon_pipeline.cli.output import print_json, print_line, print_table
from dbplanmon_pipeline.cli.running.home import status_file
from dbplanmon_pipeline.cli.running.ports import answers


@click.group()
def health() -> None:
    """Ask whether the monitor lives and is ready; the exit code is the answer."""


@health.command("live")
@click.option("--url", help="Address of the web UI; default: that of the running `dbplanmon up`.")
@json_option
@pass_invocation
@click.pass_context
def live(ctx: click.Context, invocation: Invocation, url: str | None, as_json: bool) -> None:
    """Exit with 0 where the web UI answers, else 1; asks no database."""
    began = time.monotonic()
    address = url or _running_url(status_file(invocation.settings().state_dir))
    alive = bool(address) and _answers(address)
    detail = _live_detail(address, alive=alive)
    check = {
        "name": "webserver",
        "status": "healthy" if alive else "unhealthy",
        "duration_ms": round((time.monotonic() - began) * 1000, 1),
        "detail": detail,
    }
    if as_json:
        print_json({"status": check["status"], "checks": [check]})
    else:
        print_line(f"{check['status']}: {detail}")
    if not alive:
        ctx.exit(1)


def _running_url(path: Path) -> str:
    """Where the running `dbplanmon up` of this state folder answers; empty where none runs."""
    try:
        return str(json.loads(path.read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _answers(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        raise click.BadParameter(f"{url!r} is no address", param_hint="--url") from None
    if parts.scheme != "http" or not parts.hostname:
        raise click.BadParameter("write http://HOST:PORT", param_hint="--url")
    return answers(parts.hostname, port, f"{parts.path.rstrip('/')}/server_info", timeout_seconds=5.0)


def _live_detail(address: str, *, alive: bool) -> str:
    if not address:
        return "dbplanmon up does not run with this state folder; give --url for another webserver"
    return f"{address} answers" if alive else f"{address} does not answer"


@health.command("ready")
@json_option
@pass_invocation
@click.pass_context
def ready(ctx: click.Context, invocation: Invocation, as_json: bool) -> None:
    """Exit with 0 where the store is there and databases are being read, else 1; asks no monitored server."""
    began = time.monotonic()
    with invocation.session(upgrade=False) as session:
        findings = session.health()
    states = [finding.health.value for finding in findings.values()]
    status = next((s for s in ("unhealthy", "degraded") if s in states), "healthy")
    if as_json:
        print_json(
            {
                "status": status,
                "duration_ms": round((time.monotonic() - began) * 1000, 1),
                "checks": [
                    {"name": name, "status": f.health, "detail": f.summary, "rows": f.rows}
                    for name, f in findings.items()
                ],
            }
        )
    else:
        print_table(
            ("check", "status", "detail"),
            [(name, f.health.value, f.summary) for name, f in findings.items()],
            empty="no checks",
        )
    if status == "unhealthy":
        ctx.exit(1)
