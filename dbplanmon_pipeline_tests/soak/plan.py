"""What goes wrong when: written down before the start, so that every process and the verdict know the same."""

import json
import random
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

PLAN = "DBPLANMON_TEST_SOAK_PLAN"
"""Variable with the file of the plan."""


class Trouble(StrEnum):
    """Kinds of faults."""

    UNREACHABLE = "unreachable"
    LOGIN_FAILED = "login_failed"
    SLOW = "slow"
    SERVER_RESTART = "server_restart"
    PLAN_REGRESSION = "plan_regression"
    STORE_RESTART = "store_restart"
    DISK_FULL = "disk_full"
    CLOCK_AHEAD = "clock_ahead"


OF_TARGETS = (Trouble.UNREACHABLE, Trouble.LOGIN_FAILED, Trouble.SLOW)
OF_SIMULATED_SERVER = (Trouble.SERVER_RESTART, Trouble.PLAN_REGRESSION)
OURS = (Trouble.STORE_RESTART, Trouble.DISK_FULL, Trouble.CLOCK_AHEAD)


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault.

    Attributes:
        begins / ends: seconds after the start; a server restart is down in between.
        instance: whose; empty for our own side.
        databases: which; empty for all of the instance.
        amount: of a clock that is ahead, by how many seconds.
    """

    kind: Trouble
    begins: float
    ends: float
    instance: str = ""
    databases: tuple[str, ...] = ()
    amount: int = 0

    def is_on(self, seconds: float) -> bool:
        """True from its beginning until before its end."""
        return self.begins <= seconds < self.ends

    def hits(self, instance: str, database: str) -> bool:
        """True where it concerns this database."""
        return self.instance == instance and (not self.databases or database in self.databases)


@dataclass(frozen=True, slots=True)
class Plan:
    """One soak run.

    Attributes:
        started_at: true time of the start; `started_monotonic`: the same moment on the clock of the machine, which no
            process can move.
        seconds: how long it lasts.
        instances: name and source of each; each has `databases` databases of `statements` statements.
        journal: folder for what the simulated servers write down.
    """

    started_at: datetime
    started_monotonic: float
    seconds: float
    instances: tuple[tuple[str, str], ...]
    databases: int
    statements: int
    seed: int
    journal: Path
    injections: tuple[Injection, ...] = ()

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started_monotonic

    def now(self) -> datetime:
        """The true time, whatever our own wall clock says."""
        return self.started_at + timedelta(seconds=self.elapsed())

    def moment(self, seconds: float) -> datetime:
        """True time so many seconds after the start."""
        return self.started_at + timedelta(seconds=seconds)

    @property
    def database_names(self) -> tuple[str, ...]:
        """The same on every instance."""
        return tuple(f"sim{number:04d}" for number in range(1, self.databases + 1))

    def write(self, path: Path) -> None:
        """Keep it for the other processes."""
        path.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")


def read_plan(path: Path) -> Plan:
    """As it was written."""
    raw: dict[str, Any] = json.loads(path.read_text("utf-8"))
    raw["started_at"] = datetime.fromisoformat(raw["started_at"])
    raw["journal"] = Path(raw["journal"])
    raw["instances"] = tuple((name, source) for name, source in raw["instances"])
    raw["injections"] = tuple(
        Injection(**{**one, "kind": Trouble(one["kind"]), "databases": tuple(one["databases"])})
        for one in raw["injections"]
    )
    return Plan(**raw)


def quiet_plan(
    seconds: float, journal: Path, *, databases: int = 50, statements: int = 50, instances: int = 4, seed: int = 11
) -> Plan:
    """A run in which nothing goes wrong, beginning now."""
    sources = ("query_store", "plan_cache")
    fleet = tuple((f"sql-{number + 1:02d}", sources[number % 2]) for number in range(instances))
    return Plan(datetime.now(UTC), time.monotonic(), seconds, fleet, databases, statements, seed, journal)


def with_troubles(plan: Plan, *, after: float, disk: bool, clock: bool) -> Plan:
    """Faults of every kind, spread over the run; its first tenth and its last sixth stay quiet.

    Args:
        plan: without faults.
        after: seconds since its start after which the run is reckoned to begin.
        disk: a disk is there that may be filled.
        clock: the wall clock can be moved.
    """
    whole, dice = plan.seconds, random.Random(plan.seed)
    names = [name for name, _ in plan.instances]
    found = [
        Injection(Trouble.PLAN_REGRESSION, 0.30 * whole, whole, names[0], plan.database_names[:2]),
        Injection(Trouble.SERVER_RESTART, 0.34 * whole, 0.34 * whole + 5, names[1]),
        Injection(Trouble.SERVER_RESTART, 0.38 * whole, 0.38 * whole + 5, names[0]),
        Injection(Trouble.STORE_RESTART, 0.47 * whole, 0.47 * whole + min(30.0, 0.08 * whole)),
    ]
    if disk:
        found.append(Injection(Trouble.DISK_FULL, 0.58 * whole, 0.58 * whole + min(60.0, 0.10 * whole)))
    if clock:
        ahead = round(min(240.0, 0.15 * whole))
        found.append(Injection(Trouble.CLOCK_AHEAD, 0.72 * whole, 0.72 * whole + 0.4 * ahead, amount=ahead))
    for number in range(max(4, round(whole / 120))):
        begins = dice.uniform(0.10, 0.75) * whole
        lasts = min(dice.uniform(30.0, 150.0), 0.12 * whole)
        one_server = number % 3 == 0
        databases = () if one_server else tuple(dice.sample(plan.database_names, max(1, plan.databases // 5)))
        found.append(Injection(OF_TARGETS[number % 3], begins, begins + lasts, dice.choice(names), databases))
    later = [replace(one, begins=one.begins + after, ends=one.ends + after) for one in found]
    return replace(plan, injections=tuple(sorted(later, key=lambda one: one.begins)))
