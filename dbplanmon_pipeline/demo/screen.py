"""What the demo shows while it runs: always a moving bar, and the statements as they are now."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.plain_words import cost_words
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.demo.faults import Fault
from dbplanmon_pipeline.demo.result import FaultResult
from dbplanmon_pipeline.store import SqlStore

SHOWN = 12
FEW_TICKS = 5
COST_COLUMNS = ("execution_count", "elapsed_time_us")


@dataclass(slots=True)
class _Line:
    """One statement on the screen: cost of one execution [microseconds], usual and now."""

    usual_us: float
    now_us: float
    executions: float


class RichScreen:
    """A live table on a terminal; plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("starting", total=None)
        self._lines: dict[str, _Line] = {}
        self._open: Mapping[str, Incident] = {}
        self._live = Live(self._view(), console=console, refresh_per_second=8, transient=True)
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def step(self, what: str) -> None:
        """One thing of the preparation."""
        self._progress.update(self._task, description=what)
        self._say(f"[dim]{what}[/dim]")

    def phase(self, title: str, detail: str = "", ticks: int = 0) -> None:
        """A new part of the story."""
        self._progress.reset(self._task, total=ticks or None, description=title)
        self._say(f"[bold]{title}[/bold]  {detail}")

    def tick(self, number: int, store: SqlStore, names: dict[int, str]) -> None:
        """Show the last interval."""
        self._progress.advance(self._task)
        self._read(store, names)
        if self._console.is_terminal:
            self._live.update(self._view())
        elif number % FEW_TICKS == 0:
            self._console.print(f"tick {number}: {len(self._lines)} statements, {len(self._open)} open incidents")

    def found(self, fault: Fault, result: FaultResult, alert: str) -> None:
        """Print the message as people get it; it stays on the screen."""
        title = f"{fault.name}: noticed after {result.ticks_to_detect} ticks"
        self._console.print(Panel(Text(alert or "no message was queued"), title=title, border_style="red"))

    def _say(self, text: str) -> None:
        self._console.print(f"[cyan]{time.monotonic() - self._began:6.1f} s[/cyan]  {text}", highlight=False)

    def _read(self, store: SqlStore, names: Mapping[int, str]) -> None:
        end = store.latest_interval_end()
        if end is None:
            return
        costs = _costs(store.interval_frame(end - timedelta(microseconds=1), end, columns=COST_COLUMNS))
        for query_hash, (executions, cost_us) in costs.items():
            name = names.get(query_hash)
            if name:
                line = self._lines.setdefault(name, _Line(cost_us, cost_us, executions))
                line.now_us, line.executions = cost_us, executions
                if name not in self._open:
                    line.usual_us += (min(cost_us, 3 * line.usual_us) - line.usual_us) * 0.2
        self._open = {names.get(i.query_hash, "instance"): i for i in store.open_incidents()}

    def _view(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for column in ("statement", "usually", "now", "times", "runs"):
            table.add_column(column, justify="left" if column == "statement" else "right")
        busiest = sorted(self._lines.items(), key=lambda item: -item[1].now_us / max(item[1].usual_us, 1.0))
        for name, line in busiest[:SHOWN]:
            times = line.now_us / max(line.usual_us, 1.0)
            style = "bold red" if name in self._open else ""
            table.add_row(
                name,
                cost_words(line.usual_us),
                cost_words(line.now_us),
                f"{times:.1f}",
                f"{line.executions:.0f}",
                style=style,
            )
        return Group(table, self._progress) if self._lines else Group(self._progress)


def _costs(frame: IntervalFrame) -> dict[int, tuple[float, float]]:
    """Executions and cost of one [microseconds] by query hash."""
    sums = frame.rows.groupby("query_hash", as_index=False)[list(COST_COLUMNS)].sum()
    return {int(q): (float(n), float(us / n)) for q, n, us in sums.itertuples(index=False) if n > 0}
