"""From a step of an incident to the message about it: subject, plain text and the same facts in fields."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentChange, IncidentEvent, IncidentScope
from dbplanmon_pipeline.core.model import Label, StatementText, hash_text
from dbplanmon_pipeline.core.plain_words import (
    cost_words,
    duration_words,
    hash_words,
    lines_of,
    moment_words,
    one_line,
    ratio_words,
    seconds_words,
)
from dbplanmon_pipeline.core.ports import Alert, Suggestion
from dbplanmon_pipeline.core.readings.failures import failing_words, failures_per_hour_words
from dbplanmon_pipeline.errors import NotificationError

ALERTING_EVENTS = frozenset(
    {IncidentEvent.OPENED, IncidentEvent.REOPENED, IncidentEvent.ESCALATED, IncidentEvent.AUTO_RESOLVED}
)
"""Steps that people are told of; acknowledging, resolving and dismissing are their own doing."""

STATEMENT_LIMIT = 300
SUBJECT_LIMIT = 180
LINE_LIMIT = 400
SCRIPT_LIMIT = 2_000
LISTED_LINES = 12

_LABELS = {
    Label.PLAN_REGRESSION: "plan regression",
    Label.FAILING: "executions fail",
    Label.PARAMETER_SENSITIVITY: "parameter sensitivity",
    Label.DATA_GROWTH: "more work per execution",
    Label.CONTENTION: "contention",
    Label.DATABASE_SLOWDOWN: "slow database",
    Label.INSTANCE_SLOWDOWN: "slow instance",
    Label.UNKNOWN: "unknown cause",
}
_METRICS = {"worker_time_us": "CPU time", "elapsed_time_us": "elapsed time"}


class RetryLater(NotificationError):
    """A channel is there but wants to be left alone for a while.

    Args:
        message: one line, without secrets.
        retry_after_seconds: how long the channel asked for, None where it did not say.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, transient=True)
        self.retry_after_seconds = retry_after_seconds


def is_alerting(event: IncidentEvent) -> bool:
    """True for the steps that make an alert."""
    return event in ALERTING_EVENTS


def alert_id(incident_id: str, event: IncidentEvent, at_iso: str, channel: str) -> str:
    """32 hex digits, the same for the same step of the same incident and channel."""
    return alert_key(incident_id, event.value, at_iso, channel)


def alert_key(about: str, event: str, at_iso: str, channel: str) -> str:
    """The id of an alert about anything, be it no incident."""
    return hashlib.sha256(f"{about}\x1f{event}\x1f{at_iso}\x1f{channel}".encode()).hexdigest()[:32]


def alert_for(
    change: IncidentChange,
    *,
    channel: str,
    statement: StatementText | None,
    plan_summary: str,
    plan_lines: Sequence[str],
    context_lines: Sequence[str],
    suggestion: Suggestion | None,
    command: str,
    link: str | None,
    engine_advice: str = "",
    causes: Sequence[str] = (),
    finding_lines: Sequence[str] = (),
    likely_cause: str = "",
) -> Alert:
    """The message about one step of an incident, for one channel.

    Args:
        change: the step; only the events of `ALERTING_EVENTS`.
        channel: name of the channel.
        statement: redacted text, where it is known.
        plan_summary: what changed in the plan, one sentence; empty where nothing did or nobody knows.
        plan_lines: the single changes of the plan.
        context_lines: what else changed around that time.
        suggestion: the safe way back, where there is one.
        command: shows the incident on the command line.
        link: shows it in a browser.
        engine_advice: what the server itself would do, in its words.
        causes: what changed around that time, in words that are the same for every statement it may have slowed.
        finding_lines: what stands out in the plan, what is new in it first.
        likely_cause: the most plausible cause with its evidence, where one is plausible enough.

    Raises:
        ValueError: this event makes no alert.
    """
    if not is_alerting(change.event):
        raise ValueError(f"the event {change.event.value} makes no alert")
    incident, at = change.incident, change.at.isoformat()
    sections = [
        [_headline(change)],
        _facts_lines(change, statement),
        _listed("What may have caused it", [likely_cause] if _is_bad(change) else []),
        _listed("What stands out in the plan", finding_lines if _is_bad(change) else []),
        _listed("What changed in the plan", [plan_summary, *plan_lines] if _is_bad(change) else []),
        _listed("Around that time", context_lines if _is_bad(change) else []),
        _listed("What the server itself advises", [engine_advice] if _is_bad(change) else []),
        _listed("Evidence", incident.evidence if _is_bad(change) else []),
        _way_back(suggestion) if _is_bad(change) else [],
        _more(command, link),
    ]
    return Alert(
        alert_id=alert_id(incident.incident_id, change.event, at, channel),
        incident_id=incident.incident_id,
        event=change.event.value,
        channel=channel,
        severity=incident.severity.value,
        created_at=change.at,
        subject=_subject(change),
        body="\n\n".join("\n".join(section) for section in sections if section) + "\n",
        facts={
            **_facts(change, statement, plan_summary, plan_lines, context_lines, suggestion, command, link),
            "engine_advice": one_line(engine_advice, LINE_LIMIT),
            "likely_cause": one_line(likely_cause, LINE_LIMIT),
            "causes": [one_line(cause, LINE_LIMIT) for cause in causes],
            "findings": [one_line(line, LINE_LIMIT) for line in finding_lines[:LISTED_LINES]],
        },
    )


