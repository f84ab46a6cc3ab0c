"""Learn from normal life, watch more of it, then break the server in twelve ways."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.definitions import build_definitions
from dbplanmon_pipeline.demo.play import fresh_home
from dbplanmon_pipeline.demo.postgres_binaries import PostgresBinaries
from dbplanmon_pipeline.demo.ticks import DemoRuns
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.bench.real.faults import RealFault
from dbplanmon_pipeline_tests.bench.real.noise import natural_noise
from dbplanmon_pipeline_tests.bench.real.server import LivingServer, Work

LEARN_SHARE = 0.4
WATCH_TICKS = 8
"""How long a fault lasts."""

BEFORE_TICKS = 20
"""What a fault made of its statements is measured against so many readings before it."""

REAL_FROM = 1.3
"""A fault that slowed its statements by less did not happen."""


@dataclass(slots=True)
class FaultOutcome:
    """What was said of a fault.

    Attributes:
        slowdown: of the statement that suffered most, as the server counted it: time per execution during the fault
            over that before; NaN where none was to suffer.
        ticks: readings until its first incident; None where there was none.
        said: the incident in a few words.
        false: incidents on statements that it does not slow down.
    """

    fault: RealFault
    slowdown: float = math.nan
    ticks: int | None = None
    said: str = ""
    false: list[str] = field(default_factory=list)

    @property
    def happened(self) -> bool:
        """False where an incident would be owed, had the statements really got slower."""
        return self.fault.owes_silence or self.slowdown >= REAL_FROM


@dataclass(slots=True)
class RealReport:
    """Everything; `normal` holds what was said while nothing was wrong."""

    ticks: int = 0
    watched: int = 0
    statements: int = 0
    normal: list[str] = field(default_factory=list)
    outcomes: list[FaultOutcome] = field(default_factory=list)


def play(
    binaries: PostgresBinaries,
    folder: Path,
    faults: Sequence[RealFault],
    *,
    minutes: float,
    tick_seconds: int,
    settle: int,
    tell: Callable[[str], None],
) -> RealReport:
    """Run everything once.

    Args:
        binaries: of the server.
        folder: for its data and ours.
        faults: what breaks, in this order.
        minutes: of normal life before the first fault; the first part is only learnt from.
        tick_seconds: cadence of readings.
        settle: readings after each fault, in which incidents may end; more than an incident needs to end is best.
        tell: is told what goes on.
    """
    server = LivingServer(binaries, folder, tick_seconds)
    try:
        for step in server.prepare():
            tell(step)
        monitor = server.monitor()
        with DemoRuns(fresh_home(folder), build_definitions(monitor.settings, monitor=monitor), monitor) as runs:
            runs.register_databases()
            server.start()
            with natural_noise(server.dsn), monitor.session() as session:
                return _Life(server, runs, session.store, tell).whole(faults, minutes, settle)
    finally:
        server.close()


class _Life:
    def __init__(self, server: LivingServer, runs: DemoRuns, store: SqlStore, tell: Callable[[str], None]) -> None:
        self._server, self._runs, self._store, self._tell = server, runs, store, tell
        self._report = RealReport()
        self._told: dict[str, tuple[int, int]] = {}
        self._monitor = server.monitor()
        self._work: deque[dict[str, Work]] = deque(maxlen=BEFORE_TICKS)

    def whole(self, faults: Sequence[RealFault], minutes: float, settle: int) -> RealReport:
        report, ticks = self._report, round(minutes * 60 / self._server.tick_seconds)
        learn = round(LEARN_SHARE * ticks)
        self._tell(f"learning from {learn} readings of normal life")
        for _ in range(learn):
            self._tick(analyse=False)
        self._runs.learn(self._monitor.clock())
        self._tell(f"watching {ticks - learn} further ones, in which nothing is wrong")
        for _ in range(ticks - learn):
            self._tick(analyse=True)
            report.normal += [self._words(one) for one in self._new()]
        report.watched = ticks - learn
        self._runs.learn(self._monitor.clock())
        report.statements = len(self._server.names())
        for fault in faults:
            self._tell(f"{fault.kind}: {fault.name}")
            report.outcomes.append(outcome := FaultOutcome(fault))
            before, begin = self._work[0], self._server.work()
            with fault.during(self._server):
                self._watch(outcome, WATCH_TICKS, counting=True)
                outcome.slowdown = _slowdown(fault, before, begin, self._server.work())
            self._watch(outcome, settle, counting=False)
            self._tell(
                f"  x{outcome.slowdown:.3g} in truth; said: {outcome.said or 'nothing'}; "
                f"false: {', '.join(outcome.false) or 'none'}"
            )
        return report

    def _watch(self, outcome: FaultOutcome, ticks: int, *, counting: bool) -> None:
        for number in range(1, ticks + 1):
            self._tick(analyse=True)
            for incident in self._new():
                if self._server.names().get(incident.query_hash) not in outcome.fault.affects:
                    outcome.false.append(self._words(incident))
                elif outcome.ticks is None and counting:
                    outcome.ticks, outcome.said = number, self._words(incident)

    def _tick(self, *, analyse: bool) -> None:
        self._server.next_tick()
        self._work.append(self._server.work())
        self._runs.collect()
        if analyse:
            self._runs.analyse()
        self._report.ticks += 1

    def _new(self) -> list[Incident]:
        """Incidents that somebody is told of now: opened, reopened or worse than when they were told of."""
        fresh = []
        for one in self._store.open_incidents():
            state = (one.reopened_count, one.severity.rank)
            if state > self._told.get(one.incident_id, (-1, -1)):
                self._told[one.incident_id] = state
                fresh.append(one)
        return fresh

    def _words(self, incident: Incident) -> str:
        name = self._server.names().get(incident.query_hash, hash_text(incident.query_hash) or "the whole instance")
        return f"{name} x{incident.effect_ratio:.3g} ({incident.label.value})"


def _slowdown(fault: RealFault, before: dict[str, Work], begin: dict[str, Work], end: dict[str, Work]) -> float:
    """Of the statement that suffers most."""
    nothing = Work(0, 0.0)
    ratios = [
        (end.get(name, nothing) - begin.get(name, nothing)).mean_ms
        / (begin.get(name, nothing) - before.get(name, nothing)).mean_ms
        for name in fault.affects
    ]
    return max((one for one in ratios if not math.isnan(one)), default=math.nan)
