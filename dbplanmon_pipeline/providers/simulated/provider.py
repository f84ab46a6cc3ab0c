"""An instance that exists only in this process; any number of databases, no server, the truth known."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from dbplanmon_pipeline.core.model import CapturedPlan, Engine
from dbplanmon_pipeline.core.ports import Budget, Clock, StatementKey
from dbplanmon_pipeline.errors import CannotConnect, QueryTimedOut, SettingsError
from dbplanmon_pipeline.providers.simulated.faults import NORMAL_PLAN, PLANS, WHOLE_DATABASE, SimulatedFault
from dbplanmon_pipeline.providers.simulated.history import DatabaseHistory, Work
from dbplanmon_pipeline.providers.simulated.plans import captured_plan
from dbplanmon_pipeline.providers.simulated.randomness import stable_hash
from dbplanmon_pipeline.providers.simulated.reader import SimulatedReader
from dbplanmon_pipeline.providers.simulated.statements import plan_hash, query_hash
from dbplanmon_pipeline.providers.simulated.versions import SimulatedVersion, simulated_version

_POLL_S = 0.05
_LONGEST_INTERVAL_MINUTES = 1440


class Source(StrEnum):
    """Where the counters come from."""

    QUERY_STORE = "query_store"
    PLAN_CACHE = "plan_cache"


@dataclass(frozen=True, slots=True)
class StatementProfile:
    """What one statement normally is: to choose where a fault matters."""

    statement: int
    query_hash: int
    plan_hash: int
    executions_per_hour: float
    elapsed_us: float
    worker_us: float


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SimulatedProvider:
    """A fleet with a known history: every process, run and cadence sees the same one.

    Args:
        instance: name of the instance; part of what the figures depend on.
        databases: names, or how many (`sim0001`, `sim0002`, ...).
        clock: the present moment.
        seed: another seed, another history.
        statements: per database.
        faults: what goes wrong, and when.
        failing: so many databases refuse connections, always the same ones.
        latency_ms: how long each question takes; gives way to the budget and to `cancel`.
        source: Query Store, or the plan cache of a server without one.
        interval_minutes: length of the intervals of Query Store, a divisor of the day on real servers.
        flush_seconds: time between two flushes of Query Store; what ran since the last one is in memory.
        version: year of the SQL Server release it acts.

    Raises:
        SettingsError: a fault names a database or a statement that is not there, or a number makes no sense.
    """

    def __init__(
        self,
        instance: str,
        databases: int | Sequence[str] = 10,
        *,
        clock: Clock = _utc_now,
        seed: int = 0,
        statements: int = 50,
        faults: Sequence[SimulatedFault] = (),
        failing: int = 0,
        latency_ms: float = 0.0,
        source: Source | str = Source.QUERY_STORE,
        interval_minutes: int = 15,
        flush_seconds: int = 900,
        version: str = "2022",
    ) -> None:
        names = [f"sim{n:04d}" for n in range(1, databases + 1)] if isinstance(databases, int) else list(databases)
        self._instance = instance
        self._names = names
        self._clock = clock
        self._seed = seed
        self._statements = statements
        self._faults = tuple(faults)
        self._latency_s = latency_ms / 1000.0
        self._source = source
        self._interval_minutes = interval_minutes
        self._flush_seconds = flush_seconds
        self._version = simulated_version(version)
        self._check(failing)
        ranked = sorted(names, key=lambda name: stable_hash("failing", seed, instance, name))
        self._failing = frozenset(ranked[:failing])
        self._known = frozenset(names)
        self._number_of = {query_hash(number): number for number in range(statements)}
        self._histories: dict[str, DatabaseHistory] = {}
        self._cancelled = threading.Event()

    @property
    def engine(self) -> Engine:
        """Always `simulated`."""
        return Engine.SIMULATED

    @property
    def version(self) -> SimulatedVersion:
        """The release it acts."""
        return self._version

    @property
    def has_query_store(self) -> bool:
        """False where the plan cache is the source."""
        return self._source == Source.QUERY_STORE

    @property
    def failing_databases(self) -> frozenset[str]:
        """Those that refuse connections."""
        return self._failing

    def databases(self) -> list[str]:
        """All names, the failing ones too."""
        return list(self._names)

    @contextmanager
    def open(self, database: str, budget: Budget) -> Iterator["SimulatedReader"]:
        """A reader of one database.

        Raises:
            CannotConnect: unknown, failing, or down for a restart.
            QueryTimedOut: the budget is spent or the run was cancelled.
        """
        target = f"{self._instance}/{database}"
        self._wait(target, budget, self._cancelled)
        if database not in self._known:
            raise CannotConnect("there is no such simulated database", target=target, remedy="See the settings.")
        if database in self._failing:
            raise CannotConnect(
                "the simulated server refuses connections", target=target, remedy="It was ordered with `failing`."
            )
        yield SimulatedReader(self, database, budget)

    def cancel(self) -> None:
        """End every wait that runs now with `QueryTimedOut`; later questions work again."""
        ended, self._cancelled = self._cancelled, threading.Event()
        ended.set()

    def close(self) -> None:
        """Forget the derived figures; they come back when asked for."""
        self._histories.clear()

    def truth(self, database: str, start: datetime, end: datetime) -> Work:
        """What really ran after `start` up to and with `end`, by (query_hash, plan_hash), read or not."""
        return self.history(database).truth(start, end)

    def recordable(self, database: str, moments: Sequence[datetime]) -> Work:
        """What somebody who reads the source of this instance at these moments can know of."""
        return self.history(database).recordable(moments, query_store=self.has_query_store)

    def profiles(self, database: str) -> list[StatementProfile]:
        """The statements of one database with their normal costs, in order of their number."""
        load = self.history(database).workload
        return [
            StatementProfile(
                statement=number,
                query_hash=query_hash(number),
                plan_hash=plan_hash(number, NORMAL_PLAN),
                executions_per_hour=float(load.rate_per_s[number] * 3600),
                elapsed_us=float(load.elapsed_us[number]),
                worker_us=float(load.elapsed_us[number] * load.cpu_share[number]),
            )
            for number in range(self._statements)
        ]

    def history(self, database: str) -> DatabaseHistory:
        """Figures of one database, derived at the first question."""
        found = self._histories.get(database)
        if found is None:
            faults = [fault for fault in self._faults if fault.database in ("", database)]
            found = DatabaseHistory(
                self._seed,
                self._instance,
                database,
                self._statements,
                faults,
                interval_minutes=self._interval_minutes,
                flush_seconds=self._flush_seconds,
            )
            self._histories[database] = found
        return found

    def ask(self, database: str, budget: Budget) -> DatabaseHistory:
        """Answer one question of a reader, after the latency.

        Raises:
            CannotConnect: down for a restart.
            QueryTimedOut: the budget is spent or the run was cancelled.
        """
        target = f"{self._instance}/{database}"
        self._wait(target, budget, self._cancelled)
        with budget.computing:
            history = self.history(database)
        if not history.is_up(self._clock()):
            raise CannotConnect("the simulated server is down for a restart", target=target, remedy="It comes back.")
        return history

    def now(self) -> datetime:
        """The present moment of the fleet."""
        return self._clock()

    def number(self, wanted: int) -> int | None:
        """Number of a statement by its query hash."""
        return self._number_of.get(wanted)

    def plan(self, database: str, key: StatementKey) -> CapturedPlan:
        """The plan a key names, or a reason why there is none."""
        number = self.number(key.query_hash)
        plans = [] if number is None else [plan for plan in range(PLANS) if plan_hash(number, plan) == key.plan_hash]
        if number is None or not plans:
            return _no_plan(key)
        compiled_us = self.history(database).compiled_us(number, plans[0], self._clock())
        return captured_plan(number, plans[0], *compiled_us) if compiled_us else _no_plan(key)

    def _wait(self, target: str, budget: Budget, cancelled: threading.Event) -> None:
        left = self._latency_s
        while True:
            if budget.remaining() <= 0 or cancelled.is_set():
                raise QueryTimedOut("cancelled, or the time budget ran out", target=target, remedy="It is tried again.")
            if left <= 0:
                return
            step = min(left, _POLL_S, budget.remaining())
            cancelled.wait(step)
            left -= step

    def _check(self, failing: int) -> None:
        problems = []
        if self._source not in set(Source):
            problems.append(f"source must be one of {', '.join(Source)}, not {self._source!r}")
        if not 1 <= self._interval_minutes <= _LONGEST_INTERVAL_MINUTES:
            problems.append(f"interval_minutes must be between 1 and 1440, not {self._interval_minutes}")
        if self._flush_seconds < 1:
            problems.append(f"flush_seconds must be at least 1, not {self._flush_seconds}")
        if self._statements < 1:
            problems.append(f"statements must be at least 1, not {self._statements}")
        if not 0 <= failing <= len(self._names):
            problems.append(f"failing must be between 0 and {len(self._names)}, not {failing}")
        for fault in self._faults:
            if fault.database and fault.database not in self._names:
                problems.append(f"fault {fault.name!r} names database {fault.database!r}, which is not there")
            if fault.kind not in WHOLE_DATABASE and not 0 <= fault.statement < self._statements:
                problems.append(f"fault {fault.name!r} names statement {fault.statement} of {self._statements}")
        if problems:
            raise SettingsError(f"{self._instance}: " + "; ".join(problems))


def _no_plan(key: StatementKey) -> CapturedPlan:
    return CapturedPlan(key.query_hash, 0, origin="simulated", reason="the simulated server knows no such plan")
