"""Put an incident in words: the statement, what changed in its plan and around it, and the way back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Protocol

import pandas as pd

from dbplanmon_pipeline.core.causes.candidates import (
    candidate_of_plan,
    candidates_around,
    candidates_of_deployments,
    candidates_of_facts,
    updated_between,
)
from dbplanmon_pipeline.core.causes.context_facts import (
    SETTING_FACT,
    cause_line,
    cause_name,
    concerns,
    engine_advice,
    is_all_clear,
    shared_cause,
)
from dbplanmon_pipeline.core.causes.deployments import Deployment
from dbplanmon_pipeline.core.causes.effects import PlanView, conditions_of, tables_and_indexes
from dbplanmon_pipeline.core.causes.ranking import CAUSES_WITHIN, RankedCause, rank_causes, telling_cause
from dbplanmon_pipeline.core.causes.table_facts import table_of
from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import CapturedPlan, DatabaseRef, Engine, StatementText
from dbplanmon_pipeline.core.plans.comparing.diff import (
    DifferenceKind,
    PlanDiff,
    PlanDifference,
    context_changes,
    diff_plans,
)
from dbplanmon_pipeline.core.plans.findings.model import Finding
from dbplanmon_pipeline.core.plans.findings.registry import compared_findings, findings_of
from dbplanmon_pipeline.core.plans.findings.words import finding_line
from dbplanmon_pipeline.core.plans.stored import shown_tree_of, tree_of
from dbplanmon_pipeline.core.ports import FactChange, Suggestion
from dbplanmon_pipeline.core.remedies.lost_indexes import LostIndex, lost_indexes, tells_of
from dbplanmon_pipeline.core.remedies.plan_forcing import UNKNOWN_ROWS, RowsPerExecution
from dbplanmon_pipeline.core.remedies.remediation import suggest
from dbplanmon_pipeline.services.explain_workload import IncidentWorkloadStore, workload_lines

CAUSE_WINDOW = timedelta(hours=2)
FORMER_PLAN_WINDOW = timedelta(hours=24)
"""How long before an incident the rows are counted that executions returned under the former plan."""

MAX_PLAN_LINES = 6
MAX_FINDING_LINES = 3
"""Findings told in a message; pages show all."""

_NO_CONTEXT: Mapping[str, Any] = MappingProxyType({})
_OF_TABLES = (DifferenceKind.INDEX, DifferenceKind.TABLE, DifferenceKind.STATISTICS)


class ExplanationStore(IncidentWorkloadStore, Protocol):
    """What an explanation reads."""

    def plan(self, plan_hash: int) -> CapturedPlan | None:
        """A stored plan with its context, or the reason why there is none."""
        ...

    def statement_texts(self, keys: Sequence[tuple[DatabaseRef, int]]) -> dict[tuple[DatabaseRef, int], StatementText]:
        """Redacted texts."""
        ...

    def fact_changes(self, ref: DatabaseRef, start: datetime, end: datetime) -> list[FactChange]:
        """Facts that changed in that time."""
        ...

    def fact_changes_on(self, instance: str, start: datetime, end: datetime) -> list[FactChange]:
        """The same for every database of an instance."""
        ...

    def deployments(self, start: datetime, end: datetime) -> list[Deployment]:
        """What was marked as deployed in [start, end], oldest first."""
        ...

    def facts(self, ref: DatabaseRef, at: datetime | None = None) -> Mapping[str, str]:
        """Facts that hold now, or held then, by name."""
        ...


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known about one incident beyond its figures.

    Attributes:
        statement: text, None where it was never read.
        plan_summary: one sentence; says so when the plan is the same or not known.
        plan_lines: the differences, most telling first.
        context_lines: settings, indexes and tables that changed shortly before; of an instance or a database, whether
            its workload grew.
        suggestions: ways back, best first.
        old_plan / new_plan: the stored plans, None where unknown.
        engine_advice: what the engine itself would do about the statement, in its words; empty where it says nothing.
        causes: what changed shortly before, in words that are the same for every statement it may have slowed.
        new_findings: what stands out in the present plan and did not in the former one; empty where one is unknown.
        findings: what else stands out in the present plan.
        ranked: what may have caused the incident, the most plausible first.
    """

    statement: StatementText | None
    plan_summary: str
    plan_lines: tuple[str, ...]
    context_lines: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    old_plan: CapturedPlan | None = None
    new_plan: CapturedPlan | None = None
    engine_advice: str = ""
    causes: tuple[str, ...] = ()
    new_findings: tuple[Finding, ...] = ()
    findings: tuple[Finding, ...] = ()
    ranked: tuple[RankedCause, ...] = ()

    @property
    def likely_cause(self) -> str:
        """The most plausible cause in one line, where one is plausible enough; else empty."""
        found = telling_cause(self.ranked)
        return found.line if found else ""

    @property
    def finding_lines(self) -> tuple[str, ...]:
        """The weightiest findings for a message, only the new ones where there are any."""
        return tuple(map(finding_line, (self.new_findings or self.findings)[:MAX_FINDING_LINES]))


