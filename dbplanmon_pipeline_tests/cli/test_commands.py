import csv
from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.cli.baselines import ends_of_days
from dbplanmon_pipeline.core.statements.fingerprint import Dialect, fingerprint
from dbplanmon_pipeline.settings import load_settings


def test_init_writes_a_file_that_loads(cli, tmp_path):
    path = tmp_path / "new" / "dbplanmon.yaml"
    assert cli("init", "--path", str(path)).exit_code == 1
    path.parent.mkdir()
    assert cli("init", "--path", str(path)).exit_code == 0
    load_settings(path, environ={})


def test_init_does_not_replace_a_file_unless_forced(cli, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("environment: test\n")
    refused = cli("init", "--path", str(path))
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert path.read_text() == "environment: test\n"
    assert cli("init", "--path", str(path), "--force").exit_code == 0
    assert path.read_text() != "environment: test\n"


def test_check_reports_every_target_and_fails_for_the_bad_one(cli):
    report = cli.json("check", code=1)
    assert [t["usable"] for t in report["targets"]].count(False) == 1
    bad = next(t for t in report["targets"] if not t["usable"])
    assert bad["error_class"] == "unreachable"
    assert bad["remedy"]
    assert report["store"]["state"] == "not_created"
    assert not (cli.folder / ".dbplanmon" / "store.db").exists()


def test_check_of_the_good_targets_succeeds(cli):
    cli.settings.write_text(cli.settings.read_text().replace("failing: 1", "failing: 1, source: plan_cache"))
    good = [t["target"] for t in cli.json("check", code=1)["targets"] if t["usable"]]
    report = cli.json("check", *good)
    assert report["ok"] is True
    assert [t["target"] for t in report["targets"]] == good
    assert all(t["statements"] == 20 for t in report["targets"])


def test_check_says_what_to_do(cli):
    result = cli("check")
    assert result.exit_code == 1
    assert "What to do" in result.stdout


def test_unknown_target_is_refused_with_the_known_ones(cli):
    result = cli("collect", "--only", "nobody")
    assert result.exit_code == 1
    assert "fleet" in result.stderr


def test_collect_first_reads_then_records(cli):
    first = cli.json("collect")
    assert {o["status"] for o in first["outcomes"]} == {"first_reading", "failed"}
    second = cli.json("collect", "--only", "fleet")
    assert {o["status"] for o in second["outcomes"]} == {"ok", "failed"}
    assert second["failed"] == 1


def test_collect_fails_when_nothing_can_be_read(cli):
    cli.settings.write_text(
        "environment: development\ninstances: [{name: dead, engine: simulated, databases: 2, options: {failing: 2}}]\n"
    )
    result = cli("collect")
    assert result.exit_code == 1
    assert "unreachable" in result.stdout


def test_analyse_of_an_empty_store_says_what_to_do(cli):
    assert "dbplanmon collect" in cli("analyse").stdout
    assert cli.json("analyse")["as_of"] is None


def test_baselines_can_be_learnt_for_days_gone_by(cli):
    cli("collect")
    versions = cli.json("baselines", "--days-back", "3")["versions"]
    moments = [datetime.fromisoformat(v["as_of"]) for v in versions]
    assert moments == sorted(moments)
    assert moments[1] - moments[0] == timedelta(days=1)
    assert all(m.hour == 0 and m.utcoffset() == timedelta() for m in moments)


def test_days_back_ends_with_the_last_midnight():
    now = datetime(2026, 3, 2, 15, tzinfo=UTC)
    assert ends_of_days(now, 2) == [datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)]


def test_analysis_says_that_baselines_are_younger_than_what_it_judged(cli):
    cli("collect")
    cli("history", "--days", "2")
    cli("collect")
    assert "run dbplanmon baselines" in cli("analyse").stdout
    assert cli.json("baselines")["versions"][0]["statements"] > 0
    assert "they judge from the next collection on" in cli("analyse").stdout


def test_baselines_refuses_two_kinds_of_moments(cli):
    assert cli("baselines", "--as-of", "2026-01-01", "--days-back", "2").exit_code == 2


def test_hotspots_rank_what_was_recorded(cli, recorded):
    report = cli.json("hotspots", "--window", "2h", "--top", "3")
    shares = [h["share"] for h in report["hotspots"]]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 3
    assert all(h["statement"] for h in report["hotspots"])
    assert all(h["fingerprint"] == str(fingerprint(h["statement"], Dialect.TSQL)) for h in report["hotspots"])
    assert all(h["rank_by"] == "elapsed_time_us" for h in report["hotspots"])