def decision_alert(change: IncidentChange, *, channel: str, command: str) -> Alert:
    """The message about a person's decision, for a channel that keeps the incident open until it is told.

    Args:
        change: what was decided.
        channel: name of the channel.
        command: shows the incident on the command line.
    """
    incident, done = change.incident, f"{change.event.value} by {change.actor}"
    why = f": {change.note}" if change.note else ""
    place, about = _place(incident), _what(incident)
    return Alert(
        alert_id=alert_id(incident.incident_id, change.event, change.at.isoformat(), channel),
        incident_id=incident.incident_id,
        event=change.event.value,
        channel=channel,
        severity=incident.severity.value,
        created_at=change.at,
        subject=one_line(f"[{change.event.value}] {place}: {about} was {done}", SUBJECT_LIMIT),
        body=f"{one_line(f'The {about} on {place} was {done}{why}.', LINE_LIMIT)}\n\n{_more(command, None)[0]}\n",
        facts=_facts(change, None, "", (), (), None, command, None),
    )


def _is_bad(change: IncidentChange) -> bool:
    return change.event is not IncidentEvent.AUTO_RESOLVED


def _place(incident: Incident) -> str:
    place = f"{incident.instance}/{incident.database}" if incident.database else incident.instance
    return one_line(place, 120)


def _subject(change: IncidentChange) -> str:
    incident, what = change.incident, _what(change.incident)
    effect = f" is {ratio_words(incident.effect_ratio)} slower, +{seconds_words(incident.extra_seconds_per_hour)}/h"
    if incident.failing:
        effect = f": {failing_words(incident.failing)}"
    wording = {
        IncidentEvent.OPENED: f"{what}{effect} ({_LABELS[incident.label]})",
        IncidentEvent.REOPENED: f"Back again: {what}{effect} ({_LABELS[incident.label]})",
        IncidentEvent.ESCALATED: f"Escalated: {what}{effect} ({_LABELS[incident.label]})",
        IncidentEvent.AUTO_RESOLVED: f"Resolved: {what} is normal again{_after(change)}",
    }
    tag = "ok" if change.event is IncidentEvent.AUTO_RESOLVED else incident.severity.value
    return one_line(f"[{tag}] {_place(incident)}: {wording[change.event]}", SUBJECT_LIMIT)


def _what(incident: Incident) -> str:
    whole = incident.scope is not IncidentScope.QUERY
    return incident.scope.value if whole else f"statement {hash_words(incident.query_hash)}"