def explain_incident(store: ExplanationStore, incident: Incident, dialect: Engine) -> Explanation:
    """Read what the store knows about an incident and put it in words."""
    if not incident.query_hash:
        summary = f"Most statements of this {incident.scope.value} slowed down together."
        workload = workload_lines(store, incident)
        return Explanation(None, summary, (), workload, (), ranked=_causes_of_all(store, incident))
    ref = DatabaseRef(incident.instance, incident.database)
    statement = store.statement_texts([(ref, incident.query_hash)]).get((ref, incident.query_hash))
    told_new = store.plan(incident.plan_hash) if incident.plan_hash else None
    told_old = store.plan(incident.previous_plan_hash) if incident.previous_plan_hash else None
    old, new = _kept(told_old), _kept(told_new)
    present = store.facts(ref, at=incident.updated_at)
    new_findings, findings = plan_findings(incident, old, new)
    summary, plan_lines, differences = (
        _compared(told_old, told_new, (new_findings, findings))
        if incident.has_other_plan
        else (_unchanged(incident, statement), (), ())
    )
    around = _changes_around(incident, old, new)
    view = _plan_view(incident, old, new, differences, new_findings)
    changed = _facts_around(store, ref, incident, view, old, new)
    facts = [one for one in changed if one.seen_at >= incident.began_at - CAUSE_WINDOW and not table_of(one.name)]
    return Explanation(
        statement,
        summary,
        plan_lines[:MAX_PLAN_LINES],
        (*map(cause_line, facts), *_others_around(around, facts)),
        suggest(
            incident,
            old=old,
            new=new,
            statement=statement,
            dialect=dialect,
            now=incident.opened_at,
            facts=tuple(facts),
            present=present,
            rows=_rows_per_execution(store, ref, incident) if dialect is Engine.SQLSERVER else UNKNOWN_ROWS,
        ),
        old,
        new,
        engine_advice(present, incident.query_hash),
        tuple(dict.fromkeys([*map(cause_name, facts), *filter(None, map(shared_cause, around))])),
        new_findings,
        findings,
        _causes(store, incident, changed, around, view, present),
    )


def _unchanged(incident: Incident, statement: StatementText | None) -> str:
    """What is said where no change of plan is known."""
    if incident.plan_hash:
        return "The plan is the same as before."
    reason = statement.plan_reason.removeprefix("no plan: ") if statement else ""
    return f"No plan of this statement is known, so whether it changed cannot be told{reason and f': {reason}'}."


def _facts_around(
    store: ExplanationStore,
    ref: DatabaseRef,
    incident: Incident,
    view: PlanView,
    old: CapturedPlan | None,
    new: CapturedPlan | None,
) -> list[FactChange]:
    """Facts that changed in the day before and may concern the statement, oldest first."""
    contexts: list[Mapping[str, Any]] = [plan.context for plan in (old, new) if plan]
    contexts.append({"tables": dict.fromkeys(view.tables)})
    changed = store.fact_changes(ref, incident.began_at - CAUSES_WITHIN, incident.updated_at)
    return [one for one in changed if concerns(one.name, contexts, incident.query_hash) and not is_all_clear(one)]


