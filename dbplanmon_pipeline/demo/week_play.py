"""Play a week: the use cases of production, driven by a clock that jumps.

Each tick collects, analyses and sends half a minute later, and looks after the messages once more before the next one.
Baselines and summary run as the Dagster jobs that they are, at their times. The rest drives the session directly, since
2,016 collections through Dagster would take half an hour and say the same; ways back and hotspots are left out, as no
message depends on them. Where the story stands is in the store alone, so that it goes on after a restart or a kill -9.
"""

import time as wall
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Protocol

from dbplanmon_pipeline.composition import Monitor, Session
from dbplanmon_pipeline.definitions import build_definitions
from dbplanmon_pipeline.defs.naming import BASELINES, SUMMARY
from dbplanmon_pipeline.defs.schedules import ARCHIVE_LAG, ROLLUPS_AT
from dbplanmon_pipeline.demo.ticks import DemoRuns
from dbplanmon_pipeline.demo.week_people import act
from dbplanmon_pipeline.demo.week_result import (
    WeekMessage,
    WeekResult,
    counts_by_channel,
    counts_by_rule,
    false_incidents,
    missed,
    sent_messages,
)
from dbplanmon_pipeline.demo.week_script import BEGINS_AT, DISTURBANCES, RESTART_AT, ends_at
from dbplanmon_pipeline.demo.week_settings import WeekPlace, week_provider
from dbplanmon_pipeline.settings import load_settings

DAY = timedelta(days=1)
ANALYSIS_DELAY = timedelta(seconds=30)
DAILY_DELAY = timedelta(minutes=1)


class WeekScreen(Protocol):
    """What a reader sees of the week."""

    def deed(self, at: datetime, what: str) -> None:
        """Something broke, or somebody did something."""
        ...

    def message(self, message: WeekMessage) -> None:
        """A channel took a message."""
        ...


class WeekPlayer:
    """Everything in memory between two restarts; made of the settings file and the store alone.

    Args:
        place: where and how.
        home: DAGSTER_HOME of the daily jobs.
        screen: what a reader sees.
    """

    def __init__(self, place: WeekPlace, home: Path, screen: WeekScreen) -> None:
        self._place, self._screen = place, screen
        self._now = BEGINS_AT
        settings = load_settings(place.settings_file)
        self._monitor = Monitor(
            settings, lambda: self._now, make_provider=lambda one, _: week_provider(one, lambda: self._now)
        )
        self._runs = DemoRuns(home, build_definitions(settings, monitor=self._monitor), self._monitor)
        with self._monitor.session() as session:
            log = session.store.collection_log(BEGINS_AT)
            self._collected = max((outcome.started_at for outcome in log), default=None)
            self._knows_history = False
            self._shown = {message.key for message in sent_messages(session.store)}

    def play(self, until: datetime, *, stop_before_analysis: bool = False) -> None:
        """Go on where the store says, up to and with a moment; `stop_before_analysis` leaves its tick half done."""
        # One session for all ticks: to open one for each takes a third of the time.
        with self._runs, self._monitor.session() as session:
            if self._collected is not None:
                self._after_collection(session, self._collected)
            at = BEGINS_AT if self._collected is None else self._collected + self._place.cadence
            while at <= until:
                self._collect(session, at)
                if not (stop_before_analysis and at == until):
                    self._after_collection(session, at)
                at += self._place.cadence

    def result(self, restarts: int, elapsed_seconds: float) -> WeekResult:
        """What the store says of it."""
        with self._monitor.session() as session:
            store = session.store
            return WeekResult(
                self._place.days,
                self._place.cadence // timedelta(minutes=1),
                tuple(sent_messages(store)),
                counts_by_channel(store),
                counts_by_rule(store),
                missed(store, ends_at(self._place.days)),
                false_incidents(store),
                restarts,
                round(elapsed_seconds, 1),
            )

    # ------------------------------------------------------------ one tick

    def _collect(self, session: Session, at: datetime) -> None:
        self._now = at
        before = at - self._place.cadence
        broke = [one.story for one in DISTURBANCES if before < one.starts_at <= at]
        for deed in (*broke, *act(session.store, before, at)):
            self._screen.deed(at, deed)
        session.remember_collection(session.collect())
        if not self._knows_history:
            self._import_history(session, at)

    def _import_history(self, session: Session, at: datetime) -> None:
        if new := [str(ref) for ref in session.databases_without_history()]:
            days = self._monitor.settings.baselines.days
            session.import_history([(at - n * DAY).date() for n in range(days + 1)], new)
            self._runs.learn(at)
        self._knows_history = True

    def _after_collection(self, session: Session, at: datetime) -> None:
        self._now = at + ANALYSIS_DELAY
        session.analyse()
        self._send(session)
        self._now = at + DAILY_DELAY
        if self._run_daily_jobs(session, at):
            self._send(session)
        self._now = at + self._place.cadence / 2
        if session.alerts_due():
            self._send(session)

    def _send(self, session: Session) -> None:
        if session.process_alerts().sent:
            for message in sent_messages(session.store):
                if message.key not in self._shown:
                    self._shown.add(message.key)
                    self._screen.message(message)

    def _run_daily_jobs(self, session: Session, at: datetime) -> bool:
        """Run what became due since the last tick; true where something did."""
        settings = self._monitor.settings
        jobs: list[tuple[time, Callable[[], object]]] = [
            (ROLLUPS_AT, lambda: _seal(session, (at - ARCHIVE_LAG).date())),
            (settings.baselines.time, lambda: self._runs.daily(BASELINES, (at - DAY).date())),
            (settings.retention.time, session.apply_retention),
            (settings.summary.time, lambda: self._runs.daily(SUMMARY, (at - DAY).date())),
        ]
        before = at - self._place.cadence
        due = [run for clock, run in jobs if before < datetime.combine(at.date(), clock, at.tzinfo) <= at]
        for run in due:
            run()
        return bool(due)


def _seal(session: Session, day: date) -> None:
    session.store.roll_up_day(day)
    session.store.seal_day(day)


def play_week(place: WeekPlace, home: Path, screen: WeekScreen, *, restart: bool = True) -> WeekResult:
    """Play it whole, or what is left of it; with `restart` the monitor is restarted in the middle of a tick."""
    began, end = wall.monotonic(), ends_at(place.days)
    player, restarts = WeekPlayer(place, home, screen), 0
    if restart and end > RESTART_AT:
        player.play(RESTART_AT, stop_before_analysis=True)
        screen.deed(RESTART_AT, "the monitor is restarted in the middle of a tick")
        player, restarts = WeekPlayer(place, home, screen), 1
    player.play(end)
    return player.result(restarts, wall.monotonic() - began)
