import pandas as pd

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.plan_changes import plan_changes
from dbplanmon_pipeline.core.ports import PlanChange
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload

SHOP = DatabaseRef("shop", "db0")


def test_each_flip_is_a_change_at_the_start_of_its_interval():
    workload = Workload(2, 6)
    workload.plan[1, 2:4] = 7
    assert plan_changes(workload.frame(), {}) == [
        PlanChange(SHOP, 2, workload.moment(1), 7, 1002),
        PlanChange(SHOP, 2, workload.moment(3), 1002, 7),
    ]


def test_the_first_plan_counts_against_what_is_known():
    frame = Workload(2, 3).frame()
    changes = plan_changes(frame, {(0, 1): 5, (0, 2): 1002})
    assert [(change.query_hash, change.plan_hash, change.previous_plan_hash) for change in changes] == [(1, 1001, 5)]


def test_intervals_without_a_known_plan_are_passed_over():
    workload = Workload(1, 6)
    workload.plan[0, 1:3] = 0
    workload.plan[0, 4] = 0
    assert plan_changes(workload.frame(), {}) == []
    workload.plan[0, 5] = 9
    assert [change.changed_at for change in plan_changes(workload.frame(), {})] == [workload.moment(4)]


def test_the_plan_that_ran_most_stands_for_the_interval():
    frame = Workload(1, 4).frame()
    rare = frame.rows.assign(plan_hash=3, execution_count=1.0)
    often = frame.rows.iloc[[2]].assign(plan_hash=4, execution_count=1000.0)
    order = ["database_id", "query_hash", "interval_end_us", "plan_hash"]
    rows = pd.concat([frame.rows, rare, often]).sort_values(order, ignore_index=True)
    changes = plan_changes(IntervalFrame(rows, frame.databases), {})
    assert [(change.previous_plan_hash, change.plan_hash) for change in changes] == [(1001, 4), (4, 1001)]


def test_the_rest_that_capture_gathers_has_no_plan():
    workload = Workload(1, 4)
    workload.plan[0, 2:] = 9
    frame = workload.frame()
    rows = frame.rows.assign(query_hash=OTHER_STATEMENTS)
    assert plan_changes(IntervalFrame(rows, frame.databases), {}) == []


def test_an_empty_frame_has_no_changes():
    frame = Workload(1, 2).frame()
    assert plan_changes(IntervalFrame(frame.rows.iloc[:0], {}), {}) == []
