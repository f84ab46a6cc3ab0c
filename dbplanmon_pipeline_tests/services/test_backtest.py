"""A back-test says what production would have said, of whatever part of a record, by whatever rules."""

from datetime import timedelta

import numpy as np

from dbplanmon_pipeline.core.incidents import IncidentEvent, IncidentScope
from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.services.analyse import AnalysisPolicy, analyse
from dbplanmon_pipeline.services.backtest import backtest
from dbplanmon_pipeline.services.rebuild_baselines import rebuild_baselines
from dbplanmon_pipeline_tests.services.recorded_weeks import FIRST, LEARNT, POLICY, Collector, detector, recorded

DAY = timedelta(days=1)
TOLD = (IncidentEvent.OPENED, IncidentEvent.REOPENED)


def said_in_production(store, clock, frame):
    """Collect, analyse and, at two every night, learn until midnight: step by step over a real store."""
    ends = [from_epoch_us(end) for end in np.unique(frame.rows["interval_end_us"])]
    policy = AnalysisPolicy(POLICY.lookback, POLICY.incidents, lambda _: Engine.POSTGRES)
    collector = Collector(store, frame)
    collector.record(FIRST - timedelta(microseconds=1))
    analyse(store, detector(), policy=policy)
    learnt = FIRST - DAY
    rebuild_baselines(store, detector(), as_of=learnt, days=LEARNT)
    told = []
    for end in ends:
        if end < FIRST:
            continue
        clock.moment = end
        if end >= learnt + DAY + POLICY.rebuild_at:
            learnt += DAY
            rebuild_baselines(store, detector(), as_of=learnt, days=LEARNT)
        collector.record(end)
        told += [change for change in analyse(store, detector(), policy=policy).changes if change.event in TOLD]
    return sorted(words(change.at, change.incident) for change in told)


def words(at, incident):
    return (at, incident.key, incident.label.value, incident.severity.value, incident.plan_hash, incident.effect_ratio)


def test_a_back_test_says_exactly_what_production_says(store, clock):
    frame = recorded()
    report = backtest(frame, detector(), POLICY)
    found = [words(one.raised_at, one.incident) for one in report.notifications]
    assert found == said_in_production(store, clock, frame)
    statements = {one.incident.key for one in report.notifications if one.incident.scope is IncidentScope.QUERY}
    assert len(statements) >= 4
    assert any(one.incident.scope is IncidentScope.INSTANCE for one in report.notifications)
    assert any(one.incident.reopened_count for one in report.notifications)
    assert {one.raised_at.date() for one in report.notifications} == {FIRST.date(), (FIRST + DAY).date()}
