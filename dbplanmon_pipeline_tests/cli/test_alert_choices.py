"""Mute rules, maintenance windows and the list of alerts on the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.ports import Alert

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def audit(cli) -> list[tuple[str, str, str]]:
    store = cli.store()
    found = [(e.actor, e.action, e.detail["reason"]) for e in store.audit(LONG_AGO) if "reason" in e.detail]
    store.close()
    return found


def test_a_mute_rule_is_made_listed_and_removed_and_all_of_it_is_audited(cli):
    made = cli.json(
        "mute", "add", "--instance", "fleet", "--query", "00ff", "--for", "1h", "--actor", "ann", "--reason", "known"
    )
    assert datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"]) == timedelta(hours=1)
    assert cli.json("mute", "list")["mutes"] == [made]
    assert "instance fleet, query 00000000000000ff" in cli("mute", "list").stdout
    cli("mute", "remove", made["mute_id"][:5], "--actor", "bob", "--reason", "cured")
    assert cli.json("mute", "list")["mutes"] == []
    assert len(cli.json("mute", "list", "--all")["mutes"]) == 1
    assert audit(cli) == [("bob", "mute removed", "cured"), ("ann", "mute added", "known")]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("mute", "add"), "name what to mute"),
        (("mute", "add", "--query", "xyz"), "'xyz' is no hash of 16 hex digits"),
        (("maintenance", "add", "--days", "funday", "--start", "1:00", "--end", "2:00"), "write mon,tue or sat-sun"),
        (("maintenance", "add", "--days", "mon", "--start", "25:00", "--end", "2:00"), "no time of day"),
        (
            ("maintenance", "add", "--days", "mon", "--start", "1:00", "--end", "2:00", "--zone", "Mars/Olympus"),
            "no time zone 'Mars/Olympus'",
        ),
    ],
    ids=["nothing named", "no hash", "no day", "no clock", "no zone"],
)
def test_what_cannot_be_is_wrong_usage(cli, call, words):
    result = cli(*call)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())


WINDOW = ("maintenance", "add", "--days", "mon", "--start", "1:00", "--end", "2:00")


@pytest.mark.parametrize("call", [("mute", "add"), WINDOW], ids=["mute", "maintenance"])
@pytest.mark.parametrize(
    ("place", "words"),
    [
        (("--instance", "fleat"), "no instance is called 'fleat'; there are: fleet"),
        (("--database", "sim9999"), "no database is called 'sim9999'; there are: sim0001, sim0002, sim0003"),
    ],
    ids=["instance", "database"],
)
def test_a_rule_for_a_place_that_is_not_there_is_refused(cli, call, place, words):
    result = cli(*call, *place)
    assert (result.exit_code, result.stderr) == (1, f"dbplanmon: {words}\n")
    assert cli.json(call[0], "list", "--all") == {"mutes" if call[0] == "mute" else "windows": []}


@pytest.mark.parametrize("kind", ["mute", "maintenance"])
def test_an_unknown_id_is_one_line(cli, kind):
    result = cli(kind, "remove", "ffff")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)


def test_a_window_is_made_listed_and_removed_and_all_of_it_is_audited(cli):
    made = cli.json(
        "maintenance", "add", "--days", "fri-sun", "--start", "22:00", "--end", "02:30", "--zone", "Europe/Berlin",
        "--actor", "ann", "--reason", "patches",
    )  # fmt: skip
    assert made["days"] == ["fri", "sat", "sun"]
    assert "fri,sat,sun 22:00-02:30 Europe/Berlin" in cli("maintenance", "list").stdout
    cli("maintenance", "remove", made["window_id"], "--actor", "bob")
    assert cli.json("maintenance", "list")["windows"] == []
    assert audit(cli) == [("bob", "maintenance removed", ""), ("ann", "maintenance added", "patches")]


def test_days_over_the_end_of_the_week_are_one_span(cli):
    made = cli.json("maintenance", "add", "--days", "sat-mon", "--start", "1:00", "--end", "2:00")
    assert made["days"] == ["mon", "sat", "sun"]


def test_alerts_are_listed_by_state_with_their_reasons_and_counted(cli):
    store = cli.store()
    store.upgrade()
    now = datetime.now(UTC)
    store.add_alerts(
        [Alert(f"a{n}", f"kpi:{n}", "opened", "log", "high", now, f"[high] number {n}", "body") for n in range(3)],
        decided_at=now,
    )
    store.suppress_alerts({"a1": "too mild"}, now)
    store.close()
    page = cli("alerts", "list", "--state", "suppressed").stdout
    assert "too mild" in page
    assert "number 0" not in page
    assert "2 pending, 1 suppressed" in page
    found = cli.json("alerts", "list", "--since", "1h")
    assert found["counts"] == {"pending": 2, "suppressed": 1}
    assert len(found["alerts"]) == 3
