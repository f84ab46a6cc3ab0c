"""What makes a row of each kind superfluous: its age, and that nothing which stays needs it.

An incident keeps the statement, the plans and the plan changes it speaks of for as long as it is kept itself; while it
is open, also its alerts and the facts of its databases. The present value of a fact, also that it has ended, the
newest baseline and the last attempt to import history stay, however old. What one run of a job, an instance or a
channel leaves for the next goes when nothing asked for it any more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Date, Select, Table, and_, func, or_, select, tuple_, union

from dbplanmon_pipeline.core.incidents.incident import IncidentState
from dbplanmon_pipeline.core.ports.alert_rules import AlertState
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.store.intervals.days import epoch_us
from dbplanmon_pipeline.store.schema import (
    alert,
    alert_delivery,
    audit_log,
    baseline,
    collection_log,
    database_fact,
    database_hour,
    deployment,
    history_import,
    hotspot,
    hourly_rollup,
    incident,
    incident_event,
    job_state,
    kpi_result,
    maintenance_window,
    monitored_database,
    mute_rule,
    plan,
    plan_change,
    plan_observation,
    query,
    query_text,
    suggestion,
)

Condition = ColumnElement[bool]

_OPEN = tuple(str(state) for state in IncidentState if state.is_open)
_WAITING = (str(AlertState.PENDING), str(AlertState.HELD))


@dataclass(frozen=True, slots=True)
class Expiring:
    """Rows of one table that end.

    Attributes:
        table: theirs.
        is_superfluous: true for rows that may go, for a limit in time.
        key: column by which rows of `parts` name their owner.
        parts: tables whose rows go with their owner.
    """

    table: Table
    is_superfluous: Callable[[datetime], Condition]
    key: str = ""
    parts: tuple[Table, ...] = ()


def _older(column: Column[Any]) -> Callable[[datetime], Condition]:
    return lambda before: column < _limit(column, before)


def _limit(column: Column[Any], before: datetime) -> Any:
    if isinstance(column.type, BigInteger):
        return epoch_us(before)
    return before.date() if isinstance(column.type, Date) else before


def _of_incidents() -> Select[Any]:
    """Statements that incidents speak of: number of the database and hash."""
    target = monitored_database
    named = (target.c.instance == incident.c.instance) & (target.c.database == incident.c.database)
    return select(target.c.database_id, incident.c.query_hash).join(incident, named)


def _in_trouble() -> Select[Any]:
    """Databases with an open incident, of their own or of their instance."""
    target = monitored_database
    named = (target.c.instance == incident.c.instance) & incident.c.database.in_(["", target.c.database])
    return select(target.c.database_id).join(incident, named).where(incident.c.state.in_(_OPEN))


def _is_old_statement(before: datetime) -> Condition:
    pair = tuple_(query.c.database_id, query.c.query_hash)
    return and_(query.c.last_seen < before, pair.not_in(_of_incidents()))


def _is_old_observation(before: datetime) -> Condition:
    seen = plan_observation
    pair = tuple_(seen.c.database_id, seen.c.query_hash)
    return and_(seen.c.last_seen < before, pair.not_in(_of_incidents()))


def _is_unused_plan(before: datetime) -> Condition:
    seen = plan_observation
    observed = select(seen.c.plan_hash).where(seen.c.plan_hash == plan.c.plan_hash, ~_is_old_observation(before))
    current = select(query.c.query_hash).where(
        query.c.current_plan_hash == plan.c.plan_hash, query.c.last_seen >= before
    )
    named = union(
        select(incident.c.plan_hash),
        select(incident.c.previous_plan_hash),
        select(plan_change.c.plan_hash),
        select(plan_change.c.previous_plan_hash),
    )
    return and_(
        plan.c.first_seen < before,
        ~observed.correlate(plan).exists(),
        ~current.correlate(plan).exists(),
        plan.c.plan_hash.not_in(select(named.subquery().c.plan_hash)),
    )


def _is_unused_text(before: datetime) -> Condition:
    used = select(query.c.query_hash).where(query.c.text_sha256 == query_text.c.text_sha256, ~_is_old_statement(before))
    return ~used.correlate(query_text).exists()


def _is_old_plan_change(before: datetime) -> Condition:
    pair = tuple_(plan_change.c.database_id, plan_change.c.query_hash)
    return and_(plan_change.c.changed_at < before, pair.not_in(_of_incidents()))


def _is_superseded_baseline(before: datetime) -> Condition:
    newer = baseline.alias()
    same = [newer.c[name] == baseline.c[name] for name in ("layout", "database_id", "query_hash")]
    newest = select(func.max(newer.c.as_of)).where(*same).scalar_subquery()
    of_database = select(query.c.query_hash).where(query.c.database_id == baseline.c.database_id)
    of_statement = of_database.where(query.c.query_hash == baseline.c.query_hash)
    forgotten = and_(
        baseline.c.query_hash != OTHER_STATEMENTS,
        of_database.correlate(baseline).exists(),
        ~of_statement.correlate(baseline).exists(),
    )
    return and_(baseline.c.as_of < before, or_(baseline.c.as_of < newest, forgotten))


def _is_superseded_fact(before: datetime) -> Condition:
    newer = database_fact.alias()
    same = [newer.c[name] == database_fact.c[name] for name in ("database_id", "name")]
    later = select(newer.c.name).where(*same, newer.c.seen_at > database_fact.c.seen_at, newer.c.seen_at < before)
    return and_(
        database_fact.c.seen_at < before,
        later.correlate(database_fact).exists(),
        database_fact.c.database_id.not_in(_in_trouble()),
    )


def _is_past_import(before: datetime) -> Condition:
    newer = history_import.alias()
    last = select(func.max(newer.c.attempted_at)).where(newer.c.database_id == history_import.c.database_id)
    return and_(history_import.c.day < before.date(), history_import.c.attempted_at < last.scalar_subquery())


def _is_past_incident(before: datetime) -> Condition:
    return and_(incident.c.closed_at < before, incident.c.state.not_in(_OPEN))


def _is_past_alert(before: datetime) -> Condition:
    open_ones = select(incident.c.incident_id).where(incident.c.state.in_(_OPEN))
    # What a channel keeps open needs its end first.
    ended = or_(alert.c.tracked_as.is_(None), alert.c.state != AlertState.DELIVERED.value)
    return and_(
        alert.c.created_at < before, alert.c.state.not_in(_WAITING), alert.c.incident_id.not_in(open_ones), ended
    )


def _is_past_mute(before: datetime) -> Condition:
    return or_(mute_rule.c.removed_at < before, mute_rule.c.expires_at < before)


def _is_unused_memory(before: datetime) -> Condition:
    signs = (job_state.c.last_failure_at, job_state.c.last_success_at, job_state.c.next_attempt_at)
    return and_(or_(*(sign.is_not(None) for sign in signs)), *(or_(sign.is_(None), sign < before) for sign in signs))


EXPIRING: Mapping[str, Expiring] = {
    found.table.name: found
    for found in (
        Expiring(collection_log, _older(collection_log.c.started_at)),
        Expiring(alert_delivery, _older(alert_delivery.c.attempted_at)),
        Expiring(alert, _is_past_alert, "alert_id", (alert_delivery,)),
        Expiring(mute_rule, _is_past_mute),
        Expiring(maintenance_window, _older(maintenance_window.c.removed_at)),
        Expiring(job_state, _is_unused_memory),
        Expiring(kpi_result, _older(kpi_result.c.started_at)),
        Expiring(hotspot, _older(hotspot.c.window_end)),
        Expiring(hourly_rollup, _older(hourly_rollup.c.hour_start_us)),
        Expiring(database_hour, _older(database_hour.c.hour_start_us)),
        Expiring(history_import, _is_past_import),
        Expiring(database_fact, _is_superseded_fact),
        Expiring(incident, _is_past_incident, "incident_id", (incident_event, suggestion)),
        Expiring(deployment, _older(deployment.c.deployed_at)),
        Expiring(plan_change, _is_old_plan_change),
        Expiring(plan_observation, _is_old_observation),
        Expiring(plan, _is_unused_plan),
        Expiring(query, _is_old_statement),
        Expiring(query_text, _is_unused_text),
        Expiring(baseline, _is_superseded_baseline),
        Expiring(audit_log, _older(audit_log.c.at)),
    )
}
"""By table, in the order of removal: what names something goes before what it names."""
