"""Words and marks of the pages: one name, one sign and one colour class for each severity, state and label."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope, IncidentState
from dbplanmon_pipeline.core.model import CollectionStatus, Label, Severity
from dbplanmon_pipeline.core.plain_words import cost_words, duration_words, hash_words, one_line, ratio_words
from dbplanmon_pipeline.core.ports.alert_rules import MuteRule
from dbplanmon_pipeline.core.readings.failures import failing_words, share_words

MOST_NAME = 120

SEVERITIES: Mapping[Severity, str] = {
    Severity.CRITICAL: "Critical",
    Severity.HIGH: "High",
    Severity.MEDIUM: "Medium",
    Severity.LOW: "Low",
}
"""The worst first, as lists show them."""

STATES: Mapping[IncidentState, str] = {
    IncidentState.NEW: "New",
    IncidentState.ACKNOWLEDGED: "Acknowledged",
    IncidentState.RESOLVED: "Resolved",
    IncidentState.AUTO_RESOLVED: "Resolved by itself",
    IncidentState.DISMISSED: "Dismissed",
}

LABELS: Mapping[Label, str] = {
    Label.PLAN_REGRESSION: "Plan regression",
    Label.FAILING: "Executions fail",
    Label.PARAMETER_SENSITIVITY: "Parameter sensitivity",
    Label.DATA_GROWTH: "More work per execution",
    Label.CONTENTION: "Contention",
    Label.DATABASE_SLOWDOWN: "Slow database",
    Label.INSTANCE_SLOWDOWN: "Slow instance",
    Label.UNKNOWN: "Unknown cause",
}

METRICS: Mapping[str, str] = {"worker_time_us": "CPU time", "elapsed_time_us": "elapsed time"}
"""Of time; a statement may also be judged by `FAILED_EXECUTIONS`."""
ENGINES: Mapping[str, str] = {"sqlserver": "SQL Server", "postgres": "PostgreSQL", "simulated": "Simulated"}

_INCIDENT_ID = re.compile(r"[0-9a-f]{12}")
_SPAN_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class Badge:
    """A word with a sign before it; `tone` names the colour class, the sign its shape."""

    tone: str
    sign: str
    word: str


_SEVERITY_SIGNS = {Severity.CRITICAL: "octagon", Severity.HIGH: "triangle", Severity.MEDIUM: "diamond"}


def severity_badge(severity: Severity) -> Badge:
    """Colour, shape and word of a severity."""
    return Badge(severity.value, _SEVERITY_SIGNS.get(severity, "dot"), SEVERITIES[severity])


def state_badge(state: IncidentState) -> Badge:
    """The state of an incident: filled where somebody has to act, hollow where somebody does, a tick at the end."""
    if state is IncidentState.NEW:
        return Badge("new", "dot", STATES[state])
    if state is IncidentState.ACKNOWLEDGED:
        return Badge("held", "ring", STATES[state])
    return Badge("ended", "tick" if state is not IncidentState.DISMISSED else "cross", STATES[state])


READINGS: Mapping[CollectionStatus, Badge] = {
    CollectionStatus.OK: Badge("good", "tick", "Read"),
    CollectionStatus.FIRST_READING: Badge("good", "tick", "First reading"),
    CollectionStatus.FAILED: Badge("high", "triangle", "Failed"),
    CollectionStatus.SKIPPED: Badge("unknown", "ring", "Skipped"),
    CollectionStatus.SPOOLED: Badge("unknown", "ring", "Waits on disk"),
}


def reading_badge(status: CollectionStatus) -> Badge:
    """How the reading of a database ended."""
    return READINGS[status]


def is_incident_id(text: str) -> bool:
    """True for the number of an incident; KPIs, groups and jobs have other names."""
    return _INCIDENT_ID.fullmatch(text) is not None


def place_words(incident: Incident) -> str:
    """`instance/database`, or the instance alone."""
    place = f"{incident.instance}/{incident.database}" if incident.database else incident.instance
    return one_line(place, MOST_NAME)


def incident_title(incident: Incident) -> str:
    """What happened, in a sentence without a full stop."""
    if incident.scope is not IncidentScope.QUERY:
        return f"The whole {incident.scope.value} became {ratio_words(incident.effect_ratio)} slower"
    if incident.failing:
        return f"Statement {hash_words(incident.query_hash)[:8]}: {failing_words(incident.failing)}"
    return f"Statement {hash_words(incident.query_hash)[:8]} became {ratio_words(incident.effect_ratio)} slower"


def effect_words(incident: Incident) -> str:
    """`12 ms → 98 ms CPU time per execution`; empty where normal is not known."""
    if incident.failing:
        now, before = share_words(incident.failing.share), share_words(incident.failing.share_before)
        return f"{before} → {now} of executions fail"
    metric = METRICS.get(incident.metric, "time")
    if incident.scope is not IncidentScope.QUERY or not incident.baseline_us > 0:
        return f"{metric} per execution"
    return f"{cost_words(incident.baseline_us)} → {cost_words(incident.observed_us)} {metric} per execution"


def ago_words(moment: datetime, now: datetime) -> str:
    """`just now`, `4 min ago`, `2 h ago`, `3 d ago`; `in 5 min` for what is to come."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 60:
        return "just now" if seconds >= 0 else "in a moment"
    size, unit = next((size, unit) for size, unit in _SPAN_UNITS if abs(seconds) >= size)
    count = f"{int(abs(seconds) // size)} {unit}"
    return f"{count} ago" if seconds > 0 else f"in {count}"


def lasted_words(incident: Incident, now: datetime) -> str:
    """How long it has been, or was, bad."""
    end = incident.last_bad_at if incident.closed_at else now
    return duration_words((end - incident.began_at).total_seconds())


def short_moment(moment: datetime) -> str:
    """`22 Nov 14:05`, in UTC; the page says so once."""
    return f"{moment.astimezone(UTC):%d %b %H:%M}".lstrip("0")


def mute_words(mute: MuteRule) -> str:
    """Whom a rule is about."""
    named = (("on", mute.instance), ("database", mute.database), ("labelled", mute.label), ("with", mute.text))
    parts = [f"{word} {value}" for word, value in named if value]
    return ", ".join((["one statement"] if mute.query_hash else []) + parts) or "everything"
