"""What two plans of one statement show of the effect of a change: whether it can have done what is seen."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dbplanmon_pipeline.core.causes.candidates import Candidate, CauseKind
from dbplanmon_pipeline.core.causes.table_facts import number_of
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope
from dbplanmon_pipeline.core.model import Label, hash_text
from dbplanmon_pipeline.core.plans.comparing.context import DISABLED
from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference
from dbplanmon_pipeline.core.plans.tree import Plan

_ACCESS = frozenset({DifferenceKind.ACCESS_PATH, DifferenceKind.INDEX})
_JOINS = frozenset({DifferenceKind.JOIN_TYPE, DifferenceKind.JOIN_ORDER, DifferenceKind.BUILD_SIDE})
_MEMORY = frozenset({DifferenceKind.SORT, DifferenceKind.AGGREGATION, DifferenceKind.JOIN_TYPE, DifferenceKind.WARNING})
_OF_MEMORY = frozenset({"sort-on-disk", "hash-on-disk", "memory-grant-too-small", "memory-grant-wait"})
"""Findings that a lack of memory brings."""

_MEMORY_SETTING = re.compile(r"work_mem|hash_mem|shared_buffers|server memory|memory per query|MEMORY_GRANT")
_PARALLEL_SETTING = re.compile(r"parallel|MAXDOP|DOP_FEEDBACK|max_worker_processes")
_ESTIMATOR_SETTING = re.compile(
    r"CARDINALITY|CE_FEEDBACK|HOTFIXES|PARAMETER_SNIFFING|PARAMETER_SENSITIVE|default_statistics_target|cardinality"
)
_COST_SETTING = re.compile(
    r"_cost\b|effective_cache_size|collapse_limit|geqo|cursor_tuple_fraction|enable_|ADAPTIVE|BATCH"
)

GONE_INDEX, USED_INDEX, FORCED, FORCING_FAILED = 0.9, 0.85, 0.9, 0.7
SWITCHED_OFF, PARALLELISM, MEMORY, COSTS, ESTIMATOR = 0.8, 0.8, 0.7, 0.6, 0.5
STATISTICS_SEEN, STATISTICS_MAY, COMPILED_ANEW, DATA_GROWTH, COLD = 0.6, 0.35, 0.3, 0.6, 0.6
TYPE_CHANGED, HINTED, JUST_DEPLOYED, PLAN_BLAMED = 0.5, 0.6, 0.35, 0.2


@dataclass(frozen=True, slots=True)
class PlanView:
    """What is known of the plans of an incident's statement.

    Attributes:
        tables: `schema.table` of all tables they read.
        used_before / used_now: bare names of the indexes they go through; both empty where a plan is not known.
        changes: differences of the two, empty where they are the same or one is unknown.
        is_changed: the statement runs with another plan than before.
        is_same: it runs with the plan it had before.
        is_known: both were captured.
        new_rules: rules of findings that only the present plan has.
        conditions: expressions of both plans, with the columns they compare, join, group or sort by.
    """

    tables: frozenset[str] = frozenset()
    used_before: frozenset[str] = frozenset()
    used_now: frozenset[str] = frozenset()
    changes: tuple[PlanDifference, ...] = ()
    is_changed: bool = False
    is_same: bool = False
    is_known: bool = False
    new_rules: frozenset[str] = field(default_factory=frozenset)
    conditions: frozenset[str] = field(default_factory=frozenset)

    @property
    def kinds(self) -> frozenset[DifferenceKind]:
        """Kinds of the differences."""
        return frozenset(change.kind for change in self.changes)

    def touching(self, table: str) -> PlanDifference | None:
        """The first difference about a table; None where there is none."""
        word = _word(table.rpartition(".")[2])
        return next((change for change in self.changes if word.search(change.node)), None)

    def compares(self, column: str) -> bool:
        """True where a condition, a join, a group or a sort names the column."""
        word = _word(column)
        return any(word.search(expression) for expression in self.conditions)


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w$]){re.escape(name)}(?![\w$])")


@dataclass(frozen=True, slots=True)
class Effect:
    """How strongly something speaks for a candidate, 0 to 1, and the sentence that says so."""

    strength: float
    words: str


def tables_and_indexes(plan: Plan | None) -> tuple[frozenset[str], frozenset[str]]:
    """`schema.table` of what a plan reads or writes, and bare names of the indexes it goes through."""
    if plan is None:
        return frozenset(), frozenset()
    found = list(plan.operators())
    tables = frozenset(f"{one.schema}.{one.relation}" for one in found if one.schema and one.relation)
    return tables, frozenset(one.index for one in found if one.index)


def conditions_of(plan: Plan | None) -> frozenset[str]:
    """Expressions of all operators of a plan."""
    return frozenset(text for one in plan.operators() for _, text in one.conditions) if plan else frozenset()


def effects(candidate: Candidate, incident: Incident, view: PlanView) -> list[Effect]:
    """Everything that speaks for a candidate beside its kind and its moment."""
    if candidate.kind in _BY_PLANS:
        return list(_BY_PLANS[candidate.kind](candidate, view))
    if candidate.kind in _BY_INCIDENT:
        return list(_BY_INCIDENT[candidate.kind](candidate, incident, view))
    return list(_of_others(candidate, incident, view))


def _of_index(candidate: Candidate, view: PlanView) -> Iterator[Effect]:
    lost = not candidate.after or candidate.after.startswith(DISABLED)
    if lost and view.is_changed and candidate.about in view.used_before:
        yield Effect(GONE_INDEX, "the former plan went through it")
    elif not lost and candidate.about in view.used_now - view.used_before and view.is_changed:
        yield Effect(USED_INDEX, "the present plan goes through it and the former one did not")


def _of_forcing(candidate: Candidate, incident: Incident, view: PlanView) -> Iterator[Effect]:
    if not candidate.about:
        if view.is_changed:
            yield Effect(HINTED, "the statement has another plan since")
    elif not candidate.after and candidate.about == hash_text(incident.previous_plan_hash):
        yield Effect(FORCED, "that was the plan before the incident")
    elif candidate.after and candidate.about == hash_text(incident.plan_hash):
        yield Effect(FORCED, "that is the plan of the incident")
    elif candidate.after and candidate.about == hash_text(incident.previous_plan_hash):
        yield Effect(FORCING_FAILED, "that was the plan before the incident, which runs with another one")


def _of_setting(candidate: Candidate, view: PlanView) -> Iterator[Effect]:
    name = candidate.about
    shown = _kinds_of_switch(name) & view.kinds
    if shown and candidate.after == "off":
        yield Effect(SWITCHED_OFF, f"the plans differ in just that: {_first(view, shown)}")
        return
    if _PARALLEL_SETTING.search(name) and DifferenceKind.PARALLELISM in view.kinds:
        yield Effect(PARALLELISM, f"the plans differ in just that: {_first(view, {DifferenceKind.PARALLELISM})}")
    if _MEMORY_SETTING.search(name):
        if rule := next(iter(sorted(view.new_rules & _OF_MEMORY)), ""):
            yield Effect(MEMORY, f"the present plan lacks memory ({rule})")
        elif view.kinds & _MEMORY:
            yield Effect(COSTS, f"the plans differ in what takes memory: {_first(view, _MEMORY)}")
    if _COST_SETTING.search(name) and view.kinds & (_ACCESS | _JOINS):
        yield Effect(COSTS, f"the plans differ in what such costs decide: {_first(view, _ACCESS | _JOINS)}")
    estimator = candidate.kind is CauseKind.COMPATIBILITY or _ESTIMATOR_SETTING.search(name)
    if estimator and view.is_changed:
        yield Effect(ESTIMATOR, "it decides how rows are estimated, and the plan changed")


def _kinds_of_switch(name: str) -> frozenset[DifferenceKind]:
    """What a switch of the planner decides; empty for other settings."""
    switch = name.partition(" ")[0].removeprefix("enable_")
    if not name.startswith("enable_"):
        return frozenset()
    if "scan" in switch:
        return _ACCESS
    if switch in ("nestloop", "hashjoin", "mergejoin"):
        return _JOINS
    kinds = {
        "hashagg": DifferenceKind.AGGREGATION,
        "sort": DifferenceKind.SORT,
        "incremental_sort": DifferenceKind.SORT,
    }
    return frozenset({kinds[switch]}) if switch in kinds else frozenset()


def _of_statistics(candidate: Candidate, view: PlanView) -> Iterator[Effect]:
    if not view.is_changed:
        return
    seen = view.touching(candidate.table)
    if seen:
        yield Effect(STATISTICS_SEEN, f"the plans differ at this table: {seen.text}")
    elif "stale-statistics" in view.new_rules:
        yield Effect(STATISTICS_SEEN, "stale statistics stand out in the present plan")
    else:
        yield Effect(STATISTICS_MAY, "the plan was chosen anew")


def _of_distribution(candidate: Candidate, incident: Incident, view: PlanView) -> Iterator[Effect]:
    """Other data may bring another plan, or let the same one do more."""
    if view.is_known and not view.compares(candidate.about):
        return
    if seen := view.touching(candidate.table) if view.is_changed else None:
        yield Effect(STATISTICS_SEEN, f"the plans differ at this table: {seen.text}")
    elif view.is_changed:
        yield Effect(STATISTICS_MAY, "the plan was chosen anew")
    elif incident.label is Label.DATA_GROWTH:
        yield Effect(DATA_GROWTH, "each execution reads more than before")


def _of_definition(candidate: Candidate, view: PlanView) -> Iterator[Effect]:
    seen = view.touching(candidate.table)
    if seen and (not candidate.about or (candidate.before and candidate.after)):
        yield Effect(TYPE_CHANGED, f"the plans differ at this table: {seen.text}")


def _of_others(candidate: Candidate, incident: Incident, view: PlanView) -> Iterator[Effect]:
    together = incident.scope is not IncidentScope.QUERY or incident.label is Label.INSTANCE_SLOWDOWN
    if candidate.kind in (CauseKind.RESTART, CauseKind.FAILOVER, CauseKind.VERSION, CauseKind.RESTORE):
        if together:
            yield Effect(COLD, "many statements became slower together, as with cold caches or another server")
        elif view.is_changed and candidate.kind is CauseKind.VERSION:
            yield Effect(ESTIMATOR, "another version may choose other plans, and the plan changed")
        elif view.is_changed:
            yield Effect(COMPILED_ANEW, "plans were made anew after it, and the plan changed")
    elif candidate.kind is CauseKind.VOLUME and number_of(candidate.after) >= number_of(candidate.before):
        if incident.label is Label.DATA_GROWTH:
            yield Effect(DATA_GROWTH, "each execution reads more than before")
    elif candidate.kind is CauseKind.DEPLOYMENT and candidate.at is not None:
        before = (incident.began_at - candidate.at).total_seconds()
        if -IN_FIRST_INTERVAL_SECONDS <= before <= JUST_BEFORE_SECONDS:
            yield Effect(JUST_DEPLOYED, "it came right before" if before >= 0 else "it became slow with it")
    elif candidate.kind is CauseKind.PLAN and incident.label is Label.PLAN_REGRESSION:
        yield Effect(PLAN_BLAMED, "the figures change with the plan")


JUST_BEFORE_SECONDS = 1800
IN_FIRST_INTERVAL_SECONDS = 300
"""The first bad interval begins before what made it slow: a deployment within it is as near as one before it."""

_BY_PLANS = {
    CauseKind.INDEX: _of_index,
    CauseKind.SETTING: _of_setting,
    CauseKind.COMPATIBILITY: _of_setting,
    CauseKind.STATISTICS: _of_statistics,
    CauseKind.TABLE: _of_definition,
}
_BY_INCIDENT = {CauseKind.FORCING: _of_forcing, CauseKind.DISTRIBUTION: _of_distribution}


def _first(view: PlanView, kinds: Sequence[DifferenceKind] | frozenset[DifferenceKind] | set[DifferenceKind]) -> str:
    return next(change.text for change in view.changes if change.kind in kinds)
