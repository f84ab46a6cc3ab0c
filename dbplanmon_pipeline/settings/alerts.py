"""How often people are told, who is told first, and who is told when nobody takes it."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.channels import ChannelSettings
from dbplanmon_pipeline.settings.suggest import did_you_mean
from dbplanmon_pipeline.settings.values import Count, Duration, Line

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class EscalationSettings(Section):
    """Who is told when nobody has acknowledged an incident for so long."""

    after: Duration = Field(ge=_MINUTE, le=30 * _DAY, description="Time without acknowledgement.")
    channels: tuple[Line, ...] = Field(
        default=(), max_length=100, description="Names of channels that are told then; not set: all."
    )
    minimum_severity: Severity = Field(default=Severity.LOW, description="Milder incidents do not get this far.")


class AlertSettings(Section):
    """How often people are told, and where."""

    enabled: bool = Field(default=True, description="False sends nothing.")
    cooldown: Duration = Field(
        default=4 * _HOUR,
        ge=timedelta(),
        le=30 * _DAY,
        description="Rest after an alert on one incident and channel, unless it gets worse.",
    )
    max_per_hour: Count = Field(
        default=10,
        ge=1,
        le=10_000,
        description="Alerts per channel and clock hour; one notice at the end of the hour tells of the rest.",
    )
    escalate_after: Duration = Field(
        default=_HOUR,
        ge=_MINUTE,
        le=30 * _DAY,
        description="Time without acknowledgement after which all channels are reminded, where `escalation` is empty.",
    )
    escalation: tuple[EscalationSettings, ...] = Field(
        default=(), max_length=10, description="Who is told when nobody acknowledges an incident, in steps."
    )
    first_channels: tuple[Line, ...] = Field(
        default=(),
        max_length=100,
        description="Names of channels that are told at once; not set: all that no step of `escalation` names.",
    )
    channels: tuple[ChannelSettings, ...] = Field(
        default=(), max_length=100, description="Where alerts go; each entry has a `type`."
    )

    @model_validator(mode="after")
    def _names_channels_that_are_there(self) -> Self:
        known = {channel.name for channel in self.channels}
        _refuse_unknown("first_channels", self.first_channels, known)
        for number, level in enumerate(self.escalation):
            _refuse_unknown(f"escalation[{number}].channels", level.channels, known)
        times = [level.after for level in self.escalation]
        if times != sorted(times):
            raise ValueError("escalation: give the steps in the order of their times")
        return self


def _refuse_unknown(key: str, names: Iterable[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{key}: no channel is named {name!r}{did_you_mean(name, known)}")
