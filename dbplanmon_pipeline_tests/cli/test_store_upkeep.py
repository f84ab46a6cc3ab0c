"""`dbplanmon store purge` and `store maintain`."""

from datetime import UTC, datetime, timedelta

from dbplanmon_pipeline.core.ports import ExpiryMark


def test_a_dry_run_counts_and_leaves_everything(cli, recorded):
    told = cli.json("store", "purge", "--dry-run", "--now")
    assert (told["dry_run"], told["removed"]) == (True, 0)
    assert {one["subject"] for one in told["subjects"]} >= {"interval_day", "audit_log", "plan"}
    assert cli("store", "purge").stdout == "nothing has expired\n"


def test_marks_are_taken_back_and_the_audit_says_by_whom(cli, recorded):
    now = datetime.now(UTC)
    cli.store().mark_expired([ExpiryMark("collection_log", now - timedelta(days=40), now, 5)])
    (mark,) = cli.json("store", "purge", "--cancel", "--only", "collection_log")["cancelled"]
    assert (mark["subject"], mark["rows"]) == ("collection_log", 5)
    assert cli("store", "purge", "--cancel").stdout == "there were no marks\n"
    assert cli.store().audit(now - timedelta(hours=1))[0].subject == "collection_log"


def test_what_does_not_expire_is_named_as_such(cli, recorded):
    result = cli("store", "purge", "--cancel", "--only", "nonsense")
    assert result.exit_code == 1
    assert "nothing called nonsense expires" in result.stderr


def test_removing_at_once_asks_first_and_options_do_not_mix(cli, recorded):
    unanswered = cli("store", "purge", "--now")
    assert (unanswered.exit_code, unanswered.stderr.splitlines()[-1]) == (
        1,
        "dbplanmon: nobody can answer here; give --yes to go on without asking",
    )
    assert cli("store", "purge", "--now", "--yes").exit_code == 0
    assert cli.store().audit(recorded.tick)[0].action == "removed_at_once"
    for words in (("--cancel", "--now"), ("--only", "plan"), ("--dry-run", "--before", "2026-01-01")):
        assert cli("store", "purge", *words).exit_code == 2


def test_upkeep_tells_its_steps(cli, recorded):
    steps = cli.json("store", "maintain")["steps"]
    assert [step["name"] for step in steps] == ["statistics", "free room", "write-ahead log"]
    assert "statistics" in cli("store", "maintain").stdout
