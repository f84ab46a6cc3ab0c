"""Asks a running webserver or status page whether it is well."""

import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

LIVE, READY, DAGSTER = "/health/live", "/health/ready", "/server_info"
ASK_SECONDS = 6.0
"""A check may take 5 seconds before the status page says that it hangs."""

_LARGEST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """Attributes: status of HTTP, 0 where nobody answered; the document, empty where there was none."""

    status: int
    document: dict[str, object]


def running_url(path: Path) -> str:
    """Where a running process says that it answers; empty where none runs."""
    try:
        return str(json.loads(path.read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def ask(url: str, path: str) -> Reply:
    """GET a path below an address.

    Raises:
        click.BadParameter: the address is none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise click.BadParameter(f"{url!r} is no address", param_hint="--url") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter("write http://HOST:PORT", param_hint="--url")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}{path}")
        answer = connection.getresponse()
        return Reply(answer.status, _document(answer.read(_LARGEST_BYTES)))
    except (OSError, http.client.HTTPException):
        return Reply(0, {})
    finally:
        connection.close()


def _document(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
