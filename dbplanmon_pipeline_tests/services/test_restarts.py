"""After a restart production and back-test hold back the same, and tell the same in the end."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.incidents import IncidentEvent
from dbplanmon_pipeline.core.intervals import IntervalFrame
from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.restarts import RESTART_FACTS, Restarts
from dbplanmon_pipeline.core.verdict.warm_up import HELD_BACK, WarmUpPolicy
from dbplanmon_pipeline.services.analyse import AnalysisPolicy, analyse
from dbplanmon_pipeline.services.analyse_step import RunningSteps
from dbplanmon_pipeline.services.backtest import BacktestPolicy, backtest
from dbplanmon_pipeline.services.rebuild_baselines import rebuild_baselines
from dbplanmon_pipeline.store import StateFolder
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload
from dbplanmon_pipeline_tests.services import recorded_trouble as trouble
from dbplanmon_pipeline_tests.services.recorded_trouble import A_DAY, BEGIN, FIRST, LEARNT, STEP, Collector, detector

WARM_UP = WarmUpPolicy(longest=timedelta(days=1), most=14)
POLICY = replace(trouble.POLICY, incidents=replace(trouble.POLICY.incidents, warm_up=WARM_UP))
DOWN = LEARNT * A_DAY + 3
COLD, BROKEN, SNIFFED, SLOW_BEFORE = 1, 4, 6, 8
RESTARTED_AT = BEGIN + DOWN * STEP + timedelta(minutes=20)
TOLD = (IncidentEvent.OPENED, IncidentEvent.REOPENED)


def restarted():
    """Statements are told apart by what the restart did to them; the last one had been slow before."""
    made = Workload(12, LEARNT * A_DAY + 14, step=STEP, calls=400, noise=0.05)
    cold = np.array([12, 8, 5, 3.2, 2.4, 1.8])
    made.slow_down(COLD - 1, DOWN + np.arange(len(cold)), cold)
    made.slow_down(BROKEN - 1, slice(DOWN, None), 6)
    made.slow_down(SNIFFED - 1, slice(DOWN, None), 6)
    made.plan[SNIFFED - 1, DOWN:] = 77
    made.slow_down(SLOW_BEFORE - 1, slice(DOWN - 2, None), 6)
    rows = made.frame(2).rows
    shift = epoch_us(BEGIN) - epoch_us(made.moment(-1))
    rows = rows.assign(**{name: rows[name] + shift for name in ("interval_start_us", "interval_end_us")})
    return IntervalFrame(rows, {number: DatabaseRef("shop", f"db{number}") for number in range(2)})


class Telling(Collector):
    """Tells when the server started, as every collection does."""

    def _collected(self, number, rows):
        collected = super()._collected(number, rows)
        started = RESTARTED_AT if collected.outcome.started_at > RESTARTED_AT else BEGIN - timedelta(days=9)
        return replace(collected, facts={"server started": f"{started:%Y-%m-%dT%H:%M:%SZ}"})


@pytest.fixture(scope="module")
def frame():
    return restarted()


def words(at, incident):
    return (at, incident.key, incident.began_at, incident.severity, f"{incident.effect_ratio:.8g}", incident.evidence)


class CountedSteps(RunningSteps):
    stepped = 0

    def parts(self, *args):
        found = super().parts(*args)
        type(self).stepped += found is not None
        return found


def in_production(store, clock, frame, folder):
    policy = AnalysisPolicy(POLICY.lookback, POLICY.incidents, lambda _: Engine.POSTGRES)
    collector = Telling(store, frame)
    collector.record(FIRST - timedelta(microseconds=1))
    analyse(store, detector(), policy=policy)
    rebuild_baselines(store, detector(), as_of=FIRST - timedelta(days=1), days=LEARNT)
    changes, held = [], []
    rule = detector()
    for end in [from_epoch_us(end) for end in np.unique(frame.rows["interval_end_us"])]:
        if end < FIRST:
            continue
        clock.moment = end
        if end == FIRST + POLICY.rebuild_at:
            rebuild_baselines(store, detector(), as_of=FIRST, days=LEARNT)
        collector.record(end)
        steps = CountedSteps(store, StateFolder(folder), rule.policy, rule.layout, "store")
        report = analyse(store, rule, policy=policy, steps=steps)
        changes += [change for change in report.changes if change.event in TOLD]
        held.append(report.held_back)
    return changes, held


def test_production_and_back_test_hold_back_the_same_and_tell_the_same(store, clock, frame, tmp_path):
    changes, held = in_production(store, clock, frame, tmp_path)
    assert CountedSteps.stepped > len(held) / 2
    restarts = Restarts.of(store.changes_of_facts(RESTART_FACTS, BEGIN, FIRST + timedelta(days=3)))
    assert [one.at for one in restarts.known] == [RESTARTED_AT]
    report = backtest(frame, detector(), POLICY, restarts)
    said = sorted(words(one.at, one.incident) for one in changes)
    assert said == [words(one.raised_at, one.incident) for one in report.notifications]

    after = {one.incident.query_hash: (one.at - BEGIN) // STEP - DOWN for one in changes}
    assert set(after) == {BROKEN, SNIFFED, SLOW_BEFORE}
    assert after[SNIFFED] == 2
    assert after[SLOW_BEFORE] == 1
    assert after[BROKEN] == WARM_UP.least
    assert max(held) == 2
    assert held[-1] == 0
    assert report.held_back == 2

    opened = next(one.incident for one in changes if one.incident.query_hash == BROKEN)
    assert opened.began_at == BEGIN + DOWN * STEP
    kept = {one.query_hash: one.evidence for one in store.open_incidents()}
    assert [any(line.startswith(HELD_BACK) for line in kept[one]) for one in sorted(after)] == [True, False, False]


def test_without_the_restart_both_would_have_been_told(frame):
    found = backtest(frame, detector(), BacktestPolicy(POLICY.incidents, POLICY.lookback, LEARNT))
    after = {one.incident.query_hash: (one.raised_at - BEGIN) // STEP - DOWN for one in found.notifications}
    assert after == {COLD: 3, BROKEN: 3, SNIFFED: 2, SLOW_BEFORE: 1}
    assert found.held_back == 0