def _headline(change: IncidentChange) -> str:
    incident = change.incident
    what = "A statement" if incident.scope is IncidentScope.QUERY else f"The {incident.scope.value}"
    times, place, bad = (
        f"{ratio_words(incident.effect_ratio)} slower than normal",
        _place(incident),
        _bad_word(incident),
    )
    if incident.failing:
        times = failing_words(incident.failing)
    note = f" {one_line(change.note, LINE_LIMIT)}" if change.note else ""
    if change.event is IncidentEvent.AUTO_RESOLVED:
        long = f"{bad} again and again within" if incident.reopened_count else f"{bad} for"
        return f"{what} on {place} is normal again. It had been {long} {_lasted(change)}.{note}"
    if change.event is IncidentEvent.ESCALATED:
        return (
            f"{what} on {place} needs attention: still {times} after {_lasted(change)}, "
            f"severity now {incident.severity.value}, {_state_words(incident)}.{note}"
        )
    if change.event is IncidentEvent.REOPENED:
        return f"{what} on {place} is {bad} again: {times}. {_returns(incident)}{note}"
    if incident.failing:
        return f"{what} on {place} is failing{_with_plan(incident)}: {times}.{note}"
    return f"{what} on {place} became {times}{_with_plan(incident)}.{note}"


def _bad_word(incident: Incident) -> str:
    return "failing" if incident.failing else "slow"


def _state_words(incident: Incident) -> str:
    return "acknowledged" if incident.state.value == "acknowledged" else "not acknowledged"


def _returns(incident: Incident) -> str:
    if incident.reopened_count <= 1:
        return "It had been normal in between."
    return f"This is return number {incident.reopened_count}; a lasting cure is due."


def _with_plan(incident: Incident) -> str:
    return " with a new plan" if incident.has_other_plan else ""


def _after(change: IncidentChange) -> str:
    """How long it was slow; of one that came back in between, only the whole span is known."""
    count = change.incident.reopened_count
    if not count:
        return f" after {_lasted(change)}"
    return f", after {count} {'return' if count == 1 else 'returns'} within {_lasted(change)}"


def _lasted(change: IncidentChange) -> str:
    incident = change.incident
    end = incident.last_bad_at if change.event is IncidentEvent.AUTO_RESOLVED else change.at
    return duration_words((end - incident.began_at).total_seconds())


def _facts_lines(change: IncidentChange, statement: StatementText | None) -> list[str]:
    incident = change.incident
    metric = _METRICS.get(incident.metric, "time")
    rows = [("Where", _place(incident))]
    if incident.scope is IncidentScope.QUERY:
        rows.append(("Statement", hash_words(incident.query_hash)))
        rows.append(("", one_line(statement.text, STATEMENT_LIMIT) if statement else "(text not known yet)"))
    rows.append(("Kind", f"{_LABELS[incident.label]}, severity {incident.severity.value}"))
    rows.append(("Effect", _effect_words(incident, metric)))
    rows.append(("Cost" if _is_bad(change) else "Cost until then", _extra_words(incident, metric)))
    rows.append(("Since", f"{moment_words(incident.began_at)} ({_lasted(change)})"))
    if change.event is IncidentEvent.AUTO_RESOLVED:
        rows.append((f"Last {_bad_word(incident)}", moment_words(incident.last_bad_at)))
    if incident.failures and not incident.failing:
        rows.append(("Failures", failing_words(incident.failures)))
    if incident.scope is IncidentScope.QUERY:
        rows.append(("Plan", _plan_words(incident)))
    width = max(len(name) for name, _ in rows) + 2
    return [f"{name:<{width}}{value}".rstrip() for name, value in rows]


def _effect_words(incident: Incident, metric: str) -> str:
    if incident.failing:
        return failing_words(incident.failing)
    times = ratio_words(incident.effect_ratio)
    if incident.scope is not IncidentScope.QUERY or not incident.baseline_us > 0:
        return f"{times} {metric} per execution"
    before, now = cost_words(incident.baseline_us), cost_words(incident.observed_us)
    return f"{times}: {before} -> {now} {metric} per execution"


def _extra_words(incident: Incident, metric: str) -> str:
    if incident.failing:
        return f"{failures_per_hour_words(incident.failing)}; the engine keeps no time of these"
    text = f"{seconds_words(incident.extra_seconds_per_hour)} more {metric} per hour"
    low, high = incident.extra_seconds_low, incident.extra_seconds_high
    return f"{text} (95 % interval: {seconds_words(low)} to {seconds_words(high)})" if high > low else text


