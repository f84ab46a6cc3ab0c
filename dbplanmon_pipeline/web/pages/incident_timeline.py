"""What happened around an incident, in order: changed settings and facts, changed plans, steps of the incident."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from dbplanmon_pipeline.core.context_facts import cause_words, concerns
from dbplanmon_pipeline.core.incidents import Incident, IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.plain_words import one_line, seconds_words
from dbplanmon_pipeline.core.ports import FactChange, PlanChange
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
    """Something that happened; `kind` is `cause`, `plan`, `began` or `step`."""

    at: datetime
    kind: str
    words: str


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
    facts: Iterable[FactChange],
    changes: Iterable[PlanChange],
    steps: Sequence[IncidentChange],
) -> tuple[TimelineEntry, ...]:
    """Oldest first, at most MOST_ENTRIES."""
    contexts = [plan.context for plan in (explanation.old_plan, explanation.new_plan) if plan]
    found = [TimelineEntry(incident.began_at, "began", "First slow interval")]
    found += [
        TimelineEntry(fact.seen_at, "cause", one_line(cause_words(fact), _WORDS))
        for fact in facts
        if concerns(fact.name, contexts, incident.query_hash)
    ]
    found += [
        TimelineEntry(change.changed_at, "plan", one_line(f"Plan {hash_text(change.plan_hash)[:8]} took over", _WORDS))
        for change in changes
    ]
    found += [TimelineEntry(step.at, "step", _STEPS[step.event]) for step in steps if step.event in _STEPS]
    order = {"cause": 0, "plan": 1, "began": 2, "step": 3}
    return tuple(sorted(found, key=lambda entry: (entry.at, order[entry.kind]))[:MOST_ENTRIES])


def history(steps: Sequence[IncidentChange]) -> tuple[HistoryStep, ...]:
    """Steps worth reading, the newest first: updates in between only show that it went on."""
    told = [step for step in steps if step.event in _STEPS]
    return tuple(
        HistoryStep(
            step.at,
            _STEPS[step.event],
            one_line(step.actor, 80),
            step.incident.severity.value,
            seconds_words(step.incident.extra_seconds_per_hour),
            one_line(step.note, _WORDS),
        )
        for step in reversed(told)
    )
