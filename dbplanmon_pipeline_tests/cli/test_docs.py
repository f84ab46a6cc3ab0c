import json
from pathlib import Path

import click
import pytest

from dbplanmon_pipeline.cli import dbplanmon

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")


def leaves(group: click.Group, context: click.Context, path: tuple[str, ...] = ()):
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, context, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(leaves(dbplanmon, click.Context(dbplanmon)))


def section(command: str) -> str:
    heading = f"\n## {command}\n"
    assert heading in PAGE, f"docs/cli.md has no section {heading.strip()!r}"
    return PAGE.split(heading)[1].split("\n## ")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name):
    text = section(name)
    for option in COMMANDS[name].params:
        if isinstance(option, click.Option):
            assert f"`{option.opts[0]}" in text, f"{name}: {option.opts[0]}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json(name):
    assert any("--json" in option.opts for option in COMMANDS[name].params)


def test_page_describes_no_command_that_is_not_there():
    headings = [line[3:] for line in PAGE.splitlines() if line.startswith("## ")]
    assert set(headings) - set(COMMANDS) == {"For all commands"}


@pytest.mark.parametrize(
    "call",
    [
        ("check",),
        ("collect",),
        ("history", "--days", "3"),
        ("analyse",),
        ("baselines",),
        ("backtest", "--store"),
        ("hotspots", "--window", "2h"),
        ("incidents", "list"),
        ("incidents", "show", "0bad"),
        ("incidents", "ack", "0bad"),
        ("alerts", "list"),
        ("mute", "add", "--instance", "fleet"),
        ("mute", "list"),
        ("maintenance", "add", "--days", "sun", "--start", "22:00", "--end", "02:00"),
        ("maintenance", "list"),
        ("access", "add", "anna"),
        ("access", "list"),
        ("channels", "list"),
        ("channels", "test"),
        ("channels", "dead"),
        ("channels", "replay"),
        ("suggestions", "list"),
        ("suggestions", "show", "feed"),
        ("summary", "--day", "2026-01-01"),
        ("health", "ready"),
        ("store", "check"),
        ("store", "upgrade"),
        ("store", "downgrade", "base", "--dry-run"),
        ("grants",),
    ],
    ids=" ".join,
)
def test_every_key_of_the_json_is_documented(cli, recorded, call):
    text = section(" ".join(call[:2]) if " ".join(call[:2]) in COMMANDS else call[0])
    document = json.loads(cli(*call, "--json").stdout)
    missing = [key for key in document if f"`{key}`" not in text]
    assert not missing
