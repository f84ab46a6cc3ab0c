"""Sort out claimed alerts that their channel does not want, or does not want now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dbplanmon_pipeline.core.alerts.delivery_policy import CALMING_EVENTS, ChannelPolicy
from dbplanmon_pipeline.core.ports import DeliveryStore, QueuedAlert


@dataclass(frozen=True, slots=True)
class Screened:
    """Alerts to send, and how many were ended or made to wait."""

    wanted: list[QueuedAlert]
    suppressed: int = 0
    held: int = 0


def screen_alerts(
    store: DeliveryStore, channel: str, policy: ChannelPolicy, claimed: Sequence[QueuedAlert], now: datetime
) -> Screened:
    """Suppress what is of the wrong kind, too mild or dropped outside of the hours; let others wait for the hours.

    The end of an incident goes wherever its beginning went, however mild it has become.
    """
    mild = _too_mild(store, channel, policy, claimed)
    closed = policy.hours is not None and not policy.hours.is_open(now)
    wanted, reasons, waiting = [], {}, []
    for queued in claimed:
        alert = queued.alert
        if policy.is_unwanted_kind(alert):
            reasons[alert.alert_id] = "the channel is not for messages of this kind"
        elif alert.alert_id in mild:
            reasons[alert.alert_id] = "below the minimum severity of the channel"
        elif closed and policy.hours is not None and policy.hours.drops:
            reasons[alert.alert_id] = "outside of the hours of the channel"
        elif closed:
            waiting.append(alert.alert_id)
        else:
            wanted.append(queued)
    if reasons:
        store.suppress_alerts(reasons, now)
    if waiting and policy.hours is not None:
        store.postpone_alerts(waiting, policy.hours.next_opening(now))
    return Screened(wanted, len(reasons), len(waiting))


def _too_mild(
    store: DeliveryStore, channel: str, policy: ChannelPolicy, claimed: Sequence[QueuedAlert]
) -> frozenset[str]:
    mild = [queued.alert for queued in claimed if policy.is_too_mild(queued.alert)]
    ends = {alert.incident_id for alert in mild if alert.event in CALMING_EVENTS}
    told = store.told_incidents(channel, ends) if ends else frozenset()
    return frozenset(
        alert.alert_id for alert in mild if alert.event not in CALMING_EVENTS or alert.incident_id not in told
    )
