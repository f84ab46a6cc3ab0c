import math
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.model import Label, Severity
from dbplanmon_pipeline.core.verdict.telling.evidence import count_text, duration_text
from dbplanmon_pipeline.core.verdict.telling.severity import severity_of
from dbplanmon_pipeline_tests.core.verdict.judged import evaluations
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload


def verdict_on(workload, tick=52):
    (verdict,) = evaluations(workload, [tick])[0].verdicts
    return verdict


def broken(factor=8, **options):
    workload = Workload(**options)
    workload.slow_down(3, slice(48, None), factor)
    return workload


def test_a_new_plan_that_costs_more_is_a_plan_regression():
    workload = broken()
    workload.plan[3, 48:] = 77
    verdict = verdict_on(workload)
    assert (verdict.label, verdict.plan_hash, verdict.previous_plan_hash) == (Label.PLAN_REGRESSION, 77, 1004)


def test_a_plan_noticed_only_after_the_rise_is_its_cause_all_the_same():
    workload = broken()
    workload.plan[3, 50:] = 77
    assert verdict_on(workload).label is Label.PLAN_REGRESSION


def test_a_plan_change_long_before_the_rise_is_not_its_cause():
    workload = broken()
    workload.plan[3, 20:] = 77
    verdict = verdict_on(workload)
    assert verdict.label is not Label.PLAN_REGRESSION
    assert verdict.previous_plan_hash == 0


def test_a_rise_as_old_as_the_recent_rows_is_set_against_the_plan_of_the_baseline():
    workload = broken(ticks=400)
    workload.plan[3, 48:] = 77
    verdict = verdict_on(workload, tick=399)
    assert (verdict.label, verdict.previous_plan_hash) == (Label.PLAN_REGRESSION, 1004)


def test_more_reads_in_the_measure_of_the_cost_is_data_growth():
    workload = broken()
    workload.reads[3, 48:] *= 7
    assert verdict_on(workload).label is Label.DATA_GROWTH


def test_more_rows_in_the_measure_of_the_cost_is_data_growth():
    workload = broken()
    workload.rows[3, 48:] *= 9
    assert verdict_on(workload).label is Label.DATA_GROWTH


def test_time_without_work_is_contention():
    workload = Workload()
    workload.cost[3, 48:] *= 8
    assert verdict_on(workload).label is Label.CONTENTION


def test_without_cpu_times_contention_needs_waits_as_proof():
    workload = broken().on_postgres()
    assert verdict_on(workload).label is Label.UNKNOWN
    workload.io[3, 48:] = 0.8 * workload.cost[3, 48:]
    assert verdict_on(workload).label is Label.CONTENTION


def test_executions_that_spread_under_one_plan_are_parameter_sensitivity():
    workload = broken()
    workload.variation[3, 48:] = 3.0
    workload.reads[3, 48:] *= 7
    assert verdict_on(workload).label is Label.PARAMETER_SENSITIVITY


def test_more_cpu_alone_is_unknown():
    assert verdict_on(broken()).label is Label.UNKNOWN


def test_evidence_says_cost_time_plan_and_reads_in_numbers():
    workload = Workload(cost=100.0, calls=600, noise=0.01, step=timedelta(minutes=5)).on_postgres()
    workload.slow_down(3, slice(48, None), 950)
    workload.reads[3, :48], workload.reads[3, 48:] = 4, 7622
    workload.plan[3, 48:] = 77
    cost, since, plan, reads = verdict_on(workload).evidence
    assert cost.startswith("Elapsed time per execution 0.1 ms -> 95")
    assert since.startswith("Worse since 2026-03-01 16:00:00 UTC")
    assert plan == "Plan 00000000000003ec -> 000000000000004d."
    assert reads == "Reads per execution 4 -> 7,622 pages."


@pytest.mark.parametrize(
    ("ratio", "seconds", "severity"),
    [
        (1.5, 100, Severity.LOW),
        (2.0, 100, Severity.MEDIUM),
        (3.0, 100, Severity.HIGH),
        (6.0, 100, Severity.CRITICAL),
        (6.0, 9, Severity.HIGH),
        (1.5, 9, Severity.LOW),
    ],
)
def test_severity_follows_effect_and_is_lowered_when_immaterial(ratio, seconds, severity):
    assert severity_of(ratio, seconds, 10) is severity


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(50, "50 µs"), (99.96, "100 µs"), (100, "0.1 ms"), (95_000, "95 ms"), (1_234_567, "1.23 s"), (0, "0 µs")],
)
def test_durations_read_well(microseconds, text):
    assert duration_text(microseconds) == text


def test_counts_read_well():
    assert [count_text(value) for value in (7622.4, 4, 12.345, 0)] == ["7,622", "4", "12.3", "0"]
    assert not math.isnan(float(count_text(0.004)))
