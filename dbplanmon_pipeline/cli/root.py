"""The root command: global options, the table of commands, and what becomes of errors."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import dbplanmon_pipeline
from dbplanmon_pipeline.cli.invocation import Invocation
from dbplanmon_pipeline.cli.lazy import CommandSource, LazyGroup
from dbplanmon_pipeline.errors import DbPlanMonError
from dbplanmon_pipeline.logs import configure_logging

FAILED = 1
USAGE = 2
INTERRUPTED = 128 + signal.SIGINT

_HERE = "dbplanmon_pipeline.cli"
COMMANDS = {
    "demo": CommandSource(
        "dbplanmon_pipeline.demo.command", "demo", "Watch a real or simulated server get slower, and why."
    ),
    "init": CommandSource(f"{_HERE}.init", "init", "Write a commented settings file."),
    "check": CommandSource(f"{_HERE}.check", "check", "Check settings, store and every target."),
    "grants": CommandSource(f"{_HERE}.grants", "grants", "Print the script that gives the monitor its rights."),
    "up": CommandSource(f"{_HERE}.up", "up", "Run daemon, Dagster UI and status page on this host."),
    "serve": CommandSource(f"{_HERE}.serve", "serve", "Serve the status page, the health and the metrics."),
    "collect": CommandSource(f"{_HERE}.collect", "collect", "Read every target once."),
    "history": CommandSource(f"{_HERE}.history", "history", "Import what engines know from before they were watched."),
    "analyse": CommandSource(f"{_HERE}.analyse", "analyse", "Judge what was recorded and send alerts."),
    "baselines": CommandSource(f"{_HERE}.baselines", "baselines", "Learn what is normal."),
    "backtest": CommandSource(f"{_HERE}.backtest", "backtest", "Replay the detector over recorded intervals."),
    "fingerprint": CommandSource(
        f"{_HERE}.fingerprint", "fingerprints", "Tell which statements are the same but for their values."
    ),
    "hotspots": CommandSource(f"{_HERE}.hotspots", "hotspots", "Rank the dearest statements."),
    "incidents": CommandSource(f"{_HERE}.incidents", "incidents", "List, show, acknowledge and close incidents."),
    "kpis": CommandSource(f"{_HERE}.kpis", "kpis", "List and read figures of your own, show their history."),
    "alerts": CommandSource(f"{_HERE}.alerts", "alerts", "List messages, and what was decided about each."),
    "mute": CommandSource(f"{_HERE}.mute", "mute", "Choose whose messages nobody wants."),
    "maintenance": CommandSource(f"{_HERE}.maintenance", "maintenance", "Choose hours in which messages wait."),
    "mark-deploy": CommandSource(f"{_HERE}.deploys", "mark_deploy", "Mark a deployment, for the causes of incidents."),
    "deploys": CommandSource(f"{_HERE}.deploys", "deploys", "List marked deployments, take one back."),
    "channels": CommandSource(f"{_HERE}.channels", "channels", "List and test channels; send again what was given up."),
    "suggestions": CommandSource(f"{_HERE}.suggestions", "suggestions", "List and show ways back."),
    "plan": CommandSource(f"{_HERE}.plan", "plan", "Show a plan, or the difference of two."),
    "summary": CommandSource(f"{_HERE}.summary", "summary", "Sum up one day as Markdown."),
    "access": CommandSource(f"{_HERE}.access", "access", "Choose who may use the status page."),
    "health": CommandSource(f"{_HERE}.health", "health", "Ask whether the monitor lives and is ready."),
    "store": CommandSource(f"{_HERE}.store", "store", "Upgrade, check, export, purge and maintain the store."),
}


class RootGroup(LazyGroup):
    """The group that turns every expected failure into one line and an exit code."""

    def main(  # type: ignore[override]  # `standalone_mode` is chosen here
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Run and exit: 0 done, 1 failed or nobody reads the output, 2 wrong usage, 130 interrupted."""
        extra["standalone_mode"] = False
        sys.exit(self._run(args, prog_name, extra))

    def _run(self, args: Sequence[str] | None, prog_name: str | None, extra: dict[str, Any]) -> int:
        try:
            code = super().main(args, prog_name, **extra)
            sys.stdout.flush()
        except click.UsageError as error:
            error.show()
            return USAGE
        except click.ClickException as error:
            _complain(error.format_message())
            return FAILED
        except DbPlanMonError as error:
            _complain(str(error))
            return FAILED
        except (click.Abort, KeyboardInterrupt):
            return INTERRUPTED
        except BrokenPipeError:
            _forget_output()
            return FAILED
        # Without the standalone mode click hands back the code of `ctx.exit`, and the result of the command.
        return code if isinstance(code, int) else 0


def _complain(message: str) -> None:
    for line in message.splitlines():
        click.echo(f"dbplanmon: {_harmless(line)}", err=True)


def _harmless(line: str) -> str:
    return "".join(character if character.isprintable() else " " for character in line)


def _forget_output() -> None:
    """Keep the interpreter from complaining about the closed pipe when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=RootGroup, sources=COMMANDS, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="Settings file.")
@click.option("-v", "--verbose", count=True, help="Show the log on standard error; twice for more.")
@click.version_option(dbplanmon_pipeline.__version__, "-V", "--version", prog_name="dbplanmon")
@click.pass_context
def dbplanmon(ctx: click.Context, config: Path | None, verbose: int) -> None:
    """Notice when a database statement gets slower, say why, and show the way back.

    Settings come from --config, else DBPLANMON_CONFIG, else dbplanmon.yaml in the working directory.
    """
    configure_logging(json=False, level=("WARNING", "INFO", "DEBUG")[min(verbose, 2)])
    ctx.obj = Invocation(config, verbose)
