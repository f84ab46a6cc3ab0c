"""`dbplanmon check --deep`: how each of our statements fared on each target."""

import pytest

from dbplanmon_pipeline.core.statement_trial import StatementTrial
from dbplanmon_pipeline.providers.simulated.reader import SimulatedReader

RAN = StatementTrial("intervals", "which intervals there are", ok=True, rows=3, duration_ms=1.25)
NOT_RUN = StatementTrial("psp_variants", "variants of a statement", ok=False, skipped_reason="needs SQL Server 2022")
GRANT = "GRANT VIEW DATABASE STATE."
FAILED = StatementTrial("wait_stats", "waits of plans", ok=False, message="no right", remedy=GRANT)


@pytest.fixture
def trials(monkeypatch):
    """What the reader of any target answers when its statements are tried."""
    found: list[StatementTrial] = []
    monkeypatch.setattr(SimulatedReader, "try_statements", lambda _reader: found)
    return found


@pytest.fixture
def good(cli):
    return [t["target"] for t in cli.json("check", code=1)["targets"] if t["usable"]]


def test_each_statement_is_listed_with_its_time_and_result(cli, good, trials):
    trials += [RAN, NOT_RUN]
    result = cli("check", "--deep", *good)
    assert result.exit_code == 0
    (line,) = [line for line in result.stdout.splitlines() if "intervals" in line and good[0] in line]
    assert line.split()[1:] == ["intervals", "which", "intervals", "there", "are", "1.2", "3", "ran"]
    assert "not run: needs SQL Server 2022" in result.stdout


def test_statement_that_fails_fails_the_check_and_says_what_helps(cli, good, trials):
    trials += [RAN, FAILED]
    result = cli("check", "--deep", *good)
    assert result.exit_code == 1
    assert f"{good[0]}: wait_stats: no right. {GRANT}" in result.stdout


def test_json_has_every_trial(cli, good, trials):
    trials += [RAN, FAILED]
    target = cli.json("check", "--deep", good[0], code=1)["targets"][0]
    assert [trial["name"] for trial in target["trials"]] == ["intervals", "wait_stats"]
    assert target["trials"][1] == {
        "name": "wait_stats",
        "purpose": "waits of plans",
        "ok": False,
        "rows": 0,
        "duration_ms": 0.0,
        "message": "no right",
        "remedy": GRANT,
        "skipped_reason": "",
    }


def test_plain_check_tries_no_statement(cli, good, trials):
    trials.append(FAILED)
    assert cli.json("check", good[0])["targets"][0]["trials"] == []


def test_targets_are_asked_even_where_the_store_is_damaged(cli):
    (cli.folder / ".dbplanmon").mkdir()
    (cli.folder / ".dbplanmon" / "store.db").write_bytes(b"no database" * 1000)
    found = cli.json("check", code=1)
    assert (found["store"]["state"], found["store"]["revision"]) == ("unavailable", None)
    assert found["store"]["message"].endswith("file is not a database; restore it from a backup")
    assert any(target["usable"] for target in found["targets"])
    assert "restore it from a backup" in cli("check").stdout


def test_state_folder_that_cannot_be_written_to_is_told(cli, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with cli.settings.open("a") as settings:
        settings.write("state_dir: taken/state\n")
    found = cli.json("check", code=1)
    assert found["state"]["message"].startswith(f"{tmp_path / 'taken'} is no folder")
    assert "is no folder; name another under `state_dir`" in cli("check").stdout


def test_capabilities_of_few_targets_are_listed(cli, good):
    lines = cli("check", good[0]).stdout.splitlines()
    assert any(line.split()[:3] == [good[0], "plans", "yes"] for line in lines)
