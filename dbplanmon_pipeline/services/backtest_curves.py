"""What statements cost around the dearest notifications of a back-test, for the charts of its report."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.incidents.incident import IncidentScope
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.services.backtest import Notification

MOST_POINTS = 200
BEFORE_TIMES = 2.0
LEAST_BEFORE, MOST_BEFORE, AFTER = timedelta(hours=6), timedelta(days=2), timedelta(hours=6)
LONGEST = timedelta(days=4)
"""A trouble that goes on for longer is cut."""

_COUNT = "execution_count"
_COLUMNS = ("interval_start_us", "interval_end_us", "plan_hash", _COUNT, "elapsed_time_us", "worker_time_us")


@dataclass(frozen=True)
class Curve:
    """One notification with the figures around it.

    Attributes:
        notification: what was said.
        start / end: what is shown.
        start_us / end_us: of each point [epoch microseconds].
        values: time per execution [microseconds] of a statement, seconds of work per hour of an instance.
        plan_hash: plan with most executions of each point, 0 unknown.
    """

    notification: Notification
    start: datetime
    end: datetime
    start_us: Longs
    end_us: Longs
    values: Floats
    plan_hash: Longs


@dataclass(order=True)
class _Held:
    """A curve by the cost of what it shows."""

    cost: float
    number: int
    curve: Curve = field(compare=False)


class Curves:
    """A watcher that keeps the curves of the dearest notifications of each rule.

    Args:
        rules: how many rules are replayed.
        most: curves kept of each.
    """

    def __init__(self, rules: int, most: int) -> None:
        self._most = most
        self._held: list[list[_Held]] = [[] for _ in range(rules)]
        self._number = 0

    def see(self, frame: IntervalFrame, said: Sequence[Sequence[Notification]]) -> None:
        """See `Watcher.see`."""
        for held, notifications in zip(self._held, said, strict=True):
            for one in notifications:
                cost = one.incident.extra_seconds_per_hour
                if len(held) < self._most or cost > held[0].cost:
                    self._number += 1
                    heapq.heappush(held, _Held(cost, -self._number, curve_of(frame, one)))
                if len(held) > self._most:
                    heapq.heappop(held)

    def of(self, rule: int) -> list[Curve]:
        """Curves of one rule, the dearest notification first."""
        return [one.curve for one in sorted(self._held[rule], reverse=True)]


def curve_of(frame: IntervalFrame, notification: Notification) -> Curve:
    """The time before and during one notification, neighbours added up where there are many."""
    incident = notification.incident
    start, end = _shown(frame, notification)
    rows = _rows(frame, notification, start, end)
    metric = "elapsed_time_us" if incident.failing else incident.metric
    binned = _binned(rows, metric, max(1, (epoch_us(end) - epoch_us(start)) // MOST_POINTS))
    total = binned["total"].to_numpy(np.float64)
    spans = binned["end_us"].to_numpy(np.int64) - binned["start_us"].to_numpy(np.int64)
    per_execution = incident.scope is IncidentScope.QUERY
    return Curve(
        notification,
        start,
        end,
        binned["start_us"].to_numpy(np.int64),
        binned["end_us"].to_numpy(np.int64),
        total / binned[_COUNT].to_numpy(np.float64) if per_execution else total / np.maximum(spans, 1) * 3600,
        binned["plan_hash"].to_numpy(np.int64),
    )


def _shown(frame: IntervalFrame, notification: Notification) -> tuple[datetime, datetime]:
    incident = notification.incident
    begun = max(incident.began_at, notification.raised_at - LONGEST)
    last = from_epoch_us(int(frame.rows["interval_end_us"].max()))
    ended = min(notification.ended_at or last, notification.raised_at + LONGEST, last)
    before = min(max((ended - begun) * BEFORE_TIMES, LEAST_BEFORE), MOST_BEFORE)
    return begun - before, max(min(ended + AFTER, last), notification.raised_at)


def _rows(frame: IntervalFrame, notification: Notification, start: datetime, end: datetime) -> pd.DataFrame:
    rows = _own_rows(frame, notification)
    ends = rows["interval_end_us"]
    found = rows[(ends > epoch_us(start)) & (ends <= epoch_us(end))]
    return found.reindex(columns=_COLUMNS)


def _own_rows(frame: IntervalFrame, notification: Notification) -> pd.DataFrame:
    """Rows of the statement, the database or the instance; a frame is in the order of databases and statements."""
    instance, database, query_hash = notification.incident.key
    if notification.incident.scope is IncidentScope.INSTANCE:
        numbers = {number for number, ref in frame.databases.items() if ref.instance == instance}
        return frame.rows[frame.rows["database_id"].isin(numbers)]
    number = next(number for number, ref in frame.databases.items() if ref == DatabaseRef(instance, database))
    of_database = _equal(frame.rows["database_id"], number)
    rows = frame.rows.iloc[of_database]
    return rows.iloc[_equal(rows["query_hash"], query_hash)] if query_hash else rows


def _equal(column: pd.Series, value: int) -> slice:
    first, end = np.searchsorted(column.to_numpy(np.int64), [value, value + 1])
    return slice(int(first), int(end))


def _binned(rows: pd.DataFrame, metric: str, width_us: int) -> pd.DataFrame:
    """Intervals of all plans together, neighbours within `width_us` added up."""
    known = rows[(rows[_COUNT] > 0) & rows[metric].notna()]
    # Intervals that end together stay together, and the plan with most executions gives its name.
    ordered = known.assign(bin=known["interval_end_us"] // width_us).sort_values(["bin", _COUNT])
    return ordered.groupby("bin", as_index=False).agg(
        start_us=("interval_start_us", "min"),
        end_us=("interval_end_us", "max"),
        execution_count=(_COUNT, "sum"),
        total=(metric, "sum"),
        plan_hash=("plan_hash", "last"),
    )