def _plan_words(incident: Incident) -> str:
    if incident.has_other_plan:
        return f"{hash_words(incident.previous_plan_hash)} -> {hash_words(incident.plan_hash)}"
    return f"{hash_words(incident.plan_hash)} (no other plan before)"


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    said = [one_line(line, LINE_LIMIT) for line in lines]
    said = [line for line in dict.fromkeys(said) if line]
    shown = [f"  - {line}" for line in said[:LISTED_LINES]]
    if len(said) > LISTED_LINES:
        shown.append(f"  - and {len(said) - LISTED_LINES} more")
    return [f"{title}:", *shown] if shown else []


def _way_back(suggestion: Suggestion | None) -> list[str]:
    if suggestion is None:
        return []
    kind = one_line(suggestion.kind.replace("_", " "), 80)
    head = f"The way back ({kind}, risk {one_line(suggestion.risk, 20)}; nothing is done by itself):"
    lines = [head, f"  {one_line(suggestion.rationale, LINE_LIMIT)}"]
    if not suggestion.script.strip():
        return lines
    # A script that was cut short is worse than none: somebody would run it.
    if len(suggestion.script) > SCRIPT_LIMIT:
        return [*lines, f"  dbplanmon suggestions show {one_line(suggestion.suggestion_id, 64)}"]
    return [*lines, *(f"    {line}".rstrip() for line in lines_of(suggestion.script))]


def _more(command: str, link: str | None) -> list[str]:
    more = [f"More: {one_line(command, LINE_LIMIT)}"]
    return [*more, f"      {one_line(link, LINE_LIMIT)}"] if link else more


def _facts(
    change: IncidentChange,
    statement: StatementText | None,
    plan_summary: str,
    plan_lines: Sequence[str],
    context_lines: Sequence[str],
    suggestion: Suggestion | None,
    command: str,
    link: str | None,
) -> dict[str, object]:
    incident = change.incident
    return {
        "scope": incident.scope.value,
        "instance": one_line(incident.instance),
        "database": one_line(incident.database),
        "query_hash": hash_text(incident.query_hash),
        "statement": one_line(statement.text, STATEMENT_LIMIT) if statement else "",
        "plan_hash": hash_text(incident.plan_hash),
        "previous_plan_hash": hash_text(incident.previous_plan_hash),
        "label": incident.label.value,
        "state": incident.state.value,
        "metric": incident.metric,
        "effect_ratio": _finite(incident.effect_ratio),
        "baseline_us": _finite(incident.baseline_us),
        "observed_us": _finite(incident.observed_us),
        "extra_seconds_per_hour": _finite(incident.extra_seconds_per_hour),
        "extra_seconds_low": _finite(incident.extra_seconds_low),
        "extra_seconds_high": _finite(incident.extra_seconds_high),
        "began_at": incident.began_at.isoformat(),
        "last_bad_at": incident.last_bad_at.isoformat(),
        "reopened_count": incident.reopened_count,
        "failures": asdict(incident.failures) if incident.failures else None,
        "plan_summary": one_line(plan_summary, LINE_LIMIT),
        "plan_changes": [one_line(line, LINE_LIMIT) for line in plan_lines[:LISTED_LINES]],
        "context": [one_line(line, LINE_LIMIT) for line in context_lines[:LISTED_LINES]],
        "evidence": [one_line(line, LINE_LIMIT) for line in incident.evidence[:LISTED_LINES]],
        "suggestion": _suggestion_facts(suggestion),
        "command": one_line(command, LINE_LIMIT),
        "link": one_line(link, LINE_LIMIT) if link else None,
        "note": one_line(change.note, LINE_LIMIT),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _suggestion_facts(suggestion: Suggestion | None) -> dict[str, str] | None:
    if suggestion is None:
        return None
    return {
        "suggestion_id": one_line(suggestion.suggestion_id, 64),
        "kind": one_line(suggestion.kind, 80),
        "risk": one_line(suggestion.risk, 20),
        "rationale": one_line(suggestion.rationale, LINE_LIMIT),
    }
