from dataclasses import replace

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.readings.failures import FAILED_EXECUTIONS, Failures
from dbplanmon_pipeline_tests.core.incidents.ledger import REF, Ledger, evaluation, tick, verdict

FAILING = Failures(
    share_before=0.01,
    share=0.64,
    failed_before=10,
    executions_before=1000,
    failed=64,
    executions=100,
    aborted=0,
    per_hour=60.0,
)
NOW_FAILING = replace(verdict(0), metric=FAILED_EXECUTIONS, failures=FAILING)
HALF_WAY = 0.08


def failing(number, share):
    return replace(evaluation(number), failing={(REF, 42): share})


def test_a_statement_goes_on_failing_until_its_share_is_nearer_to_the_one_before():
    ledger = Ledger()
    ledger.judge(evaluation(0, NOW_FAILING))
    assert ledger.judge(failing(1, HALF_WAY * 1.01)) == ["updated"]
    assert (ledger.only.last_bad_at, ledger.only.calm_intervals, ledger.only.failures) == (tick(1), 0, FAILING)
    assert ledger.judge(failing(2, HALF_WAY * 0.99)) == ["updated"]
    assert (ledger.only.last_bad_at, ledger.only.calm_intervals) == (tick(1), 1)


def test_a_share_of_failures_proves_nothing_about_an_incident_of_time():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    ledger.judge(failing(1, 0.9))
    assert ledger.only.calm_intervals == 1


def test_what_only_became_slow_again_is_no_longer_about_failures():
    ledger = Ledger()
    ledger.judge(evaluation(0, NOW_FAILING))
    ledger.judge(failing(1, 0.9))
    going_on = replace(failing(2, 0.01), unchanged={(REF, 42): tick(-3)})
    assert ledger.judge(going_on) == ["updated"]
    assert ledger.only.failures is None


def test_a_verdict_about_time_keeps_the_failures_while_they_last():
    ledger = Ledger()
    ledger.judge(evaluation(0, NOW_FAILING))
    ledger.judge(replace(evaluation(1, verdict(1)), failing={(REF, 42): 0.9}))
    assert ledger.only.failures == FAILING
    ledger.judge(replace(evaluation(2, verdict(2)), failing={(REF, 42): 0.01}))
    assert ledger.only.failures is None


def test_newer_failures_replace_those_known():
    ledger = Ledger()
    ledger.judge(evaluation(0, NOW_FAILING))
    newer = replace(FAILING, failed=80)
    ledger.judge(replace(evaluation(1, replace(NOW_FAILING, failures=newer)), failing={(REF, 42): 0.9}))
    assert ledger.only.failures == newer


def test_failures_are_what_it_is_about_only_where_the_metric_says_so():
    ledger = Ledger()
    ledger.judge(evaluation(0, NOW_FAILING))
    about_failures = ledger.only
    about_time = replace(about_failures, metric="elapsed_time_us")
    assert (about_failures.failing, about_time.failing) == (FAILING, None)
    reasons = [IncidentChange(IncidentEvent.REOPENED, one, tick(1)).reason for one in (about_failures, about_time)]
    assert reasons == ["failing again, return number 0", "slow again, return number 0"]
