"""Findings as lines for people and as records for programs."""

from collections.abc import Iterable, Sequence

from dbplanmon_pipeline.core.plans.findings.model import Finding

Marks = dict[tuple[int, int], list[int]]


def finding_line(finding: Finding) -> str:
    """One line: what it is and what is true here."""
    return f"{finding.title}: {finding.text}"


def share_words(finding: Finding) -> str:
    """`high, 97 % of the work`; only the weight where the share is no measure."""
    measured = finding.node is not None and finding.share >= 0.005
    return f"{finding.weight}, {finding.share:.0%} of the work" if measured else finding.weight.value


def finding_record(finding: Finding) -> dict[str, object]:
    """A finding in the keys of docs/cli.md."""
    return {
        "rule": finding.rule,
        "title": finding.title,
        "severity": finding.weight,
        "share": round(finding.share, 4),
        "node": finding.node,
        "operator": finding.operator,
        "text": finding.text,
        "evidence": [{"name": one.name, "value": one.value, "unit": one.unit} for one in finding.measures],
        "advice": finding.advice,
        "script": finding.script,
        "page": finding.page,
    }


def marks_of(findings: Sequence[Finding]) -> Marks:
    """Numbers of the findings, from 1, by (statement, operator)."""
    marks: Marks = {}
    for number, finding in enumerate(findings, 1):
        if finding.node is not None:
            marks.setdefault((finding.statement, finding.node), []).append(number)
    return marks


def numbered_lines(findings: Iterable[Finding], *, statements: int = 1) -> list[str]:
    """All that is told of each finding, numbered as the marks are."""
    lines: list[str] = []
    for number, finding in enumerate(findings, 1):
        of = f", statement {finding.statement + 1}" if statements > 1 else ""
        lines.append(f"[{number}] {finding.title} ({share_words(finding)}{of})")
        lines.append(f"    {finding.sentence}")
        lines.append(f"    {finding.advice}")
        lines.extend(f"    {line}" for line in finding.script.splitlines())
        lines.append(f"    See {finding.page}")
    return lines
