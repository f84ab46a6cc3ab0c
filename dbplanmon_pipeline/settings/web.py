"""The section of the status page: where it listens, who may look, and what stands before it."""

from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.values import Count, Duration, Line

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Anonymous(StrEnum):
    """What somebody may do who has not logged in."""

    VIEWER = "viewer"
    NOBODY = "nobody"


def _an_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment or parts.username:
        raise ValueError("write https://HOST or https://HOST/PATH, without user, query or fragment")
    return value.rstrip("/")


def _a_network(value: str) -> str:
    try:
        ip_network(value, strict=False)
    except ValueError:
        raise ValueError("write an address such as 10.0.0.5, or a network such as 10.0.0.0/24") from None
    return value


def _a_host(value: str) -> str:
    if not value.isascii() or set(value) & set("/:@*? ") or not value.strip("."):
        raise ValueError("write a name such as status.example.net, without port and path")
    return value


def _a_header(value: str) -> str:
    if not value.isascii() or not value.replace("-", "").isalnum():
        raise ValueError("write the name of a header, such as X-Forwarded-User")
    return value


WebAddress = Annotated[Line, AfterValidator(_an_address)]
"""Address of a web server, without user or query."""


class WebSettings(Section):
    """Status page, health and metrics: `dbplanmon serve`."""

    host: Line = Field(default="127.0.0.1", description="Address to listen on.")
    port: Count = Field(default=3001, ge=0, le=65_535, description="Port to listen on; 0 chooses a free one.")
    public_url: WebAddress | None = Field(
        default=None, description="Address under which people reach the page; alerts link to it."
    )
    trusted_hosts: tuple[Annotated[Line, AfterValidator(_a_host)], ...] = Field(
        default=(),
        max_length=100,
        description="Names by which the page may be asked for, beside loopback, `host` and that of `public_url`.",
    )
    trusted_proxies: tuple[Annotated[Line, AfterValidator(_a_network)], ...] = Field(
        default=(), max_length=100, description="Addresses or networks of proxies whose X-Forwarded headers count."
    )
    user_header: Annotated[Line, AfterValidator(_a_header)] | None = Field(
        default=None, description="Header in which a trusted proxy names the user it has logged in, for the audit."
    )
    operators: tuple[Line, ...] = Field(
        default=(), max_length=1_000, description="Users named in `user_header` who may act; all others may only look."
    )
    anonymous: Anonymous = Field(
        default=Anonymous.VIEWER, description="Without login: look at everything, or see nothing but the health."
    )
    session: Duration = Field(
        default=12 * _HOUR, ge=5 * _MINUTE, le=30 * _DAY, description="Time after which people log in again."
    )
