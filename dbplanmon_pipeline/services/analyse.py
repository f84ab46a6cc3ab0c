"""Judge what was recorded since the last analysis, keep the incidents, and queue the alerts they owe."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Protocol

from dbplanmon_pipeline.core.alert_rules.policy import AlertRoutes
from dbplanmon_pipeline.core.alerts.incident_alerts import ALERTING_EVENTS, alert_for
from dbplanmon_pipeline.core.arrivals import Arrivals, JudgedUntil, by_ticks, fresh_rows_of, rows_of
from dbplanmon_pipeline.core.grouping import Group, whole_instances
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentChange
from dbplanmon_pipeline.core.incidents.machine import IncidentPolicy, advance
from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.plan_changes import plan_changes
from dbplanmon_pipeline.core.ports import (
    Alert,
    AlertStore,
    AnalysisStore,
    PlanChange,
    Suggestion,
    SuggestionStore,
)
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.restarts import RESTART_FACTS, Restarts
from dbplanmon_pipeline.core.verdict.model import BaselineSet, Detector, Evaluation
from dbplanmon_pipeline.core.verdict.rows.series import DETECTOR_COLUMNS
from dbplanmon_pipeline.core.verdict.warm_up import WarmUp
from dbplanmon_pipeline.services.analyse_step import Part, RunningSteps
from dbplanmon_pipeline.services.explain import Explanation, ExplanationStore, describe_plan_change, explain_incident

MAX_CATCH_UP = 24
GROUP = 32
"""Databases judged at once, unless one instance has more; with a day of the past and 200 statements in each that is a
gigabyte and a quarter.
"""

JOB = "analysis"
BEHIND = "analysis:behind"
"""Memory of the moment up to which everything was judged, and of instances for which it is an earlier one."""


def no_link(incident_id: str) -> str | None:
    """Where no page shows incidents."""
    del incident_id
    return None


class AnalysisStores(AnalysisStore, AlertStore, SuggestionStore, ExplanationStore, Protocol):
    """The parts of the store that an analysis touches."""


@dataclass(frozen=True, slots=True)
class AnalysisPolicy:
    """How an analysis goes about it.

    Attributes:
        lookback: how far back a verdict looks.
        incidents: when incidents end and come back.
        dialect: the language of an instance, for scripts.
        routes: which channels hear of which step.
        link: address of the page of an incident, None where there is none.
    """

    lookback: timedelta
    incidents: IncidentPolicy
    dialect: Callable[[str], Engine]
    routes: AlertRoutes = field(default_factory=AlertRoutes)
    link: Callable[[str], str | None] = no_link


@dataclass(frozen=True, slots=True)
class AnalysisReport:
    """What one analysis found.

    Attributes:
        as_of: end of the newest interval judged; None when there was nothing to judge.
        ticks: how many moments were judged (more than one after an outage of the analysis).
        changes: steps of incidents, in order.
        plan_changes: plan changes seen for the first time.
        open_incidents: what is open now.
        judged / unjudged: statements with and without a baseline in the last tick.
        alerts: alerts queued.
        held_back: statements that are slower since a restart in the last tick, and are not told of yet.
    """

    as_of: datetime | None
    ticks: int
    changes: tuple[IncidentChange, ...]
    plan_changes: tuple[PlanChange, ...]
    open_incidents: tuple[Incident, ...]
    judged: int
    unjudged: int
    alerts: int
    held_back: int = 0


def analyse(
    store: AnalysisStores,
    detector: Detector,
    *,
    policy: AnalysisPolicy,
    as_of: datetime | None = None,
    steps: RunningSteps | None = None,
) -> AnalysisReport:
    """Judge every tick recorded since the last analysis, or the one tick that ended by `as_of`.

    With `steps`, what an earlier analysis kept spares reading the whole lookback; what is said stays the same.
    Repeating it for the same data changes nothing: incidents and alerts carry ids made from what they are about.
    """
    newest = as_of or store.latest_interval_end()
    if newest is None:
        return AnalysisReport(None, 0, (), (), tuple(store.open_incidents()), 0, 0, 0)
    earliest = newest - policy.lookback
    judged = JudgedUntil(newest - timedelta(microseconds=1)) if as_of else _remembered(store, earliest)
    latest = cache(lambda: store.baselines(newest, detector.layout))
    restarts = cache(lambda: _restarts(store, newest, policy))
    steps = None if as_of else steps
    # Instances are independent of each other; group by group, the memory needed does not grow with the fleet.
    found = [
        part
        for group in whole_instances(store.known_databases(), GROUP)
        for part in _Group(store, detector, policy, group, judged, newest, latest, restarts).judged_parts(steps)
    ]
    if as_of is None:
        _remember(store, judged.after([part.arrivals for part in found], newest), newest)
    return AnalysisReport(
        newest,
        max((judged.ticks for judged in found), default=0),
        tuple(change for judged in found for change in judged.changes),
        tuple(change for judged in found for change in judged.plan_changes),
        tuple(store.open_incidents()),
        sum(judged.judged for judged in found),
        sum(judged.unjudged for judged in found),
        sum(judged.alerts for judged in found),
        sum(judged.held_back for judged in found),
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """The part of the report that comes from one group of instances."""

    ticks: int = 0
    changes: tuple[IncidentChange, ...] = ()
    plan_changes: tuple[PlanChange, ...] = ()
    judged: int = 0
    unjudged: int = 0
    alerts: int = 0
    held_back: int = 0
    arrivals: Arrivals = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Group:
    """Databases that are read at once, and all it takes to judge them."""

    store: AnalysisStores
    detector: Detector
    policy: AnalysisPolicy
    group: Group
    judged: JudgedUntil
    newest: datetime
    latest: Callable[[], BaselineSet]
    restarts: Callable[[], Restarts]

    def judged_parts(self, steps: RunningSteps | None) -> Iterator[_Judged]:
        """Judge it part by part, by `steps` where these can."""
        known = steps.parts(self.group, self.judged, self.newest, self.policy.lookback) if steps else None
        for part in self._parts() if known is None else known:
            yield self._judge(part)
            if steps:
                steps.keep(part, self.group, self.latest() if known is None else None)

    def _parts(self) -> Iterator[Part]:
        """By its moments: one part, unless shards of a collection ended at moments of their own, or late."""
        lookback, until = self.policy.lookback, self.judged.until
        frame = self._frame(max(until, self.newest - lookback) - lookback, self.group)
        instances = {ref.instance for ref in self.group}
        for ticks, arrivals in by_ticks(frame, instances, self.judged).items():
            own = frame if len(arrivals) == len(instances) else rows_of(frame, arrivals)
            if ticks and ticks[0] <= until:
                # What came late is judged by as long a past as what came in time.
                refs = [ref for ref in self.group if ref.instance in arrivals]
                own = self._frame(ticks[0] - timedelta(microseconds=1) - lookback, refs)
            yield Part(own, frozenset(arrivals), (ticks or (self.newest,))[-MAX_CATCH_UP:], arrivals)

    def _frame(self, start: datetime, refs: Sequence[DatabaseRef]) -> IntervalFrame:
        return self.store.interval_frame(start, self.newest, columns=DETECTOR_COLUMNS, databases=refs)

    def _judge(self, part: Part) -> _Judged:
        """Judge every tick of some instances that was not judged yet, oldest first."""
        store, policy = self.store, self.policy
        plans_changed = _store_plan_changes(store, part.frame, self.judged)
        changes: list[IncidentChange] = []
        alerts, held_back = 0, 0
        warm_up = WarmUp(self.restarts(), policy.incidents.step, policy.incidents.warm_up)
        evaluation: Evaluation | None = None
        for number, tick in enumerate(part.ticks):
            if part.evaluations:
                evaluation = part.evaluations[number]
            else:
                evaluation = self.detector.evaluate(part.frame, self._baselines(tick), tick)
            present = [i for i in store.open_incidents() if i.instance in part.instances]
            evaluation, held = warm_up.sift(evaluation, {incident.key for incident in present})
            held_back = len(held)
            step = advance(
                present,
                [i for i in store.recent_incidents(tick - policy.incidents.memory) if i.instance in part.instances],
                evaluation,
                policy.incidents,
            )
            alerts += _store_step(store, step, policy)
            changes.extend(step)
        return _Judged(
            len(part.ticks),
            tuple(changes),
            tuple(plans_changed),
            evaluation.judged if evaluation else 0,
            evaluation.unjudged if evaluation else 0,
            alerts,
            held_back,
            part.arrivals,
        )

    def _baselines(self, tick: datetime) -> BaselineSet:
        """What was learnt since a missed tick must not judge it: it may have learnt from what is judged."""
        latest = self.latest()
        return latest if latest.as_of <= tick else self.store.baselines(tick, self.detector.layout)


def _restarts(store: AnalysisStores, newest: datetime, policy: AnalysisPolicy) -> Restarts:
    """As far back as rises of missed ticks may have begun."""
    since, until = newest - 2 * policy.lookback, newest + policy.incidents.step
    return Restarts.of(store.changes_of_facts(RESTART_FACTS, since, until))


def _remembered(store: AnalysisStores, earliest: datetime) -> JudgedUntil:
    states = store.job_states([JOB, BEHIND])
    return JudgedUntil.read(states[JOB].detail, states[BEHIND].detail, earliest)


def _remember(store: AnalysisStores, judged: JudgedUntil, now: datetime) -> None:
    states = store.job_states([JOB, BEHIND])
    details = {JOB: judged.until.isoformat(), BEHIND: judged.behind_text()}
    store.save_job_states([replace(states[name], detail=text, last_success_at=now) for name, text in details.items()])


def _store_plan_changes(store: AnalysisStores, frame: IntervalFrame, judged: JudgedUntil) -> list[PlanChange]:
    """Plan changes within the intervals that were not judged yet, each put in words once."""
    ends_fresh = fresh_rows_of(frame, judged)
    fresh_rows = frame.rows.loc[ends_fresh, ["database_id", "query_hash", "interval_start_us"]]
    fresh = {(frame.databases[int(d)], int(q), int(start)) for d, q, start in fresh_rows.itertuples(index=False)}
    found = []
    for change in plan_changes(frame, {}):
        if (change.ref, change.query_hash, epoch_us(change.changed_at)) in fresh:
            summary, _ = describe_plan_change(store.plan(change.previous_plan_hash), store.plan(change.plan_hash))
            found.append(replace(change, summary=summary))
    store.save_plan_changes(found)
    return found


def _store_step(store: AnalysisStores, step: Sequence[IncidentChange], policy: AnalysisPolicy) -> int:
    """Alerts and suggestions before the incidents: after a crash in between, the same step queues the same ids.

    Alerts of one step are queued together, so that those with one cause can be told in one message.
    """
    suggestions: list[Suggestion] = []
    alerts: list[Alert] = []
    for change in step:
        if change.event in ALERTING_EVENTS:
            explanation = explain_incident(store, change.incident, policy.dialect(change.incident.instance))
            suggestions += explanation.suggestions
            alerts += _alerts(change, explanation, policy)
    if suggestions:
        store.save_suggestions(suggestions)
    queued = store.add_alerts(alerts) if alerts else 0
    store.save_incident_changes(step)
    return queued


def _alerts(change: IncidentChange, explanation: Explanation, policy: AnalysisPolicy) -> list[Alert]:
    incident = change.incident
    return [
        alert_for(
            change,
            channel=channel,
            statement=explanation.statement,
            plan_summary=explanation.plan_summary,
            plan_lines=explanation.plan_lines,
            finding_lines=explanation.finding_lines,
            context_lines=explanation.context_lines,
            engine_advice=explanation.engine_advice,
            suggestion=explanation.suggestions[0] if explanation.suggestions else None,
            command=f"dbplanmon incidents show {incident.incident_id}",
            link=policy.link(incident.incident_id),
            causes=explanation.causes,
            likely_cause=explanation.likely_cause,
        )
        for channel in policy.routes.channels(change.event, incident.severity)
    ]