def test_summary_is_markdown_of_that_day(cli):
    cli("collect")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert cli("summary", "--day", today).stdout.startswith("# ")
    report = cli.json("summary", "--day", today)
    assert report["day"] == today
    assert report["databases_read"] == 2
    assert len(report["databases_silent"]) == 1
    assert len(report["load_seconds"]) == 24
    assert (report["kpis"], report["alerts"], report["gap_seconds"]) == ([], {}, 0.0)


def test_summary_of_a_week_ends_with_its_day_and_sends_nothing(cli):
    cli("collect")
    today = datetime.now(UTC).date()
    report = cli.json("summary", "--day", today.isoformat(), "--week")
    assert (report["day"], report["last_day"]) == ((today - timedelta(days=6)).isoformat(), today.isoformat())
    assert len(report["load_seconds"]) == 7 * 24
    assert cli.json("alerts", "list")["alerts"] == []


def test_store_is_upgraded_checked_and_exported(cli, tmp_path):
    assert cli.json("store", "check", code=1)["current"] is False
    assert cli.json("store", "upgrade")["current"] is True
    assert cli("store", "check").exit_code == 0
    cli("collect")
    target = tmp_path / "log.csv"
    assert cli.json("store", "export", "collection_log", str(target))["rows"] == 3
    with target.open() as file:
        assert {row["status"] for row in csv.DictReader(file)} == {"failed", "first_reading"}


def test_store_goes_back_only_when_asked_twice(cli):
    assert "no store" in cli("store", "downgrade", "base").stderr
    cli("collect")
    tried = cli.json("store", "downgrade", "base", "--dry-run")
    assert (tried["dry_run"], tried["revision"], tried["tables"]["collection_log"]) == (True, "", 3)
    asked = cli("store", "downgrade", "base")
    assert asked.exit_code == 1
    assert "would be lost: table collection_log with 3 rows" in asked.stderr
    assert cli("store", "check").exit_code == 0
    done = cli("store", "downgrade", "base", "--yes")
    assert "lost: table collection_log with 3 rows" in done.stdout
    assert cli.json("store", "check", code=1)["revision"] == ""


def test_store_goes_back_to_no_revision_nobody_knows(cli):
    cli("store", "upgrade")
    refused = cli("store", "downgrade", "9999", "--yes")
    assert refused.exit_code == 1
    assert "it can be taken back to" in refused.stderr


def test_export_of_an_unknown_table_names_the_known_ones(cli, tmp_path):
    cli("store", "upgrade")
    result = cli("store", "export", "nothing", str(tmp_path / "x.csv"))
    assert result.exit_code == 1
    assert "collection_log" in result.stderr


def test_purge_removes_only_days_before(cli, recorded):
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert cli("store", "purge", "--before", str(tomorrow), "--yes").exit_code == 2
    first = recorded.tick.date()
    assert cli.json("store", "purge", "--before", str(first), "--yes")["hot_days"] == []
    assert cli.json("hotspots", "--window", "2h")["hotspots"]
    assert str(first) in cli.json("store", "purge", "--before", str(first + timedelta(days=1)), "--yes")["hot_days"]
    assert cli.json("hotspots", "--window", "2h")["hotspots"] == []


def test_purge_asks_first(cli):
    cli("store", "upgrade")
    assert cli("store", "purge", "--before", "2026-01-01").exit_code == 1


def test_ready_needs_a_store_and_readings(cli):
    assert cli.json("health", "ready", code=1)["status"] == "unhealthy"
    cli("collect")
    ready = cli.json("health", "ready")
    assert ready["status"] == "degraded"
    assert {c["name"] for c in ready["checks"]} >= {"store_schema_is_current", "metrics_are_recent"}


def test_live_fails_where_nothing_runs(cli):
    report = cli.json("health", "live", code=1)
    assert report["status"] == "unhealthy"
    assert "dbplanmon up" in report["checks"][0]["detail"]


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:99999", "ftp://x"])
def test_live_refuses_what_is_no_address(cli, url):
    assert cli("health", "live", "--url", url).exit_code == 2


def test_grants_name_the_role_safely(cli):
    script = cli("grants", "--user", "o\"dd's").stdout
    assert '"o""dd\'s"' in script
    assert "'o\"dd''s'" in script
    assert "\n-- GRANT pg_read_all_data" in script
    assert "\nGRANT pg_read_all_data" in cli.json("grants", "--plans")["script"]
    assert cli("grants", "--user", "a\nb").exit_code == 2
