"""What counts as growth, what causes it, and that habits of an hour or a weekday are none."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.workload.changes import (
    GrowthKind,
    StatementWork,
    WorkloadPolicy,
    busier_instances,
    workload_changes,
)
from dbplanmon_pipeline.core.workload.days import HOUR_US, compared, per_hour
from dbplanmon_pipeline.core.workload.words import busier_words, growth_sentence, growth_words

SHOP = DatabaseRef("prod", "Shop")
HOUR = timedelta(hours=1)
WEDNESDAY = datetime(2026, 11, 18, 15, tzinfo=UTC)
NOW = compared(WEDNESDAY - HOUR, WEDNESDAY)
DAYS = len(NOW.days_back)
LONG_AGO = WEDNESDAY - timedelta(days=90)
POLICY = WorkloadPolicy()


def past(executions=100.0, seconds=10.0):
    """Every earlier day the same."""
    return np.broadcast_to(np.array([executions, seconds], float), (1, DAYS, 2)).copy()


def changes(executions, seconds, before=None, first_seen=LONG_AGO, incidents=None, policy=POLICY):
    work = [StatementWork(SHOP, 7, executions, seconds, first_seen)]
    return workload_changes(work, past() if before is None else before, NOW, incidents or {}, policy)


def test_days_of_the_same_kind_and_the_same_weekday_are_compared():
    assert NOW.days_back == (1, 2, 5, 6, 7, 8, 9, 12, 13, 14, 21, 28)
    sunday = datetime(2026, 11, 22, 15, tzinfo=UTC)
    assert compared(sunday - HOUR, sunday).days_back == (1, 7, 8, 14, 21, 28)
    assert compared(sunday - timedelta(days=7), sunday).days_back == (7, 14, 21, 28)


def test_nine_times_as_often_as_cheap_as_ever_is_all_by_executions():
    (found,) = changes(900, 90)
    assert (found.kind, found.days) == (GrowthKind.MORE_EXECUTIONS, DAYS)
    assert (found.times_executions, found.times_cost) == (9, 1)
    assert (found.extra_by_executions, found.extra_by_cost) == (pytest.approx(80), pytest.approx(0))
    assert growth_words(found) == "9.0 times as often"
    assert growth_sentence(found) == (
        "Busier, not slower: it costs 90 s per hour, normally 10 s at this time on 12 earlier days: "
        "900 executions per hour, 100 normally; each takes 100 ms, as ever."
    )


def test_the_shares_of_both_causes_add_up():
    (found,) = changes(300, 60)
    assert found.extra_by_executions + found.extra_by_cost == pytest.approx(50)
    assert growth_words(found) == "3.0 times as often, each run 2.0 times as long"


@pytest.mark.parametrize(
    ("incidents", "words"),
    [
        ({("prod", "Shop", 7): "abc"}, "slower: each run 5.0 times as long, incident abc"),
        ({("prod", "", 0): "def"}, "slower: each run 5.0 times as long, incident def"),
        ({}, "slower: each run 5.0 times as long, no incident"),
    ],
)
def test_dearer_executions_are_no_growth(incidents, words):
    (found,) = changes(100, 50, incidents=incidents)
    assert (found.kind, found.is_growth, growth_words(found)) == (GrowthKind.SLOWER, False, words)


def test_a_statement_with_an_incident_is_slower_however_often_it_runs():
    (found,) = changes(1000, 120, incidents={("prod", "Shop", 7): "abc"})
    assert not found.is_growth
    (shared,) = changes(1000, 120, incidents={("prod", "", 0): "abc"})
    assert shared.is_growth


def test_what_was_not_there_before_is_new():
    born = WEDNESDAY - timedelta(days=2, hours=3)
    since = past(0, 0)
    since[0, :2] = (50, 300)  # yesterday and the day before it ran already
    (found,) = changes(50, 300, since, first_seen=born)
    assert (found.kind, found.extra_seconds_per_hour) == (GrowthKind.NEW_STATEMENT, 300)
    assert growth_words(found) == "new since 2026-11-16 12:00 UTC"
    assert "it costs 300 s per hour" in growth_sentence(found)


def test_while_the_history_is_young_a_statement_is_held_against_its_own_days():
    young = known_for(3)
    (found,) = changes(900, 90, young, first_seen=WEDNESDAY - timedelta(days=2, hours=9))
    assert (found.kind, found.days) == (GrowthKind.MORE_EXECUTIONS, 3)


def test_an_old_statement_that_never_ran_at_this_hour_is_not_new():
    (found,) = changes(50, 300, past(0, 0))
    assert (found.kind, growth_words(found)) == (GrowthKind.MORE_EXECUTIONS, "did not run at this time before")


def weekly():
    """Runs on Wednesdays only."""
    found = past(0, 0)
    found[0, np.array(NOW.is_same_weekday)] = (900, 90)
    return found


def for_days(count, first=0):
    """Costs nine times as much on some days."""
    found = past()
    found[0, first : first + count] = (900, 90)
    return found


def known_for(count):
    found = past()
    found[0, count:] = np.nan
    return found


@pytest.mark.parametrize(
    ("before", "is_told"),
    [
        pytest.param(weekly(), False, id="a job of this weekday"),
        pytest.param(for_days(1), True, id="grown yesterday"),
        pytest.param(for_days(3), False, id="usual by now"),
        pytest.param(past(100, 95), False, id="as dear as ever"),
        pytest.param(past() * np.nan, False, id="nothing known"),
        pytest.param(known_for(1), False, id="one day known"),
        pytest.param(known_for(2), True, id="two days known"),
    ],
)
def test_habits_are_no_growth_and_the_first_days_say_nothing(before, is_told):
    assert bool(changes(900, 90, before)) is is_told


def test_what_costs_less_than_the_settings_ask_for_is_not_told():
    assert not changes(900, 0.9, past(100, 0.1))
    assert not changes(900, 90, policy=WorkloadPolicy(min_extra_overrides={SHOP: 100.0}))


def test_an_hour_that_begins_between_is_held_against_the_dearer_stretch():
    days = compared(WEDNESDAY - timedelta(minutes=53), WEDNESDAY + timedelta(minutes=7))
    assert (len(days.own_hours), days.length_hours) == (2, 1)
    work = np.zeros((1, DAYS, 2, 2))
    work[:, :, 1] = (10, 30e6)  # a job on the hour
    work[:, 0, 0] = np.nan
    found = per_hour(work.reshape(1, -1, 2), days)
    assert np.isnan(found[0, 0]).all()
    assert (found[0, 1:] == (10, 30)).all()
    assert [hour % HOUR_US for hour in days.earlier_hours] == [0] * 2 * DAYS


def test_a_busier_instance_names_what_grew():
    grown = changes(900, 90)
    (found,) = busier_instances(
        {"prod": 280.0, "test": 200.0}, dict.fromkeys(("prod", "test"), np.full(DAYS, 200.0)), NOW, grown, POLICY
    )
    assert busier_words(found) == (
        "prod is 40 % busier than at this time on 12 earlier days (280 s per hour instead of 200 s): "
        "+80 s per hour by 0000000000000007 on prod/Shop, 9.0 times as often"
    )
