"""What the status page needs from our store: answers about a whole fleet, and lists that are read a page at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentState
from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef, Label, Severity
from dbplanmon_pipeline.core.ports.alert_rules import AlertState
from dbplanmon_pipeline.core.readings.counters import Floats


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One database as a page of the fleet shows it.

    Attributes:
        ref / engine: which one, and the kind of its server.
        read_at: last successful reading, aware UTC; None for never.
        tried_at / status / message: the last attempt, None and empty for none.
        query_store: state of Query Store in the engine's words; empty where there is none or nobody may know.
    """

    ref: DatabaseRef
    engine: str
    read_at: datetime | None = None
    tried_at: datetime | None = None
    status: CollectionStatus | None = None
    message: str = ""
    query_store: str = ""


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Incidents to which everything applies that is given.

    Attributes:
        states / severities / labels: one of these; empty for any.
        instance / database: equal to these; empty for any.
        text: part of the statement or of its hash, or the beginning of the id, in any case of letters.
        since: changed since then, aware UTC.
    """

    states: Sequence[IncidentState] = ()
    severities: Sequence[Severity] = ()
    labels: Sequence[Label] = ()
    instance: str = ""
    database: str = ""
    query_hash: int = 0
    text: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class IncidentCursor:
    """The last incident of a page; the next page begins behind it.

    Attributes:
        weight: its place in the order, as the store counts it.
    """

    weight: float
    incident_id: str


@dataclass(frozen=True, slots=True)
class IncidentPage:
    """A page of incidents: those whose executions fail, then the dearest first.

    Attributes:
        incidents: at most as many as asked for.
        following: where the next page begins, None at the end.
        total: how many fulfil the filter.
    """

    incidents: tuple[Incident, ...]
    following: IncidentCursor | None = None
    total: int = 0


@dataclass(frozen=True, slots=True)
class Normal:
    """What is normal for one statement, per execution [microseconds]; NaN unknown."""

    as_of: datetime
    median_us: Mapping[str, float] = field(default_factory=dict)
    p95_us: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IncidentAlert:
    """A message about an incident, and what became of it; `reason` says why it was not sent, or not yet."""

    alert_id: str
    created_at: datetime
    channel: str
    event: str
    severity: Severity
    state: AlertState
    reason: str
    ended_at: datetime | None


class PageStore(Protocol):
    """What the status page reads beside what the use cases read."""

    def fleet(self) -> list[FleetRow]:
        """Every database ever read, by name."""
        ...

    def database_hours(self, start: datetime, end: datetime) -> dict[DatabaseRef, Floats]:
        """Float64 [hours, 4] for each database with work: executions, elapsed and CPU time [us], pages read."""
        ...

    def incident_page(
        self, chosen: IncidentFilter, *, after: IncidentCursor | None = None, limit: int = 50
    ) -> IncidentPage:
        """Incidents whose executions fail, then the others by what they cost per hour, the dearest first."""
        ...

    def normal(self, ref: DatabaseRef, query_hash: int, layout: str, as_of: datetime) -> Normal | None:
        """The newest baseline of one statement that is not younger than `as_of`."""
        ...

    def incident_alerts(self, incident_id: str) -> list[IncidentAlert]:
        """Messages about one incident, the newest first, but for reminders that wait or were not needed."""
        ...
