from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import hash_text


def test_open_incidents_are_listed(cli, recorded):
    (found,) = cli.json("incidents", "list")["incidents"]
    assert found["incident_id"] == recorded.incident.incident_id
    assert found["query_hash"] == hash_text(recorded.incident.query_hash)
    assert recorded.incident.incident_id in cli("incidents", "list").stdout


def test_incidents_changed_long_ago_can_be_left_out(cli, recorded):
    assert cli.json("incidents", "list", "--since", "1h")["incidents"] == []
    assert len(cli.json("incidents", "list", "--since", "7d")["incidents"]) == 1


def test_show_puts_everything_on_one_page(cli, recorded):
    page = cli("incidents", "show", recorded.incident.incident_id[:3]).stdout
    for part in ("high plan regression", "3.2x slower: 1 ms -> 3.2 ms", "140 s more elapsed time per hour"):
        assert part in page
    statement = cli.json("incidents", "show", recorded.incident.incident_id)["statement"]
    assert statement.splitlines()[0] in page
    assert "12 intervals above normal" in page
    assert "CREATE INDEX i ON t (a);" in page
    assert "opened by analysis" in page
    assert "\x1b" not in page


def test_what_is_normal_again_says_since_when(cli, recorded):
    calm_since = recorded.tick + timedelta(minutes=5)
    calm = replace(recorded.incident, calm_since=calm_since, calm_intervals=2, updated_at=calm_since)
    cli.store().save_incident_changes([IncidentChange(IncidentEvent.UPDATED, calm, calm_since)])
    page = cli("incidents", "show", calm.incident_id).stdout
    assert f"normal again since {calm_since:%Y-%m-%d %H:%M} UTC, in 2 intervals; it ends by itself" in page
    assert f"{calm_since:%Y-%m-%d %H:%M:%S}" in cli("incidents", "list").stdout
    (found,) = cli.json("incidents", "list")["incidents"]
    assert (datetime.fromisoformat(found["calm_since"]), found["calm_intervals"]) == (calm_since, 2)


def test_show_as_json_has_statement_suggestions_and_history(cli, recorded):
    page = cli.json("incidents", "show", recorded.incident.incident_id)
    assert page["statement"]
    assert [s["suggestion_id"] for s in page["suggestions"]] == ["feedface01"]
    assert [(h["event"], h["actor"]) for h in page["history"]] == [("opened", "analysis")]


def test_decisions_are_kept_with_who_and_why(cli, recorded):
    incident_id = recorded.incident.incident_id
    answer = cli.json("incidents", "ack", incident_id, "--actor", "dba", "--note", "on it")
    assert answer["state"] == "acknowledged"
    cli("incidents", "resolve", incident_id, "--actor", "dba")
    page = cli.json("incidents", "show", incident_id)
    assert page["state"] == "resolved"
    assert [(h["event"], h["actor"]) for h in page["history"]][1:] == [("acknowledged", "dba"), ("resolved", "dba")]
    assert cli.json("incidents", "list")["incidents"] == []
    assert len(cli.json("incidents", "list", "--all")["incidents"]) == 1
    with_audit = cli.store().audit(datetime(2020, 1, 1, tzinfo=UTC))
    assert [(entry.actor, entry.action) for entry in with_audit] == [
        ("dba", "incident resolved"),
        ("dba", "incident acknowledged"),
        ("analysis", "incident opened"),
    ]


def test_closed_incident_cannot_be_acknowledged(cli, recorded):
    cli("incidents", "dismiss", recorded.incident.incident_id)
    result = cli("incidents", "ack", recorded.incident.incident_id)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "dismissed" in result.stderr


def test_closed_incident_is_reopened_with_a_reason(cli, recorded):
    incident_id = recorded.incident.incident_id
    cli("incidents", "dismiss", incident_id)
    assert cli("incidents", "reopen", incident_id).exit_code == 2
    answer = cli.json("incidents", "reopen", incident_id, "--actor", "dba", "--note", "not harmless")
    assert (answer["state"], answer["event"], answer["note"]) == ("new", "reopened", "not harmless")
    assert [found["incident_id"] for found in cli.json("incidents", "list")["incidents"]] == [incident_id]
    result = cli("incidents", "reopen", incident_id, "--note", "again")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)


def test_unknown_incident_is_one_line(cli, recorded):
    result = cli("incidents", "show", "ffff")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no incident 'ffff'" in result.stderr


def test_suggestions_are_listed_and_shown(cli, recorded):
    (found,) = cli.json("suggestions", "list")["suggestions"]
    assert found["incident_id"] == recorded.incident.incident_id
    page = cli("suggestions", "show", "feed").stdout
    assert "DROP INDEX i;" in page
    assert "\x1b" not in page
    assert cli("suggestions", "show", "0000").exit_code == 1


def test_suggestions_of_closed_incidents_are_left_out(cli, recorded):
    cli("incidents", "dismiss", recorded.incident.incident_id)
    assert cli.json("suggestions", "list")["suggestions"] == []
    assert len(cli.json("suggestions", "list", "--all")["suggestions"]) == 1
