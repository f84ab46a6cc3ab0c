"""Plan changes as records of their own, whether or not anything got slower."""

from collections.abc import Mapping

import numpy as np

from dbplanmon_pipeline.core.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.intervals import IntervalFrame
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.ports import PlanChange
from dbplanmon_pipeline.core.verdict.series import dominant_plans


def plan_changes(frame: IntervalFrame, known: Mapping[tuple[int, int], int]) -> list[PlanChange]:
    """Every interval in which a statement ran mostly with another plan than before; each flip back is one more.

    Intervals without a known plan are passed over, and so is the rest that capture gathers.

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
    return [
        PlanChange(
            ref=frame.databases[int(database[row])],
            query_hash=int(query[row]),
            changed_at=from_epoch_us(int(start[row])),
            plan_hash=int(plans[at]),
            previous_plan_hash=int(before[at]),
        )
        for at, row in zip(np.flatnonzero(plans != before), first[plans != before], strict=True)
    ]
