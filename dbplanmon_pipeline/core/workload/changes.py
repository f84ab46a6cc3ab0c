"""Which statements cost more per hour than is usual at that time, and whether by number or by cost of executions.

More executions and statements that were not there before are no regressions, so no incident tells of them; yet they
are why a server is busier.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.workload.days import Compared

IncidentIds = Mapping[tuple[str, str, int], str]
"""Numbers of the incidents of a window by what they are about (`Incident.key`)."""


class GrowthKind(StrEnum):
    """Why a statement costs more per hour."""

    NEW_STATEMENT = "new_statement"
    MORE_EXECUTIONS = "more_executions"
    SLOWER = "slower"


@dataclass(frozen=True, slots=True)
class WorkloadPolicy:
    """When growth is worth telling.

    Attributes:
        min_extra_seconds_per_hour: beyond what is usual, of a statement or an instance; `min_extra_overrides` by
            database.
        min_ratio / min_instance_ratio: to what is usual.
        over_usual_peak: to the second highest of the earlier windows, of fewer than four to the highest.
        min_days: earlier windows below which nothing is said.
        new_within: so long a statement is new.
    """

    min_extra_seconds_per_hour: float = 1.0
    min_extra_overrides: Mapping[DatabaseRef, float] = field(default_factory=lambda: MappingProxyType({}))
    min_ratio: float = 1.5
    min_instance_ratio: float = 1.2
    over_usual_peak: float = 1.15
    min_days: int = 2
    new_within: timedelta = timedelta(days=7)

    def min_extra(self, ref: DatabaseRef) -> float:
        """Of one database [seconds per hour]."""
        return self.min_extra_overrides.get(ref, self.min_extra_seconds_per_hour)


@dataclass(frozen=True, slots=True)
class StatementWork:
    """What a statement did in a window, per hour; `first_seen` is None where unknown."""

    ref: DatabaseRef
    query_hash: int
    executions: float
    seconds: float
    first_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class WorkloadChange:
    """A statement that costs more per hour than is usual.

    Attributes:
        seconds_per_hour / normal_seconds_per_hour: elapsed time, now and at this time of earlier days.
        executions_per_hour / normal_executions_per_hour: likewise.
        days: earlier windows it was compared with.
        extra_by_executions / extra_by_cost: seconds per hour by more executions and by dearer ones; their sum is the
            extra.
        first_seen: aware UTC; None where unknown.
        incident_id: of the incident that explains why it is slower; empty for none.
    """

    ref: DatabaseRef
    query_hash: int
    kind: GrowthKind
    seconds_per_hour: float
    normal_seconds_per_hour: float
    executions_per_hour: float
    normal_executions_per_hour: float
    days: int
    first_seen: datetime | None = None
    incident_id: str = ""

    @property
    def extra_seconds_per_hour(self) -> float:
        """Beyond what is usual."""
        return self.seconds_per_hour - self.normal_seconds_per_hour

    @property
    def extra_by_executions(self) -> float:
        """Each of the two causes has half of what only both together do."""
        more = self.executions_per_hour - self.normal_executions_per_hour
        before = self._normal_cost if math.isfinite(self._normal_cost) else self._cost
        return more * (before + self._cost) / 2

    @property
    def extra_by_cost(self) -> float:
        """The rest."""
        return self.extra_seconds_per_hour - self.extra_by_executions

    @property
    def times_executions(self) -> float:
        """How many times as often it runs; NaN where it usually does not run at that time."""
        return _ratio(self.executions_per_hour, self.normal_executions_per_hour)

    @property
    def times_cost(self) -> float:
        """How many times as much one execution takes; NaN where that is not known."""
        return _ratio(self._cost, self._normal_cost)

    @property
    def is_growth(self) -> bool:
        """True where the workload grew; false where the statement is slower."""
        return self.kind is not GrowthKind.SLOWER

    @property
    def _cost(self) -> float:
        return _ratio(self.seconds_per_hour, self.executions_per_hour)

    @property
    def _normal_cost(self) -> float:
        return _ratio(self.normal_seconds_per_hour, self.normal_executions_per_hour)


@dataclass(frozen=True, slots=True)
class BusierInstance:
    """An instance that does more work than is usual at that time, with the statements that cost more, dearest first."""

    instance: str
    seconds_per_hour: float
    normal_seconds_per_hour: float
    days: int
    changes: tuple[WorkloadChange, ...] = ()

    @property
    def extra_seconds_per_hour(self) -> float:
        """Beyond what is usual."""
        return self.seconds_per_hour - self.normal_seconds_per_hour


def workload_changes(
    work: Sequence[StatementWork], past: Floats, days: Compared, incidents: IncidentIds, policy: WorkloadPolicy
) -> list[WorkloadChange]:
    """Statements that cost materially more per hour, the most extra seconds per hour first.

    What is usual is the median of the earlier windows, or of those of the same weekday where that is more.

    Args:
        work: of the window.
        past: float64 [statements, windows, 2], see `per_hour`.
        days: which windows these are.
        incidents: those of the window; a statement with one of its own is slower and nothing else.
        policy: when it is worth telling.
    """
    if not work:
        return []
    seen = past.copy()
    is_new = np.zeros(len(work), np.bool_)
    for row, one in enumerate(work):
        if one.first_seen is None or one.first_seen <= days.end - policy.new_within:
            continue
        since = np.array([end > one.first_seen for end in days.ends()])
        # While the whole history is young every statement is; only days on which it could have run tell.
        is_new[row] = np.count_nonzero(~np.isnan(past[row, ~since, 1])) >= policy.min_days
        if is_new[row]:
            # How it has been going since then does not say what was before.
            seen[row, since] = np.nan
    normal, peak, known = _usual(seen, np.array(days.is_same_weekday))
    now = np.array([one.seconds for one in work])
    least = np.array([policy.min_extra(one.ref) for one in work])
    grown = (known >= policy.min_days) & (now - normal[:, 1] >= least)
    grown &= (now >= policy.min_ratio * normal[:, 1]) & (now >= policy.over_usual_peak * peak)
    # One that is known to be slower is named for as long as its incident lasts.
    is_slower = np.array([_own_incident(one, incidents) != "" for one in work])
    grown |= is_slower & (known >= policy.min_days) & (now - normal[:, 1] >= least)
    found = [
        _change(work[row], normal[row], int(known[row]), incidents, is_new=bool(is_new[row]))
        for row in np.flatnonzero(grown).tolist()
    ]
    return sorted(found, key=lambda one: (-one.extra_seconds_per_hour, one.ref, one.query_hash))


def busier_instances(
    now: Mapping[str, float],
    past: Mapping[str, Floats],
    days: Compared,
    changes: Sequence[WorkloadChange],
    policy: WorkloadPolicy,
) -> list[BusierInstance]:
    """Instances that do materially more work than usual, the most extra seconds per hour first.

    Args:
        now: seconds per hour of each instance.
        past: float64 [windows] of the same; NaN unknown.
        days: which windows these are.
        changes: of `workload_changes`.
        policy: when it is worth telling.
    """
    found = []
    for instance, seconds in now.items():
        both = np.repeat(past[instance][None, :, None], 2, axis=2)
        normal, peak, known = _usual(both, np.array(days.is_same_weekday))
        usual = float(normal[0, 1])
        is_busier = (
            seconds >= policy.min_instance_ratio * usual and seconds - usual >= policy.min_extra_seconds_per_hour
        )
        if known[0] >= policy.min_days and usual > 0 and is_busier and seconds >= peak[0]:
            own = tuple(one for one in changes if one.ref.instance == instance)
            found.append(BusierInstance(instance, seconds, usual, int(known[0]), own))
    return sorted(found, key=lambda one: (-one.extra_seconds_per_hour, one.instance))


def _usual(
    past: Floats, is_same_weekday: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
) -> tuple[Floats, Floats, Floats]:
    """Per row: usual executions and seconds [rows, 2], the peak of the seconds, and how many windows are known."""
    overall, known = _median(past)
    weekday, weekdays = _median(past[:, is_same_weekday])
    is_dearer = (weekdays > 0) & (weekday[:, 1] > overall[:, 1])
    normal = np.where(is_dearer[:, None], weekday, overall)
    dearest = np.sort(np.nan_to_num(past[..., 1], nan=-1.0), axis=1)
    second = np.where(known >= 4, dearest[:, -min(2, dearest.shape[1])], dearest[:, -1])
    return normal, np.maximum(second, 0.0), known


def _median(values: Floats) -> tuple[Floats, Floats]:
    """Median over the known windows [rows, 2], 0 without any, and how many there are [rows]."""
    known = np.count_nonzero(~np.isnan(values[..., 1]), axis=1)
    if not values.shape[1]:
        return np.zeros((len(values), 2)), known.astype(float)
    ordered = np.sort(values, axis=1)  # NaN comes last
    low, high = (np.maximum(place, 0)[:, None, None] for place in ((known - 1) // 2, known // 2))
    middle = (np.take_along_axis(ordered, low, axis=1) + np.take_along_axis(ordered, high, axis=1)) / 2
    return np.nan_to_num(middle[:, 0]), known.astype(float)


def _own_incident(work: StatementWork, incidents: IncidentIds) -> str:
    return incidents.get((work.ref.instance, work.ref.database, work.query_hash), "")


def _change(work: StatementWork, normal: Floats, days: int, incidents: IncidentIds, *, is_new: bool) -> WorkloadChange:
    ref = work.ref
    own = _own_incident(work, incidents)
    found = WorkloadChange(
        ref,
        work.query_hash,
        GrowthKind.MORE_EXECUTIONS,
        seconds_per_hour=work.seconds,
        normal_seconds_per_hour=float(normal[1]),
        executions_per_hour=work.executions,
        normal_executions_per_hour=float(normal[0]),
        days=days,
        first_seen=work.first_seen,
    )
    if own:
        return replace(found, kind=GrowthKind.SLOWER, incident_id=own)
    if is_new and not normal.any():
        return replace(found, kind=GrowthKind.NEW_STATEMENT)
    if found.extra_by_executions >= found.extra_by_cost:
        return found
    shared = incidents.get((ref.instance, ref.database, 0), "") or incidents.get((ref.instance, "", 0), "")
    return replace(found, kind=GrowthKind.SLOWER, incident_id=shared)


def _ratio(value: float, normal: float) -> float:
    return value / normal if normal > 0 else math.nan
