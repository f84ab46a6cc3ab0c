"""`dbplanmon demo --days` as people and programs meet it."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from dbplanmon_pipeline.demo.command import demo

CONTRACT = {"days", "cadence_minutes", "messages", "counts", "rules", "missed", "false_incidents", "restarts"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--days", "7", "--engine", "postgres"], "--days is for --engine simulated"),
        (["--days", "7", "--postgres-bin", "."], "--days is for --engine simulated"),
        (["--days", "1"], "2<=x<=31"),
        (["--days", "32"], "2<=x<=31"),
        (["--cadence", "15"], "--cadence goes with --days"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_wrong_usage_is_told_in_one_line(arguments, words):
    result = CliRunner().invoke(demo, arguments)

    assert result.exit_code == 2
    assert words in result.output.splitlines()[-1]


@pytest.mark.slow
def test_two_days_are_told_line_by_line_and_as_json(tmp_path):
    command = [
        sys.executable,
        "-m",
        "dbplanmon_pipeline",
        "demo",
        "--engine",
        "simulated",
        "--no-ui",
        "--json",
        "r.json",
    ]
    result = subprocess.run(
        [*command, "--days", "2", "--cadence", "30"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    written = json.loads((tmp_path / "r.json").read_text())
    assert written.keys() >= CONTRACT
    assert written["restarts"] == 0
    assert all(message.keys() >= {"at", "channel", "event", "subject", "severity"} for message in written["messages"])
    assert written["counts"]["pager"]["given_up"] > 0
    lines = result.stdout.splitlines()
    assert any("dba acknowledges the incident of orders/18" in line for line in lines)
    assert any(line.startswith("Mon 01 15:00  team  [critical] shop/orders: statement orders/06") for line in lines)
