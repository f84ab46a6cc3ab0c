"""The week as a reader sees it: one line per deed and per message."""

import re
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from dbplanmon_pipeline.demo.week_result import WeekMessage, WeekResult

_STATEMENT = re.compile(r"\bstatement [0-9a-f]{16}\b")


class WeekLines:
    """Writes the story to a console while it is played."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def deed(self, at: datetime, what: str) -> None:
        """Something broke, or somebody did something."""
        self._line(at, f"[dim]{escape(what)}[/dim]")

    def message(self, message: WeekMessage) -> None:
        """A channel took a message."""
        self._line(message.at, f"[bold]{message.channel}[/bold]  {escape(told(message))}")

    def _line(self, at: datetime, text: str) -> None:
        self._console.print(f"[cyan]{at:%a %d %H:%M}[/cyan]  {text}", highlight=False, soft_wrap=True)


def told(message: WeekMessage) -> str:
    """The subject with the name of the statement instead of its hash."""
    return _STATEMENT.sub(f"statement {message.about}", message.subject)


def print_week(console: Console, result: WeekResult) -> None:
    """What became of all messages, and whether everything was noticed."""
    console.print(
        f"\n[bold]{result.days} days in {result.elapsed_seconds:.0f} s, a collection every {result.cadence_minutes} "
        f"minutes, {result.restarts} {'restart' if result.restarts == 1 else 'restarts'}[/bold]",
        highlight=False,
    )
    for channel, states in result.counts.items():
        tally = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in states.items())
        console.print(f"{channel}: {tally}", highlight=False)
    for name in result.missed:
        console.print(f"[red]missed[/red]  {name}")
    for about in result.false_incidents:
        console.print(f"[red]false[/red]   {about}")
