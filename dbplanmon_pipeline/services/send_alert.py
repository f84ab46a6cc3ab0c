"""Hand one alert to one channel, and put whatever goes wrong into words that may be kept."""

from dataclasses import dataclass

from dbplanmon_pipeline.core.alerts.incident_alerts import RetryLater
from dbplanmon_pipeline.core.ports import Alert, Channel
from dbplanmon_pipeline.errors import DbPlanMonError, NotificationError


@dataclass(frozen=True, slots=True)
class SendingFailure:
    """Why a channel did not take an alert.

    Attributes:
        message: one line without secrets.
        transient: whether trying again can help.
        asked_seconds: how long the channel wants to be left alone.
    """

    message: str
    transient: bool = True
    asked_seconds: float | None = None


def failure_of_sending(channel: Channel | None, alert: Alert) -> SendingFailure | None:
    """Send the alert; returns None where the channel took it. No channel is one that is no longer configured."""
    if channel is None:
        return SendingFailure(f"channel {alert.channel!r} is no longer configured", transient=False)
    try:
        channel.send(alert)
    except NotificationError as error:
        asked = error.retry_after_seconds if isinstance(error, RetryLater) else None
        return SendingFailure(str(error), error.transient, asked)
    except DbPlanMonError as error:
        return SendingFailure(f"{alert.channel}: {error}")
    # A channel is foreign code in part; whatever it throws, the others get their turn. Its words may hold secrets.
    except Exception as error:  # noqa: BLE001 - see above
        return SendingFailure(f"{alert.channel}: unexpected {type(error).__name__}")
    return None
