"""Channels: where people are told, what each of them wants to hear, and when."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from dbplanmon_pipeline.core.alerts.delivery_policy import AlertKind
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.channel_hours import ChannelSchedule
from dbplanmon_pipeline.settings.channel_values import HookUrl, MailAddress, MailEncryption, not_empty
from dbplanmon_pipeline.settings.secret import Secret, SecretKind, SecretReference, SecretUrl, refuse_plain
from dbplanmon_pipeline.settings.values import Count, Duration, Line

_SECOND, _MINUTE, _DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
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


class RetrySettings(Section):
    """When a message that a channel did not take is sent again; the wait doubles each time."""

    first_wait: Duration = Field(default=30 * _SECOND, ge=_SECOND, le=_DAY, description="Wait after the first failure.")
    longest_wait: Duration = Field(default=10 * _MINUTE, ge=_SECOND, le=_DAY, description="No wait is longer.")
    give_up_after: Duration = Field(
        default=_DAY, ge=_MINUTE, le=30 * _DAY, description="Age of a message after which it is not tried again."
    )

    @model_validator(mode="after")
    def _waits_rise(self) -> Self:
        if self.first_wait > self.longest_wait:
            raise ValueError("first_wait is longer than longest_wait")
        return self


class Channel(Section):
    """What every channel has."""

    type: str = Field(description="Kind of channel.")
    name: Line = Field(description="Unique name.")
    enabled: bool = Field(default=True, description="False sends nothing.")
    minimum_severity: Severity = Field(
        default=Severity.LOW, description="Milder messages do not go there; ends follow their beginnings."
    )
    events: Annotated[tuple[AlertKind, ...], AfterValidator(not_empty)] = Field(
        default=tuple(AlertKind),
        max_length=len(AlertKind),
        description="What it is for: incidents, summary, kpis, jobs.",
    )
    schedule: ChannelSchedule | None = Field(default=None, description="When it may be used; not set: always.")
    retries: RetrySettings = Field(default=RetrySettings(), description="What happens to a message it did not take.")


class HttpChannel(Channel):
    """What every channel has that is reached over HTTP."""

    timeout: Duration = Field(default=10 * _SECOND, ge=_SECOND, le=_MINUTE, description="Longest time for one message.")
    ca_file: Line | None = Field(default=None, description="File of the authorities that are trusted.")
    proxy: SecretUrl | None = Field(default=None, description="Address of a proxy, or where it lies.")


class LogChannel(Channel):
    """Writes alerts to the log."""

    type: Literal["log"] = Field(description="Kind of channel.")
    name: Line = Field(default="log", description="Unique name.")


class WebhookChannel(HttpChannel):
    """Posts alerts as JSON to an HTTP address."""

    type: Literal["webhook"] = Field(description="Kind of channel.")
    name: Line = Field(default="webhook", description="Unique name.")
    url: SecretUrl = Field(description="Address, or where it lies.")
    secret: Secret | None = Field(default=None, description="Where the key lies that signs each message.")
    headers: Annotated[Mapping[Line, SecretReference], AfterValidator(_headers)] = Field(
        default={}, max_length=50, description="Header -> value, or where it lies; such as Authorization."
    )


class EmailChannel(Channel):
    """Sends alerts as mail, text and HTML."""

    type: Literal["email"] = Field(description="Kind of channel.")
    name: Line = Field(default="email", description="Unique name.")
    host: Line = Field(description="Name of the mail server.")
    port: Count | None = Field(
        default=None, ge=1, le=65_535, description="Its port; not set: 587, with tls 465, with none 25."
    )
    encryption: MailEncryption = Field(
        default=MailEncryption.STARTTLS, description="The first two verify the certificate of the server."
    )
    user: Line | None = Field(default=None, description="Login; not set: none.")
    password: Secret | None = Field(default=None, description="Where the password lies.")
    sender: MailAddress = Field(description="Address it comes from.")
    to: Annotated[tuple[MailAddress, ...], AfterValidator(not_empty)] = Field(
        max_length=100, description="Addresses it goes to."
    )
    cc: tuple[MailAddress, ...] = Field(default=(), max_length=100, description="Addresses that get a copy.")
    timeout: Duration = Field(default=20 * _SECOND, ge=_SECOND, le=_MINUTE, description="Longest time for one message.")
    ca_file: Line | None = Field(default=None, description="File of the authorities that are trusted.")

    @model_validator(mode="after")
    def _login_is_whole_and_safe(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("a login needs both user and password")
        if self.password is not None and self.encryption is MailEncryption.NONE:
            raise ValueError("encryption: none would send the password in clear text; use starttls or tls")
        return self


class SlackChannel(HttpChannel):
    """Posts alerts to Slack, through an incoming webhook."""

    type: Literal["slack"] = Field(description="Kind of channel.")
    name: Line = Field(default="slack", description="Unique name.")
    url: HookUrl = Field(description="Where the address of the webhook lies; the address is a secret.")


class TeamsChannel(HttpChannel):
    """Posts alerts to Microsoft Teams as a card, through the webhook of a workflow."""

    type: Literal["teams"] = Field(description="Kind of channel.")
    name: Line = Field(default="teams", description="Unique name.")
    url: HookUrl = Field(description="Where the address of the webhook lies; the address is a secret.")


class PagerDutyChannel(HttpChannel):
    """Opens, acknowledges and resolves incidents of PagerDuty; a summary becomes a change event, which wakes nobody."""

    type: Literal["pagerduty"] = Field(description="Kind of channel.")
    name: Line = Field(default="pagerduty", description="Unique name.")
    routing_key: Secret = Field(description="Where the integration key of the service lies.")
    base_url: SecretUrl | None = Field(
        default=None, description="Address of the Events API; not set: https://events.pagerduty.com."
    )


class AppriseChannel(Channel):
    """Sends alerts through any service the library Apprise knows; needs the extra `apprise`."""

    type: Literal["apprise"] = Field(description="Kind of channel.")
    name: Line = Field(default="apprise", description="Unique name.")
    url: Secret = Field(description="Where the URL of the service lies, as Apprise writes it; all of it is a secret.")
    timeout: Duration = Field(default=30 * _SECOND, ge=_SECOND, le=_MINUTE, description="Longest time for one message.")


ChannelSettings = Annotated[
    LogChannel | WebhookChannel | EmailChannel | SlackChannel | TeamsChannel | PagerDutyChannel | AppriseChannel,
    Field(discriminator="type"),
]
