"""Maintenance windows on clocks that jump; Berlin 2026: forward on 29 March at 02:00, back on 25 October at 03:00."""

from datetime import UTC, datetime, time, timedelta

import pytest

from dbplanmon_pipeline.core.alert_rules.windows import LONGEST_WAIT, UnknownTimeZone, held_until, open_until, zone_of
from dbplanmon_pipeline.core.ports.alert_rules import MaintenanceWindow

SUNDAY, MONDAY, SATURDAY = 6, 0, 5


def window(starts, ends, *weekdays, zone="Europe/Berlin"):
    begin, end = (time.fromisoformat(text) for text in (starts, ends))
    days = frozenset(weekdays or range(7))
    return MaintenanceWindow("w", days, begin, end, zone, datetime(2026, 1, 1, tzinfo=UTC), "ann", "")


def utc(text):
    return datetime.fromisoformat(f"2026-{text}:00+00:00")


def span(chosen, around):
    """First and last minute of the window within a day of a moment, found by asking minute after minute."""
    minutes = [around + timedelta(minutes=n) for n in range(-720, 720)]
    inside = [moment for moment in minutes if open_until(chosen, moment)]
    assert all(open_until(chosen, moment) == open_until(chosen, inside[0]) for moment in inside)
    return (inside[0], inside[-1] + timedelta(minutes=1)) if inside else None


@pytest.mark.parametrize(
    ("chosen", "around", "expected"),
    [
        (window("02:00", "04:00", SUNDAY), "11-22T02:00", ("11-22T01:00", "11-22T03:00")),
        (window("22:00", "02:00", SUNDAY), "11-22T22:00", ("11-22T21:00", "11-23T01:00")),
        (window("22:00", "22:00", SUNDAY), "11-23T06:00", ("11-22T21:00", "11-23T18:00")),
        # 02:30 does not exist: the window begins, or ends, when the clocks jump.
        (window("02:30", "04:00", SUNDAY), "03-29T02:00", ("03-29T01:00", "03-29T02:00")),
        (window("01:00", "02:30", SUNDAY), "03-29T01:00", ("03-29T00:00", "03-29T01:00")),
        (window("02:10", "02:50", SUNDAY), "03-29T01:00", None),
        (window("22:00", "02:30", SATURDAY), "03-29T00:00", ("03-28T21:00", "03-29T01:00")),
        # 02:30 exists twice: from the first to the second one.
        (window("02:30", "04:00", SUNDAY), "10-25T02:00", ("10-25T00:30", "10-25T03:00")),
        (window("01:00", "02:30", SUNDAY), "10-25T00:00", ("10-24T23:00", "10-25T01:30")),
        (window("02:30", "02:45", SUNDAY), "10-25T01:00", ("10-25T00:30", "10-25T01:45")),
        (window("22:00", "02:30", SATURDAY), "10-25T00:00", ("10-24T20:00", "10-25T01:30")),
    ],
    ids=[
        "plain",
        "over midnight",
        "whole day",
        "start in the gap",
        "end in the gap",
        "all in the gap",
        "over midnight into the gap",
        "start twice",
        "end twice",
        "both twice",
        "over midnight, end twice",
    ],
)
def test_a_window_is_open_between_these_moments(chosen, around, expected):
    assert span(chosen, utc(around)) == (expected and tuple(utc(text) for text in expected))


def test_the_weekday_is_that_of_the_start_in_its_zone():
    tokyo = window("01:00", "03:00", MONDAY, zone="Asia/Tokyo")
    assert open_until(tokyo, utc("11-22T16:30")) == utc("11-22T18:00")
    assert open_until(tokyo, utc("11-23T16:30")) is None


def test_the_end_belongs_to_the_time_after():
    assert open_until(window("02:00", "04:00", zone="UTC"), utc("11-22T04:00")) is None


def test_windows_that_follow_each_other_are_one():
    first, second = window("02:00", "04:00", zone="UTC"), window("03:30", "06:00", zone="UTC")
    assert held_until([first, second], utc("11-22T02:30")) == utc("11-22T06:00")
    assert held_until([first, second], utc("11-22T07:00")) is None
    assert held_until([], utc("11-22T07:00")) is None


def test_windows_without_end_hold_nothing_for_ever():
    always = window("00:00", "00:00", zone="UTC")
    until = held_until([always], utc("11-22T07:00"))
    assert LONGEST_WAIT <= until - utc("11-22T07:00") <= LONGEST_WAIT + timedelta(days=1)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd"])
def test_an_unknown_zone_is_one_clear_error(name):
    with pytest.raises(UnknownTimeZone, match="use an IANA name such as Europe/Berlin or UTC"):
        zone_of(name)
