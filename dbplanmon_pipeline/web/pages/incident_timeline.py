"""What happened around an incident, in order: what may have caused it, changed plans, steps of the incident."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from dbplanmon_pipeline.core.causes.candidates import CauseKind
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.plain_words import one_line, seconds_words
from dbplanmon_pipeline.core.ports import PlanChange
from dbplanmon_pipeline.services.explain import Explanation

MOST_ENTRIES = 40
_WORDS = 400
_STEPS = {
    IncidentEvent.OPENED: "Incident opened",
    IncidentEvent.REOPENED: "Incident reopened",
    IncidentEvent.ESCALATED: "Severity rose",
    IncidentEvent.AUTO_RESOLVED: "Normal again, closed by itself",
    IncidentEvent.ACKNOWLEDGED: "Acknowledged",
    IncidentEvent.RESOLVED: "Resolved",
    IncidentEvent.DISMISSED: "Dismissed",
}


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """Something that happened; `kind` is `cause`, `plan`, `began` or `step`.

    `rank` is the place of a cause among all, 1 for the most plausible, and `word` says how plausible it is; other
    entries have 0 and the empty text.
    """

    at: datetime
    kind: str
    words: str
    rank: int = 0
    word: str = ""


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """A step of an incident that somebody may read: what, by whom, why."""

    at: datetime
    words: str
    actor: str
    severity: str
    cost: str
    note: str


def timeline(
    incident: Incident,
    explanation: Explanation,
    changes: Iterable[PlanChange],
    steps: Sequence[IncidentChange],
) -> tuple[TimelineEntry, ...]:
    """Oldest first, at most MOST_ENTRIES."""
    found = [TimelineEntry(incident.began_at, "began", "First bad interval"), *_causes(explanation)]
    found += [
        TimelineEntry(change.changed_at, "plan", one_line(f"Plan {hash_text(change.plan_hash)[:8]} took over", _WORDS))
        for change in changes
    ]
    found += [TimelineEntry(step.at, "step", _STEPS[step.event]) for step in steps if step.event in _STEPS]
    order = {"cause": 0, "plan": 1, "began": 2, "step": 3}
    return tuple(sorted(found, key=lambda entry: (entry.at, order[entry.kind]))[:MOST_ENTRIES])


def _causes(explanation: Explanation) -> Iterator[TimelineEntry]:
    """Those that have a moment; the change of plan is told by its own entry.

    What was seen by a reading came before it, maybe before the first bad interval that stands above it.
    """
    for rank, cause in enumerate(explanation.ranked, 1):
        one = cause.candidate
        if one.at is not None and one.kind is not CauseKind.PLAN:
            what = one.what if one.is_dated else f"Seen: {one.what}"
            yield TimelineEntry(one.at, "cause", one_line(what, _WORDS), rank, cause.word)


def history(steps: Sequence[IncidentChange]) -> tuple[HistoryStep, ...]:
    """Steps worth reading, the newest first: updates in between only show that it went on."""
    told = [step for step in steps if step.event in _STEPS]
    return tuple(
        HistoryStep(
            step.at,
            _STEPS[step.event],
            one_line(step.actor, 80),
            step.incident.severity.value,
            _cost_words(step.incident),
            one_line(step.note, _WORDS),
        )
        for step in reversed(told)
    )


def _cost_words(incident: Incident) -> str:
    """Per hour; the engine keeps no time of executions that failed."""
    if incident.failing is None:
        return seconds_words(incident.extra_seconds_per_hour)
    return f"{incident.failing.per_hour:,.0f} failures"
