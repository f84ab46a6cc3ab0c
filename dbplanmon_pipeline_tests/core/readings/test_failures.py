"""A statement that fails: what is said of it, what its incident does, and that capture keeps it."""

from dataclasses import replace

import numpy as np
import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.model import Engine, Label, Severity
from dbplanmon_pipeline.core.plan_changes import plan_changes
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS, select_rows
from dbplanmon_pipeline.core.readings.failures import FAILED_EXECUTIONS, Failures, failing_words, share_words
from dbplanmon_pipeline.core.records import incident_record
from dbplanmon_pipeline.core.remedies.remediation import SuggestionKind, suggest
from dbplanmon_pipeline.core.verdict.failing.moments import severity_of_failures
from dbplanmon_pipeline_tests.core.alerts.test_incident_alerts import BEGAN, made, step
from dbplanmon_pipeline_tests.core.incidents.test_machine import REF, Ledger, evaluation, tick, verdict
from dbplanmon_pipeline_tests.core.readings.small_readings import rows
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload

SOME = Failures(0.004, 0.6, 5, 1_240, 36, 60, 30, 35.5)
ALL = replace(SOME, share=1.0, failed=60.0)
FAILS = {
    "label": Label.FAILING,
    "metric": FAILED_EXECUTIONS,
    "effect_ratio": SOME.ratio,
    "extra_seconds_per_hour": 0.0,
    "baseline_us": 0.0,
    "observed_us": 0.0,
}


def failing(number, failures=SOME):
    return replace(verdict(number), **FAILS, failures=failures)


def test_shares_are_told_as_people_say_them():
    said = [share_words(share) for share in (0, 0.00001, 0.0035, 0.124, 0.996, 1)]
    assert said == ["0 %", "0.01 %", "0.35 %", "12 %", "99.60 %", "100 %"]
    assert failing_words(SOME) == "60 % of its executions fail, 0.4 % before"
    assert failing_words(ALL) == "none of its executions succeeds any more, 0.4 % failed before"


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"share": 1.0, "failed": 60.0, "per_hour": 2.0}, Severity.CRITICAL),
        ({"per_hour": 2_000.0}, Severity.CRITICAL),
        ({}, Severity.HIGH),
        ({"per_hour": 5.0}, Severity.MEDIUM),
        ({"share": 0.2}, Severity.MEDIUM),
        ({"share": 0.05}, Severity.LOW),
    ],
)
def test_severity_follows_share_and_count(changes, severity):
    assert severity_of_failures(replace(SOME, **changes)) is severity


def test_the_message_names_shares_and_no_seconds():
    alert = made(step(**FAILS, failures=SOME))
    assert alert.subject == (
        "[high] prod-sql-01/Sales: statement 0000000000003f2a: 60 % of its executions fail, 0.4 % before "
        "(executions fail)"
    )
    for part in [
        "A statement on prod-sql-01/Sales is failing with a new plan: 60 % of its executions fail, 0.4 % before.",
        "Kind       executions fail, severity high",
        "Effect     60 % of its executions fail, 0.4 % before",
        "Cost       36 more failed executions per hour; the engine keeps no time of these",
        "dbo.orders is read in full instead of by index",
        "The way back (force plan",
    ]:
        assert part in alert.body, part
    assert "slower" not in alert.body.replace("was faster", "")
    assert alert.facts["failures"]["share"] == 0.6


def test_each_step_has_its_words():
    said = {event: made(step(event, **FAILS, failures=SOME)).body for event in IncidentEvent if event in TOLD}
    assert "needs attention: still 60 % of its executions fail" in said[IncidentEvent.ESCALATED]
    assert "is failing again: 60 % of its executions fail" in said[IncidentEvent.REOPENED]
    assert "It had been failing for 1 h 25 min." in said[IncidentEvent.AUTO_RESOLVED]
    assert "Last failing" in said[IncidentEvent.AUTO_RESOLVED]


TOLD = (IncidentEvent.ESCALATED, IncidentEvent.REOPENED, IncidentEvent.AUTO_RESOLVED)


def test_a_slow_statement_tells_its_failures_inside():
    alert = made(step(failures=SOME))
    assert "8.2x slower" in alert.subject
    assert "Failures   60 % of its executions fail, 0.4 % before" in alert.body


def test_the_record_carries_the_figures():
    assert incident_record(step(**FAILS, failures=SOME).incident)["failures"]["per_hour"] == 35.5
    assert incident_record(step().incident)["failures"] is None


def test_the_former_plan_is_the_way_back():
    (found,) = suggest(
        step(**FAILS, failures=SOME).incident, old=None, new=None, statement=None, dialect=Engine.SQLSERVER, now=BEGAN
    )
    assert found.kind == SuggestionKind.FORCE_PLAN
    assert "ended well with plan 000000000000000a and fails with plan 000000000000000b" in found.rationale


def share(number, now, *verdicts, active=True):
    return replace(evaluation(number, *verdicts, active=active), failing={(REF, 42): now} if now else {})


def test_it_is_calm_once_the_share_is_normal_in_intervals_in_which_it_ran():
    ledger = Ledger()
    assert ledger.judge(share(0, 0.6, failing(0))) == ["opened"]
    assert ledger.only.failures == SOME
    assert ledger.judge(share(1, 0.5)) == ["updated"]
    assert (ledger.only.last_bad_at, ledger.only.calm_intervals) == (tick(1), 0)
    assert ledger.judge(share(2, 0.01)) == ["updated"]
    assert ledger.judge(share(3, 0, active=False)) == []
    assert ledger.only.calm_intervals == 1
    assert ledger.judge(share(4, 0.4)) == ["updated"]
    assert ledger.only.calm_intervals == 0
    assert [ledger.judge(share(number, 0.002)) for number in (5, 6, 7)][-1] == ["auto_resolved"]


def test_slower_and_failing_is_one_incident():
    ledger = Ledger()
    assert ledger.judge(share(0, 0.6, failing(0))) == ["opened"]
    assert ledger.judge(share(1, 0.6, replace(verdict(1), failures=SOME))) == ["updated"]
    assert (ledger.only.label, ledger.only.failing) == (Label.PLAN_REGRESSION, None)
    ledger.judge(share(2, 0.6, verdict(2)))
    assert ledger.only.failures == SOME
    ledger.judge(share(3, 0, verdict(3)))
    assert ledger.only.failures is None


def test_capture_keeps_a_statement_that_only_fails():
    often = {"execution_count": 50, "elapsed_time_us": 9_000, "worker_time_us": 9_000, "logical_reads_pages": 90}
    lost = dict.fromkeys(often, 0)
    found = select_rows(
        rows(
            {"query": 1, **often}, {"query": 2, **lost, "aborted_count": 80}, {"query": 3, **lost, "exception_count": 1}
        ),
        top_n=1,
        min_executions=2,
    )
    assert found.query_hash.tolist() == [1, 2, OTHER_STATEMENTS]


def test_a_plan_with_which_nothing_ends_is_a_change():
    workload = Workload(1, 6, calls=20)
    workload.fail(0, slice(3, 6), 1.0, 9)
    (change,) = plan_changes(workload.frame(), {})
    assert (change.changed_at, change.plan_hash, change.previous_plan_hash) == (workload.moment(2), 9, 1001)
    assert np.isnan(Workload(1, 3).frame().rows["aborted_count"]).all()
