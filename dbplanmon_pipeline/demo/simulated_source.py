"""The demo without any server: a simulated one with a known truth, and a clock that jumps from tick to tick."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.ports import Provider
from dbplanmon_pipeline.demo.faults import Fault
from dbplanmon_pipeline.demo.pace import Pace
from dbplanmon_pipeline.demo.result import SilentResult
from dbplanmon_pipeline.providers.simulated import (
    FaultKind,
    SimulatedFault,
    SimulatedProvider,
    Source,
    StatementProfile,
)
from dbplanmon_pipeline.settings import InstanceSettings, Settings, load_settings

INSTANCE = "demo-simulated"
DATABASE = "sim0001"
STEP = timedelta(minutes=5)
BUSY_PER_HOUR = 600
LARGEST_SECONDS = 0.5

SETTINGS = """\
# Written by `dbplanmon demo --engine simulated`.
environment: development
state_dir: {folder}
collection: {{interval: 5m, startup_delay: 0s}}
baselines: {{min_intervals: 20}}
alerts:
  channels: [{{type: log}}]
schedules: {{collection: false, analysis: false, retry: false, health: false, baselines: false, rollups: false,
            summary: false}}
instances:
  - {{name: {instance}, engine: simulated, databases: 1}}
"""


class SimulatedSource:
    """Satisfies `DemoSource`; five minutes pass between two ticks without anybody waiting for them."""

    engine = "simulated"
    tick_seconds = int(STEP.total_seconds())

    def __init__(self, folder: Path, pace: Pace, begins_at: datetime | None = None) -> None:
        self._folder = folder
        self._now = begins_at or datetime.now(UTC).replace(microsecond=0) - STEP * 80
        self._profiles = SimulatedProvider(INSTANCE, 1).profiles(DATABASE)
        self._plan_flip, self._slow_disk, self._silent = self._choose()
        # The whole life of a simulated statement follows from its faults, so this one is known from the start.
        silent_at = self._now + STEP * (pace.learn + pace.calm)
        self._faults = [
            SimulatedFault("silent", DATABASE, self._silent.statement, FaultKind.SMALL_BUT_DOUBLE, silent_at, None, 2.0)
        ]

    @property
    def server(self) -> str:
        """What it is, so that nobody takes it for a real one."""
        return "a simulated SQL Server with Query Store"

    @property
    def faults(self) -> Sequence[Fault]:
        """Two: with and without another plan."""
        return (
            Fault(
                "plan_flip",
                FaultKind.PLAN_REGRESSION,
                "A sampled update of statistics makes one statement scan a table instead of seeking.",
                (_name(self._plan_flip),),
                (),
                (),
                reconnect=False,
                within_ticks=2,
            ),
            Fault(
                "slower_same_plan",
                FaultKind.SLOWER_SAME_PLAN,
                "Another statement needs eight times the CPU and reads, with the plan it always had.",
                (_name(self._slow_disk),),
                (),
                (),
                reconnect=False,
                within_ticks=4,
            ),
        )

    def prepare(self) -> Iterator[str]:
        """Write the settings; there is nothing to start."""
        yield "preparing a simulated server"
        settings = SETTINGS.format(folder=self._folder, instance=INSTANCE)
        (self._folder / "dbplanmon.yaml").write_text(settings, encoding="utf-8")

    def monitor(self) -> Monitor:
        """Watches with the clock of the story."""
        settings = load_settings(self._folder / "dbplanmon.yaml")
        return Monitor(settings, lambda: self._now, make_provider=self._provider)

    def start(self) -> None:
        """The simulated workload has always been running."""

    def next_tick(self) -> None:
        """Five minutes pass."""
        self._now += STEP

    def names(self) -> dict[int, str]:
        """Numbers, as the simulated statements have no names."""
        return {profile.query_hash: _name(profile) for profile in self._profiles}

    def break_it(self, fault: Fault) -> None:
        """From now on."""
        profile = self._plan_flip if fault.name == "plan_flip" else self._slow_disk
        factor = 20.0 if fault.name == "plan_flip" else 8.0
        kinds = [FaultKind(fault.kind)]
        if fault.name == "plan_flip":
            kinds.append(FaultKind.STATISTICS_UPDATE)
        self._faults += [
            SimulatedFault(fault.name, DATABASE, profile.statement, kind, self._now, None, factor) for kind in kinds
        ]

    def mend_it(self, fault: Fault) -> None:
        """Until now."""
        self._faults = [replace(f, ends_at=self._now) if f.name == fault.name else f for f in self._faults]

    def change_silently(self) -> str:
        """A statement of 3 ms that runs once a minute doubles."""
        return f"{_name(self._silent)} doubles from 3 to 6 ms, once a minute: twice as slow, and worth nobody's sleep."

    def silent_result(self, opened: frozenset[str]) -> SilentResult:
        """As ordered."""
        return SilentResult(_name(self._silent), 3.0, 6.0, _name(self._silent) not in opened)

    def close(self) -> None:
        """Nothing was started."""

    def _provider(self, instance: InstanceSettings, settings: Settings) -> Provider:
        del settings
        return SimulatedProvider(
            instance.name, 1, clock=lambda: self._now, faults=tuple(self._faults), source=Source.QUERY_STORE
        )

    def _choose(self) -> tuple[StatementProfile, StatementProfile, StatementProfile]:
        """Two busy statements whose regression is material, and one more."""
        busy = [
            p
            for p in self._profiles
            if p.executions_per_hour > BUSY_PER_HOUR and 0.005 < p.elapsed_us / 1e6 < LARGEST_SECONDS
        ]
        others = [p for p in self._profiles if p not in busy[:2]]
        return busy[0], busy[1], others[0]


def _name(profile: StatementProfile) -> str:
    return f"statement {profile.statement:02d}"
