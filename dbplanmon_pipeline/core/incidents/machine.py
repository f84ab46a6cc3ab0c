"""The life of incidents: what one evaluation or one person's decision changes about them."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.incidents.incident import (
    Incident,
    IncidentChange,
    IncidentEvent,
    IncidentScope,
    IncidentState,
)
from dbplanmon_pipeline.core.model import DatabaseRef, Label
from dbplanmon_pipeline.core.verdict.model import Evaluation, InstanceVerdict, Verdict
from dbplanmon_pipeline.core.verdict.telling.evidence import plan_sentence
from dbplanmon_pipeline.core.verdict.warm_up import HELD_BACK, WarmUpPolicy
from dbplanmon_pipeline.errors import DbPlanMonError

Key = tuple[str, str, int]

_GRACE = 6
"""Steps after a person resolved an incident in which the rule still sees intervals from before the cure."""

_SEEN_CALM = 2


class IllegalTransition(DbPlanMonError, ValueError):
    """The incident is not in a state from which the event may happen."""


@dataclass(frozen=True, slots=True)
class IncidentPolicy:
    """When incidents end and come back.

    Attributes:
        step: collection cadence.
        calm_after: activity without a finding that ends an incident of a statement; counted in intervals in which
            the statement ran, so a statement that rests proves nothing.
        instance_calm_after: the same for an instance or a database; from two such intervals on, time counts as well, as
            an engine that flushes once an hour shows few of them.
        reopen_within: an incident that ended by itself is continued when it returns within this time.
        dismissed_for: a dismissed incident stays away this long, unless it returns with a higher severity.
        own_excess_ratio: on a slow instance, or in a slow database, only statements this much above normal, and
            above what all have in common, open incidents; the others wait until all around them is well.
        warm_up: how long what began with a restart is held back.
    """

    step: timedelta = timedelta(minutes=5)
    calm_after: timedelta = timedelta(hours=3)
    instance_calm_after: timedelta = timedelta(hours=1)
    reopen_within: timedelta = timedelta(hours=24)
    dismissed_for: timedelta = timedelta(days=7)
    own_excess_ratio: float = 3.0
    warm_up: WarmUpPolicy = field(default_factory=WarmUpPolicy)

    def calm_intervals(self, scope: IncidentScope) -> int:
        """Calm active intervals that end an incident."""
        calm = self.calm_after if scope is IncidentScope.QUERY else self.instance_calm_after
        return max(1, math.ceil(calm / self.step))

    @property
    def memory(self) -> timedelta:
        """How far back `advance` needs to know incidents that were closed."""
        return max(self.reopen_within, self.dismissed_for)


def advance(
    open_incidents: Sequence[Incident],
    recent_closed: Sequence[Incident],
    evaluation: Evaluation,
    policy: IncidentPolicy,
) -> tuple[IncidentChange, ...]:
    """What an evaluation changes; the same evaluation a second time changes nothing.

    Calm is counted at most once per half step, so that databases whose intervals end at moments of their own do not
    each add to it.

    Args:
        open_incidents: at most one per key.
        recent_closed: those closed within `policy.memory`.
        evaluation: what the detector said.
        policy: times.
    """
    fresh = {_key(finding): _incident(finding, evaluation.as_of) for finding in _findings(evaluation)}
    held = {incident.key: incident for incident in open_incidents}
    ended: dict[Key, Incident] = {}
    for incident in sorted(recent_closed, key=lambda one: one.updated_at):
        ended[incident.key] = incident
    changes = [
        change
        for incident in held.values()
        if incident.updated_at < evaluation.as_of
        and (change := _continue(incident, fresh.get(incident.key), evaluation, policy))
    ]
    for key, incident in fresh.items():
        if key not in held and not _waits(incident, evaluation, policy):
            change = _begin(incident, ended.get(key), evaluation.as_of, policy)
            changes += [change] if change else []
    return tuple(changes)


_TARGETS = {
    IncidentEvent.ACKNOWLEDGED: (IncidentState.ACKNOWLEDGED, frozenset({IncidentState.NEW})),
    IncidentEvent.RESOLVED: (IncidentState.RESOLVED, frozenset({IncidentState.NEW, IncidentState.ACKNOWLEDGED})),
    IncidentEvent.DISMISSED: (IncidentState.DISMISSED, frozenset({IncidentState.NEW, IncidentState.ACKNOWLEDGED})),
    IncidentEvent.REOPENED: (IncidentState.NEW, frozenset(state for state in IncidentState if not state.is_open)),
}


def transition(incident: Incident, event: IncidentEvent, actor: str, at: datetime, note: str = "") -> IncidentChange:
    """What a person's decision changes.

    Args:
        incident: as stored.
        event: `ACKNOWLEDGED`, `RESOLVED`, `DISMISSED` or `REOPENED`; after the last one its calm is counted anew.
        actor: who decided.
        at: aware UTC.
        note: why; replaces the note of the incident unless empty. Nothing is reopened without one.

    Raises:
        IllegalTransition: the event is none of these, the incident is in the wrong state, or a reason is missing.
    """
    if event not in _TARGETS:
        raise IllegalTransition(
            f"{event} is not for a person to decide; acknowledge, resolve, dismiss or reopen the incident"
        )
    state, allowed = _TARGETS[event]
    if incident.state is state:
        raise IllegalTransition(f"incident {incident.incident_id} is {state} already")
    if incident.state not in allowed:
        raise IllegalTransition(
            f"incident {incident.incident_id} is {incident.state} and cannot become {state}; "
            f"it would have to be {' or '.join(sorted(allowed))}"
        )
    if event is IncidentEvent.REOPENED and not note.strip():
        raise IllegalTransition(f"incident {incident.incident_id} is {incident.state}; say why it is to be reopened")
    changed = replace(
        incident,
        state=state,
        updated_at=max(at, incident.updated_at),
        closed_at=None if state.is_open else at,
        note=note or incident.note,
    )
    if event is IncidentEvent.REOPENED:
        changed = replace(changed, calm_since=None, calm_intervals=0)
    return IncidentChange(event, changed, at, actor, note)


def stayed_bad(incident: Incident, began_at: datetime, at: datetime) -> Incident:
    """An open incident that goes on, of which nobody asked for figures."""
    return replace(
        incident,
        began_at=min(incident.began_at, began_at),
        updated_at=at,
        last_bad_at=at,
        calm_since=None,
        calm_intervals=0,
    )


def incident_id(scope: IncidentScope, key: Key, opened_at: datetime) -> str:
    """12 hex digits that the same opening always gives again."""
    text = "\x1f".join((scope, *(str(part) for part in key), opened_at.isoformat()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _findings(evaluation: Evaluation) -> Iterator[Verdict | InstanceVerdict]:
    yield from evaluation.instance_verdicts
    yield from evaluation.verdicts


def _key(finding: Verdict | InstanceVerdict) -> Key:
    if isinstance(finding, InstanceVerdict):
        return (finding.instance, finding.database, 0)
    return (finding.ref.instance, finding.ref.database, finding.query_hash)


def _incident(finding: Verdict | InstanceVerdict, at: datetime) -> Incident:
    """The incident as it would be opened now."""
    key, scope = _key(finding), _scope(finding)
    incident = Incident(
        incident_id=incident_id(scope, key, at),
        scope=scope,
        instance=key[0],
        database=key[1],
        query_hash=key[2],
        state=IncidentState.NEW,
        label=Label.DATABASE_SLOWDOWN if scope is IncidentScope.DATABASE else Label.INSTANCE_SLOWDOWN,
        severity=finding.severity,
        metric="elapsed_time_us",
        plan_hash=0,
        previous_plan_hash=0,
        effect_ratio=finding.effect_ratio,
        extra_seconds_per_hour=finding.extra_seconds_per_hour,
        extra_seconds_low=finding.extra_seconds_per_hour,
        extra_seconds_high=finding.extra_seconds_per_hour,
        baseline_us=0.0,
        observed_us=0.0,
        score=0.0,
        began_at=finding.began_at,
        opened_at=at,
        updated_at=at,
        last_bad_at=at,
        evidence=finding.evidence,
    )
    return incident if isinstance(finding, InstanceVerdict) else _with_statement(incident, finding)


def _scope(finding: Verdict | InstanceVerdict) -> IncidentScope:
    if isinstance(finding, Verdict):
        return IncidentScope.QUERY
    return IncidentScope.DATABASE if finding.database else IncidentScope.INSTANCE


def _with_statement(incident: Incident, verdict: Verdict) -> Incident:
    return replace(
        incident,
        label=verdict.label,
        metric=verdict.metric,
        plan_hash=verdict.plan_hash,
        previous_plan_hash=verdict.previous_plan_hash,
        extra_seconds_low=verdict.extra_seconds_low,
        extra_seconds_high=verdict.extra_seconds_high,
        baseline_us=verdict.baseline_us,
        observed_us=verdict.observed_us,
        score=verdict.score,
        failures=verdict.failures,
    )


def _waits(incident: Incident, evaluation: Evaluation, policy: IncidentPolicy) -> bool:
    """True for a statement that may only suffer with all around it; it is asked again at the next evaluation."""
    return (
        incident.scope is IncidentScope.QUERY
        and evaluation.is_slow_around(DatabaseRef(incident.instance, incident.database))
        and incident.effect_ratio < policy.own_excess_ratio
    )


def _begin(fresh: Incident, ended: Incident | None, at: datetime, policy: IncidentPolicy) -> IncidentChange | None:
    """Open, reopen, or leave alone, as the end of the incident before asks for."""
    if ended is None or ended.closed_at is None:
        return IncidentChange(IncidentEvent.OPENED, fresh, at)
    if ended.updated_at >= at:
        return None
    if ended.state is IncidentState.DISMISSED:
        stays_away = at - ended.closed_at <= policy.dismissed_for and fresh.severity.rank <= ended.severity.rank
        return None if stays_away else IncidentChange(IncidentEvent.OPENED, fresh, at)
    if at - ended.closed_at > policy.reopen_within:
        return IncidentChange(IncidentEvent.OPENED, fresh, at)
    if ended.state is IncidentState.RESOLVED and at - policy.step * _GRACE < ended.closed_at:
        return None
    reopened = replace(
        fresh,
        incident_id=ended.incident_id,
        began_at=ended.began_at,
        opened_at=ended.opened_at,
        reopened_count=ended.reopened_count + 1,
        note=ended.note,
    )
    return IncidentChange(IncidentEvent.REOPENED, reopened, at)


def _continue(
    incident: Incident, fresh: Incident | None, evaluation: Evaluation, policy: IncidentPolicy
) -> IncidentChange | None:
    still_fails = _still_fails(incident, evaluation)
    if fresh is not None:
        kept = fresh.failures or (incident.failures if still_fails else None)
        return _still_bad(incident, replace(fresh, failures=kept), evaluation.as_of)
    began_at = incident.began_at if still_fails else _unchanged_since(incident, evaluation)
    if began_at is not None:
        at = evaluation.as_of
        failures = incident.failures if still_fails else None
        going_on = stayed_bad(replace(incident, failures=failures), began_at, at)
        return IncidentChange(IncidentEvent.UPDATED, going_on, at)
    if not _proves_calm(incident, evaluation):
        return None
    at = evaluation.as_of
    if at - incident.updated_at < policy.step / 2:
        return None
    calm = incident.calm_intervals + 1
    changed = replace(incident, updated_at=at, calm_since=incident.calm_since or at, calm_intervals=calm)
    if calm < policy.calm_intervals(incident.scope) and not _calm_for_long(changed, at, policy):
        return IncidentChange(IncidentEvent.UPDATED, changed, at)
    resolved = replace(changed, state=IncidentState.AUTO_RESOLVED, closed_at=at)
    return IncidentChange(IncidentEvent.AUTO_RESOLVED, resolved, at)


def _calm_for_long(incident: Incident, at: datetime, policy: IncidentPolicy) -> bool:
    """Whether an instance or a database has been well for its time, however few intervals tell so."""
    if incident.scope is IncidentScope.QUERY or incident.calm_since is None or incident.calm_intervals < _SEEN_CALM:
        return False
    return at - incident.calm_since + policy.step >= policy.instance_calm_after


def _still_bad(incident: Incident, fresh: Incident, at: datetime) -> IncidentChange:
    """New figures; the severity only rises, the plan before is kept once known.

    After the way back to the plan before, the last windows still hold slow intervals; the plans of the incident stay.
    """
    worse = fresh.severity.rank > incident.severity.rank
    went_back = fresh.plan_hash and fresh.plan_hash == incident.previous_plan_hash
    plans = incident if went_back else fresh
    same_label = fresh.label is Label.UNKNOWN or incident.label is Label.PLAN_REGRESSION
    changed = replace(
        fresh,
        incident_id=incident.incident_id,
        state=incident.state,
        label=incident.label if same_label else fresh.label,
        severity=fresh.severity if worse else incident.severity,
        plan_hash=plans.plan_hash,
        previous_plan_hash=plans.previous_plan_hash or incident.previous_plan_hash,
        began_at=min(incident.began_at, fresh.began_at),
        opened_at=incident.opened_at,
        reopened_count=incident.reopened_count,
        note=incident.note,
        evidence=_with_held_back(_of_plans(fresh, plans), incident.evidence),
    )
    return IncidentChange(IncidentEvent.ESCALATED if worse else IncidentEvent.UPDATED, changed, at)


def _of_plans(fresh: Incident, plans: Incident) -> tuple[str, ...]:
    """The fresh evidence, with the sentence on the plans that the incident names."""
    said, meant = (plan_sentence((one.previous_plan_hash, one.plan_hash)) for one in (fresh, plans))
    return tuple(meant if line == said else line for line in fresh.evidence)


def _with_held_back(evidence: tuple[str, ...], before: tuple[str, ...]) -> tuple[str, ...]:
    """That it was held back is told once, when the incident opens."""
    return (*evidence, *(line for line in before if line.startswith(HELD_BACK) and line not in evidence))


def _still_fails(incident: Incident, evaluation: Evaluation) -> bool:
    """Whether its last interval was no better than those before, however far back the time before it lies by now."""
    share = evaluation.failing.get((DatabaseRef(incident.instance, incident.database), incident.query_hash))
    return incident.failures is not None and share is not None and not incident.failures.is_normal(share)


def _unchanged_since(incident: Incident, evaluation: Evaluation) -> datetime | None:
    instance, database, query_hash = incident.key
    return evaluation.unchanged.get((DatabaseRef(instance, database), query_hash)) if evaluation.unchanged else None


def _proves_calm(incident: Incident, evaluation: Evaluation) -> bool:
    """Only what ran can be calm, and nothing can while all around it is slow."""
    if incident.scope is IncidentScope.INSTANCE:
        return any(ref.instance == incident.instance for ref, _ in evaluation.active)
    instance, database, query_hash = incident.key
    ref = DatabaseRef(instance, database)
    if incident.scope is IncidentScope.DATABASE:
        return instance not in evaluation.slow_instances and any(one == ref for one, _ in evaluation.active)
    return not evaluation.is_slow_around(ref) and (ref, query_hash) in evaluation.active
