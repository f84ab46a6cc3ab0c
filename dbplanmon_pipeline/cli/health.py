"""`dbplanmon health`: two questions for probes of a container or a service manager."""

import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation
from dbplanmon_pipeline.cli.output import print_json, print_line, print_table
from dbplanmon_pipeline.cli.running.asking import DAGSTER, LIVE, READY, Reply, ask, running_url
from dbplanmon_pipeline.cli.running.home import serve_file, status_file

Check = Mapping[str, Any]
"""One line of the answer: name, status, detail and more."""


@click.group()
def health() -> None:
    """Ask whether the monitor lives and is ready; the exit code is the answer."""


@health.command("live")
@click.option("--url", help="Address of a web UI or status page; default: those of the running `up` and `serve`.")
@json_option
@pass_invocation
@click.pass_context
def live(ctx: click.Context, invocation: Invocation, url: str | None, as_json: bool) -> None:
    """Exit with 0 where what runs answers, else 1; asks no database."""
    state_dir = invocation.settings().state_dir
    started = {"webserver": running_url(status_file(state_dir)), "status_page": running_url(serve_file(state_dir))}
    asked = {"webserver": url} if url else {name: address for name, address in started.items() if address}
    checks = [_live_check(name, address) for name, address in asked.items()]
    if not checks:
        nothing = "neither dbplanmon up nor serve runs with this state folder; give --url for another webserver"
        checks = [{"name": "webserver", "status": "unhealthy", "duration_ms": 0.0, "detail": nothing}]
    status = _worst(checks)
    if as_json:
        print_json({"status": status, "checks": checks})
    else:
        for check in checks:
            print_line(f"{check['status']}: {check['detail']}")
    if status == "unhealthy":
        ctx.exit(1)


def _live_check(name: str, address: str) -> Check:
    began = time.monotonic()
    alive = any(ask(address, path).status == HTTPStatus.OK for path in (LIVE, DAGSTER))
    return {
        "name": name,
        "status": "healthy" if alive else "unhealthy",
        "duration_ms": round((time.monotonic() - began) * 1000, 1),
        "detail": f"{address} answers" if alive else f"{address} does not answer",
    }


@health.command("ready")
@click.option("--url", help="Address of a status page to ask; default: look at the store from here.")
@json_option
@pass_invocation
@click.pass_context
def ready(ctx: click.Context, invocation: Invocation, url: str | None, as_json: bool) -> None:
    """Exit with 0 where the store is there and databases are being read, else 1; asks no monitored server."""
    began = time.monotonic()
    checks = _told_by(url) if url else _seen_from_here(invocation)
    status = _worst(checks)
    if as_json:
        took = round((time.monotonic() - began) * 1000, 1)
        print_json({"status": status, "duration_ms": took, "checks": checks})
    else:
        print_table(
            ("check", "status", "detail"),
            [(check["name"], check["status"], check["detail"]) for check in checks],
            empty="no checks",
        )
    if status == "unhealthy":
        ctx.exit(1)


def _seen_from_here(invocation: Invocation) -> list[Check]:
    with invocation.session(upgrade=False) as session:
        findings = session.health()
    return [
        {"name": name, "status": finding.health.value, "detail": finding.summary, "rows": finding.rows}
        for name, finding in findings.items()
    ]


def _told_by(url: str) -> list[Check]:
    reply = ask(url, READY)
    told = reply.document.get("checks")
    if isinstance(told, list) and told:
        return [{name: check.get(name, "") for name in ("name", "status", "detail")} | {"rows": ()} for check in told]
    return [{"name": "status_page", "status": _status_of(reply), "detail": _words(url, reply), "rows": ()}]


def _status_of(reply: Reply) -> str:
    """Without details: what it says in one word, where it is a status page at all."""
    status = str(reply.document.get("status", ""))
    return status if status in ("healthy", "degraded") and reply.status == HTTPStatus.OK else "unhealthy"


def _words(url: str, reply: Reply) -> str:
    if not reply.status:
        return f"{url} does not answer"
    if "status" not in reply.document:
        return f"{url} is no status page of dbplanmon"
    return f"{url} says {reply.document['status']}; details are for viewers"


def _worst(checks: Sequence[Check]) -> str:
    states = [check["status"] for check in checks]
    return next((status for status in ("unhealthy", "degraded") if status in states), "healthy")
