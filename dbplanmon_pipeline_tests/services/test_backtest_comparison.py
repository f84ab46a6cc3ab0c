from datetime import UTC, datetime, timedelta

from dbplanmon_pipeline.services.backtest import BacktestReport
from dbplanmon_pipeline.services.backtest_comparison import compare
from dbplanmon_pipeline_tests.services.notifications import notification

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def said(query, begun, raised, ended=None, **facts):
    """Hours after noon: slow since, told at, over at (None: goes on)."""
    ended_at = None if ended is None else NOON + ended * HOUR
    return notification(NOON + raised * HOUR, query, began_at=NOON + begun * HOUR, ended_at=ended_at, **facts)


def compared(ours, theirs):
    reports = [BacktestReport(tuple(one), 1, NOON, NOON, 1) for one in (ours, theirs)]
    return compare(*reports)


def test_the_same_statement_at_the_same_time_is_one_trouble_with_a_delay():
    ours, theirs = said(1, 0, 1, 5), said(1, 0.5, 3, 4)
    found = compared([ours], [theirs])
    (pair,) = found.both
    assert (pair.first, pair.second, pair.delay) == (ours, theirs, 2 * HOUR)
    assert (found.later, found.earlier, found.median_delay) == (1, 0, 2 * HOUR)
    assert found.only_first == found.only_second == ()


def test_another_statement_or_another_time_is_said_by_one_only():
    ours = [said(1, 0, 1, 2), said(2, 0, 1, 9)]
    theirs = [said(1, 5, 6, 7), said(3, 0, 1, 9), said(2, 0, 1, 9, instance="depot")]
    found = compared(ours, theirs)
    assert found.both == ()
    assert found.only_first == tuple(ours)
    assert set(found.only_second) == set(theirs)
    assert found.median_delay is None


def test_one_long_trouble_may_be_told_of_several_times():
    ours = [said(1, 0, 1)]
    theirs = [said(1, 0, 0.5, 3), said(1, 0, 6, 8, reopened_count=1), said(1, 20, 21)]
    (pair,) = compared(ours, theirs).both
    assert (pair.said_by_first, pair.said_by_second) == (1, 3)
    assert pair.delay == -HOUR / 2


def test_what_came_back_is_a_trouble_of_its_own_where_nobody_called_it_slow_in_between():
    ours = [said(1, 0, 1, 3), said(1, 0, 10, 12, reopened_count=1)]
    found = compared(ours, [said(1, 9.5, 11, 12)])
    assert [pair.first for pair in found.both] == [ours[1]]
    assert found.only_first == (ours[0],)


def test_instances_are_compared_with_instances():
    found = compared([said(0, 0, 1, 3), said(1, 0, 1, 3)], [said(0, 0, 1, 3)])
    assert [pair.first.incident.query_hash for pair in found.both] == [0]
    assert len(found.only_first) == 1
