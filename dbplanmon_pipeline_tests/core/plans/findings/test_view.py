"""What each operator weighs: measured work where the plan tells it, whoever did it."""

import pytest

from dbplanmon_pipeline.core.plans.findings.view import view_of
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline_tests.core.plans.findings.made_up import explained, pg, scan, select
from dbplanmon_pipeline_tests.core.plans.showplans import element, relop


def took(*threads, cpu=None):
    """Measured milliseconds of threads, the coordinator first where there are several."""
    counters = [
        element(
            "RunTimeCountersPerThread",
            Thread=number,
            ActualRows=1,
            ActualExecutions=1,
            ActualElapsedms=spent,
            ActualCPUms=spent if cpu is None else cpu,
        )
        for number, spent in enumerate(threads)
    ]
    return element("RunTimeInformation", *counters)


def shares(plan):
    tree = parse_showplan(plan) if isinstance(plan, str) else parse_pg_plan(plan)
    nodes = view_of(tree.engine, tree.statements[0]).nodes
    return [(node.operator.name, round(node.share, 2)) for node in nodes]


def sort(inner, *times, **said):
    return relop("Sort", inner, detail="Sort", beside=took(*times), **said)


def test_one_thread_spends_what_its_inputs_did_not():
    plan = select(sort(scan(beside=took(75), cost=1.0), 100, cost=100.0))
    assert shares(plan) == [("Sort", 0.25), ("Clustered Index Scan", 0.75)]


def test_the_work_of_all_threads_counts_and_waiting_in_an_exchange_does_not():
    inner = sort(scan(beside=took(0, 300, 100), cost=1.0, parallel=1), 0, 400, 200, parallel=1)
    gather = relop("Parallelism", inner, detail="Parallelism", beside=took(900, cpu=200), cost=100.0)
    assert shares(select(gather)) == [("Parallelism", 0.25), ("Sort", 0.25), ("Clustered Index Scan", 0.5)]


def test_operators_in_batch_mode_tell_their_own_time_only():
    read = scan(beside=took(60)).replace("<RelOp ", '<RelOp EstimatedExecutionMode="Batch" ')
    join = relop("Hash Match", read, detail="Hash", beside=took(20)).replace(
        "<RelOp ", '<RelOp EstimatedExecutionMode="Batch" ', 1
    )
    assert shares(select(sort(join, 100))) == [("Sort", 0.2), ("Hash Match", 0.2), ("Clustered Index Scan", 0.6)]


def test_what_only_defines_values_is_no_work_of_its_own():
    values = relop("Compute Scalar", scan(beside=took(75)), detail="ComputeScalar", cost=50.0)
    assert shares(select(sort(values, 100))) == [("Sort", 0.25), ("Compute Scalar", 0), ("Clustered Index Scan", 0.75)]


def test_without_times_the_estimates_count():
    assert shares(select(relop("Sort", scan(cost=90.0), detail="Sort", cost=100.0))) == [
        ("Sort", 0.1),
        ("Clustered Index Scan", 0.9),
    ]


@pytest.mark.parametrize(("workers", "share"), [(3, 0.75), (0, 1.0)])
def test_executions_of_workers_run_side_by_side(workers, share):
    read = pg("Seq Scan", actual=5.0, times=workers + 1, ms=75.0 if workers else 100.0, Parallel_Aware=True)
    gather = pg("Gather", read, actual=20.0, ms=100.0, Workers_Launched=workers)
    assert shares(explained(gather)) == [("Gather", round(1 - share, 2)), ("Seq Scan", share)]
