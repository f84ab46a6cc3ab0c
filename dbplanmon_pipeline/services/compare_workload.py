"""Hold the work of a window against that of the same hours of earlier days."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.ports import Hotspot
from dbplanmon_pipeline.core.ports.workload import RecordedHours, WorkloadStore
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.workload.changes import (
    BusierInstance,
    StatementWork,
    WorkloadChange,
    WorkloadPolicy,
    busier_instances,
    workload_changes,
)
from dbplanmon_pipeline.core.workload.days import HOUR_US, Compared, compared, per_hour
from dbplanmon_pipeline.core.workload.quiet import QuietStatement, quiet_statements

MOST_OF_INSTANCE, MOST_STATEMENTS = 50, 2_000
"""Dearest statements that are compared: of each instance, and of all together."""


_WHOLE = 0.9


@dataclass(frozen=True, slots=True)
class Workload:
    """What grew, the most extra seconds per hour first."""

    changes: tuple[WorkloadChange, ...] = ()
    instances: tuple[BusierInstance, ...] = ()

    def of(self, ref: DatabaseRef, query_hash: int) -> WorkloadChange | None:
        """The change of one statement; None where it costs what it usually does, or that is not known."""
        return next((one for one in self.changes if (one.ref, one.query_hash) == (ref, query_hash)), None)


NO_WORKLOAD = Workload()

Totals = tuple[DatabaseRef, int, float, float]
"""A statement with its executions and its elapsed time [microseconds] within a window."""


def totals_of(hotspots: Iterable[Hotspot]) -> list[Totals]:
    """Statements of some rankings, each once."""
    found = {(h.ref, h.query_hash): (h.execution_count, h.elapsed_time_us) for h in hotspots}
    return [(*key, *work) for key, work in found.items()]


def dearest_of(frame: IntervalFrame) -> list[Totals]:
    """The statements by which an instance can be much busier; the frame has executions and elapsed time."""
    names = ["execution_count", "elapsed_time_us"]
    sums = frame.rows.groupby(["database_id", "query_hash"], sort=False)[names].sum().reset_index()
    sums = sums[sums["query_hash"] != OTHER_STATEMENTS]
    codes, _ = frame.instance_codes()
    sums["instance"] = sums["database_id"].map(codes)
    sums = sums.sort_values("elapsed_time_us", ascending=False, kind="stable")
    chosen = sums.groupby("instance", sort=False).head(MOST_OF_INSTANCE).head(MOST_STATEMENTS)
    columns = (chosen[name].tolist() for name in ("database_id", "query_hash", *names))
    return [(frame.databases[number], *rest) for number, *rest in zip(*columns, strict=True)]


def compare_workload(
    store: WorkloadStore, totals: Sequence[Totals], start: datetime, end: datetime, policy: WorkloadPolicy
) -> Workload:
    """What of the work in (start, end] is more than usual at that time.

    Reads the hours of the window and of some earlier days, and of statements only those that are given and cost
    enough to matter.
    """
    days = compared(start, end)
    own, before = days.own_hours, days.hours_before
    databases = store.hours_of_databases([*before, *own, *days.earlier_hours])
    watched = _Watched(databases, len(before), len(own), days)
    work = [one for one in _per_hour(totals, days) if one.ref in watched.steady and _is_dear(one, policy)]
    keys = [(one.ref, one.query_hash) for one in work]
    seen = store.statements_first_seen(keys)
    work = [replace(one, first_seen=seen.get((one.ref, one.query_hash))) for one in work]
    changes = workload_changes(work, _past_of(store, keys, watched, days), days, store.incident_ids(start, end), policy)
    instances = busier_instances(*watched.instances(policy.min_days), days, changes, policy)
    return Workload(tuple(changes), tuple(instances))


def gone_quiet(
    store: WorkloadStore,
    before: Sequence[Totals],
    running: Collection[tuple[DatabaseRef, int]],
    start: datetime,
    end: datetime,
    policy: WorkloadPolicy,
) -> list[QuietStatement]:
    """Statements that ran at this time of each earlier day and did not in (start, end], though we looked.

    Args:
        store: ours.
        before: statements of one of those days.
        running: those of the window.
        start: of the window, aware UTC.
        end: of it.
        policy: what is dear.
    """
    days = compared(start, end)
    own, earlier = days.own_hours, days.hours_before
    databases = store.hours_of_databases([*earlier, *own, *days.earlier_hours])
    watched = _Watched(databases, len(earlier), len(own), days)
    refs = {ref for ref in watched.steady if watched.is_whole(ref)}
    keys = [(ref, value) for ref, value, *_ in before if ref in refs and (ref, value) not in running]
    return quiet_statements(keys, _past_of(store, keys, watched, days), policy)


def _past_of(
    store: WorkloadStore, keys: Sequence[tuple[DatabaseRef, int]], watched: "_Watched", days: Compared
) -> Floats:
    """What the statements did per hour in the earlier windows; see `per_hour`."""
    past = store.statement_hours(keys, days.earlier_hours)
    for row, (ref, _) in enumerate(keys):
        past[row, ~watched.earlier(ref)] = np.nan
    return per_hour(past, days)


def _per_hour(totals: Sequence[Totals], days: Compared) -> list[StatementWork]:
    """Each statement once."""
    hours = days.divisor_hours
    found = {(ref, value): StatementWork(ref, value, runs / hours, us / 1e6 / hours) for ref, value, runs, us in totals}
    return list(found.values())


def _is_dear(work: StatementWork, policy: WorkloadPolicy) -> bool:
    return work.executions > 0 and work.seconds >= policy.min_extra(work.ref)


class _Watched:
    """Which hours of which database are known; an hour without work counts where other databases were read then."""

    def __init__(self, databases: dict[DatabaseRef, RecordedHours], before: int, own: int, days: Compared) -> None:
        self._databases, self._days = databases, days
        self._hours = np.array(days.earlier_hours)
        self._own = slice(before, before + own)
        self._earlier = slice(before + own, None)
        recorded = [~np.isnan(one.elapsed_us[self._earlier]) for one in databases.values()]
        self._anybody = np.any(recorded, axis=0) if recorded else np.zeros(0, np.bool_)
        self.steady = {ref for ref, one in databases.items() if self._is_steady(one, before)}
        """Databases whose work of the window is not that of a gap before it."""

    def _is_steady(self, one: RecordedHours, before: int) -> bool:
        known = ~np.isnan(one.elapsed_us)
        return bool(known[:before].any() and (known[self._own][:-1].all() or not self._days.is_short))

    def is_whole(self, ref: DatabaseRef) -> bool:
        """Whether the window has work in about as many hours as the earlier ones have."""
        known = ~np.isnan(self._databases[ref].elapsed_us)
        hours = np.count_nonzero(known[self._earlier].reshape(len(self._days.days_back), -1), axis=1)
        usual = float(np.median(hours[hours > 0])) if hours.any() else 0.0
        return bool(np.count_nonzero(known[self._own]) >= _WHOLE * usual)

    def earlier(self, ref: DatabaseRef) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """True for each of the earlier hours that is known of this database."""
        one = self._databases[ref]
        return self._anybody & (self._hours >= one.since_us)

    def instances(self, min_days: int) -> tuple[dict[str, float], dict[str, Floats]]:
        """Seconds per hour of each instance, in the window and in each of the earlier ones [windows].

        Databases that are known on few of those days would make it look busier, so they are left out.
        """
        refs = sorted(self.steady)
        if not refs:
            return {}, {}
        now, past = self._rates(refs)
        known = np.count_nonzero(~np.isnan(past), axis=1)
        names = np.array([ref.instance for ref in refs])
        found = {}
        for instance in dict.fromkeys(names.tolist()):
            own = names == instance
            chosen = own & (known >= max(min_days, known[own].max() / 2))
            if chosen.any():
                found[instance] = (float(now[chosen].sum()), past[chosen].sum(axis=0))
        return {name: rates[0] for name, rates in found.items()}, {name: rates[1] for name, rates in found.items()}

    def _rates(self, refs: Sequence[DatabaseRef]) -> tuple[Floats, Floats]:
        """Seconds per hour of databases, now and in the earlier windows [databases, windows]."""
        days = self._days
        values = np.array([self._databases[ref].elapsed_us for ref in refs])
        watched = np.array([self.earlier(ref) for ref in refs])
        work = np.where(watched, np.nan_to_num(values[:, self._earlier]), np.nan)
        # Whole hours up to the end of the window, so the time since the first of them began counts.
        begun = (epoch_us(days.end) - days.own_hours[0]) / HOUR_US
        now = np.nansum(values[:, self._own], axis=1) / 1e6 / max(1.0, begun)
        return now, per_hour(np.repeat(work[:, :, None], 2, axis=2), days)[:, :, 1]
