"""A plan under which executions fail is told of; bursts, outages and those that always failed are not."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef, Label, Severity
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.failing.beta_binomial import log_gamma
from dbplanmon_pipeline.core.verdict.failing.moments import failing_moments
from dbplanmon_pipeline.core.verdict.failing.record import FailingRecord
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.frames import SeriesFrame
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload

STEP_US = 300_000_000
NOON = epoch_us(datetime(2026, 3, 1, 12, tzinfo=UTC))
POLICY = DetectorPolicy(lookback_intervals=144)
REF = DatabaseRef("shop", "orders")
TICKS, CHANGE = 96, 80
OLD, NEW = 7, 8
COLUMNS = ("query_hash", "plan_hash", "tick", "execution_count", "aborted_count", "exception_count")


def rows_of(query, tick, plan, ended, aborted=0.0, errors=0.0):
    """One row per tick; figures are numbers or one for each tick."""
    tick = np.asarray(tick)
    figures = [np.broadcast_to(np.asarray(figure, float), tick.shape) for figure in (plan, ended, aborted, errors)]
    return pd.DataFrame(dict(zip(COLUMNS, [np.full(tick.shape, query), figures[0], tick, *figures[1:]], strict=True)))


def others(aborted=0.0, count=10):
    """Statements that keep their plan."""
    return [rows_of(query, np.arange(TICKS), 100 + query, 20 - aborted, aborted) for query in range(2, 2 + count)]


def changing(before=(20, 0), now=(0, 20), change=CHANGE, query=1):
    """Executions that end and that are cut short under the old and the new plan."""
    return [
        rows_of(query, np.arange(change), OLD, *before),
        rows_of(query, np.arange(change, TICKS), NEW, *now),
    ]


def said(parts, first=CHANGE - 20, last=TICKS, baselines=None):
    """Verdicts on statement 1 by tick."""
    rows = pd.concat(parts).astype({"query_hash": np.int64, "plan_hash": np.int64})
    rows = rows.assign(
        database_id=1,
        interval_start_us=NOON + rows["tick"] * STEP_US,
        interval_end_us=NOON + (rows["tick"] + 1) * STEP_US,
    ).sort_values(["database_id", "query_hash", "interval_end_us", "plan_hash"], ignore_index=True)
    table = pd.DataFrame(baselines or {}, columns=["database_id", "query_hash", "plan"]).astype(np.int64)
    ticks = NOON + (np.arange(first, last) + 1) * STEP_US
    found = failing_moments(IntervalFrame(rows, {1: REF}), table, table["plan"].to_numpy(np.int64), ticks, POLICY)
    return {first + number: one[REF, 1] for number, one in found.verdicts.items() if (REF, 1) in one}


def test_a_plan_with_which_nothing_ends_is_told_of_at_the_second_interval():
    found = said([*others(), *changing()])
    assert list(found) == list(range(CHANGE + 1, TICKS))
    verdict = found[CHANGE + 1]
    assert (verdict.label, verdict.severity, verdict.metric) == (Label.FAILING, Severity.CRITICAL, "failed_executions")
    assert (verdict.plan_hash, verdict.previous_plan_hash) == (NEW, OLD)
    assert verdict.began_at == from_epoch_us(NOON + CHANGE * STEP_US)
    assert (verdict.failures.failed, verdict.failures.executions, verdict.failures.share_before) == (40, 40, 0)
    assert verdict.failures.per_hour == pytest.approx(240, rel=0.01)
    assert verdict.evidence[0] == (
        "40 of 40 executions failed under the present plan (100 %: 40 cut short by the client); "
        "0 of 1,600 under the plans before (0 %)."
    )


def test_errors_count_like_aborted_executions():
    (*_, verdict) = said([*others(), *changing(now=(5, 5, 10))]).values()
    assert verdict.failures.share == 0.75
    assert "60 cut short by the client, 120 ended with an error" in verdict.evidence[0]
    assert verdict.severity is Severity.HIGH


def test_two_plans_in_one_interval_keep_their_own_failures():
    both = [rows_of(1, np.arange(TICKS), OLD, 30), rows_of(1, np.arange(CHANGE, TICKS), NEW, 0, 6)]
    found = said([*others(), *both])
    assert found[TICKS - 1].plan_hash == NEW
    assert found[TICKS - 1].failures.share == 1


def test_seldom_executions_add_up():
    found = said([*others(), *changing((1, 0), (0, 1))])
    assert min(found) == CHANGE + 5


def test_single_failures_of_before_do_not_delay_it():
    before = np.where(np.arange(CHANGE) % 9 == 0, 1, 0)
    assert min(said([*others(), *changing((40 - before, before), (4, 36))])) == CHANGE + 1


def test_a_plan_that_fails_now_and_then_is_told_of_once_it_can_be_no_burst():
    bad = np.arange(16) % 3 != 0
    found = said([*others(), *changing(now=(np.where(bad, 400, 800), np.where(bad, 400, 0)))])
    assert min(found) == CHANGE + 7
    some = said([*others(), *changing(now=(560, 240))])
    assert min(some) == CHANGE + 5
    most = said([*others(), *changing(now=(240, 560))])
    assert min(most) == CHANGE + 1


GENERATOR = np.random.default_rng(1)
BURSTS = np.where(np.arange(TICKS) % 20 < 4, 16, 0)
CALM = {
    "as often before": changing((14, 6), (14, 6)),
    "a share that strays as before": [
        rows_of(1, np.arange(TICKS), np.where(np.arange(TICKS) < CHANGE, OLD, NEW), 400 - lost, lost)
        for lost in [GENERATOR.binomial(400, GENERATOR.beta(1, 19, TICKS)).astype(float)]
    ],
    "bursts as before": [
        rows_of(1, np.arange(TICKS), np.where(np.arange(TICKS) < CHANGE, OLD, NEW), 20 - BURSTS, BURSTS)
    ],
    "one bad interval": changing(now=(np.where(np.arange(16) == 1, 0, 900), np.where(np.arange(16) == 1, 900, 0))),
    "four failures": changing(now=(20, np.where(np.arange(16) % 4 == 1, 1, 0))),
    "no other plan": [rows_of(1, np.arange(TICKS), OLD, 20, np.where(np.arange(TICKS) < CHANGE, 0, 20))],
    "hours after the change": changing(now=(20, np.where(np.arange(66) < 50, 0, 20)), change=30),
    "a burst over three intervals soon after the change": changing(
        now=(np.where(np.arange(16) // 3 == 1, 80, 800), np.where(np.arange(16) // 3 == 1, 720, 0))
    ),
    "two bursts of one interval each": changing(
        now=(np.where(np.arange(16) % 8 == 2, 80, 800), np.where(np.arange(16) % 8 == 2, 720, 0))
    ),
    "a burst with the change that hits some executions": changing(
        now=(np.where(np.arange(16) < 3, 560, 800), np.where(np.arange(16) < 3, 240, 0))
    ),
    "lost figures": changing((20, np.nan), (0, np.nan)),
    "lost before": changing((20, np.nan), (0, 20)),
    "the plan before never ended well either": changing((0, 20), (0, 20)),
    "plans that take turns": [
        rows_of(1, np.arange(TICKS), plan, 20 - lost, lost)
        for plan in [GENERATOR.choice([OLD, NEW], TICKS)]
        for lost in [np.where(plan == NEW, 6, 0)]
    ],
    "a plan of unknown name": [rows_of(1, np.arange(TICKS), np.where(np.arange(TICKS) < CHANGE, OLD, 0), 0, 20)],
}


@pytest.mark.parametrize("parts", CALM.values(), ids=CALM)
def test_this_is_no_regression(parts):
    assert said([*others(), *parts]) == {}


def outage(count, query=2):
    return others(np.where(np.arange(TICKS) < CHANGE, 0, 19.0), count=count)


def test_an_outage_is_no_plan_regression():
    assert said([*outage(10), *changing()]) == {}


def test_what_all_always_do_holds_nothing_back():
    assert said([*others(aborted=10.0), *changing()])


def test_statements_that_got_new_plans_as_well_prove_no_outage():
    known = {"database_id": [1] * 11, "query_hash": list(range(1, 12)), "plan": [OLD, *range(202, 212)]}
    assert said([*outage(10), *changing()], baselines=known)


def test_the_way_back_ends_it():
    back = [rows_of(1, np.arange(CHANGE), OLD, 20), rows_of(1, np.arange(CHANGE, 88), NEW, 0, 20)]
    found = said([*others(), *back, rows_of(1, np.arange(88, TICKS), OLD, 20)])
    assert max(found) == 87


def test_the_logarithm_of_the_gamma_function():
    values = np.array([1e-3, 0.5, 1.0, 4.0, 171.5])
    assert log_gamma(values) == pytest.approx([math.lgamma(value) for value in values], abs=1e-8)


def test_a_long_record_says_what_each_part_of_it_says():
    made = Workload(9, 6 * 48, step=timedelta(minutes=30), noise=0.1)
    made.fail(1, slice(200, 240), 0.7, 78)
    made.fail(4, slice(90, 140), 1.0, 79)
    made.fail(6, slice(None), 0.05)
    policy = DetectorPolicy(step=made.step, lookback_intervals=48)
    frame = made.frame(3)
    whole = SeriesFrame.of(frame)
    table = pd.DataFrame({"database_id": [1], "query_hash": [2]})
    told = 0
    for first in range(48, 6 * 48 - 24, 24):
        ticks = np.array([epoch_us(made.moment(tick)) for tick in range(first, first + 24)])
        ends = frame.rows["interval_end_us"]
        near = (ends > ticks[0] - policy.lookback_intervals * policy.step_us) & (ends <= ticks[-1])
        part = replace(frame, rows=frame.rows[near].reset_index(drop=True))
        asked = (table, np.array([1002]), ticks, policy)
        assert failing_moments(whole, *asked) == failing_moments(part, *asked)
        told += len(failing_moments(part, *asked).verdicts)
    assert told > 40
    assert whole.failing is whole.failing


def test_a_part_of_a_record_costs_what_failed_there():
    made = Workload(40, 480)
    made.fail(3, slice(100, 110), 0.5)
    made.fail(8, slice(400, 410), 0.5)
    record = FailingRecord(made.frame(2))
    nobody = (pd.DataFrame({"database_id": [], "query_hash": []}, dtype=np.int64), np.empty(0, np.int64))

    def part(first, last):
        return record.between(epoch_us(made.moment(first)), epoch_us(made.moment(last)), *nobody)

    assert part(200, 300) is None
    assert set(part(90, 120).rows.query_hash) == {4}
    assert len(part(90, 120).rows) == 30
    assert len(part(90, 120).cells.end_us) == 2 * 30
