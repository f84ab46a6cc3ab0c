from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from dbplanmon_pipeline.core.alerts.delivery_policy import DeliveryHours

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(start, end, days=EVERY_DAY):
    return DeliveryHours(days, time.fromisoformat(start), time.fromisoformat(end), BERLIN)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-27T07:00", True),
        ("2026-03-27T06:59", False),
        ("2026-03-30T06:00", True),
        ("2026-03-30T16:00", False),
        ("2026-03-30T15:59", True),
    ],
    ids=["winter", "before", "summer", "end", "last minute"],
)
def test_the_clock_on_the_wall_counts(moment, is_open):
    assert hours("08:00", "18:00").is_open(utc(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23T01:00:00", True),
        ("2026-11-23T04:59:59", True),
        ("2026-11-23T05:00:00", False),
        ("2026-11-22T20:59:59", False),
        ("2026-11-22T21:00:00", True),
    ],
)
def test_a_night_from_sunday_belongs_to_monday_until_its_end_alone(moment, is_open):
    assert hours("22:00", "06:00", frozenset({6})).is_open(utc(moment)) is is_open


def test_a_night_belongs_to_the_day_it_begins_on():
    friday_night = hours("22:00", "06:00", frozenset({4}))
    assert friday_night.is_open(utc("2026-11-20T21:30"))
    assert friday_night.is_open(utc("2026-11-21T04:59"))
    assert not friday_night.is_open(utc("2026-11-20T04:00"))
    assert not friday_night.is_open(utc("2026-11-21T21:30"))


@pytest.mark.parametrize(
    ("start", "end", "days", "after", "opens"),
    [
        ("08:00", "18:00", {0}, "2026-11-21T12:00", "2026-11-23T07:00"),
        ("08:00", "18:00", {0}, "2026-11-23T18:00", "2026-11-30T07:00"),
        ("02:15", "03:15", EVERY_DAY, "2026-03-29T00:00", "2026-03-29T01:00"),
        ("02:30", "03:00", EVERY_DAY, "2026-03-29T00:00", "2026-03-30T00:30"),
        ("02:30", "03:00", EVERY_DAY, "2026-10-25T01:10", "2026-10-25T01:30"),
        ("00:00", "00:00", {6}, "2026-11-21T12:00:30", "2026-11-21T23:00"),
    ],
    ids=["monday", "next week", "an hour cut short", "an hour left out", "an hour twice", "whole day"],
)
def test_the_next_opening_is_found_whatever_the_clock_does(start, end, days, after, opens):
    assert hours(start, end, frozenset(days)).next_opening(utc(after)) == utc(opens)


def test_an_open_channel_opens_now():
    assert hours("08:00", "18:00").next_opening(utc("2026-11-23T12:00:17")) == utc("2026-11-23T12:00:17")
