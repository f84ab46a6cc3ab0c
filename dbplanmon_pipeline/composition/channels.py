"""The channels the settings name."""

from collections.abc import Callable

from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports import Channel
from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.notify.channels import ChannelSpec, build_channels
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.settings.channels import ChannelSettings, LogChannel, WebhookChannel
from dbplanmon_pipeline.settings.secret import Secret


def build_channel_list(settings: Settings) -> list[Channel]:
    """Adapters of all enabled channels; secrets are read when a message is sent.

    Raises:
        SettingsError: this version has no adapter for a type.
    """
    return build_channels([_spec(channel) for channel in _enabled(settings)])


def channel_severities(settings: Settings) -> dict[str, Severity]:
    """Name of each enabled channel, and how bad an incident must be for it."""
    return {_name(channel): channel.min_severity for channel in _enabled(settings)}


def _enabled(settings: Settings) -> list[ChannelSettings]:
    """Without a channel of their own, people find alerts in the log."""
    if not settings.alerts.enabled:
        return []
    return [c for c in settings.alerts.channels if c.enabled] or [LogChannel(type="log")]


def _name(channel: ChannelSettings) -> str:
    return channel.name or channel.type


def _spec(channel: ChannelSettings) -> ChannelSpec:
    if isinstance(channel, LogChannel):
        return ChannelSpec(channel.type, _name(channel), {})
    if isinstance(channel, WebhookChannel):
        options: dict[str, object] = {"url": channel.url.resolve, "timeout_s": channel.timeout.total_seconds()}
        if channel.secret is not None:
            options["secret"] = channel.secret.resolve
        if channel.token is not None:
            options["headers"] = {"Authorization": _bearer(channel.token)}
        return ChannelSpec(channel.type, _name(channel), options)
    raise SettingsError(
        f"alerts.channels: {_name(channel)}: type {channel.type} is not available in this version; use log or webhook"
    )


def _bearer(token: Secret) -> Callable[[], str]:
    return lambda: f"Bearer {token.resolve()}"
