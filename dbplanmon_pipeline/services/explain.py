"""Put an incident in words: the statement, what changed in its plan and around it, and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from dbplanmon_pipeline.core.context_facts import concerns
from dbplanmon_pipeline.core.incidents import Incident
from dbplanmon_pipeline.core.model import CapturedPlan, DatabaseRef, Engine, StatementText
from dbplanmon_pipeline.core.plans.diff import PlanDiff, context_changes, diff_plans
from dbplanmon_pipeline.core.plans.stored import tree_of
from dbplanmon_pipeline.core.ports import FactChange, Suggestion
from dbplanmon_pipeline.core.remediation import suggest

CAUSE_WINDOW = timedelta(hours=2)
MAX_PLAN_LINES = 6


class ExplanationStore(Protocol):
    """What an explanation reads."""

    def plan(self, plan_hash: int) -> CapturedPlan | None:
        """A stored plan with its context."""
        ...

    def statement_texts(self, keys: Sequence[tuple[DatabaseRef, int]]) -> dict[tuple[DatabaseRef, int], StatementText]:
        """Redacted texts."""
        ...

    def fact_changes(self, ref: DatabaseRef, start: datetime, end: datetime) -> list[FactChange]:
        """Facts that changed in that time."""
        ...


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known about one incident beyond its figures.

    Attributes:
        statement: text, None where it was never read.
        plan_summary: one sentence; says so when the plan is the same or not known.
        plan_lines: the differences, most telling first.
        context_lines: settings, indexes and tables that changed shortly before.
        suggestions: ways back, best first.
        old_plan / new_plan: the stored plans, None where unknown.
    """

    statement: StatementText | None
    plan_summary: str
    plan_lines: tuple[str, ...]
    context_lines: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    old_plan: CapturedPlan | None = None
    new_plan: CapturedPlan | None = None


def explain_incident(store: ExplanationStore, incident: Incident, dialect: Engine) -> Explanation:
    """Read what the store knows about an incident of one statement and put it in words."""
    if not incident.query_hash:
        return Explanation(None, "Most statements of this instance slowed down together.", (), (), ())
    ref = DatabaseRef(incident.instance, incident.database)
    statement = store.statement_texts([(ref, incident.query_hash)]).get((ref, incident.query_hash))
    new = store.plan(incident.plan_hash) if incident.plan_hash else None
    old = store.plan(incident.previous_plan_hash) if incident.previous_plan_hash else None
    facts = [
        fact
        for fact in store.fact_changes(ref, incident.began_at - CAUSE_WINDOW, incident.updated_at)
        if concerns(fact.name, [plan.context for plan in (old, new) if plan])
    ]
    summary, plan_lines, context = describe_plan_change(old, new)
    if not incident.previous_plan_hash or incident.previous_plan_hash == incident.plan_hash:
        summary, plan_lines = "The plan is the same as before.", ()
    return Explanation(
        statement,
        summary,
        plan_lines[:MAX_PLAN_LINES],
        (*(_fact_line(f) for f in facts), *context),
        suggest(
            incident, old=old, new=new, statement=statement, dialect=dialect, now=incident.opened_at, facts=tuple(facts)
        ),
        old,
        new,
    )


def describe_plan_change(
    old: CapturedPlan | None, new: CapturedPlan | None
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Summary, lines of the plan difference, and lines of what changed around it, for two stored plans."""
    if old is None or new is None:
        missing = "earlier" if old is None else "present"
        return f"The {missing} plan was not captured.", (), ()
    context = tuple(change.text for change in context_changes(old.context, new.context))
    difference = plan_difference(old, new)
    if difference is None:
        return "The plans are of a form that cannot be compared.", (), context
    return difference.summary, tuple(change.text for change in difference.changes), context


def plan_difference(old: CapturedPlan, new: CapturedPlan) -> PlanDiff | None:
    """Difference of two stored plans; None where one of them cannot be read."""
    before, after = tree_of(old), tree_of(new)
    return diff_plans(before, after) if before and after else None


def _fact_line(fact: FactChange) -> str:
    return f"{fact.name}: {fact.before} became {fact.after}, seen {fact.seen_at:%Y-%m-%d %H:%M:%S} UTC"
