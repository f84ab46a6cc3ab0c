"""Indexes that a former plan went through and that the database of an incident has no more."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import CapturedPlan
from dbplanmon_pipeline.core.plans.comparing.context import DISABLED, is_listed
from dbplanmon_pipeline.core.plans.postgres.partitions import alias_of_table, index_of_table
from dbplanmon_pipeline.core.plans.showplan.attributes import plain_name
from dbplanmon_pipeline.core.plans.stored import tree_of
from dbplanmon_pipeline.core.plans.tree import Operator, Plan

FRESH_FOR = timedelta(hours=24)
"""What was read longer before an incident may have changed again since."""


@dataclass(frozen=True, slots=True)
class LostIndex:
    """An index that is gone, or disabled.

    Attributes:
        name: as contexts name it, `index` or `index on schema.table`.
        definition: the statement that makes it, as last known; empty where it was never read.
        disabled: it is there and serves no plan.
        known_from: the database whose definition it is, where that is not the one of the incident; else empty.
        of_partitions: what this index and those of other partitions of the table are called alike; empty where the
            table is no partition.
    """

    name: str
    definition: str
    disabled: bool = False
    known_from: str = ""
    of_partitions: str = ""


def lost_indexes(incident: Incident, old: CapturedPlan | None, new: CapturedPlan | None) -> list[LostIndex]:
    """Indexes that the former plan of an incident used and that are not there any more; empty where that is unknown.

    One stored plan stands for all databases that have it, with the context of the one that showed it first. What the
    former plan goes through is true of each of them, for the names are part of the plan. What is missing now is only
    believed of the incident's own database: the context of the present plan must have been read there, at most
    FRESH_FOR before the incident, and must list the table. So a database whose present plan was already known from
    another one gets no answer, and never a wrong one.

    Args:
        incident: of one statement.
        old: its former plan.
        new: its present plan.
    """
    if (
        old is None
        or new is None
        or not tells_of(incident, new.context)
        or not isinstance(new.context.get("indexes"), dict)
    ):
        return []
    before, after = old.context.get("indexes"), new.context["indexes"]
    known = before if isinstance(before, dict) else {}
    elsewhere = old.context.get("database", "")
    origin = elsewhere if elsewhere != new.context.get("database", "") else ""
    found = []
    alike = _partition_indexes(old)
    for name in _used(old, known, named_by_table="database" in new.context):
        was, now = str(known.get(name, "")), str(after.get(name, ""))
        if is_listed(name, new.context) and (not now or now.startswith(DISABLED)) and not was.startswith(DISABLED):
            found.append(LostIndex(name, was, bool(now), origin if was else "", alike.get(name, "")))
    return found


def tells_of(incident: Incident, context: Mapping[str, Any]) -> bool:
    """True where a context was read in the incident's own database, at most FRESH_FOR before the incident.

    Contexts that do not say where they were read are taken as those of the incident.
    """
    if "database" not in context:
        return True
    try:
        read_at = datetime.fromisoformat(str(context.get("read_at", "")))
    except ValueError:
        return False
    at_home = context["database"] == f"{incident.instance}/{incident.database}"
    return at_home and read_at >= incident.began_at - FRESH_FOR


def databases_named(plan: Plan) -> set[str]:
    """Databases whose tables a plan names; those of more than one cannot be told apart by schema and table alone."""
    named = {plain_name(str(operator.attributes.get("Database", ""))) for operator in plan.operators()}
    return named - {"", "tempdb"}


def _used(old: CapturedPlan, known: Mapping[str, str], *, named_by_table: bool) -> Iterator[str]:
    """Names of the indexes the plan goes through, once each; by its text where it cannot be read."""
    tree = tree_of(old)
    if tree is None:
        yield from (name for name in known if name in old.body)
    elif named_by_table:
        if len(databases_named(tree)) <= 1:
            yield from dict.fromkeys(_full_name(one) for one in tree.operators() if one.index and one.relation)
    else:
        used = {operator.index for operator in tree.operators()}
        yield from (name for name in known if name in used)


def _partition_indexes(old: CapturedPlan) -> dict[str, str]:
    """What indexes of partitions are called alike, by their own names: `o *_day_idx` for `orders_17_day_idx`."""
    tree = tree_of(old)
    found: dict[str, str] = {}
    for operator in tree.operators() if tree else ():
        if table := alias_of_table(operator.relation, operator.alias):
            # A bitmap scan reads its indexes below itself.
            indexes = [operator.index, *(child.index for child in operator.walk() if not child.relation)]
            found |= {index: f"{table} {index_of_table(index, operator.relation)}" for index in indexes if index}
    return found


def _full_name(operator: Operator) -> str:
    return f"{operator.index} on {operator.schema}.{operator.relation}"
