"""What may have caused an incident: every change that is known, one candidate each, before anybody ranks them."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from dbplanmon_pipeline.core.causes.context_facts import (
    EDITION_FACT,
    OF_STATEMENTS,
    RECOVERED_FACT,
    ROLE_SETTINGS_FACT,
    SETTING_FACT,
    STALE,
    STARTED_FACT,
    STATISTICS_FACT,
    VERSION_FACTS,
    cause_words,
    distribution_words,
    is_all_clear,
    took_over,
)
from dbplanmon_pipeline.core.causes.deployments import Deployment, deployment_words
from dbplanmon_pipeline.core.causes.distribution import DISTRIBUTION_FACT, column_changes, updated_of
from dbplanmon_pipeline.core.causes.table_facts import (
    ALTERED_FACT,
    COLUMNS_FACT,
    INDEXES_FACT,
    ROWS_FACT,
    UPDATED_FACT,
    number_of,
    part_changes,
    table_of,
)
from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import DatabaseRef, hash_text
from dbplanmon_pipeline.core.moments import read_utc
from dbplanmon_pipeline.core.plans.comparing.context import GROWTH_RATIO
from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference
from dbplanmon_pipeline.core.ports import FactChange
from dbplanmon_pipeline.core.readings.query_store_health import FORCED_PLAN_FACT

FURTHEST_ZONE = timedelta(hours=14)
"""No clock on the wall is further from UTC."""

MOMENT_FORM = "%Y-%m-%d %H:%M:%S"
"""How a comparison of plans writes moments."""


class CauseKind(StrEnum):
    """What changed."""

    FORCING = "forcing"
    INDEX = "index"
    COMPATIBILITY = "compatibility"
    VERSION = "version"
    RESTORE = "restore"
    SETTING = "setting"
    FAILOVER = "failover"
    STATISTICS = "statistics"
    DISTRIBUTION = "distribution"
    VOLUME = "volume"
    DEPLOYMENT = "deployment"
    RESTART = "restart"
    TABLE = "table"
    PLAN = "plan"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One change.

    Attributes:
        kind: what changed.
        what: in words, without the moment.
        at: when, aware UTC; None where it only shows between two plans.
        about: the index, setting, plan hash or column; empty where there is none.
        table: `schema.table` where it concerns one.
        before / after: values, empty where there was or is nothing.
        databases: in how many databases it was seen.
        covers_instance: true where it concerns all of an instance by its nature.
        is_dated: `at` is when it happened; else the reading that saw it, up to one collection later.
    """

    kind: CauseKind
    what: str
    at: datetime | None
    about: str = ""
    table: str = ""
    before: str = ""
    after: str = ""
    databases: int = 1
    covers_instance: bool = False
    is_dated: bool = False


FAILOVER_FACTS = ("replica role", "timeline")
_BY_NAME = {
    **dict.fromkeys((STARTED_FACT, RECOVERED_FACT), CauseKind.RESTART),
    **dict.fromkeys((*VERSION_FACTS, EDITION_FACT), CauseKind.VERSION),
    **dict.fromkeys(FAILOVER_FACTS, CauseKind.FAILOVER),
    "database identity": CauseKind.RESTORE,
    "compatibility level": CauseKind.COMPATIBILITY,
}
_OF_INSTANCES = frozenset({CauseKind.RESTART, CauseKind.VERSION, CauseKind.FAILOVER})


def candidates_of_facts(changes: Iterable[FactChange]) -> list[Candidate]:
    """One per fact, index or column that changed, oldest first; the same change of several databases is one."""
    found: dict[tuple[CauseKind, str, str, str], Candidate] = {}
    told = [change for change in changes if not is_all_clear(change)]
    starts = {(change.ref, change.seen_at): _told_at(change) for change in told if change.name == STARTED_FACT}
    for change in _growth_as_one(told):
        for one in _candidates_of(change):
            if one.kind is CauseKind.VERSION and (started := starts.get((change.ref, change.seen_at))):
                # A server gets another version by a start, whose moment it tells.
                one = replace(one, at=started, is_dated=True)  # noqa: PLW2901
            key = (one.kind, one.about, one.table, one.what)
            known = found.get(key)
            found[key] = _together(known, one) if known and not one.table else one
    return _without_echoes(list(found.values()))


