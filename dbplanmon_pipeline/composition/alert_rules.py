"""The rules about alerts as the settings ask for them."""

from datetime import timedelta

from dbplanmon_pipeline.composition.channels import channel_names, enabled_channels
from dbplanmon_pipeline.core.alert_rules.policy import AlertPolicy, AlertRoutes, EscalationLevel
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.settings.channels import PagerDutyChannel

SHORTEST_STEP = timedelta(seconds=1)


def alert_policy(settings: Settings) -> AlertPolicy:
    """How often people are told."""
    alerts = settings.alerts
    return AlertPolicy(
        cooldown=alerts.cooldown,
        max_per_hour=alerts.max_per_hour,
        levels=_levels(settings),
        together_within=max(settings.collection.interval, SHORTEST_STEP),
        trackers=frozenset(tracking_channels(settings)),
    )


def tracking_channels(settings: Settings) -> tuple[str, ...]:
    """Enabled channels that keep an incident open on their side until they are told of its end."""
    return tuple(channel.name for channel in enabled_channels(settings) if isinstance(channel, PagerDutyChannel))


def alert_routes(settings: Settings) -> AlertRoutes:
    """Which channels hear of which step."""
    enabled, levels = channel_names(settings), _levels(settings)
    chosen = set(settings.alerts.first_channels)
    if not chosen:
        later = {name for level in settings.alerts.escalation for name in level.channels}
        chosen = set(enabled) - later or set(enabled)
    return AlertRoutes(tuple(name for name in enabled if name in chosen), levels)


def _levels(settings: Settings) -> tuple[EscalationLevel, ...]:
    """Without steps of their own all channels are reminded once."""
    enabled = channel_names(settings)
    if not settings.alerts.escalation:
        return (EscalationLevel(settings.alerts.escalate_after, enabled),)
    return tuple(
        EscalationLevel(
            step.after, tuple(name for name in enabled if name in (step.channels or enabled)), step.minimum_severity
        )
        for step in settings.alerts.escalation
    )
