"""Pictures for the documents, of simulated data: python -m dbplanmon_pipeline_tests.web.pictures [FOLDER]."""

import shutil
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from dbplanmon_pipeline.core.alert_rules.policy import AlertRoutes
from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.incidents.machine import IncidentPolicy
from dbplanmon_pipeline.core.model import Engine, Label
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider
from dbplanmon_pipeline.services.analyse import AnalysisPolicy, analyse
from dbplanmon_pipeline.services.rebuild_baselines import rebuild_baselines
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.fleets import STEP, Fleet
from dbplanmon_pipeline_tests.web.pages.site import NOW, serving

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
LARGEST_BYTES = 200_000
CALM, BROKEN = timedelta(hours=26), timedelta(hours=2)
SETTINGS = """\
environment: test
instances:
  - {name: simulated-erp, engine: simulated, databases: 4}
  - {name: simulated-web, engine: simulated, databases: 3}
  - {name: simulated-reports, engine: simulated, databases: 2}
"""
SEEDS = {"simulated-erp": (4, 7), "simulated-web": (3, 11), "simulated-reports": (2, 13)}
_STATEMENTS = 16


def write_fleet(folder: Path) -> list[Incident]:
    """A day of calm, then two statements with worse plans, judged as they run."""
    began = NOW - BROKEN
    clock = FixedClock(NOW - BROKEN - CALM)
    store = open_store(f"sqlite:///{folder}/store.db", clock=clock)
    store.upgrade()
    faults = {
        "simulated-erp": [_worse("simulated-erp", "sim0001", 0, 8.0, began)],
        "simulated-web": [_worse("simulated-web", "sim0002", 1, 3.0, began + BROKEN / 2)],
    }
    providers = [
        SimulatedProvider(name, count, clock=clock, statements=_STATEMENTS, seed=seed, faults=faults.get(name, []))
        for name, (count, seed) in SEEDS.items()
    ]
    fleet = Fleet(store, clock, *providers)
    detector = StatisticalDetector(DetectorPolicy(step=STEP, min_intervals=20))
    policy = AnalysisPolicy(
        timedelta(hours=12), IncidentPolicy(step=STEP), lambda _: Engine.SQLSERVER, AlertRoutes(("log",))
    )
    fleet.collect()
    while clock() < NOW:
        if clock() == began:
            rebuild_baselines(store, detector, as_of=clock(), days=7)
        fleet.tick()
        if clock() > began:
            analyse(store, detector, policy=policy)
    found = store.incidents()
    store.close()
    return found


def _worse(instance: str, database: str, place: int, factor: float, at: datetime) -> SimulatedFault:
    count, seed = SEEDS[instance]
    profiles = SimulatedProvider(instance, count, statements=_STATEMENTS, seed=seed).profiles(database)
    often = [profile for profile in profiles if profile.executions_per_hour > 300]
    dearest = sorted(often, key=lambda profile: -profile.executions_per_hour * min(profile.elapsed_us, 50_000))
    kind = FaultKind.PLAN_REGRESSION
    return SimulatedFault("worse", database, dearest[place].statement, kind, at, factor=factor)


def main(folder: Path = PICTURES) -> None:
    """Draw both pictures."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name:
        past, state = Path(name) / "past", Path(name) / "site"
        past.mkdir()
        state.mkdir()
        incident = max(
            (one for one in write_fleet(past) if one.label is Label.PLAN_REGRESSION),
            key=lambda one: one.extra_seconds_per_hour,
        )
        with serving(state, past=past, settings=SETTINGS) as site, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1200, "height": 1000}, color_scheme="light")
            for file, path in (("fleet.png", "/"), ("incident-page.png", f"/incidents/{incident.incident_id}")):
                page.goto(site.url + path)
                drawn = page.screenshot()
                if len(drawn) > LARGEST_BYTES:
                    raise SystemExit(f"{file} has {len(drawn):,} bytes, more than {LARGEST_BYTES:,}")
                (folder / file).write_bytes(drawn)
            browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
