"""Short tables for the metadata of materialisations and checks."""

from collections.abc import Mapping, Sequence

import dagster as dg

from dbplanmon_pipeline.core.health import Finding, Health

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


def check_result(asset: dg.AssetKey, name: str, finding: Finding, *, table: str = "table") -> dg.AssetCheckResult:
    """A finding as the result of an asset check: amber where something is worth a look, red where it is broken."""
    unhealthy = finding.health is Health.UNHEALTHY
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=finding.health is Health.HEALTHY,
        severity=dg.AssetCheckSeverity.ERROR if unhealthy else dg.AssetCheckSeverity.WARN,
        description=finding.summary,
        metadata={table: short_table(finding.rows, empty=finding.summary)},
    )


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}"
    # A pipe or a line break would end the cell; long texts would fill the whole table.
    text = " ".join(str(value).replace("|", "/").split())
    return text if len(text) <= 90 else text[:87] + "..."
