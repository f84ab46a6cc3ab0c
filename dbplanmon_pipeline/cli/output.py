"""How results leave the program: JSON with stable keys, tables for people, plain text in a pipe."""

import json
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import click

from dbplanmon_pipeline.core.jsonable import jsonable
from dbplanmon_pipeline.core.plain_words import lines_of, one_line

Cell = str | int | float | datetime | None
_GAP = "  "
_SHORT = 20


def print_json(value: object) -> None:
    """One JSON document; characters that could move a cursor leave escaped."""
    click.echo(json.dumps(jsonable(value), indent=2, ensure_ascii=True, allow_nan=False))


def print_json_line(value: object) -> None:
    """One JSON document on one line, at once, for commands that go on running."""
    click.echo(json.dumps(jsonable(value), ensure_ascii=True, allow_nan=False))
    sys.stdout.flush()


def print_line(text: str = "") -> None:
    """One line, made harmless."""
    click.echo(one_line(text))


def print_text(text: str, indent: str = "") -> None:
    """Several lines, each made harmless, blanks kept."""
    for line in lines_of(text):
        click.echo(f"{indent}{line}".rstrip())


def print_section(title: str, lines: Sequence[str]) -> None:
    """A title and its lines; nothing without lines."""
    if lines:
        click.echo(f"\n{one_line(title)}")
        for line in lines:
            click.echo(f"  {one_line(line)}".rstrip())


def print_fields(fields: Sequence[tuple[str, Cell]]) -> None:
    """Names and values in two columns."""
    width = max((len(name) for name, _ in fields), default=0)
    for name, value in fields:
        click.echo(f"  {name:<{width}}{_GAP}{cell_text(value)}".rstrip())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], empty: str) -> None:
    """A table: framed and fitted on a terminal, aligned columns of full length in a pipe.

    Args:
        columns: headings.
        rows: cells in the order of the columns; numbers stand to the right.
        empty: said instead of a table without rows.
    """
    if not rows:
        click.echo(empty)
    elif sys.stdout.isatty():
        _print_framed(columns, rows)
    else:
        _print_plain(columns, rows)


def terminal_width() -> int | None:
    """Characters of a line of the terminal; None where the output is none and lines may be of any length."""
    if not sys.stdout.isatty():
        return None
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    return Console(file=sys.stdout).width


def may_colour() -> bool:
    """True on a terminal that shows colours and where nobody said no to them (NO_COLOR, TERM=dumb)."""
    if not sys.stdout.isatty():
        return False
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    console = Console(file=sys.stdout)
    return console.color_system is not None and not console.no_color


def cell_text(value: Cell) -> str:
    """A cell as one harmless line; moments in UTC to the second, numbers with three decimals at most."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".") if math.isfinite(value) else ""
    return f"{value:,}" if isinstance(value, int) else one_line(value)


def _is_number(value: Cell) -> bool:
    return isinstance(value, int | float)


def _to_the_right(rows: Sequence[Sequence[Cell]], column: int) -> bool:
    return any(_is_number(row[column]) for row in rows)


def _print_plain(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    texts = [list(columns), *([cell_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[number]) for line in texts) for number in range(len(columns))]
    right = [_to_the_right(rows, number) for number in range(len(columns))]
    for line in texts:
        cells = [
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(line, widths, right, strict=True)
        ]
        click.echo(_GAP.join(cells).rstrip())


def _print_framed(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - see below
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(file=sys.stdout)
    widths = [max(len(name), *(len(cell_text(row[number])) for row in rows)) for number, name in enumerate(columns)]
    short = [width <= _SHORT for width in widths]
    needed = sum(width if is_short else _SHORT for width, is_short in zip(widths, short, strict=True))
    room = needed + 2 * len(columns) <= console.width
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for number, name in enumerate(columns):
        # Where there is room, names and figures stay in one piece and long texts give way; else everything does.
        justify: Literal["left", "right"] = "right" if _to_the_right(rows, number) else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=room and short[number])
    for row in rows:
        table.add_row(*(Text(cell_text(cell)) for cell in row))
    console.print(table)
