"""A week of life in one process that is killed and one that goes on: exactly these messages, no more and no fewer."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from dbplanmon_pipeline.demo.play import fresh_home
from dbplanmon_pipeline.demo.week_result import about, beginnings
from dbplanmon_pipeline.demo.week_script import DISTURBANCES, INSTANCE, STATEMENTS, faults, names
from dbplanmon_pipeline.demo.week_servers import DeadEnd, Inbox
from dbplanmon_pipeline.demo.week_settings import DEAD, WORKING, WeekPlace, week_provider
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline.store import open_store

DAYS, CADENCE_MINUTES = 7, 30

SENT = [
    # A plan flips after sampled statistics; nobody takes it, and it is mended at 17:00.
    ("Mon 15:00", "opened", "orders/06", "critical"),
    # The other channel has hung up on everybody for an hour; it is told once in the whole week.
    ("Mon 16:00", "opened", f"channel:{DEAD}", "high"),
    ("Mon 16:00", "unacknowledged", "orders/06", "critical"),
    ("Mon 20:00", "auto_resolved", "orders/06", "critical"),
    ("Tue 08:01", "summary", "summary:2026-06-01", "low"),
    # Slower with the plan it always had; somebody takes it, so nobody is reminded.
    ("Tue 11:30", "opened", "orders/18", "medium"),
    ("Tue 18:00", "auto_resolved", "orders/18", "medium"),
    # Found at 00:00 in the maintenance window and still there at its end; an hour later nobody has taken it.
    ("Wed 02:00", "opened", "billing/06", "high"),
    ("Wed 03:00", "unacknowledged", "billing/06", "high"),
    ("Wed 08:00", "auto_resolved", "billing/06", "high"),
    ("Wed 08:01", "summary", "summary:2026-06-02", "low"),
    ("Thu 08:01", "summary", "summary:2026-06-03", "low"),
    # The whole instance; the monitor is killed while it sends the reminder of 12:00, and sends it again.
    ("Thu 11:00", "opened", "shop", "medium"),
    ("Thu 12:15", "unacknowledged", "shop", "medium"),
    ("Thu 14:00", "auto_resolved", "shop", "medium"),
    # Two hours slow, four hours well, seven times; from the third return on there is silence until a day of calm.
    ("Fri 07:00", "opened", "orders/32", "high"),
    ("Fri 08:00", "unacknowledged", "orders/32", "high"),
    ("Fri 08:01", "summary", "summary:2026-06-04", "low"),
    ("Fri 11:00", "auto_resolved", "orders/32", "high"),
    ("Fri 13:00", "reopened", "orders/32", "high"),
    ("Fri 14:00", "unacknowledged", "orders/32", "high"),
    ("Fri 17:00", "auto_resolved", "orders/32", "high"),
    ("Fri 19:00", "reopened", "orders/32", "high"),
    ("Fri 20:00", "unacknowledged", "orders/32", "high"),
    ("Sat 00:00", "auto_resolved", "orders/32", "high"),
    ("Sat 01:00", "flapping", "orders/32", "high"),
    ("Sat 08:01", "summary", "summary:2026-06-05", "low"),
    ("Sun 08:01", "summary", "summary:2026-06-06", "low"),
    ("Mon 00:00", "auto_resolved", "orders/32", "high"),
    ("Mon 08:01", "summary", "summary:2026-06-07", "low"),
]
OWED = [(event, name) for _, event, name, _ in SENT if name != f"channel:{DEAD}"]
"""What the dead channel should have got: everything but the news of its death."""

NOT_SENT = [
    ("Tue 12:30", "unacknowledged", "orders/18", "suppressed", "escalation"),
    # Slow in the maintenance window, worse for a while, and well before its end.
    ("Tue 23:00", "opened", "shop", "suppressed", "ended"),
    ("Tue 23:30", "escalated", "shop", "suppressed", "ended"),
    ("Wed 00:00", "unacknowledged", "shop", "suppressed", "escalation"),
    ("Wed 00:30", "auto_resolved", "shop", "suppressed", "resolution"),
    ("Wed 14:00", "opened", "billing/16", "muted", "mute"),
    ("Wed 15:00", "unacknowledged", "billing/16", "muted", "mute"),
    ("Wed 19:00", "auto_resolved", "billing/16", "muted", "mute"),
    ("Sat 01:00", "reopened", "orders/32", "grouped", "flapping"),
    ("Sat 02:00", "unacknowledged", "orders/32", "suppressed", "flapping"),
    ("Sat 06:00", "auto_resolved", "orders/32", "suppressed", "ended"),
    ("Sat 07:00", "reopened", "orders/32", "suppressed", "flapping"),
    ("Sat 08:00", "unacknowledged", "orders/32", "suppressed", "flapping"),
    ("Sat 12:00", "auto_resolved", "orders/32", "suppressed", "ended"),
    ("Sat 13:00", "reopened", "orders/32", "suppressed", "flapping"),
    ("Sat 14:00", "unacknowledged", "orders/32", "suppressed", "flapping"),
    ("Sat 18:00", "auto_resolved", "orders/32", "suppressed", "ended"),
    ("Sat 19:00", "reopened", "orders/32", "suppressed", "flapping"),
    ("Sat 20:00", "unacknowledged", "orders/32", "suppressed", "flapping"),
]
STILL_WAITING = [("auto_resolved", "orders/32"), ("summary", "summary:2026-06-07")]
"""What the dead channel owes for less than a day; everything older is given up."""


class Killer:
    """Kills the player while it waits for the answer to the reminder about the slow instance, once."""

    def __init__(self):
        self.player = None
        self.struck = False

    def __call__(self, taken):
        reminds = taken.message["event"] == "unacknowledged" and taken.message["facts"]["scope"] == "instance"
        if reminds and not self.struck:
            self.struck = True
            os.kill(self.player.pid, signal.SIGKILL)


class Week:
    """What is left of a played week: what came in, what went nowhere, and the store."""

    def __init__(self, folder):
        killer, result = Killer(), folder / "result.json"
        place = WeekPlace(folder, DAYS, timedelta(minutes=CADENCE_MINUTES))
        command = [sys.executable, "-m", "dbplanmon_pipeline_tests.demo.week_player"]
        command += [str(folder), str(DAYS), str(CADENCE_MINUTES), str(result)]
        fresh_home(folder)
        with Inbox(before_answer=killer) as inbox, DeadEnd() as dead_end:
            place.write_settings(inbox.url, dead_end.url)
            self.exit_codes = []
            for _ in range(2):
                killer.player = subprocess.Popen(command)
                self.exit_codes.append(killer.player.wait())
            self.received, self.hung_up = list(inbox.received), dead_end.connections
        self.result = json.loads(result.read_text())
        self.store = open_store(load_settings(place.settings_file).store_url())
        self.rows = self.store.alert_rows(limit=100_000)[::-1]
        self.names = names()

    def not_sent(self, channel):
        ended = {"muted", "suppressed", "grouped", "held"}
        found = [row for row in self.rows if row.alert.channel == channel and row.state in ended]
        return sorted(
            (row.alert.created_at, row.alert.event, about(row.alert, self.names), row.state.value, row.rule.value)
            for row in found
        )

    def of_dead_channel(self, state):
        found = [row.alert for row in self.rows if row.alert.channel == DEAD and row.state == state]
        return [(alert.event, about(alert, self.names)) for alert in sorted(found, key=lambda one: one.created_at)]


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    played = Week(tmp_path_factory.mktemp("week"))
    yield played
    played.store.close()


def on_the_clock(moment):
    return f"{moment:%a %H:%M}"


@pytest.mark.slow
def test_exactly_these_messages_were_sent(week):
    assert week.exit_codes == [-signal.SIGKILL, 0]
    messages = week.result["messages"]

    assert {message["channel"] for message in messages} == {WORKING}
    assert [_shown(message) for message in messages] == SENT


@pytest.mark.slow
def test_what_came_in_is_what_was_sent_and_only_the_cut_one_came_twice(week):
    keys = Counter(taken.key for taken in week.received)
    twice = [taken.message for taken in week.received if keys[taken.key] > 1]

    assert [(message["event"], message["facts"]["instance"]) for message in twice] == [("unacknowledged", "shop")] * 2
    assert list(keys) == [message["key"] for message in week.result["messages"]]


@pytest.mark.slow
@pytest.mark.parametrize("channel", [WORKING, DEAD])
def test_exactly_these_messages_were_kept_from_people(week, channel):
    kept = [(on_the_clock(at), *rest) for at, *rest in week.not_sent(channel)]

    assert kept == NOT_SENT


@pytest.mark.slow
def test_the_dead_channel_owes_every_message_and_gives_up_after_a_day(week):
    assert sorted(week.of_dead_channel("given_up") + STILL_WAITING) == sorted(OWED)
    assert week.of_dead_channel("pending") == STILL_WAITING
    assert week.of_dead_channel("delivered") == []


@pytest.mark.slow
def test_the_breaker_spares_the_dead_channel(week):
    state = week.store.job_states([f"channel:{DEAD}"])[f"channel:{DEAD}"]
    attempts = sum(len(week.store.deliveries(row.alert.alert_id)) for row in week.rows if row.alert.channel == DEAD)

    assert state.next_attempt_at > state.last_failure_at
    assert state.last_success_at is None
    # Once an hour, where each message by itself would be tried every ten minutes for a day.
    assert attempts <= week.hung_up <= (DAYS + 1) * 24


@pytest.mark.slow
def test_every_disturbance_is_an_incident_and_nothing_else_is(week):
    assert week.result["missed"] == []
    assert week.result["false_incidents"] == []
    assert Counter(key for key, _ in beginnings(week.store)) == Counter(
        one.key for one in DISTURBANCES for _ in one.spells
    )


@pytest.mark.slow
def test_counts_add_up(week):
    assert week.result["counts"][WORKING] == {
        "delivered": len(SENT),
        **Counter(state for *_, state, _ in NOT_SENT),
    }
    assert week.result["counts"][DEAD] == {
        "given_up": len(OWED) - len(STILL_WAITING),
        "pending": len(STILL_WAITING),
        **Counter(state for *_, state, _ in NOT_SENT),
    }


def test_the_script_disturbs_what_is_there_and_one_thing_at_a_time():
    spells = sorted(spell for one in DISTURBANCES for spell in one.spells)

    assert all(-1 <= one.statement < STATEMENTS for one in DISTURBANCES)
    assert all(end <= start for (_, end), (start, _) in pairwise(spells))
    assert {fault.database for fault in faults()} == {"", "orders", "billing"}


def test_settings_of_the_week_are_settings_of_the_product(tmp_path):
    place = WeekPlace(tmp_path, DAYS)
    place.write_settings("http://127.0.0.1:1/", "http://127.0.0.1:2/")
    settings = load_settings(place.settings_file)
    provider = week_provider(settings.instance(INSTANCE), lambda: None)

    assert [channel.name for channel in settings.alerts.channels] == [WORKING, DEAD]
    assert provider.databases() == ["orders", "billing"]


def _shown(message):
    at = datetime.fromisoformat(message["at"])
    return on_the_clock(at), message["event"], message["about"], message["severity"]
