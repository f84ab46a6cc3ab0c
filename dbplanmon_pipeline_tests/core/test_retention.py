"""Limits and marks, by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.ports import ExpiryMark
from dbplanmon_pipeline.core.retention import RetentionPolicy, due, held_by, limits
from dbplanmon_pipeline_tests.store.samples import incident

DAY = timedelta(days=1)
NOW = datetime(2026, 6, 30, 3, 0, tzinfo=UTC)
POLICY = RetentionPolicy(
    ages={"interval_day": 90 * DAY, "collection_log": 30 * DAY},
    grace=7 * DAY,
    baseline_window=8 * DAY,
    batch_rows=1,
    pause=timedelta(),
)


def day(month: int, number: int) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


def marks(*pairs: tuple[datetime, datetime]) -> list[ExpiryMark]:
    return [ExpiryMark("collection_log", before, marked_at, 1) for before, marked_at in pairs]


def test_limits_are_midnights_of_utc():
    assert limits(POLICY, NOW, []) == {"interval_day": day(4, 1), "collection_log": day(5, 31)}


def test_an_open_incident_keeps_the_days_it_is_compared_with_and_nothing_else():
    old = incident(began_at=datetime(2026, 3, 20, 15, tzinfo=UTC))
    found = limits(POLICY, NOW, [incident(began_at=NOW), old])
    assert found == {"interval_day": day(3, 12), "collection_log": day(5, 31)}
    assert held_by(POLICY, NOW, [incident(began_at=NOW), old]) == old.incident_id
    assert held_by(POLICY, NOW, [incident(began_at=NOW)]) == held_by(POLICY, NOW, []) == ""


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([], None, id="no mark"),
        pytest.param(marks((day(5, 1), NOW - 6 * DAY)), None, id="within the grace"),
        pytest.param(marks((day(5, 1), NOW - 7 * DAY), (day(5, 9), NOW)), day(5, 1), id="only what is ripe"),
        pytest.param(marks((day(5, 1), NOW - 9 * DAY), (day(5, 2), NOW - 8 * DAY)), day(5, 2), id="the newest"),
        pytest.param(marks((day(6, 20), NOW - 9 * DAY)), day(5, 31), id="never beyond the present age"),
    ],
)
def test_what_is_due(found, expected):
    assert due(found, day(5, 31), NOW - POLICY.grace) == expected
