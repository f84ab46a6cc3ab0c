"""A recorded past to judge: five calm hours, a baseline, then one statement with a worse plan."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from dbplanmon_pipeline.core.alert_rules.policy import AlertRoutes
from dbplanmon_pipeline.core.incidents.machine import IncidentPolicy
from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider, StatementProfile
from dbplanmon_pipeline.services.analyse import AnalysisPolicy, AnalysisReport, analyse
from dbplanmon_pipeline.services.rebuild_baselines import BaselineReport, rebuild_baselines
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.fleets import START, STEP, Fleet
from dbplanmon_pipeline_tests.support.migrated import put_store

INSTANCE = "fleet"
STATEMENTS = 12
CALM_TICKS = 60
BROKEN_AT = START + STEP * CALM_TICKS
BROKEN_TICKS = 6
CHANNELS = ("dba", "log")
REF = DatabaseRef(INSTANCE, "sim0001")
DETECTOR = StatisticalDetector(DetectorPolicy(step=STEP, min_intervals=20))


def policy(**options: object) -> AnalysisPolicy:
    facts = {
        "lookback": timedelta(hours=12),
        "incidents": IncidentPolicy(step=STEP),
        "dialect": lambda _: Engine.SQLSERVER,
        "routes": AlertRoutes(CHANNELS),
    }
    return AnalysisPolicy(**{**facts, **options})


def victim() -> StatementProfile:
    """A statement that runs often and costs enough to matter."""
    profiles = SimulatedProvider(INSTANCE, 2, statements=STATEMENTS, seed=7).profiles(REF.database)
    return max(
        (p for p in profiles if p.executions_per_hour > 300),
        key=lambda p: p.executions_per_hour * min(p.elapsed_us, 50_000),
    )


def fault(factor: float = 8.0) -> SimulatedFault:
    return SimulatedFault("flip", REF.database, victim().statement, FaultKind.PLAN_REGRESSION, BROKEN_AT, factor=factor)


@dataclass
class Story:
    """A fleet of two databases with its past in a store."""

    fleet: Fleet
    clock: FixedClock

    @property
    def store(self) -> SqlStore:
        return self.fleet.store

    def learn(self, as_of: datetime | None = None, days: int = 7) -> BaselineReport:
        return rebuild_baselines(self.store, DETECTOR, as_of=as_of or self.clock(), days=days)

    def analyse(self, store: object | None = None, as_of: datetime | None = None, **options: object) -> AnalysisReport:
        return analyse(store or self.store, DETECTOR, policy=policy(**options), as_of=as_of)

    def everything(self) -> dict[str, object]:
        """What an analysis leaves behind."""
        store = self.store
        incidents = store.incidents()
        return {
            "incidents": incidents,
            "events": [store.incident_events(incident.incident_id) for incident in incidents],
            "alerts": store.alerts(START),
            "suggestions": store.suggestions(),
            "plan_changes": store.plan_changes(START - STEP),
        }


def open_story(folder: Path, moment: datetime) -> Story:
    clock = FixedClock(moment)
    put_store(folder / "store.db")
    store = open_store(f"sqlite:///{folder}/store.db", clock=clock)
    provider = SimulatedProvider(INSTANCE, 2, clock=clock, statements=STATEMENTS, seed=7, faults=[fault()])
    return Story(Fleet(store, clock, provider), clock)


def write_calm_past(folder: Path) -> None:
    """Sixty ticks without trouble."""
    story = open_story(folder, START)
    story.fleet.collect()
    story.fleet.tick(CALM_TICKS)
    story.store.close()


def continue_story(past: Path, folder: Path) -> Story:
    shutil.copytree(past, folder, dirs_exist_ok=True)
    return open_story(folder, BROKEN_AT)
