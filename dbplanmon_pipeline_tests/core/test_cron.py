"""Compared with the cron of Dagster, by which all other schedules run."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from dagster._vendored.croniter import croniter

from dbplanmon_pipeline.core.cron import Cron

NOW = datetime(2026, 11, 18, 10, 30, 20, tzinfo=UTC)
LONG_AGO = datetime(2017, 1, 1, tzinfo=UTC)
TEXTS = [
    "* * * * *",
    "*/5 * * * *",
    "3-59/7 8-18 * * mon-fri",
    "0 6 * * 1",
    "30 2 1 * *",
    "0 0 29 2 *",
    "0 0 1,15 * sun",
    "15,45 */6 * jan,jul *",
    "0 12 * * 7",
    "59 23 31 12 *",
    "0 0 */2 * 3",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_latest_moment_is_that_of_the_cron_of_dagster(text):
    dice = random.Random(text)
    cron = Cron.parse(text)
    for _ in range(40):
        now = NOW + timedelta(seconds=dice.randrange(-60_000_000, 60_000_000))
        # It names the moment before; a moment of its own is its latest.
        expected = croniter(text, now + timedelta(seconds=1)).get_prev(datetime)
        assert cron.latest(now, LONG_AGO) == expected


def test_a_moment_that_is_not_later_than_the_last_one_is_none():
    cron = Cron.parse("30 10 * * *")
    due = datetime(2026, 11, 18, 10, 30, tzinfo=UTC)
    assert cron.latest(NOW, due - timedelta(seconds=1)) == due
    assert cron.latest(NOW, due) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
        "*/0 * * * *",
        "*/x * * * *",
        "-1 * * * *",
        "1, * * * *",
        "mon * * * *",
        "0 0 31 2 *",
        "0 0 30 feb *",
        "@daily",
        "0 0 L * *",
    ],
)
def test_what_is_no_cron_is_refused(text):
    with pytest.raises(ValueError, match=r"expected|goes from|never comes|no name"):
        Cron.parse(text)
