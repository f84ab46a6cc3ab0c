"""The channels the settings name."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from dbplanmon_pipeline.core.alerts.delivery_policy import ChannelPolicy, DeliveryHours, RetryPolicy
from dbplanmon_pipeline.core.ports import Channel
from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.notify.channels import ChannelSpec, build_channels
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.settings.channel_hours import ChannelSchedule, Outside, Weekday
from dbplanmon_pipeline.settings.channels import ChannelSettings, LogChannel
from dbplanmon_pipeline.settings.secret import SecretReference
from dbplanmon_pipeline.settings.suggest import did_you_mean

Options = dict[str, object]

_WEEKDAYS = tuple(Weekday)
_POLICY_KEYS = frozenset({"type", "name", "enabled", "minimum_severity", "events", "schedule", "retries"})


def build_channel_list(settings: Settings) -> list[Channel]:
    """Adapters of all enabled channels; secrets are read when a message is sent."""
    return build_channels([_spec(channel) for channel in enabled_channels(settings)])


def channel_names(settings: Settings) -> tuple[str, ...]:
    """Name of each enabled channel."""
    return tuple(channel.name for channel in enabled_channels(settings))


def channel_policies(settings: Settings) -> dict[str, ChannelPolicy]:
    """What each enabled channel wants to hear, when, and when it is tried again, by name."""
    return {channel.name: _policy(channel) for channel in enabled_channels(settings)}


def one_channel(settings: Settings, name: str) -> Channel:
    """The adapter of one channel, enabled or not.

    Raises:
        SettingsError: there is none of that name.
    """
    found = {channel.name: channel for channel in [*enabled_channels(settings), *settings.alerts.channels]}
    if name not in found:
        raise SettingsError(f"no channel is named {name!r}{did_you_mean(name, list(found))}")
    return build_channels([_spec(found[name])])[0]


def enabled_channels(settings: Settings) -> list[ChannelSettings]:
    """Without a channel of their own, people find alerts in the log."""
    if not settings.alerts.enabled:
        return []
    return [c for c in settings.alerts.channels if c.enabled] or [LogChannel(type="log")]


def _policy(channel: ChannelSettings) -> ChannelPolicy:
    retries = channel.retries
    return ChannelPolicy(
        channel.minimum_severity,
        frozenset(channel.events),
        _hours(channel.schedule) if channel.schedule is not None else None,
        RetryPolicy(retries.first_wait, retries.longest_wait, retries.give_up_after),
    )


def _hours(schedule: ChannelSchedule) -> DeliveryHours:
    days = frozenset(_WEEKDAYS.index(day) for day in schedule.weekdays)
    zone = ZoneInfo(schedule.time_zone)
    return DeliveryHours(days, schedule.start, schedule.end, zone, schedule.outside is Outside.DROP)


def _spec(channel: ChannelSettings) -> ChannelSpec:
    """Keys of the settings are options of the adapter; secrets become callables, so that a rotated one counts."""
    written = {name: getattr(channel, name) for name in type(channel).model_fields if name not in _POLICY_KEYS}
    options: Options = {name: _late(value) for name, value in written.items() if value is not None}
    timeout = written.get("timeout")
    if timeout is not None:
        options["timeout_s"] = timeout.total_seconds()
        del options["timeout"]
    if "headers" in written:
        options["headers"] = {name: value.resolve for name, value in written["headers"].items()}
    return ChannelSpec(channel.type, channel.name, options)


def _late(value: object) -> object | Callable[[], str]:
    return value.resolve if isinstance(value, SecretReference) else value
