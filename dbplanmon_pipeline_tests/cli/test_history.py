"""`dbplanmon history`: what was imported, for people and for programs."""

from datetime import UTC, datetime, timedelta


def test_days_of_every_database_are_imported_and_told(cli):
    cli("collect")
    report = cli.json("history", "--days", "3")
    today = datetime.now(UTC).date()
    assert (report["first_day"], report["last_day"]) == ((today - timedelta(days=2)).isoformat(), today.isoformat())
    imported = [o for o in report["outcomes"] if o["status"] == "imported"]
    assert {o["day"] for o in imported} >= {(today - timedelta(days=back)).isoformat() for back in (1, 2)}
    assert report["rows"] == sum(o["rows"] for o in imported) > 0
    assert cli.json("history", "--days", "3")["rows"] == report["rows"]


def test_database_that_was_never_read_is_left_out(cli):
    cli("collect", "--only", "fleet/sim0002")
    outcomes = cli.json("history", "--days", "2")["outcomes"]
    told = {o["target"]: o for o in outcomes}
    assert told["fleet/sim0001"]["status"] == "skipped"
    assert told["fleet/sim0001"]["day"] is None
    assert "collected first" in told["fleet/sim0001"]["message"]


def test_people_see_one_line_per_database_and_what_to_do_next(cli):
    cli("collect", "--only", "fleet/sim0002")
    lines = cli("history", "--days", "2", "fleet/sim0002").stdout.splitlines()
    assert sum(line.startswith("fleet/sim0002") for line in lines) == 1
    assert lines[-1] == "Learn from them now: dbplanmon baselines"


def test_server_without_history_is_no_failure(cli):
    cli.settings.write_text(cli.settings.read_text().replace("failing: 1", "failing: 1, source: plan_cache"))
    cli("collect", "--only", "fleet/sim0002")
    result = cli("history", "fleet/sim0002")
    assert result.exit_code == 0
    assert "keeps no history" in result.stdout


def test_unknown_database_is_refused(cli):
    result = cli("history", "fleet/nobody")
    assert result.exit_code == 1
    assert "no database 'nobody' on fleet" in result.stderr
