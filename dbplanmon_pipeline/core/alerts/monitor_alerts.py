"""The form of messages about the monitor itself: its channels, its jobs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dbplanmon_pipeline.core.alerts.incident_alerts import LINE_LIMIT, SUBJECT_LIMIT, alert_id
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports import Alert

SEVERITY = Severity.HIGH


def monitor_alert(
    key: str,
    event: IncidentEvent,
    moment: str,
    channel: str,
    headline: str,
    rows: Sequence[tuple[str, str]],
    now: datetime,
    facts: Mapping[str, Any],
) -> Alert:
    """A message of a headline and rows of a name and a value.

    Args:
        key: what it is about, the same from its beginning to its end.
        event: whether it begins or is over; what is over is told as well.
        moment: tells one beginning from another.
        channel: whom it is for.
        headline: one sentence, without a stop.
        rows: names and values; values become one line each.
        now: aware UTC.
        facts: the same for programs; instance and database are added, empty.
    """
    tag = "ok" if event is IncidentEvent.AUTO_RESOLVED else SEVERITY.value
    width = max(len(name) for name, _ in rows) + 2
    lines = [f"{name:<{width}}{one_line(value, LINE_LIMIT)}" for name, value in rows]
    return Alert(
        alert_id=alert_id(key, event, moment, channel),
        incident_id=key,
        event=event.value,
        channel=channel,
        severity=SEVERITY.value,
        created_at=now,
        subject=one_line(f"[{tag}] dbplanmon: {headline}", SUBJECT_LIMIT),
        body=f"{one_line(headline)}.\n\n" + "\n".join(lines) + "\n",
        facts={**facts, "instance": "", "database": ""},
    )
