"""A summary as Markdown, as plain text, and as HTML that mail clients show: styles in place, no scripts."""

import html
from collections.abc import Iterator, Mapping

from dbplanmon_pipeline.core.summary.period import DaySummary, Grade
from dbplanmon_pipeline.core.summary.rows import Table, reasons_of, tables_of, title_of, watch_lines

PICTURES = {
    "load": "Load: seconds of elapsed time by hour",
    "incidents": "Incidents that opened and closed by hour",
    "statements": "Dearest statements, seconds",
}
"""What each picture shows, by its name."""

_COLOURS = {Grade.A: "#1a7f37", Grade.B: "#6b7d00", Grade.C: "#9a6700", Grade.D: "#cf222e"}
_SPECIAL = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]|~<>&"})
_CELL_STYLE = "padding:3px 8px;border-bottom:1px solid #d0d7de;vertical-align:top"


def summary_markdown(summary: DaySummary) -> str:
    """The page as Markdown; nothing in a name or a statement is taken for markup."""
    lines = [f"# {title_of(summary)}", "", *(f"- {_plain(reason)}" for reason in reasons_of(summary)), ""]
    lines += [" ".join(watch_lines(summary))]
    for table in tables_of(summary):
        lines += ["", f"## {table.title}", "", _row(table.head)]
        lines.append("|" + "".join("---:|" if n in table.right else "---|" for n in range(len(table.head))))
        lines += [_row(tuple(map(_plain, row))) for row in table.rows]
        lines += ["", _left_out(table)] if table.left_out else []
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return text.translate(_SPECIAL)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def summary_text(summary: DaySummary, page: str = "") -> str:
    """The page as plain text; the first paragraph is the whole in one line, `page` the address of more."""
    lines = [f"Grade {summary.grade}: {'; '.join(reasons_of(summary))}.", "", *watch_lines(summary)]
    for table in tables_of(summary):
        lines += ["", table.title, "-" * len(table.title), *_aligned(table)]
        lines += [_left_out(table)] if table.left_out else []
    lines += ["", f"More: {page}/"] if page else []
    return "\n".join(lines) + "\n"


def _aligned(table: Table) -> Iterator[str]:
    rows = [table.head, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.head))]
    for row in rows:
        cells = (
            cell.rjust(width) if column in table.right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _left_out(table: Table) -> str:
    return f"... and {table.left_out:,} more"


def summary_html(summary: DaySummary, pictures: Mapping[str, str], page: str = "") -> str:
    """A whole page.

    Args:
        summary: what it shows.
        pictures: source of each picture by its name in `PICTURES`: `cid:...` within a mail, `data:...` in a file.
        page: address of the status page, to which it links; empty for none.
    """
    title = html.escape(title_of(summary))
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in reasons_of(summary))
    shown = "".join(_picture(name, pictures[name]) for name in PICTURES if name in pictures)
    tables = "".join(_html_table(table, page) for table in tables_of(summary))
    more = f'<p><a href="{html.escape(page, quote=True)}/">The status page</a> has more.</p>\n' if page else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title></head>\n"
        '<body style="font-family:sans-serif;color:#1f2328;background:#ffffff;max-width:70em;margin:1em auto">\n'
        f'<h1 style="border-left:8px solid {_COLOURS[summary.grade]};padding-left:10px;font-size:20px">{title}</h1>\n'
        f"<ul>{reasons}</ul>\n<p>{html.escape(' '.join(watch_lines(summary)))}</p>\n"
        f"{shown}{tables}{more}</body></html>\n"
    )


def _picture(name: str, source: str) -> str:
    what, where = html.escape(PICTURES[name]), html.escape(source, quote=True)
    return f'<p><img src="{where}" alt="{what}" style="max-width:100%"></p>\n'


def _html_table(table: Table, page: str) -> str:
    sides = ["right" if column in table.right else "left" for column in range(len(table.head))]
    head = "".join(
        f'<th style="{_CELL_STYLE};text-align:{side}">{html.escape(name)}</th>'
        for name, side in zip(table.head, sides, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td style="{_CELL_STYLE};text-align:{side}">{_html_cell(name, cell, page)}</td>'
            for name, cell, side in zip(table.head, row, sides, strict=True)
        )
        + "</tr>\n"
        for row in table.rows
    )
    more = f"<p>{_left_out(table)}</p>\n" if table.left_out else ""
    return (
        f'<h2 style="font-size:16px">{html.escape(table.title)}</h2>\n'
        f'<table style="border-collapse:collapse;font-size:13px"><tr>{head}</tr>\n{rows}</table>\n{more}'
    )


def _html_cell(name: str, cell: str, page: str) -> str:
    """The cell, an incident with a link to its page."""
    if not page or name != "incident":
        return html.escape(cell)
    return f'<a href="{html.escape(f"{page}/incidents/{cell}", quote=True)}">{html.escape(cell)}</a>'