def _plan_view(
    incident: Incident,
    old: CapturedPlan | None,
    new: CapturedPlan | None,
    differences: tuple[PlanDifference, ...],
    new_findings: tuple[Finding, ...],
) -> PlanView:
    before, now = (tree_of(plan) if plan else None for plan in (old, new))
    (read_before, used_before), (read_now, used_now) = map(tables_and_indexes, (before, now))
    is_changed = incident.has_other_plan
    return PlanView(
        read_before | read_now,
        used_before,
        used_now,
        differences,
        conditions=conditions_of(before) | conditions_of(now),
        is_changed=is_changed,
        is_same=bool(incident.plan_hash) and not is_changed,
        is_known=old is not None and new is not None,
        new_rules=frozenset(finding.rule for finding in new_findings),
    )


def _causes(
    store: ExplanationStore,
    incident: Incident,
    changed: Sequence[FactChange],
    around: Sequence[PlanDifference],
    view: PlanView,
    present: Mapping[str, str],
) -> tuple[RankedCause, ...]:
    """Everything known to have changed, ranked."""
    dated = candidates_of_facts(changed)
    plan = candidate_of_plan(incident)
    deployed = candidates_of_deployments(_deployments(store, incident), incident)
    shown = [*around, *updated_between(view.changes, incident.began_at - CAUSES_WITHIN)]
    found = [*dated, *candidates_around(shown, dated, present), *deployed, *([plan] if plan else [])]
    return rank_causes(incident, found, view)


def _causes_of_all(store: ExplanationStore, incident: Incident) -> tuple[RankedCause, ...]:
    """Causes of an incident of a whole instance or database."""
    start, end = incident.began_at - CAUSES_WITHIN, incident.updated_at
    if incident.database:
        changed = store.fact_changes(DatabaseRef(incident.instance, incident.database), start, end)
    else:
        changed = store.fact_changes_on(incident.instance, start, end)
    # A table has no meaning for all of them but by the work on it; statements are not looked at here.
    dated = candidates_of_facts(one for one in changed if concerns(one.name, ()))
    deployed = candidates_of_deployments(_deployments(store, incident), incident)
    return rank_causes(incident, [*dated, *deployed], PlanView())


def _deployments(store: ExplanationStore, incident: Incident) -> list[Deployment]:
    return store.deployments(incident.began_at - CAUSES_WITHIN, incident.updated_at)


Compared = tuple[tuple[Finding, ...], tuple[Finding, ...]]
"""Findings of the present plan: those that the former one did not have, and the others."""


def plan_findings(incident: Incident, old: CapturedPlan | None, new: CapturedPlan | None) -> Compared:
    """What stands out in the present plan: what the former one did not have, and the rest.

    A stored plan stands for all databases that have it, so its context counts only where it is that of the incident.
    """
    before = old if incident.previous_plan_hash != incident.plan_hash else None
    known, context = (one.context if one and tells_of(incident, one.context) else {} for one in (before, new))
    return findings_between(before, new, known, context)


def findings_between(
    old: CapturedPlan | None,
    new: CapturedPlan | None,
    known: Mapping[str, Any] = _NO_CONTEXT,
    context: Mapping[str, Any] = _NO_CONTEXT,
) -> Compared:
    """Findings that only the new of two stored plans has, and its others; all are others without an old plan.

    Args:
        old: the former plan, None where unknown.
        new: the present one, likewise.
        known: what was known of the database when the former one was read.
        context: likewise, of the present one.
    """
    before, after = (shown_tree_of(plan) if plan else None for plan in (old, new))
    if after is None:
        return (), ()
    return compared_findings(before, after, known, context) if before else ((), findings_of(after, context))


