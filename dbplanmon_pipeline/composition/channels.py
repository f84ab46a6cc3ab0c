"""The channels the settings name."""

from dbplanmon_pipeline.core.ports import Channel
from dbplanmon_pipeline.notify.channels import ChannelSpec, build_channels
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.settings.channels import ChannelSettings, LogChannel, WebhookChannel


def build_channel_list(settings: Settings) -> list[Channel]:
    """Adapters of all enabled channels; secrets are read when a message is sent."""
    return build_channels([_spec(channel) for channel in _enabled(settings)])


def channel_names(settings: Settings) -> tuple[str, ...]:
    """Name of each enabled channel."""
    return tuple(channel.name for channel in _enabled(settings))


def _enabled(settings: Settings) -> list[ChannelSettings]:
    """Without a channel of their own, people find alerts in the log."""
    if not settings.alerts.enabled:
        return []
    return [c for c in settings.alerts.channels if c.enabled] or [LogChannel(type="log")]


def _spec(channel: ChannelSettings) -> ChannelSpec:
    return ChannelSpec(channel.type, channel.name, _webhook(channel) if isinstance(channel, WebhookChannel) else {})


def _webhook(channel: WebhookChannel) -> dict[str, object]:
    """Secrets as callables, so that a rotated one is picked up."""
    options: dict[str, object] = {
        "url": channel.url.resolve,
        "timeout_s": channel.timeout.total_seconds(),
        "headers": {name: value.resolve for name, value in channel.headers.items()},
        "ca_file": channel.ca_file,
    }
    if channel.secret is not None:
        options["secret"] = channel.secret.resolve
    if channel.proxy is not None:
        options["proxy"] = channel.proxy.resolve
    return options
