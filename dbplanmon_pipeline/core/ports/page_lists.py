"""What the pages of statements and databases, and the lists of the status page, need from our store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pandas as pd

from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.ports.alert_rules import AlertRow
from dbplanmon_pipeline.core.ports.alerts import Delivery
from dbplanmon_pipeline.core.ports.analysis import Hotspot, PlanChange
from dbplanmon_pipeline.core.readings.counters import Floats


@dataclass(frozen=True, slots=True)
class StatementSeen:
    """A statement of a database.

    Attributes:
        current_plan_hash: what it runs with now; 0 unknown.
        plan_checked_at: when its plan was last looked at; None for never.
        plan_reason: why the last look found no plan; empty where it found one.
    """

    ref: DatabaseRef
    query_hash: int
    first_seen: datetime
    last_seen: datetime
    current_plan_hash: int = 0
    plan_checked_at: datetime | None = None
    plan_origin: str = ""
    plan_reason: str = ""


@dataclass(frozen=True, slots=True)
class PlanUse:
    """A plan a statement ran with; `reason` says why it was not kept, `is_kept` is false without any body."""

    plan_hash: int
    first_seen: datetime
    last_seen: datetime
    origin: str = ""
    reason: str = ""
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Rows to which everything applies that is given; empty for any.

    Attributes:
        text: part of a statement, or its whole hash.
        since: not older, aware UTC.
    """

    instance: str = ""
    database: str = ""
    text: str = ""
    query_hash: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlanChangeRow:
    """A change of plan, and the number of the incident that it led to; empty for none."""

    change: PlanChange
    incident_id: str = ""


@dataclass(frozen=True, slots=True)
class PlanChangePage:
    """Changes, the newest first; `following` is the mark of the next page, empty at the end."""

    rows: tuple[PlanChangeRow, ...]
    following: str = ""
    total: int = 0


@dataclass(frozen=True, slots=True)
class HotspotRanking:
    """One stored ranking of a window, aware UTC."""

    window_start: datetime
    window_end: datetime
    rows: tuple[Hotspot, ...]


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Alerts, the newest first, with the attempts to send each of them, oldest first."""

    rows: tuple[AlertRow, ...]
    attempts: Mapping[str, tuple[Delivery, ...]]
    following: str = ""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry of the audit with its number."""

    audit_id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, the newest first; `following` is the mark of the next page, empty at the end."""

    rows: tuple[AuditRow, ...]
    following: str = ""


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """How the newest reading of a database ended; `message` is one scrubbed line, `rows` what it recorded."""

    ref: DatabaseRef
    started_at: datetime
    status: CollectionStatus
    error_class: str
    message: str
    rows: int
    gap_seconds: float | None
    lag_seconds: float | None
    duration_ms: float
    cost_ms: float | None


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table of the store, days of metrics together as one; None is what the store cannot tell cheaply."""

    name: str
    rows: int | None
    bytes: int | None


class PageListStore(Protocol):
    """What these pages read."""

    def statement_seen(self, ref: DatabaseRef, query_hash: int) -> StatementSeen | None:
        """What is known of one statement; None where it was never seen."""
        ...

    def plan_uses(self, ref: DatabaseRef, query_hash: int) -> list[PlanUse]:
        """Plans of one statement, the one seen last first."""
        ...

    def hourly_work(
        self, ref: DatabaseRef, start: datetime, end: datetime, query_hash: int | None = None, *, by_day: bool = False
    ) -> pd.DataFrame:
        """Work by hour or day, statement and plan that ended in (start, end], columns as those of interval rows."""
        ...

    def hours_of(self, ref: DatabaseRef, start: datetime, end: datetime) -> Floats:
        """Float64 [hours, 4] of one database: executions, elapsed and CPU time [us], pages read; NaN unknown."""
        ...

    def plan_change_page(self, chosen: ListFilter, *, after: str = "", limit: int = 50) -> PlanChangePage:
        """Changes of plans, the newest first."""
        ...

    def hotspot_ranking(self, as_of: datetime, rank_by: str, chosen: ListFilter) -> HotspotRanking | None:
        """The newest stored ranking of a window that ended by then; None where there is none."""
        ...

    def alert_page(
        self, *, states: Sequence[str] = (), channel: str = "", since: datetime, after: str = "", limit: int = 50
    ) -> AlertPage:
        """Alerts created since then, the newest first."""
        ...

    def audit_page(
        self, *, actor: str = "", action: str = "", subject: str = "", since: datetime, after: str = "", limit: int = 50
    ) -> AuditPage:
        """Entries of the audit, the newest first; actor whole, action by its beginning, subject by a part."""
        ...

    def newest_readings(self, ref: DatabaseRef | None = None) -> list[ReadingRow]:
        """The newest outcome of every database ever read, by name; of one where asked."""
        ...

    def table_sizes(self) -> list[TableSize]:
        """Tables of the store, the largest first."""
        ...