def _changes_around(incident: Incident, old: CapturedPlan | None, new: CapturedPlan | None) -> list[PlanDifference]:
    """What changed between the capture of two plans, as far as it is true of the database of the incident.

    One stored plan stands for all databases that have it, so its context may be that of another one, or old.
    """
    if old is None or new is None:
        return []
    changes = list(context_changes(old.context, new.context))
    if not tells_of(incident, new.context):
        return [change for change in changes if change.kind not in _OF_TABLES]
    named = {change.node for change in changes if change.kind is DifferenceKind.INDEX}
    lost = [one for one in lost_indexes(incident, old, new) if one.name not in named]
    return [*changes, *map(_lost, lost)]


def _others_around(around: Sequence[PlanDifference], facts: Sequence[FactChange]) -> list[str]:
    """What changed between two captures, without settings whose change is told with its moment."""
    told = {one.name for one in facts}
    return [
        one.text for one in around if one.kind is not DifferenceKind.SETTING or f"{SETTING_FACT}{one.node}" not in told
    ]


def _lost(index: LostIndex) -> PlanDifference:
    words = "was disabled" if index.disabled else "is gone"
    return PlanDifference(DifferenceKind.INDEX, index.name, index.definition, "", f"index {index.name} {words}")


def _kept(plan: CapturedPlan | None) -> CapturedPlan | None:
    """None where only the reason is stored."""
    return plan if plan is not None and plan.body else None


def _rows_per_execution(store: ExplanationStore, ref: DatabaseRef, incident: Incident) -> RowsPerExecution:
    """Rows that executions returned under the former plan in the day before, and under the present plan since."""
    if not incident.previous_plan_hash or incident.previous_plan_hash == incident.plan_hash:
        return UNKNOWN_ROWS
    frame = store.interval_frame(
        incident.began_at - FORMER_PLAN_WINDOW,
        incident.updated_at,
        columns=("execution_count", "rows"),
        databases=[ref],
        query_hash=incident.query_hash,
    ).rows
    before, now = (frame[frame["plan_hash"] == plan] for plan in (incident.previous_plan_hash, incident.plan_hash))
    return RowsPerExecution(_rows_of_one(before), _rows_of_one(now))


def _rows_of_one(intervals: pd.DataFrame) -> float:
    """Rows per execution over intervals that know both; NaN where none does."""
    known = intervals.dropna(subset=["execution_count", "rows"])
    executions = float(known["execution_count"].sum())
    return float(known["rows"].sum()) / executions if executions else math.nan


def describe_plan_change(
    old: CapturedPlan | None, new: CapturedPlan | None, findings: Compared | None = None
) -> tuple[str, tuple[str, ...]]:
    """Summary and lines of the difference of two stored plans; `findings` of the present one where they are known."""
    summary, lines, _ = _compared(old, new, findings)
    return summary, lines


def _compared(
    old: CapturedPlan | None, new: CapturedPlan | None, findings: Compared | None
) -> tuple[str, tuple[str, ...], tuple[PlanDifference, ...]]:
    """The same with the differences themselves; empty where there is nothing to compare."""
    for which, plan in (("earlier", old), ("present", new)):
        if plan is not None and plan.reason:
            return f"The {which} plan was not kept: {plan.reason.removeprefix('no plan: ')}.", (), ()
    if old is None or new is None:
        missing = "earlier" if old is None else "present"
        return f"The {missing} plan was not captured.", (), ()
    difference = _difference(old, new, findings)
    if difference is None:
        return "The plans are of a form that cannot be compared.", (), ()
    return difference.summary, tuple(change.text for change in difference.changes), difference.changes


def _difference(old: CapturedPlan, new: CapturedPlan, findings: Compared | None) -> PlanDiff | None:
    """Difference of two stored plans; None where one of them cannot be read."""
    before, after = shown_tree_of(old), shown_tree_of(new)
    if before is None or after is None:
        return None
    fresh, stayed = compared_findings(before, after) if findings is None else findings
    return diff_plans(before, after, fresh=fresh, stayed=stayed)
