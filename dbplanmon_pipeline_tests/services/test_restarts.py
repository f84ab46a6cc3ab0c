"""After a restart production and back-test hold back the same, and tell the same in the end."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.restarts import RESTART_FACTS, Restarts
from dbplanmon_pipeline.core.verdict.warm_up import HELD_BACK, WarmUpPolicy
from dbplanmon_pipeline.services.backtest import BacktestPolicy, backtest
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload
from dbplanmon_pipeline_tests.services import recorded_trouble as trouble
from dbplanmon_pipeline_tests.services.recorded_trouble import (
    A_DAY,
    BEGIN,
    FIRST,
    LEARNT,
    STEP,
    Collector,
    detector,
    in_production,
    of_shop,
)

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
    return of_shop(made)


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


def test_production_and_back_test_hold_back_the_same_and_tell_the_same(store, clock, frame, tmp_path):
    reports, stepped = in_production(store, clock, frame, tmp_path, POLICY, Telling)
    assert stepped > len(reports) / 2
    changes = [change for report in reports for change in report.changes if change.event in TOLD]
    held = [report.held_back for report in reports]
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
