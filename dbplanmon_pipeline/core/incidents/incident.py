"""An incident: one statement, database or instance that is worse than normal, from its first notice to its end."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dbplanmon_pipeline.core.model import Label, Severity
from dbplanmon_pipeline.core.readings.failures import FAILED_EXECUTIONS, Failures


class IncidentScope(StrEnum):
    """What an incident is about."""

    QUERY = "query"
    DATABASE = "database"
    INSTANCE = "instance"


class IncidentState(StrEnum):
    """Where an incident stands; the last three are ends."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    AUTO_RESOLVED = "auto_resolved"
    DISMISSED = "dismissed"

    @property
    def is_open(self) -> bool:
        """True while somebody may have to act."""
        return self in (IncidentState.NEW, IncidentState.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Incident:
    """Attributes: quantities as in `Verdict`; times aware UTC.

    incident_id: 12 hex digits from scope, key and opening time, so that a repeated analysis finds the same one.
    database / query_hash: empty and 0 for the scope `instance`; for `database` only the hash is 0.
    calm_since: end of the first interval of the present calm, None while bad.
    calm_intervals: intervals with executions since then that were normal.
    reopened_count: how often it came back after an end.
    """

    incident_id: str
    scope: IncidentScope
    instance: str
    database: str
    query_hash: int
    state: IncidentState
    label: Label
    severity: Severity
    metric: str
    plan_hash: int
    previous_plan_hash: int
    effect_ratio: float
    extra_seconds_per_hour: float
    extra_seconds_low: float
    extra_seconds_high: float
    baseline_us: float
    observed_us: float
    score: float
    began_at: datetime
    opened_at: datetime
    updated_at: datetime
    last_bad_at: datetime
    calm_since: datetime | None = None
    calm_intervals: int = 0
    closed_at: datetime | None = None
    reopened_count: int = 0
    evidence: tuple[str, ...] = ()
    note: str = ""
    failures: Failures | None = None

    @property
    def failing(self) -> Failures | None:
        """Its failures where they are what it is about; None where it is about time, whatever fails beside that."""
        return self.failures if self.metric == FAILED_EXECUTIONS else None

    @property
    def has_other_plan(self) -> bool:
        """True where it runs with another plan than the one known from before."""
        return bool(self.previous_plan_hash) and self.previous_plan_hash != self.plan_hash

    @property
    def key(self) -> tuple[str, str, int]:
        """What it is about; at most one incident per key is open."""
        return (self.instance, self.database, self.query_hash)


class IncidentEvent(StrEnum):
    """What happened to an incident in one step."""

    OPENED = "opened"
    REOPENED = "reopened"
    ESCALATED = "escalated"
    UPDATED = "updated"
    AUTO_RESOLVED = "auto_resolved"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """One step of one incident; `incident` is its new form."""

    event: IncidentEvent
    incident: Incident
    at: datetime
    actor: str = "analysis"
    note: str = ""

    @property
    def reason(self) -> str:
        """Why, in words: the note of a person, else what the analysis saw."""
        incident = self.incident
        bad = "failing" if incident.failing else "slow"
        seen = {
            IncidentEvent.OPENED: "; ".join(incident.evidence[:2]),
            IncidentEvent.REOPENED: f"{bad} again, return number {incident.reopened_count}",
            IncidentEvent.ESCALATED: f"severity rose to {incident.severity.value}",
            IncidentEvent.AUTO_RESOLVED: f"normal in {incident.calm_intervals} intervals in a row",
        }
        return self.note or seen.get(self.event, "")
