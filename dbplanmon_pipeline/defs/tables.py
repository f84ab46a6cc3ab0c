"""Short tables and pictures for the metadata of a materialisation."""

from collections.abc import Mapping, Sequence

import dagster as dg

INLINE_LIMIT = 1_000
"""Dagster shows Markdown up to this many characters at once, longer texts behind a click."""

Cell = str | float | int | None


def short_table(rows: Sequence[Mapping[str, Cell]], empty: str = "nothing to show") -> dg.MarkdownMetadataValue:
    """Rows of equal keys as a Markdown table that stays within what the UI shows inline; says how many it left out."""
    if not rows:
        return dg.MetadataValue.md(empty)
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for shown, row in enumerate(rows):
        line = "| " + " | ".join(_cell(row[column]) for column in columns) + " |"
        more = f"\n\n... and {len(rows) - shown} more"
        if len("\n".join([*lines, line])) + len(more) > INLINE_LIMIT:
            return dg.MetadataValue.md("\n".join(lines) + more)
        lines.append(line)
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}"
    # A pipe or a line break would end the cell; long texts would fill the whole table.
    text = " ".join(str(value).replace("|", "/").split())
    return text if len(text) <= 90 else text[:87] + "..."