def candidates_around(
    around: Iterable[PlanDifference], known: Sequence[Candidate], present: Collection[str]
) -> list[Candidate]:
    """What shows between the capture of two plans and is not known better.

    A plan may have been captured long ago, so what is watched all the time changed when its fact did, or not lately.

    Args:
        around: differences of what was known as the plans were captured.
        known: candidates that have a moment.
        present: names of the facts of the database.
    """
    kinds = {
        DifferenceKind.INDEX: CauseKind.INDEX,
        DifferenceKind.SETTING: CauseKind.SETTING,
        DifferenceKind.STATISTICS: CauseKind.STATISTICS,
        DifferenceKind.TABLE: CauseKind.VOLUME,
    }
    dated = {(one.kind, name) for one in known for name in (one.about, one.table) if name}
    found = []
    for change in around:
        kind = kinds.get(change.kind)
        index, _, table = change.node.partition(" on ")
        about, table = (index, table) if kind is CauseKind.INDEX else ("", change.node)
        if kind is CauseKind.SETTING:
            about, table = change.node, ""
        if kind and not {(kind, about), (kind, table)} & dated and not _is_watched(change, table, present):
            found.append(Candidate(kind, change.text, None, about, table, change.before, change.after))
    return found


def updated_between(changes: Iterable[PlanDifference], since: datetime) -> Iterator[PlanDifference]:
    """Statistics that were updated between the compilation of two plans, with their table for a node.

    Args:
        changes: differences of the plans.
        since: updates before it are left out. The plans tell the moment by the clock of the server, whose zone is not
            known, so what may lie after it is kept.
    """
    earliest = (since - FURTHEST_ZONE).strftime(MOMENT_FORM)
    for change in changes:
        # A moment, not the number of rows that made them stale; moments of one form order as text.
        is_update = change.kind is DifferenceKind.STATISTICS and len(change.after) == len(earliest)
        if is_update and change.after >= earliest:
            yield replace(change, node=change.node.rpartition(" of ")[2])


def _is_watched(change: PlanDifference, table: str, present: Collection[str]) -> bool:
    """True where the store has a fact that would have changed with it."""
    facts = {
        DifferenceKind.SETTING: f"{SETTING_FACT}{change.node}",
        DifferenceKind.STATISTICS: f"{UPDATED_FACT}{table}",
        DifferenceKind.TABLE: f"{ROWS_FACT}{table}",
    }
    if change.kind is DifferenceKind.INDEX:
        # Named with its table where indexes are looked at with new plans only.
        return " on " not in change.node and any(name.startswith(INDEXES_FACT) for name in present)
    return facts.get(change.kind, "") in present


def _growth_as_one(changes: Iterable[FactChange]) -> Iterator[FactChange]:
    """Steps in which a table grew or shrank as one, at the moment of the last, and only where it moved much."""
    steps: dict[tuple[DatabaseRef, str], FactChange] = {}
    for change in changes:
        if not change.name.startswith(ROWS_FACT):
            yield change
            continue
        first = steps.get((change.ref, change.name), change)
        steps[change.ref, change.name] = replace(change, before=first.before)
    for change in steps.values():
        low, high = sorted(max(1.0, number_of(value)) for value in (change.before, change.after))
        if high >= GROWTH_RATIO * low:
            yield change


def candidates_of_deployments(deployments: Iterable[Deployment], incident: Incident) -> list[Candidate]:
    """Markers whose place is that of the incident, or wider."""
    return [
        Candidate(
            CauseKind.DEPLOYMENT,
            deployment_words(one),
            one.deployed_at,
            one.name,
            covers_instance=not one.database,
            is_dated=True,
        )
        for one in deployments
        if one.concerns(incident.instance, incident.database)
    ]


def candidate_of_plan(incident: Incident) -> Candidate | None:
    """The change of plan itself; None where the plan is the same or one of both is not known."""
    if not incident.previous_plan_hash or incident.previous_plan_hash == incident.plan_hash:
        return None
    old, new = hash_text(incident.previous_plan_hash), hash_text(incident.plan_hash)
    words = f"the statement got another plan: {old[:8]} became {new[:8]}"
    return Candidate(CauseKind.PLAN, words, incident.began_at, new, before=old, after=new, is_dated=True)


