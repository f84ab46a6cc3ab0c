"""Forcing the former plan of a statement on SQL Server: when it is advised, when not, and the scripts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope
from dbplanmon_pipeline.core.model import CapturedPlan, Engine, Label, hash_text
from dbplanmon_pipeline.core.plain_words import cost_words, ratio_words
from dbplanmon_pipeline.core.readings.query_store_health import FORCED_PLAN_FACT, STATE_FACT, force_failures
from dbplanmon_pipeline.core.remedies.lost_indexes import lost_indexes
from dbplanmon_pipeline.core.remedies.suggestion_drafts import Draft, SuggestionKind
from dbplanmon_pipeline.core.sqlnames import quote_name

MORE_ROWS = 5.0
"""From this many times the rows per execution, the former plan is not known to be good for what runs now."""

TUNING_FACT = "automatic tuning FORCE_LAST_GOOD_PLAN"
REPLICA_GROUPS_FACT = "replica groups"
REPLICA_ROLE_FACT = "replica role"
VARIANTS_FACT = "psp variants "

_PRIMARY_GROUP = "1"
_JUDGED = frozenset({Label.PLAN_REGRESSION, Label.FAILING, Label.PARAMETER_SENSITIVITY, Label.DATA_GROWTH})


@dataclass(frozen=True, slots=True)
class RowsPerExecution:
    """Rows one execution returned under the former plan, and returns now; NaN unknown."""

    before: float = float("nan")
    now: float = float("nan")

    @property
    def grew(self) -> bool:
        """The executions now handle far more than those the former plan was good for."""
        return self.now + 1.0 >= MORE_ROWS * (self.before + 1.0)


UNKNOWN_ROWS = RowsPerExecution()


def plan_forcing(
    incident: Incident,
    *,
    old: CapturedPlan | None,
    new: CapturedPlan | None,
    present: Mapping[str, str],
    rows: RowsPerExecution = UNKNOWN_ROWS,
) -> Draft | None:
    """The way back by forcing the former plan, or the reasons against it as a review.

    Args:
        incident: of one statement of a SQL Server database.
        old: the former plan, None where not captured.
        new: the plan now, likewise.
        present: facts that hold in the database now, by name.
        rows: per execution, before and now.

    Returns:
        None where the plan did not change or the label has nothing to do with it.
    """
    if not _concerns_plans(incident):
        return None
    reasons = list(_reasons_against(incident, old, new, present, rows))
    if reasons:
        return _review(incident, reasons)
    database, query, plan = incident.database, hash_text(incident.query_hash), hash_text(incident.previous_plan_hash)
    return Draft(
        SuggestionKind.FORCE_PLAN,
        "low",
        _rationale(incident),
        _force_script(database, query, plan),
        _unforce_script(database, query, plan),
    )


def _concerns_plans(incident: Incident) -> bool:
    return (
        incident.scope is IncidentScope.QUERY
        and bool(incident.database)
        and incident.label in _JUDGED
        and bool(incident.previous_plan_hash)
        and incident.previous_plan_hash != incident.plan_hash
    )


def _reasons_against(
    incident: Incident,
    old: CapturedPlan | None,
    new: CapturedPlan | None,
    present: Mapping[str, str],
    rows: RowsPerExecution,
) -> Iterator[str]:
    """One sentence for each thing that makes forcing a bad or a useless idea."""
    yield from _reasons_of_work(incident, present, rows)
    yield from _reasons_of_engine(present)
    yield from _reasons_of_forcing(incident, present)
    for lost in lost_indexes(incident, old, new)[:1]:
        state = "disabled" if lost.disabled else "gone"
        yield f"the former plan reads the index {lost.name}, which is {state}, so forcing it would fail"


def _reasons_of_work(incident: Incident, present: Mapping[str, str], rows: RowsPerExecution) -> Iterator[str]:
    if incident.label is Label.PARAMETER_SENSITIVITY:
        yield "its cost depends on the parameter values, so one plan for all of them may slow others down"
    if f"{VARIANTS_FACT}{hash_text(incident.query_hash)}" in present:
        yield "the engine already keeps several plans of it for different parameter values"
    if rows.grew:
        yield (
            f"an execution now returns {rows.now:,.0f} rows, under the former plan {rows.before:,.0f}: the former plan "
            "may only have been cheap because it served small inputs"
        )
    elif incident.label is Label.DATA_GROWTH:
        yield "each execution handles more data than before, which the former plan may not handle better"


def _reasons_of_engine(present: Mapping[str, str]) -> Iterator[str]:
    if present.get(TUNING_FACT, "").upper() == "ON":
        yield "automatic tuning (FORCE_LAST_GOOD_PLAN) is on in this database, so forcing plans is left to the engine"
    state = present.get(STATE_FACT, "READ_WRITE")
    if state != "READ_WRITE":
        yield f"Query Store is {state}, and a plan can only be forced while it records"
    if present.get(REPLICA_ROLE_FACT, "").lower() == "secondary":
        yield "this replica is a secondary, where no plan can be forced"
    elif _has_secondaries(present.get(REPLICA_GROUPS_FACT, "")):
        yield (
            "Query Store also records work of secondary replicas here, so the figures may come from them; "
            "forcing on the primary is judged by the primary's own figures"
        )


def _has_secondaries(groups: str) -> bool:
    """True where the text (`1: node1, 2: node2`) names a group beside that of the primary."""
    numbers = {part.partition(":")[0].strip() for part in groups.split(",")}
    return any(number.isdigit() and number != _PRIMARY_GROUP for number in numbers)


def _reasons_of_forcing(incident: Incident, present: Mapping[str, str]) -> Iterator[str]:
    """A plan of this statement is forced already, or forcing has failed before."""
    former = hash_text(incident.previous_plan_hash)
    prefix = f"{FORCED_PLAN_FACT}{hash_text(incident.query_hash)} "
    for name, value in sorted(present.items()):
        if not name.startswith(prefix) or not value:
            continue
        which = "the former plan" if name.removeprefix(prefix) == former else f"plan {name.removeprefix(prefix)}"
        if force_failures(value):
            yield f"{which} is forced and forcing failed before ({value}); cure that first"
        else:
            yield f"{which} is forced already; find out who forced it and why it does not hold"


def _review(incident: Incident, reasons: list[str]) -> Draft:
    told = "; ".join(reasons)
    became = "fails" if incident.failing else "got slower"
    return Draft(
        SuggestionKind.REVIEW_PLANS,
        "low",
        f"Statement {hash_text(incident.query_hash)} {became} with another plan, but forcing the former plan "
        f"{hash_text(incident.previous_plan_hash)} is not advised: {told}. Compare the two plans first.",
    )


def _rationale(incident: Incident) -> str:
    cost = ""
    if incident.baseline_us > 0:
        before, now = cost_words(incident.baseline_us), cost_words(incident.observed_us)
        cost = f" ({before} -> {now} per execution, {ratio_words(incident.effect_ratio)})"
    was, now = ("ended well", "fails") if incident.failing else ("was fast", "is slower")
    return (
        f"Statement {hash_text(incident.query_hash)} {was} with plan {hash_text(incident.previous_plan_hash)} and "
        f"{now} with plan {hash_text(incident.plan_hash)}{cost}. Forcing the former plan makes the optimizer use "
        "it again at once and changes nothing else; where it cannot be used, the engine compiles as before. It treats "
        "the symptom: find out why the plan changed, watch the statement for a day, and take the force away when the "
        "cause is cured."
    )


def _force_script(database: str, query: str, plan: str) -> str:
    return _for_each_plan(
        database,
        query,
        plan,
        "NOT EXISTS (SELECT 1 FROM sys.query_store_plan AS f WHERE f.query_id = q.query_id AND f.is_forced_plan = 1)",
        "sys.sp_query_store_force_plan",
        "plans_forced",
    )


def _unforce_script(database: str, query: str, plan: str) -> str:
    return _for_each_plan(
        database, query, plan, "p.is_forced_plan = 1", "sys.sp_query_store_unforce_plan", "plans_unforced"
    )


def _for_each_plan(database: str, query: str, plan: str, condition: str, procedure: str, result: str) -> str:
    """Ids are looked up when the script runs, as they are local to the database; only hashes and its name enter."""
    # Nothing but 16 hex digits, a quoted name and words of this module gets into the text.
    return "\n".join(
        (
            f"USE {quote_name(database, Engine.SQLSERVER)};",
            "DECLARE @query_id bigint, @plan_id bigint, @done int = 0;",
            "DECLARE found CURSOR LOCAL STATIC READ_ONLY FOR",
            "    SELECT q.query_id, MAX(p.plan_id)",
            "    FROM sys.query_store_query AS q",
            "    JOIN sys.query_store_plan AS p ON p.query_id = q.query_id",
            f"    WHERE q.query_hash = 0x{query} AND p.query_plan_hash = 0x{plan}",
            f"        AND {condition}",
            "    GROUP BY q.query_id;",
            "OPEN found;",
            "FETCH NEXT FROM found INTO @query_id, @plan_id;",
            "WHILE @@FETCH_STATUS = 0",
            "BEGIN",
            f"    EXEC {procedure} @query_id = @query_id, @plan_id = @plan_id;",
            "    SET @done = @done + 1;",
            "    FETCH NEXT FROM found INTO @query_id, @plan_id;",
            "END;",
            "CLOSE found;",
            "DEALLOCATE found;",
            f"SELECT @done AS {result};",
        )
    )
