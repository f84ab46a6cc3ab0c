"""A back-test says what production would have said, of whatever part of a record, by whatever rules."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentEvent, IncidentScope
from dbplanmon_pipeline.core.model import DatabaseRef, Engine, Label
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.threshold import ThresholdDetector, ThresholdPolicy
from dbplanmon_pipeline.services.analyse import AnalysisPolicy, analyse
from dbplanmon_pipeline.services.backtest import Rule, _chains, _own_moments, backtest, learnt_together, replay
from dbplanmon_pipeline.services.rebuild_baselines import rebuild_baselines
from dbplanmon_pipeline_tests.services.recorded_trouble import (
    FIRST,
    LEARNT,
    POLICY,
    STEP,
    Collector,
    detector,
    recorded,
)

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


def test_a_back_test_says_exactly_what_production_says(store, clock, frame, report):
    found = [words(one.raised_at, one.incident) for one in report.notifications]
    assert found == said_in_production(store, clock, frame)
    statements = {one.incident.key for one in report.notifications if one.incident.scope is IncidentScope.QUERY}
    assert len(statements) >= 4
    assert any(one.incident.scope is IncidentScope.INSTANCE for one in report.notifications)
    failing = {one.incident.query_hash for one in report.notifications if one.incident.label is Label.FAILING}
    assert failing == {4, 11}
    assert any(one.incident.reopened_count for one in report.notifications)
    assert {one.raised_at.date() for one in report.notifications} == {FIRST.date(), (FIRST + DAY).date()}


@pytest.fixture(scope="module")
def frame():
    return recorded()


@pytest.fixture(scope="module")
def report(frame):
    return backtest(frame, detector(), POLICY)


class Parts:
    """A source that notes which groups it was asked for, and gives them one by one."""

    def __init__(self, frame):
        self.frame = frame
        self.asked = []

    def databases(self):
        return sorted(self.frame.databases.values())

    def ends(self):
        return np.unique(self.frame.rows["interval_end_us"].to_numpy())

    def frames(self, groups):
        for group in groups:
            self.asked.append({ref.instance for ref in group})
            kept = {number: ref for number, ref in self.frame.databases.items() if ref in group}
            rows = self.frame.rows[self.frame.rows["database_id"].isin(kept)]
            yield IntervalFrame(rows.reset_index(drop=True), kept)


def many_databases(counts):
    return [DatabaseRef(name, f"db{number:03}") for name, count in counts.items() for number in range(count)]


@pytest.mark.parametrize(
    ("counts", "together"),
    [
        ({"a": 3, "b": 4}, [{"a", "b"}]),
        ({"a": 16, "b": 16}, [{"a"}, {"b"}]),
        ({"a": 40, "b": 3, "c": 20}, [{"a", "b"}, {"c"}]),
        ({f"i{number:02}": 4 for number in range(8)}, [{"i00", "i01", "i02", "i03"}, {"i04", "i05", "i06", "i07"}]),
    ],
    ids=["small ones", "full ones", "a large one", "many"],
)
def test_instances_are_gone_through_in_parts_that_learn_as_production_does(counts, together):
    found = learnt_together(many_databases(counts))
    assert [{ref.instance for part in parts for ref in part} for parts in found] == together
    assert sorted(ref for parts in found for part in parts for ref in part) == sorted(many_databases(counts))


def test_a_large_record_is_asked_for_instance_by_instance(frame):
    busy = {number: DatabaseRef(ref.instance, ref.database) for number, ref in frame.databases.items()}
    idle = {1000 + number: ref for number, ref in enumerate(many_databases({"depot": 14, "shop": 14}))}
    source = Parts(IntervalFrame(frame.rows, busy | idle))
    (found,) = replay(source, [Rule(detector(), POLICY)])
    assert source.asked == [{"depot"}, {"shop"}]
    assert {one.incident.instance for one in found.notifications} == {"depot", "shop"}
    assert list(found.notifications) == sorted(found.notifications, key=lambda one: one.raised_at)


def test_two_rules_are_asked_about_the_same_moments(frame, report):
    plain = ThresholdDetector(ThresholdPolicy(step=STEP, window=3 * STEP, days=LEARNT))
    both = replay(Parts(frame), [Rule(detector(), POLICY), Rule(plain, POLICY)])
    assert both[0] == report
    assert (both[1].first, both[1].last, both[1].ticks) == (report.first, report.last, report.ticks)
    assert both[1].notifications != report.notifications


def test_judging_begins_where_it_is_told_but_never_without_days_to_learn_from(frame, report):
    later = FIRST + timedelta(hours=30)
    (found,) = replay(Parts(frame), [Rule(detector(), POLICY)], later)
    assert (found.first, found.last) == (later, report.last)
    assert found.notifications[0].raised_at >= later
    (early,) = replay(Parts(frame), [Rule(detector(), POLICY)], FIRST - DAY)
    assert early == report
    longer = replace(POLICY, days=LEARNT + 1)
    (short,) = replay(Parts(frame), [Rule(detector(), longer)])
    assert short.first == FIRST + DAY


def test_a_notification_tells_when_its_incident_ended(report):
    ended = {one.incident.key: one.ended_at for one in report.notifications if one.ended_at}
    assert ended
    assert all(one.ended_at > one.raised_at for one in report.notifications if one.ended_at)
    assert any(one.ended_at is None for one in report.notifications)


def test_moments_between_two_steps_are_judged_each():
    ticks = [FIRST + STEP * number + timedelta(seconds=shift) for number in range(6) for shift in (0, 1 + number % 2)]
    chains = _chains(ticks, STEP)
    assert sorted(tick for chain in chains for tick in chain) == ticks
    assert all(later - earlier >= STEP for chain in chains for earlier, later in pairwise(chain))
    assert len(chains) <= 3


def test_an_instance_is_judged_at_its_own_moments_and_where_it_was_not_read():
    ends = np.array([100, 103, 200, 203, 300, 303, 405, 500])
    assert _own_moments(ends, np.array([103, 203, 500]), 100).tolist() == [100, 103, 203, 303, 405, 500]
    assert _own_moments(ends, ends, 100).tolist() == ends.tolist()
