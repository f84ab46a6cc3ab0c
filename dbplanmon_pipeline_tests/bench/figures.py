"""What a benchmark gives back: one row per figure, and how rows are written as a Markdown table."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure.

    Attributes:
        what: what was measured, with its size.
        value: the figure.
        unit: of the figure.
        target: what it should be, empty where it is only for information.
        ratio: how many times better than the yardstick of the same run, None where there is none.
    """

    what: str
    value: float
    unit: str
    target: str = ""
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU and wall time of one call [seconds]."""

    cpu: float
    wall: float


def spend(act: Callable[[], Any], times: int = 1) -> Spent:
    """Mean time of `times` calls in this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(times):
        act()
    return Spent((time.process_time() - cpu) / times, (time.perf_counter() - wall) / times)


def peak_memory_mb() -> float:
    """Largest resident size of this process so far [MB].

    Not `getrusage`: there a child starts with the peak of the process that made it.
    """
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM: this benchmark needs Linux")


def markdown(title: str, rows: Sequence[Row]) -> str:
    """A table that can be pasted into docs/benchmarks.md."""
    lines = [f"### {title}", "", "| what | measured | target | times the yardstick |", "|---|---|---|---|"]
    lines += [
        f"| {row.what} | {f'{_figure(row.value)} {row.unit}'.strip()} | {row.target} | {_times(row.ratio)} |"
        for row in rows
    ]
    return "\n".join(lines)


def _figure(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f}"