def happened_at(change: FactChange) -> datetime:
    """The moment the server tells, else that at which the change was seen; never a later one than that."""
    return _told_at(change) or change.seen_at


def _told_at(change: FactChange) -> datetime | None:
    """The moment the server tells; None where it tells none, or one that is yet to come."""
    told = None
    if took_over(change):
        return None
    if change.name in (STARTED_FACT, RECOVERED_FACT) or change.name.startswith(UPDATED_FACT):
        told = read_utc(change.after.split(" ")[0].rstrip(","))
    elif change.name.startswith(DISTRIBUTION_FACT):
        told = read_utc(updated_of(change.after).split(" ")[0])
    return told if told and told <= change.seen_at else None


def _candidates_of(change: FactChange) -> Iterator[Candidate]:
    table = table_of(change.name)
    if change.name.startswith(INDEXES_FACT):
        yield from _parts(change, CauseKind.INDEX, "index", table)
    elif change.name.startswith(COLUMNS_FACT):
        yield from _parts(change, CauseKind.TABLE, "column", table)
    elif change.name.startswith(DISTRIBUTION_FACT):
        yield from _columns(change, table)
    elif change.name.startswith(ALTERED_FACT):
        yield _candidate(change, CauseKind.TABLE, table=table)
    elif change.name.startswith(ROWS_FACT):
        yield _candidate(change, CauseKind.VOLUME, table=table)
    elif change.name.startswith(UPDATED_FACT):
        yield _candidate(change, CauseKind.STATISTICS, table=table)
    elif change.name.startswith(STATISTICS_FACT):
        # Fresh again says no more than that they were updated, which is told with its moment.
        if change.after == STALE:
            yield _candidate(change, CauseKind.STATISTICS, table=change.name.removeprefix(STATISTICS_FACT))
    elif change.name == ROLE_SETTINGS_FACT:
        yield from _parts(change, CauseKind.SETTING, "setting", "")
    elif change.name.startswith(SETTING_FACT):
        yield _candidate(change, CauseKind.SETTING, change.name.removeprefix(SETTING_FACT))
    elif change.name.startswith(OF_STATEMENTS):
        about = change.name.rpartition(" ")[2] if change.name.startswith(FORCED_PLAN_FACT) else ""
        yield _candidate(change, CauseKind.FORCING, about)
    else:
        kind = CauseKind.FAILOVER if took_over(change) else _BY_NAME.get(change.name, CauseKind.OTHER)
        yield _candidate(change, kind, change.name, covers_instance=kind in _OF_INSTANCES)


def _candidate(
    change: FactChange, kind: CauseKind, about: str = "", *, table: str = "", covers_instance: bool = False
) -> Candidate:
    return Candidate(
        kind,
        cause_words(change),
        happened_at(change),
        about,
        table,
        change.before,
        change.after,
        covers_instance=covers_instance,
        is_dated=_told_at(change) is not None,
    )


def _parts(change: FactChange, kind: CauseKind, noun: str, table: str) -> Iterator[Candidate]:
    for part in part_changes(change.before, change.after):
        of_table = f" of {table}" if table else ""
        values = f": {part.before or 'none'} became {part.after or 'none'}" if kind is not CauseKind.INDEX else ""
        what = f"{noun} {part.name}{of_table} {part.verb}{values}"
        yield Candidate(kind, what, change.seen_at, part.name, table, part.before, part.after)


def _columns(change: FactChange, table: str) -> Iterator[Candidate]:
    """One per column whose data moved far."""
    found = distribution_words(change.after)
    for column in column_changes(table, change.before, change.after):
        what = f"{column.words}{found}"
        is_dated = _told_at(change) is not None
        yield Candidate(CauseKind.DISTRIBUTION, what, happened_at(change), column.column, table, is_dated=is_dated)


def _together(known: Candidate, more: Candidate) -> Candidate:
    """The same change of one more database, at its first moment."""
    moments = [one.at for one in (known, more) if one.at]
    return replace(known, at=min(moments, default=None), databases=known.databases + more.databases)


def _without_echoes(found: list[Candidate]) -> list[Candidate]:
    """An altered table says no more than the index or column of it that changed, where that is known."""
    told = {one.table for one in found if one.kind in (CauseKind.INDEX, CauseKind.TABLE) and one.about}
    return [one for one in found if one.kind is not CauseKind.TABLE or one.about or one.table not in told]
