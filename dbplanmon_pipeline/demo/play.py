"""Play the demo from its empty folder to its result."""

import os
import shutil
import time
from importlib.resources import files
from pathlib import Path

from dbplanmon_pipeline.composition import Session
from dbplanmon_pipeline.definitions import build_definitions
from dbplanmon_pipeline.demo.pace import Pace
from dbplanmon_pipeline.demo.result import DemoResult
from dbplanmon_pipeline.demo.scenario import StoryScreen, false_incidents, tell
from dbplanmon_pipeline.demo.source import DemoSource
from dbplanmon_pipeline.demo.ticks import DemoRuns

NICENESS = 10


def fresh_home(folder: Path) -> Path:
    """An empty DAGSTER_HOME for the demo; what an earlier demo left is removed."""
    home = folder / "dagster"
    shutil.rmtree(home, ignore_errors=True)
    for left in folder.glob("store.db*"):
        left.unlink()
    shutil.rmtree(folder / "archive", ignore_errors=True)
    home.mkdir(parents=True)
    template = files("dbplanmon_pipeline.demo").joinpath("dagster.yaml").read_text(encoding="utf-8")
    (home / "dagster.yaml").write_text(template, encoding="utf-8")
    return home


def play(source: DemoSource, home: Path, screen: StoryScreen, pace: Pace, *, polite: bool = False) -> DemoResult:
    """Prepare, tell the story, and sum it up; `source` is left running.

    Args:
        source: what is watched.
        home: an empty DAGSTER_HOME.
        screen: what people see.
        pace: lengths of the parts.
        polite: give this process a lower priority than the server it watches, for the rest of its life.
    """
    began = time.monotonic()
    for step in source.prepare():
        screen.step(step)
    monitor = source.monitor()
    with DemoRuns(home, build_definitions(monitor.settings, monitor=monitor), monitor) as runs:
        runs.register_databases()
        source.start()
        if polite:
            # Our own runs shall not slow down what they watch; the server and its application keep their priority.
            os.nice(NICENESS)
        story_began = time.monotonic()
        story = tell(source, runs, monitor, screen, pace)
        story_seconds = time.monotonic() - story_began
        events = runs.events_per_run()
    with monitor.session() as session:
        opened = _opened_names(session, source)
        return DemoResult(
            engine=source.engine,
            elapsed_seconds=round(time.monotonic() - began, 1),
            faults=tuple(story.faults),
            silent=(source.silent_result(opened),),
            false_incidents=false_incidents(session.store, source.faults, story.faults, source.names()),
            alerts=tuple(
                {"subject": a.subject, "body": a.body, "event": a.event, "at": a.created_at.isoformat()}
                for a in session.store.alerts(story.began_at)
            ),
            server=source.server,
            ticks=story.ticks,
            seconds_per_tick=round(story_seconds / max(story.ticks, 1), 2),
            events_per_run=events,
        )


def _opened_names(session: Session, source: DemoSource) -> frozenset[str]:
    names = source.names()
    return frozenset(names.get(incident.query_hash, "") for incident in session.store.incidents())
