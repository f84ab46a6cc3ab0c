"""Query Store of the simulated fleet: intervals, flushes and what each kind of fault does to what it shows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.ports import Budget
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXECUTIONS
from dbplanmon_pipeline.core.readings.deltas import retained, whole_intervals
from dbplanmon_pipeline.core.readings.query_store import ABORTED, AVERAGES, MAXIMA, MINIMA, REGULAR
from dbplanmon_pipeline.errors import FeatureUnavailable, SettingsError
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider
from dbplanmon_pipeline.providers.simulated.history import DatabaseHistory

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ONE = "sim0001"
BUDGET = Budget(1e9, lambda: 0.0)
ELAPSED, READS = AVERAGES.index("elapsed_time_us"), AVERAGES.index("logical_reads_pages")


def minutes(count):
    return timedelta(minutes=count)


def fault(kind, at=0, until=None, statement=7, **more):
    ends = None if until is None else NOON + minutes(until)
    return SimulatedFault(f"a {kind}", ONE, statement, FaultKind(kind), NOON + minutes(at), ends, **more)


def history(*faults, database=ONE, **options):
    return DatabaseHistory(1, "fleet", database, 20, faults, **options)


def fleet(*faults, at=NOON, **options):
    settings = {"source": "query_store", "statements": 20, **options}
    return SimulatedProvider("fleet", 2, clock=lambda: at, faults=faults, **settings)


def shown(same, at, since=-120):
    """Rows at a moment, of intervals from another one on; both in minutes after noon."""
    return same.runtime_stats(NOON + minutes(at), epoch_us(NOON + minutes(since)))


def executions(rows):
    return rows.execution_count[rows.execution_type == REGULAR].sum()


def ran(same, since, until):
    """Executions of [since, until) minutes after noon."""
    just = timedelta(microseconds=1)
    return sum(w.executions for w in same.truth(NOON + minutes(since) - just, NOON + minutes(until) - just).values())


def read(provider, previous=None):
    with provider.open(ONE, BUDGET) as reader:
        return reader.read_counters(previous)


def facts(provider):
    with provider.open(ONE, BUDGET) as reader:
        return reader.read_facts()


@pytest.mark.parametrize("length", [1, 15, 60, 1440])
def test_intervals_are_aligned_and_hold_what_ran_in_them(length):
    same = history(interval_minutes=length)
    rows = same.runtime_stats(NOON, epoch_us(NOON - timedelta(days=2)))
    assert set((rows.interval_end_us - rows.interval_start_us).tolist()) == {length * 60_000_000}
    assert not (rows.interval_start_us % (length * 60_000_000)).any()
    begin = NOON - timedelta(days=1)
    wanted = sum(w.executions for w in same.truth(begin, begin + minutes(length)).values())
    first = rows.interval_start_us == epoch_us(begin) - epoch_us(begin) % (length * 60_000_000)
    assert rows.execution_count[first].sum() == pytest.approx(wanted, rel=0.2, abs=5)


def test_what_ran_since_the_last_flush_is_a_row_of_its_own():
    same = history(flush_seconds=60 * 60, interval_minutes=60)
    flushed = same.recorded.flushed_until(epoch_us(NOON + minutes(59)))
    interval = flushed - flushed % 3_600_000_000
    rows = same.runtime_stats(NOON + minutes(59), interval)
    of_interval = rows.take(rows.interval_start_us == interval)
    plans, count = np.unique(of_interval.plan_id, return_counts=True)
    assert set(count.tolist()) <= {1, 2}
    assert (count == 2).sum() > len(plans) / 3


def test_averages_by_executions_are_whole_totals():
    rows = shown(history(fault("plan_regression", -40, -10, factor=3.7)), 7)
    totals = rows.execution_count[:, None] * rows.averages
    np.testing.assert_allclose(totals, np.rint(totals), rtol=1e-12)
    assert (rows.averages[:, ELAPSED] > 0).all()


def test_extremes_enclose_the_mean_and_single_executions_are_themselves():
    rows = shown(history(interval_minutes=1), 7)
    for at, name in enumerate(MINIMA):
        mean = rows.averages[:, AVERAGES.index(name)]
        assert (rows.minima[:, at] <= mean).all()
        assert (rows.maxima[:, MAXIMA.index(name)] >= mean).all()
    alone = rows.execution_count == 1
    assert alone.any()
    np.testing.assert_array_equal(rows.minima[alone], rows.maxima[alone][:, :2])
    assert not rows.deviations[alone].any()


def test_ids_are_local_to_a_database_and_follow_first_appearance():
    same = history(fault("plan_regression", -30))
    query_ids, plan_ids = same.ids
    other_query_ids, _ = history(database="sim0002").ids
    assert sorted(set(plan_ids.tolist())) == list(range(1, 22))
    assert plan_ids[same.parts.plan == 1].tolist() == [21]
    assert sorted(query_ids[same.parts.plan == 0].tolist()) == list(range(1, 21))
    assert query_ids[same.parts.plan == 0].tolist() != other_query_ids.tolist()


def test_a_late_flush_shows_its_work_later_in_its_own_interval():
    late, calm = history(fault("late_flush", 2, 11, shows_at=NOON + minutes(25))), history()
    before = executions(shown(late, 20, since=0).take(shown(late, 20, since=0).interval_start_us == epoch_us(NOON)))
    assert before == ran(calm, 0, 2) + ran(calm, 11, 15)
    after = shown(late, 25, since=0)
    assert executions(after.take(after.interval_start_us == epoch_us(NOON))) == ran(calm, 0, 15)


def test_a_crash_loses_what_was_in_memory_and_a_restart_does_not():
    crash, restart = history(fault("crash", 10)), history(fault("restart", 10))
    flushed = crash.recorded.flushed_until(epoch_us(NOON + minutes(10)) - 1)
    gone = crash.truth(NOON - timedelta(microseconds=epoch_us(NOON) - flushed), NOON + minutes(10) - timedelta(0, 0, 1))
    lost = sum(work.executions for work in gone.values())
    assert lost > 0
    assert executions(shown(crash, 12)) == executions(shown(restart, 12)) - lost


def test_an_eviction_forgets_all_and_numbers_anew():
    same = history(fault("eviction", 10))
    before, after = shown(same, 9), shown(same, 30)
    assert executions(after) == ran(same, 10, 30)
    assert not set(before.plan_id.tolist()) & set(after.plan_id.tolist())
    assert min(interval.start_us for interval in same.intervals(NOON + minutes(30))) == epoch_us(NOON)


def test_query_store_that_is_off_records_nothing_and_says_so():
    provider = fleet(fault("query_store_off", 2, 9), at=NOON + minutes(4))
    same = provider.history(ONE)
    assert executions(shown(same, 12, since=0)) == ran(same, 0, 2) + ran(same, 9, 12) + _at(same, 12)
    assert facts(provider)["query store state"] == "OFF"
    with provider.open(ONE, BUDGET) as reader:
        (missing,) = reader.capabilities().missing
    assert (missing.name, missing.detail) == ("query_store", "OFF")
    assert facts(fleet(fault("query_store_off", 2, 9), at=NOON + minutes(9)))["query store state"] == "READ_WRITE"


def _at(same, moment):
    """Executions in the microsecond of a moment, which is shown at once."""
    just = timedelta(microseconds=1)
    work = same.truth(NOON + minutes(moment) - just, NOON + minutes(moment))
    return sum(one.executions for one in work.values())


def test_aborted_executions_are_rows_of_their_own_beside_the_others():
    calm, same = history(fault("instance_slow", -60, factor=1.0)), history(fault("aborted_executions", -60, factor=4.0))
    rows = shown(same, 0)
    aborted = rows.take(rows.execution_type == ABORTED)
    assert set(aborted.query_hash.tolist()) == {int(same.parts.query_hash[same.parts.statement == 7][0])}
    regular = rows.take((rows.execution_type == REGULAR) & np.isin(rows.query_hash, aborted.query_hash))
    assert 0 < aborted.execution_count.sum() <= regular.execution_count.sum() / 4
    assert executions(rows) == pytest.approx(executions(shown(calm, 0)), abs=20)


def test_a_quiet_database_has_no_new_work():
    same = history(fault("quiet", 0))
    assert executions(shown(same, 60, since=0)) == 0
    assert executions(shown(same, 60, since=-60)) > 0
    assert ran(same, 0, 600) == 0


def test_reading_goes_on_where_the_last_one_stopped():
    first = read(fleet())
    later = read(fleet(at=NOON + minutes(5)), retained(first))
    assert first.covers_from_us == epoch_us(NOON - minutes(30))
    assert later.covers_from_us == first.next_from_us
    late = read(fleet(at=NOON + minutes(60 * 5)), retained(first))
    assert late.covers_from_us == first.next_from_us
    assert read(fleet(at=NOON + timedelta(days=3)), retained(first)).covers_from_us == epoch_us(
        NOON + timedelta(days=2)
    )


def test_reading_after_the_plan_cache_begins_at_the_interval_that_ran():
    cached = read(fleet(source="plan_cache", at=NOON + minutes(7)))
    assert not cached.by_interval
    assert read(fleet(at=NOON + minutes(40)), cached).covers_from_us == epoch_us(NOON)


def test_history_holds_whole_intervals_that_are_over():
    provider = fleet(at=NOON + minutes(7))
    with provider.open(ONE, BUDGET) as reader:
        rows = whole_intervals(reader.read_history(NOON - timedelta(days=1), NOON + timedelta(days=1)))
    assert rows.interval_end_us.max() == epoch_us(NOON)
    assert rows.interval_start_us.min() == epoch_us(NOON - timedelta(days=1))
    assert rows.values[:, EXECUTIONS].sum() == ran(provider.history(ONE), -24 * 60, 0)


def test_history_of_a_plan_cache_is_refused():
    with fleet(source="plan_cache").open(ONE, BUDGET) as reader, pytest.raises(FeatureUnavailable, match="no history"):
        reader.read_history(NOON - timedelta(days=1), NOON)


def test_waits_are_there_from_2017_on():
    column = COUNTERS.index("wait_time_us")
    assert np.isnan(read(fleet(version="2016")).values[:, column]).all()
    waited = read(fleet(version="2017")).values[:, column]
    assert waited.sum() > 0
    assert (waited % 1_000 == 0).all()


def test_facts_tell_the_start_of_the_server_and_forced_plans():
    told = facts(fleet(fault("restart", -30), fault("forced_plan", -150, factor=2.0)))
    assert told["server started"] == "2026-11-20T11:30:00Z"
    assert [value for name, value in told.items() if name.startswith("forced plan ")] == [
        "forced, 5 failures: NO_INDEX"
    ]


def test_the_engine_advises_on_a_plan_that_stayed_bad():
    def advice(at):
        told = facts(fleet(fault("plan_regression"), at=NOON + minutes(at)))
        return [value for name, value in told.items() if name.startswith("engine advice ")]

    assert advice(5) == []
    assert advice(20)[0].startswith("score 87: force plan ")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: fleet(source="magic"), "source must be one of query_store, plan_cache"),
        (lambda: fleet(interval_minutes=0), "interval_minutes must be between 1 and 1440"),
        (lambda: fleet(flush_seconds=0), "flush_seconds must be at least 1"),
        (lambda: fleet(version="2014"), "version must be one of 2016, 2017"),
        (lambda: fault("late_flush"), "a late flush needs an ends_at"),
        (lambda: fault("late_flush", 1, 5, shows_at=NOON), "shows_at needs an ends_at"),
    ],
)
def test_wrong_orders_are_refused(build, message):
    with pytest.raises(SettingsError, match=message):
        build()
