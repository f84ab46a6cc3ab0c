"""Plan changes as records of their own, whether or not anything got slower."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.ports import PlanChange
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.failing.attempts import FAILED_COLUMNS
from dbplanmon_pipeline.core.verdict.rows.series import dominant_plans

ALIVE_US = 24 * 3_600_000_000
"""A plan that ran so shortly before is still alive [microseconds]."""

TURNS = 3
"""From so many intervals on in which plans took turns or ran together, a statement has several at once."""


def plan_changes(frame: IntervalFrame, known: Mapping[tuple[int, int], int]) -> list[PlanChange]:
    """Every interval in which a statement ran mostly with another plan than before; each flip back is one more.

    Some statements have several plans at once for ever, one for each kind of parameter value, and which of them ran
    most often is chance. So a plan that ran within ALIVE_US is no change any more once there were TURNS intervals in
    that time in which the statement changed its plan, or ran with this plan and the one before it together. A plan
    that did not run in that time always is one.

    Executions that failed count like others: a plan with which nothing ends well is a change too. Intervals without a
    known plan are passed over, and so is the rest that capture gathers.

    Args:
        frame: interval rows in the order its class states.
        known: plan_hash by (database_id, query_hash) before the first interval of the frame; absent or 0: unknown,
            then the first plan seen is no change.

    Returns:
        In order of statement and time.
    """
    rows = frame.rows
    database, query, start, end, plan = (
        rows[name].to_numpy(np.int64)
        for name in ("database_id", "query_hash", "interval_start_us", "interval_end_us", "plan_hash")
    )
    executions = rows["execution_count"].to_numpy(np.float64)
    for name in FAILED_COLUMNS:
        if name in rows.columns:
            executions = executions + np.nan_to_num(rows[name].to_numpy(np.float64))
    use = np.flatnonzero((plan != 0) & (query != OTHER_STATEMENTS) & (executions > 0))
    database, query, start, end, plan, executions = (
        values[use] for values in (database, query, start, end, plan, executions)
    )
    new_statement = np.ones(len(use), np.bool_)
    new_statement[1:] = (database[1:] != database[:-1]) | (query[1:] != query[:-1])
    new_interval = new_statement.copy()
    new_interval[1:] |= end[1:] != end[:-1]
    first = np.flatnonzero(new_interval)
    plans = dominant_plans(plan, executions, first)
    before = np.roll(plans, 1)
    for at in np.flatnonzero(new_statement[first]):
        row = first[at]
        before[at] = known.get((int(database[row]), int(query[row])), 0) or plans[at]
    interval, statement = np.cumsum(new_interval) - 1, np.cumsum(new_statement).astype(np.int64)[first]
    turns = _Turns(plans != before, interval, plan, first, statement, end)
    changed = [
        int(at)
        for at in np.flatnonzero(plans != before)
        if not turns.usual(int(at), int(start[first[at]]) - ALIVE_US, int(plans[at]), int(before[at]))
    ]
    return [
        PlanChange(
            ref=frame.databases[int(database[row])],
            query_hash=int(query[row]),
            changed_at=from_epoch_us(int(start[row])),
            plan_hash=int(plans[at]),
            previous_plan_hash=int(before[at]),
        )
        for at, row in zip(changed, first[changed].tolist(), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Turns:
    """Which plans a statement had at once.

    Attributes:
        switched: bool [intervals], another plan ran most often than in the interval before.
        interval: int64 [rows], the interval of each row; `plan` its plan.
        first: int64 [intervals], first row of each; `statement` which statement it is of, rising.
        end: int64 [rows], epoch microseconds.
    """

    switched: NDArray[np.bool_]
    interval: Longs
    plan: Longs
    first: Longs
    statement: Longs
    end: Longs

    def usual(self, at: int, since_us: int, plan: int, other: int) -> bool:
        """True where the statement kept `plan` and others going side by side before interval `at`."""
        begin = int(np.searchsorted(self.statement, self.statement[at]))
        begin += int(np.searchsorted(self.end[self.first[begin:at]], since_us, side="right"))
        rows = slice(int(self.first[begin]), int(self.first[at]))
        ran = self.interval[rows][self.plan[rows] == plan]
        both = np.intersect1d(ran, self.interval[rows][self.plan[rows] == other])
        unsettled = np.union1d(both, np.flatnonzero(self.switched[begin:at]) + begin)
        return bool(len(ran)) and len(unsettled) >= TURNS
