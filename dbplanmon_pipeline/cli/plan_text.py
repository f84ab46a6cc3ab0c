"""Plans and their differences as text: for a terminal as wide as that is, for a file or a ticket as long as need be."""

from collections.abc import Sequence
from textwrap import wrap

import click

from dbplanmon_pipeline.cli.output import may_colour, terminal_width
from dbplanmon_pipeline.core.plain_words import lines_of, one_line
from dbplanmon_pipeline.core.plans.comparing.differences import PlanDiff
from dbplanmon_pipeline.core.plans.comparing.matching import StatementMatch
from dbplanmon_pipeline.core.plans.comparing.signs import LEGEND, Signs, changed_statements, signs_of
from dbplanmon_pipeline.core.plans.findings.model import Finding
from dbplanmon_pipeline.core.plans.findings.registry import findings_of
from dbplanmon_pipeline.core.plans.findings.view import view_of
from dbplanmon_pipeline.core.plans.findings.words import finding_line, marks_of, numbered_lines
from dbplanmon_pipeline.core.plans.headings import heading_of
from dbplanmon_pipeline.core.plans.render import render_tree
from dbplanmon_pipeline.core.plans.tree import Plan

_COLOURS = {"~": "yellow", "-": "red", "+": "green"}


def print_plan(found: Plan) -> None:
    """A plan with what stands out in it."""
    print_heads(found)
    findings = findings_of(found)
    _print_lines(render_tree(found, marks_of(findings), width=terminal_width()))
    if findings:
        click.echo()
        _print_lines("\n".join(numbered_lines(findings, statements=len(found.statements))))


def print_difference(
    plans: tuple[Plan, Plan],
    difference: PlanDiff,
    fresh: Sequence[Finding],
    matches: Sequence[StatementMatch] | None,
) -> None:
    """What differs: one sentence, new findings, the other changes, and with `matches` both trees with signs.

    What the sentence says is not said again: of the finding that is its reason only the advice follows.
    """
    _print_paragraph(difference.summary)
    for finding in fresh:
        words = finding.title if finding.text == difference.reason else finding_line(finding)
        _print_paragraph(f"! {words}. {finding.advice}", later="  ")
    for change in difference.changes:
        if change not in difference.told:
            _print_paragraph(f"- {change.text}", later="  ")
    shown = changed_statements(matches or ())
    if not matches or not any(shown):
        return
    click.echo(f"\n{LEGEND}")
    for title, plan, signs, statements in zip(("Before", "Now"), plans, signs_of(matches), shown, strict=True):
        click.echo(f"\n{title}:")
        print_heads(plan, statements)
        _print_signed(plan, signs, statements)


def print_heads(plan: Plan, statements: Sequence[int] | None = None) -> None:
    """What the only statement is and took; several have this above each tree."""
    if len(plan.statements) == 1 and (statements is None or 0 in statements):
        _print_paragraph(heading_of(view_of(plan.engine, plan.statements[0])), later="  ")


def _print_signed(plan: Plan, signs: Signs, statements: Sequence[int]) -> None:
    coloured = may_colour()
    text = render_tree(plan, signs=signs, width=terminal_width(), statements=statements)
    for line in lines_of(text):
        colour = _COLOURS.get(line[:1]) if coloured else None
        click.echo(click.style(line, fg=colour) if colour else line)


def _print_paragraph(text: str, later: str = "") -> None:
    """One line, on a terminal broken between words, `later` before all but the first."""
    width, line = terminal_width(), one_line(text)
    for part in wrap(line, width, subsequent_indent=later) if width else [line]:
        click.echo(part)


def _print_lines(text: str) -> None:
    for line in lines_of(text):
        click.echo(line)
