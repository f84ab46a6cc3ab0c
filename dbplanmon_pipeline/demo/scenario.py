"""The story: learn what is normal, break things one after the other, and see whether the pipeline says so."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import DatabaseRef, hash_text
from dbplanmon_pipeline.demo.faults import Fault
from dbplanmon_pipeline.demo.pace import Pace
from dbplanmon_pipeline.demo.result import FalseIncident, FaultResult
from dbplanmon_pipeline.demo.source import DemoSource
from dbplanmon_pipeline.demo.ticks import DemoRuns
from dbplanmon_pipeline.services.explain import explain_incident
from dbplanmon_pipeline.store import SqlStore


class StoryScreen(Protocol):
    """What the story shows while it goes on."""

    def step(self, what: str) -> None:
        """One thing of the preparation."""
        ...

    def phase(self, title: str, detail: str = "", ticks: int = 0) -> None:
        """A new part of the story begins; `ticks` is its length where known."""
        ...

    def tick(self, number: int, store: SqlStore, names: dict[int, str]) -> None:
        """A collection and its analysis are done."""
        ...

    def found(self, fault: Fault, result: FaultResult, alert: str) -> None:
        """The pipeline said what is wrong."""
        ...


@dataclass(slots=True)
class Story:
    """What has happened so far."""

    began_at: datetime
    ticks: int = 0
    faults: list[FaultResult] = field(default_factory=list)
    explained: set[str] = field(default_factory=set)


def tell(source: DemoSource, runs: DemoRuns, monitor: Monitor, screen: StoryScreen, pace: Pace) -> Story:
    """Play the whole story once; raises what the runs raise."""
    story = Story(monitor.clock())
    with monitor.session() as session:
        store = session.store

        def tick(*, analyse: bool) -> None:
            source.next_tick()
            runs.collect()
            if analyse:
                runs.analyse()
            story.ticks += 1
            screen.tick(story.ticks, store, source.names())

        screen.phase("learn", "watching about twenty kinds of statements until their normal is known", pace.learn)
        for _ in range(pace.learn):
            tick(analyse=False)
        runs.learn(monitor.clock())

        screen.phase("watch", "nothing is wrong, and nothing should be said", pace.calm)
        for _ in range(pace.calm):
            tick(analyse=True)
        screen.phase("stay silent", source.change_silently(), pace.calm)
        for _ in range(pace.calm):
            tick(analyse=True)

        for fault in source.faults:
            screen.phase(f"break: {fault.name}", fault.story, fault.within_ticks)
            injected_at = monitor.clock()
            source.break_it(fault)
            result = _not_found(fault, injected_at)
            long_enough = fault.within_ticks + pace.after
            for number in range(1, long_enough + pace.patience + 1):
                if number > long_enough and result.incident_id:
                    break
                tick(analyse=True)
                incident = _incident_of(fault, store, source.names(), injected_at)
                if incident and not result.incident_id:
                    result = _found(fault, injected_at, number, incident, source, monitor, store)
                    story.explained.add(incident.incident_id)
                    screen.found(fault, result, alert_text(store, incident))
            story.faults.append(result)
            source.mend_it(fault)
            screen.phase(f"mend: {fault.name}", "back to normal before the next thing breaks", pace.settle)
            for _ in range(pace.settle):
                tick(analyse=True)
        runs.sum_up()
    return story


def false_incidents(
    store: SqlStore, faults: Sequence[Fault], results: Sequence[FaultResult], names: dict[int, str]
) -> tuple[FalseIncident, ...]:
    """Incidents on statements that no fault had touched when they opened."""
    found = []
    for incident in store.incidents():
        name = names.get(incident.query_hash, hash_text(incident.query_hash) or "the whole instance")
        broken = [
            fault
            for fault, result in zip(faults, results, strict=True)
            if name in fault.affects and incident.opened_at > datetime.fromisoformat(result.injected_at)
        ]
        if not broken:
            found.append(
                FalseIncident(
                    name,
                    incident.incident_id,
                    incident.label.value,
                    round(incident.effect_ratio, 2),
                    round(incident.extra_seconds_per_hour, 1),
                    incident.opened_at.isoformat(),
                )
            )
    return tuple(found)


def alert_text(store: SqlStore, incident: Incident) -> str:
    """The message about an incident as it was sent, empty where none was."""
    for alert in store.alerts(incident.opened_at):
        if alert.incident_id == incident.incident_id:
            return f"{alert.subject}\n\n{alert.body}"
    return ""


def _incident_of(fault: Fault, store: SqlStore, names: dict[int, str], since: datetime) -> Incident | None:
    """The dearest incident that the fault explains, opened since it happened."""
    fresh = [
        incident
        for incident in store.open_incidents()
        if incident.opened_at > since and names.get(incident.query_hash) in fault.affects
    ]
    return max(fresh, key=lambda incident: incident.extra_seconds_per_hour, default=None)


def _not_found(fault: Fault, injected_at: datetime) -> FaultResult:
    return FaultResult(fault.name, fault.kind, injected_at.isoformat(), detected=False, ticks_to_detect=None)


def _found(
    fault: Fault,
    injected_at: datetime,
    ticks: int,
    incident: Incident,
    source: DemoSource,
    monitor: Monitor,
    store: SqlStore,
) -> FaultResult:
    with monitor.session() as session:
        explanation = explain_incident(store, incident, session.dialect(incident.instance))
    ref = DatabaseRef(incident.instance, incident.database)
    return FaultResult(
        fault.name,
        fault.kind,
        injected_at.isoformat(),
        detected=ticks <= fault.within_ticks,
        ticks_to_detect=ticks,
        statement=source.names().get(incident.query_hash, str(ref)),
        incident_id=incident.incident_id,
        label=incident.label.value,
        severity=incident.severity.value,
        effect_ratio=round(incident.effect_ratio, 2),
        extra_seconds_per_hour=round(incident.extra_seconds_per_hour, 1),
        plan_diff=(explanation.plan_summary, *explanation.plan_lines, *explanation.context_lines),
        way_back=explanation.suggestions[0].script if explanation.suggestions else "",
    )
