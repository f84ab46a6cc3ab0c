"""The channel that is always there: one log record per alert."""

import logging

from dbplanmon_pipeline.core.alerts.delivery_policy import ENDING_EVENTS
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.notify.message import machine_facts

_LEVELS = {"low": logging.INFO, "medium": logging.WARNING, "high": logging.WARNING, "critical": logging.ERROR}


class LogChannel:
    """Writes each alert as one structured record: event `alert`, subject as message, the facts as fields.

    Args:
        name: of the channel.
        logger: where to; the package's own by default.
    """

    def __init__(self, name: str = "log", logger: logging.Logger | None = None) -> None:
        self._name = name
        self._logger = logger or logging.getLogger("dbplanmon_pipeline.alerts")

    @property
    def name(self) -> str:
        """Name in the settings."""
        return self._name

    def send(self, alert: Alert) -> None:
        """Write the record."""
        level = logging.INFO if alert.event in ENDING_EVENTS else _LEVELS.get(alert.severity, logging.WARNING)
        fields = {
            "event": "alert",
            "alert_id": alert.alert_id,
            "incident_id": alert.incident_id,
            "incident_event": alert.event,
            "severity": alert.severity,
            "channel": self._name,
            "instance": alert.facts.get("instance", ""),
            "database": alert.facts.get("database", ""),
            "facts": machine_facts(alert),
        }
        self._logger.log(level, "%s", one_line(alert.subject), extra=fields)
