from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.ports import Alert, Delivery

NOW = datetime.now(UTC)


def channels_of(cli, text):
    cli.settings.write_text(f"environment: development\ninstances: []\nalerts: {{channels: [{text}]}}\n")


@pytest.fixture
def given_up(cli):
    channels_of(cli, "{type: log, name: dba}, {type: slack, url: 'env:HOOK', enabled: false}")
    store = cli.store()
    store.upgrade()
    store.add_alerts([Alert(f"id-{n}", f"i-{n}", "opened", "dba", "high", NOW, f"subject {n}", "b") for n in range(3)])
    for number, error in ((0, ""), (1, "dba: 400")):
        store.record_deliveries([Delivery(f"id-{number}", NOW, succeeded=not error, error=error)])
    store.close()


def test_the_list_counts_what_waits_and_what_never_arrived(cli, given_up):
    dba, slack = cli.json("channels", "list")["channels"]
    assert (dba["name"], dba["enabled"], dba["state"]) == ("dba", True, "never used")
    assert (dba["pending"], dba["delivered"], dba["given_up"]) == (1, 1, 1)
    assert (slack["name"], slack["enabled"]) == ("slack", False)


def test_the_dead_are_listed_with_the_last_reason(cli, given_up):
    (dead,) = cli.json("channels", "dead")["dead"]
    assert (dead["alert_id"], dead["attempts"], dead["reason"]) == ("id-1", 1, "dba: 400")
    assert "dba: 400" in cli("channels", "dead").stdout
    assert cli.json("channels", "dead", "--channel", "other")["dead"] == []


def test_a_replay_queues_them_again_and_stands_in_the_audit(cli, given_up):
    assert cli.json("channels", "replay", "--channel", "dba", "--since", "1h")["replayed"] == 1
    assert cli.json("channels", "dead")["dead"] == []
    store = cli.store()
    due = store.pending_alerts(datetime.now(UTC), 10)
    (entry,) = store.audit(NOW - timedelta(minutes=1))
    store.close()
    assert "id-1" in {alert.alert_id for alert in due}
    assert (entry.action, entry.subject, entry.detail["count"]) == ("replay_alerts", "channel:dba", 1)


def test_a_test_says_what_happened_and_fails_where_a_channel_fails(cli):
    channels_of(cli, "{type: log}, {type: webhook, url: 'http://127.0.0.1:1/hunter2', timeout: 1s}")
    log, webhook = cli.json("channels", "test", code=1)["results"]
    assert (log["channel"], log["succeeded"]) == ("log", True)
    assert webhook["error"].startswith("webhook: cannot connect to 127.0.0.1:1")
    assert "hunter2" not in webhook["error"]


def test_one_channel_is_tested_by_name(cli):
    channels_of(cli, "{type: log}, {type: log, name: second, enabled: false}")
    assert [result["channel"] for result in cli.json("channels", "test", "second")["results"]] == ["second"]
    wrong = cli("channels", "test", "secnd")
    assert wrong.exit_code == 1
    assert "no channel is named 'secnd'; did you mean second?" in wrong.stderr
