"""A channel that takes nothing any more is told over the others, by the attempts the store has."""

from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.ports import Alert, Delivery
from dbplanmon_pipeline.services.watch_channels import watch_channels
from dbplanmon_pipeline.testing import FixedClock

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CHANNELS = ("mail", "pager", "chat")


@pytest.fixture
def clock():
    return FixedClock(START)


def attempt(store, channel, at, *, succeeded=False, error="the mail server is busy"):
    number = f"{channel}-{at.isoformat()}"
    store.add_alerts([Alert(number, "0123456789ab", "opened", channel, "high", at, "subject", "body")])
    again = None if succeeded else at + MINUTE
    store.record_deliveries([Delivery(number, at, succeeded, "" if succeeded else error, again)])


def fail(store, channel, start, times=3, **options):
    for number in range(times):
        attempt(store, channel, start + number * MINUTE, **options)


def told(store, channel="mail"):
    return [(one.channel, one.event) for one in reversed(store.incident_alerts(f"channel:{channel}"))]


OPENED = [("pager", "opened"), ("chat", "opened")]
RESOLVED = [("pager", "auto_resolved"), ("chat", "auto_resolved")]


def test_a_channel_that_is_dead_for_an_hour_is_told_once_over_the_others(store, clock):
    fail(store, "mail", START)
    assert watch_channels(store, CHANNELS, START + 59 * MINUTE) == 0
    assert watch_channels(store, CHANNELS, START + HOUR) == 2
    for minutes in range(65, 600, 5):
        assert watch_channels(store, CHANNELS, START + minutes * MINUTE) == 0
    assert sorted(told(store)) == sorted(OPENED)


def test_the_message_says_since_when_why_and_what_helps(store):
    fail(store, "mail", START, error="550 relay denied")
    watch_channels(store, CHANNELS, START + HOUR)
    row = next(row.alert for row in store.alert_rows(limit=50) if row.alert.incident_id == "channel:mail")
    assert "channel mail has taken no message for 1 h" in row.subject
    for words in ("2026-11-22 12:00", "550 relay denied", "dbplanmon channels test mail"):
        assert words in row.body


@pytest.mark.parametrize("times", [1, 2])
def test_a_message_that_is_refused_is_no_dead_channel(store, times):
    fail(store, "mail", START, times)
    assert watch_channels(store, CHANNELS, START + 5 * HOUR) == 0


def test_a_success_begins_anew(store):
    fail(store, "mail", START)
    attempt(store, "mail", START + 30 * MINUTE, succeeded=True)
    fail(store, "mail", START + 31 * MINUTE)
    assert watch_channels(store, CHANNELS, START + 80 * MINUTE) == 0
    assert watch_channels(store, CHANNELS, START + 91 * MINUTE) == 2


def test_its_end_is_told_over_the_same_channels(store):
    fail(store, "mail", START)
    watch_channels(store, CHANNELS, START + HOUR)
    attempt(store, "mail", START + 2 * HOUR, succeeded=True)
    assert watch_channels(store, (*CHANNELS, "new"), START + 2 * HOUR + MINUTE) == 2
    assert watch_channels(store, CHANNELS, START + 3 * HOUR) == 0
    assert sorted(told(store)) == sorted(OPENED + RESOLVED)


def test_silence_is_no_end(store):
    fail(store, "mail", START)
    watch_channels(store, CHANNELS, START + HOUR)
    assert watch_channels(store, CHANNELS, START + 100 * HOUR) == 0
    assert sorted(told(store)) == sorted(OPENED)


def test_one_that_comes_and_goes_is_told_once_a_day(store):
    fail(store, "mail", START)
    watch_channels(store, CHANNELS, START + HOUR)
    for hours in (2, 5, 8):
        attempt(store, "mail", START + hours * HOUR, succeeded=True)
        watch_channels(store, CHANNELS, START + hours * HOUR)
        fail(store, "mail", START + hours * HOUR + MINUTE)
        assert watch_channels(store, CHANNELS, START + (hours + 2) * HOUR) == 0
    assert watch_channels(store, CHANNELS, START + 26 * HOUR) == 2
    assert sorted(told(store)) == sorted(OPENED + RESOLVED + OPENED)


def test_dead_channels_are_told_only_where_one_lives(store):
    for channel in CHANNELS:
        fail(store, channel, START)
    assert watch_channels(store, CHANNELS, START + HOUR) == 0
    attempt(store, "chat", START + HOUR, succeeded=True)
    assert watch_channels(store, CHANNELS, START + HOUR + MINUTE) == 2
    assert told(store, "mail") == told(store, "pager") == [("chat", "opened")]


def test_a_single_channel_has_nobody_to_tell(store):
    fail(store, "mail", START)
    assert watch_channels(store, ("mail",), START + HOUR) == 0


def test_a_long_name_is_told_too(store):
    name = "mail " * 40
    fail(store, name, START)
    assert watch_channels(store, (name, "chat"), START + HOUR) == 1
    assert watch_channels(store, (name, "chat"), START + 2 * HOUR) == 0
    assert all(len(row.alert.incident_id) <= 64 for row in store.alert_rows(limit=50))


def test_failures_of_a_channel_that_is_no_longer_used_are_not_told(store):
    fail(store, "old", START)
    assert watch_channels(store, CHANNELS, START + HOUR) == 0
