"""Tell over the channels that live of one that takes nothing any more: it cannot say so itself."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from dbplanmon_pipeline.core.alerts.channel_alerts import ToldOfChannel, channel_alerts, channel_key
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alerts import ChannelFailures
from dbplanmon_pipeline.core.ports.pages import IncidentAlert

LOOK_BACK = timedelta(days=2)
"""Messages are tried for a day; what failed before that says nothing about now."""


class ChannelWatchStore(Protocol):
    """What `watch_channels` needs."""

    def channel_failures(self, since: datetime) -> dict[str, ChannelFailures | None]:
        """Channels that were tried since then, by name: None where the newest message was taken."""
        ...

    def incident_alerts(self, incident_id: str) -> list[IncidentAlert]:
        """Messages about one subject, the newest first."""
        ...

    def add_alerts(self, alerts: Sequence[Alert]) -> int:
        """Queue those not yet known by id; returns how many were new."""
        ...


def watch_channels(store: ChannelWatchStore, channels: Sequence[str], now: datetime) -> int:
    """Queue what is to be told of these channels; returns how many alerts were new.

    What was told stands in the queue itself, so neither a restart nor a second processor tells anything twice.
    """
    if len(channels) < 2:
        return 0
    failures = store.channel_failures(now - LOOK_BACK)
    told = {name: _told(store.incident_alerts(channel_key(name))) for name in channels}
    alerts = channel_alerts(channels, failures, told, now)
    return store.add_alerts(alerts) if alerts else 0


def _told(alerts: Sequence[IncidentAlert]) -> ToldOfChannel:
    opened = [one for one in alerts if one.event == IncidentEvent.OPENED]
    ended = [one for one in alerts if one.event == IncidentEvent.AUTO_RESOLVED]
    if not opened:
        return ToldOfChannel()
    began_at = opened[0].created_at
    over = tuple(one.channel for one in opened if one.created_at == began_at)
    return ToldOfChannel(began_at, ended[0].created_at if ended else None, over)
