"""Alerts: how often people are told, and through which channels."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.secret import Secret, SecretUrl
from dbplanmon_pipeline.settings.values import Count, Duration, Line


class _Channel(Section):
    """What every channel has."""

    name: Line | None = Field(default=None, description="Unique name; not set: the type.")
    enabled: bool = Field(default=True, description="False sends nothing.")
    min_severity: Severity = Field(default=Severity.LOW, description="Incidents below this are not sent here.")


class _RemoteChannel(_Channel):
    timeout: Duration = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=2),
        description="Longest wait for an answer.",
    )


class LogChannel(_Channel):
    """Writes alerts to the log."""

    type: Literal["log"] = Field(description="Kind of channel.")


class EmailChannel(_RemoteChannel):
    """Sends mail through an SMTP server."""

    type: Literal["email"] = Field(description="Kind of channel.")
    server: Line = Field(description="Host name of the SMTP server.")
    port: Count = Field(default=587, ge=1, le=65_535, description="TCP port.")
    encryption: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is encrypted."
    )
    user: Line | None = Field(default=None, description="User name at the SMTP server.")
    password: Secret | None = Field(default=None, description="Where the password lies.")
    sender: Line = Field(description="Address in From.")
    recipients: tuple[Line, ...] = Field(min_length=1, max_length=100, description="Addresses in To.")


class SlackChannel(_RemoteChannel):
    """Posts to an incoming webhook of Slack."""

    type: Literal["slack"] = Field(description="Kind of channel.")
    url: Secret = Field(description="Where the webhook URL lies.")


class TeamsChannel(_RemoteChannel):
    """Posts to a workflow webhook of Microsoft Teams."""

    type: Literal["teams"] = Field(description="Kind of channel.")
    url: Secret = Field(description="Where the webhook URL lies.")


class PagerDutyChannel(_RemoteChannel):
    """Opens and resolves events at PagerDuty."""

    type: Literal["pagerduty"] = Field(description="Kind of channel.")
    routing_key: Secret = Field(description="Where the integration key lies.")
    url: SecretUrl | None = Field(default=None, description="Events endpoint; not set: the public one.")


class WebhookChannel(_RemoteChannel):
    """Posts JSON to any address."""

    type: Literal["webhook"] = Field(description="Kind of channel.")
    url: SecretUrl = Field(description="Address, or where it lies.")
    token: Secret | None = Field(default=None, description="Where the bearer token lies.")
    secret: Secret | None = Field(default=None, description="Where the key lies that signs each message.")


ChannelSettings = Annotated[
    LogChannel | EmailChannel | SlackChannel | TeamsChannel | PagerDutyChannel | WebhookChannel,
    Field(discriminator="type"),
]


class AlertSettings(Section):
    """How often people are told, and where."""

    enabled: bool = Field(default=True, description="False sends nothing.")
    cooldown: Duration = Field(
        default=timedelta(hours=4),
        ge=timedelta(),
        le=timedelta(days=30),
        description="Rest after an alert on one incident.",
    )
    max_per_hour: Count = Field(
        default=10, ge=1, le=10_000, description="Alerts per channel and hour; the rest is grouped."
    )
    escalate_after: Duration = Field(
        default=timedelta(minutes=60),
        ge=timedelta(minutes=1),
        le=timedelta(days=30),
        description="Time without acknowledgement after which an alert is repeated.",
    )
    channels: tuple[ChannelSettings, ...] = Field(
        default=(), max_length=100, description="Where alerts go; each entry has a `type`."
    )
