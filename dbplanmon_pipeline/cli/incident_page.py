"""One incident as a page of text for a terminal."""

from collections.abc import Sequence
from datetime import datetime

import click

from dbplanmon_pipeline.cli.output import Cell, print_fields, print_line, print_section, print_text
from dbplanmon_pipeline.core.causes.ranking import RankedCause
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.plain_words import (
    cost_words,
    counted,
    duration_words,
    hash_words,
    moment_words,
    ratio_words,
    seconds_words,
)
from dbplanmon_pipeline.core.plans.findings.model import Finding
from dbplanmon_pipeline.core.plans.findings.words import finding_line
from dbplanmon_pipeline.core.ports import Suggestion
from dbplanmon_pipeline.core.readings.failures import failing_words, failures_per_hour_words
from dbplanmon_pipeline.core.records import place
from dbplanmon_pipeline.services.explain import Explanation

_METRICS = {"worker_time_us": "CPU time", "elapsed_time_us": "elapsed time"}
SHOWN_STEPS = 30


def print_incident(
    incident: Incident, explanation: Explanation, suggestions: Sequence[Suggestion], history: Sequence[IncidentChange]
) -> None:
    """Write the page."""
    what = f"statement {hash_text(incident.query_hash)}" if incident.query_hash else f"the whole {incident.scope.value}"
    print_line(f"{incident.severity.value} {incident.label.value.replace('_', ' ')}: {what} on {place(incident)}")
    print_fields(_figures(incident))
    if explanation.statement:
        click.echo("\nStatement")
        print_text(explanation.statement.text, indent="  ")
    print_section("What is wrong with the new plan", _findings(explanation.new_findings))
    print_section("What changed in the plan", [explanation.plan_summary, *explanation.plan_lines])
    print_section("What else stands out in the plan", _findings(explanation.findings))
    print_section("What may have caused it, the most plausible first", _causes(explanation))
    print_section("What the server itself advises", [explanation.engine_advice] if explanation.engine_advice else [])
    print_section("Evidence", incident.evidence)
    for suggestion in suggestions:
        _print_suggestion(suggestion)
    print_section("History (UTC)", _history(history))


def _causes(explanation: Explanation) -> list[str]:
    return [f"{_when(cause)}  {cause.line} [{cause.plausibility:.2f}]" for cause in explanation.ranked]


def _when(cause: RankedCause) -> str:
    at = cause.candidate.at
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "time unknown"


def _findings(findings: Sequence[Finding]) -> list[str]:
    return [f"{finding_line(finding)}. {finding.advice} ({finding.page})" for finding in findings]


def _figures(incident: Incident) -> list[tuple[str, Cell]]:
    metric = _METRICS.get(incident.metric, "time")
    per_execution = ratio_words(incident.effect_ratio)
    if incident.baseline_us > 0:
        before, now = cost_words(incident.baseline_us), cost_words(incident.observed_us)
        per_execution = f"{per_execution} slower: {before} -> {now} {metric} per execution"
    if incident.failing:
        per_execution = failing_words(incident.failing)
    fields: list[tuple[str, Cell]] = [
        ("incident", incident.incident_id),
        ("state", incident.state.value),
        ("effect", per_execution),
        ("cost", _cost(incident, metric)),
        ("since", _since(incident)),
    ]
    if calm := calm_words(incident):
        fields.append(("now", f"{calm}; it ends by itself where that lasts"))
    if incident.failures and not incident.failing:
        fields.append(("failures", failing_words(incident.failures)))
    if incident.query_hash:
        fields.append(("plan", _plans(incident)))
    if incident.closed_at:
        fields.append(("closed", moment_words(incident.closed_at)))
    if incident.reopened_count:
        fields.append(("came back", f"{incident.reopened_count} times"))
    if incident.note:
        fields.append(("note", incident.note))
    return fields


def calm_words(incident: Incident) -> str:
    """Since when an open incident has been normal again, so that whoever mended it sees that it helped; else empty."""
    if incident.closed_at or incident.calm_since is None:
        return ""
    intervals = counted(incident.calm_intervals, "interval")
    return f"normal again since {moment_words(incident.calm_since)}, in {intervals}"


def _cost(incident: Incident, metric: str) -> str:
    if incident.failing:
        return f"{failures_per_hour_words(incident.failing)}; the engine keeps no time of these"
    text = f"{seconds_words(incident.extra_seconds_per_hour)} more {metric} per hour"
    low, high = incident.extra_seconds_low, incident.extra_seconds_high
    return f"{text} (95 % interval {seconds_words(low)} to {seconds_words(high)})" if high > low else text


def _since(incident: Incident) -> str:
    lasted = (_end(incident) - incident.began_at).total_seconds()
    return f"{moment_words(incident.began_at)}, for {duration_words(lasted)}"


def _end(incident: Incident) -> datetime:
    return incident.last_bad_at if incident.closed_at else incident.updated_at


def _plans(incident: Incident) -> str:
    if incident.previous_plan_hash and incident.previous_plan_hash != incident.plan_hash:
        return f"{hash_words(incident.previous_plan_hash)} -> {hash_words(incident.plan_hash)}"
    return hash_words(incident.plan_hash)


def _print_suggestion(suggestion: Suggestion) -> None:
    kind = suggestion.kind.replace("_", " ")
    print_section(f"Way back: {kind}, risk {suggestion.risk} ({suggestion.suggestion_id})", [suggestion.rationale])
    if suggestion.script.strip():
        click.echo()
        print_text(suggestion.script, indent="    ")
    if suggestion.undo_script.strip():
        click.echo("  To undo it:")
        print_text(suggestion.undo_script, indent="    ")


def _history(history: Sequence[IncidentChange]) -> list[str]:
    """Steps worth reading: updates in between only show that it went on."""
    told = [change for change in history if change.event is not IncidentEvent.UPDATED]
    lines = [_step(change) for change in told[:SHOWN_STEPS]]
    if len(told) > SHOWN_STEPS:
        lines.append(f"... and {len(told) - SHOWN_STEPS} more; --json shows all")
    return lines


def _step(change: IncidentChange) -> str:
    note = f": {change.note}" if change.note else ""
    more = f"{seconds_words(change.incident.extra_seconds_per_hour)} more per hour"
    figures = f"{change.incident.severity.value}, {'failing' if change.incident.failing else more}"
    return f"{change.at:%Y-%m-%d %H:%M:%S}  {change.event.value} by {change.actor} ({figures}){note}"
