"""What deployment files call: our commands with their options, and Dagster's programs."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from dagster._cli import create_dagster_cli
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import create_dagster_webserver_cli

from dbplanmon_pipeline.cli import dbplanmon

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

ROOTS = {
    "dbplanmon": lambda: dbplanmon,
    "dagster": create_dagster_cli,
    "dagster-daemon": create_dagster_daemon_cli,
    "dagster-webserver": create_dagster_webserver_cli,
}


def assert_is_a_command(words: Sequence[str]) -> None:
    """The program knows the command and every option; nothing is run."""
    program, *rest = words
    name = Path(program.replace("\\", "/")).name.removesuffix(".exe")
    if name in ("python", "sh"):
        return
    # It is elsewhere on the machine that is meant.
    rest = [str(ROOT / "workspace.yaml") if word.endswith("workspace.yaml") else word for word in rest]
    assert (Path(sys.executable).parent / name).exists()
    command: click.Command = ROOTS[name]()
    while isinstance(command, click.Group) and not command.invoke_without_command and rest:
        found = command.get_command(click.Context(command), rest[0])
        assert found is not None, f"{name} has no command {rest[0]}"
        command, rest = found, rest[1:]
    click.Command.make_context(command, name, list(rest))


def commands_of(script: str) -> list[list[str]]:
    """The single commands of `a && b`."""
    return [shlex.split(part) for part in script.split("&&")]
