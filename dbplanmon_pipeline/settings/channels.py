"""Channels: where alerts go."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.secret import SecretKind, SecretReference, SecretUrl, refuse_plain
from dbplanmon_pipeline.settings.values import Duration, Line

_SECRET_HEADER = re.compile(r"auth|token|key|secret|cookie|sign|pass", re.IGNORECASE)


def _headers(headers: Mapping[str, SecretReference], info: ValidationInfo) -> dict[str, SecretReference]:
    """Headers whose names tell of a secret follow the rules of secrets, others may stand in clear text."""
    checked = {}
    for name, value in headers.items():
        if _SECRET_HEADER.search(name):
            checked[name] = _refuse_plain_header(name, value, info)
        else:
            checked[name] = replace(value, kind=SecretKind.OPEN) if value.is_plain else value
    return checked


def _refuse_plain_header(name: str, value: SecretReference, info: ValidationInfo) -> SecretReference:
    try:
        return refuse_plain(value, info)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


class LogChannel(Section):
    """Writes alerts to the log."""

    type: Literal["log"] = Field(description="Kind of channel.")
    name: Line = Field(default="log", description="Unique name.")
    enabled: bool = Field(default=True, description="False sends nothing.")


class WebhookChannel(Section):
    """Posts alerts as JSON to an HTTP address."""

    type: Literal["webhook"] = Field(description="Kind of channel.")
    name: Line = Field(default="webhook", description="Unique name.")
    enabled: bool = Field(default=True, description="False sends nothing.")
    url: SecretUrl = Field(description="Address, or where it lies.")
    secret: Annotated[SecretReference, AfterValidator(refuse_plain)] | None = Field(
        default=None, description="Where the key lies that signs each message."
    )
    headers: Annotated[Mapping[Line, SecretReference], AfterValidator(_headers)] = Field(
        default={}, max_length=50, description="Header -> value, or where it lies; such as Authorization."
    )
    timeout: Duration = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=1),
        description="Longest wait for an answer.",
    )
    ca_file: Line | None = Field(default=None, description="File of the authorities that are trusted.")
    proxy: SecretUrl | None = Field(default=None, description="Address of a proxy, or where it lies.")


ChannelSettings = Annotated[LogChannel | WebhookChannel, Field(discriminator="type")]
