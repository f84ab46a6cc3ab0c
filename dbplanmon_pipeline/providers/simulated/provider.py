"""An instance that exists only in this process; any number of databases, no server, the truth known."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from dbplanmon_pipeline.core.counters import CounterReading
from dbplanmon_pipeline.core.model import Capabilities, Capability, CapturedPlan, Engine, StatementText
from dbplanmon_pipeline.core.ports import Budget, Clock, StatementKey
from dbplanmon_pipeline.core.statement_trial import StatementTrial
from dbplanmon_pipeline.errors import CannotConnect, FeatureUnavailable, QueryTimedOut, SettingsError
from dbplanmon_pipeline.providers.simulated.faults import (
    HARMLESS_PLAN,
    NORMAL_PLAN,
    REGRESSED_PLAN,
    FaultKind,
    SimulatedFault,
)
from dbplanmon_pipeline.providers.simulated.history import DatabaseHistory, TrueWork
from dbplanmon_pipeline.providers.simulated.randomness import stable_hash
from dbplanmon_pipeline.providers.simulated.statements import captured_plan, plan_hash, query_hash, statement_text

_POLL_S = 0.05


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
    ) -> None:
        names = [f"sim{n:04d}" for n in range(1, databases + 1)] if isinstance(databases, int) else list(databases)
        self._instance = instance
        self._names = names
        self._clock = clock
        self._seed = seed
        self._statements = statements
        self._faults = tuple(faults)
        self._latency_s = latency_ms / 1000.0
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

    def truth(self, database: str, start: datetime, end: datetime) -> dict[tuple[int, int], TrueWork]:
        """What really ran after `start` up to and with `end`, by (query_hash, plan_hash), read or not."""
        return self.history(database).truth(start, end)

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
            found = DatabaseHistory(self._seed, self._instance, database, self._statements, faults)
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

    def find(self, key: StatementKey) -> tuple[int, int] | None:
        """Number and plan of a statement by its two hashes."""
        number = self.number(key.query_hash)
        if number is None:
            return None
        plans = (NORMAL_PLAN, REGRESSED_PLAN, HARMLESS_PLAN)
        return next(((number, plan) for plan in plans if plan_hash(number, plan) == key.plan_hash), None)

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
        if self._statements < 1:
            problems.append(f"statements must be at least 1, not {self._statements}")
        if not 0 <= failing <= len(self._names):
            problems.append(f"failing must be between 0 and {len(self._names)}, not {failing}")
        for fault in self._faults:
            if fault.database and fault.database not in self._names:
                problems.append(f"fault {fault.name!r} names database {fault.database!r}, which is not there")
            whole = fault.kind in (FaultKind.INSTANCE_SLOW, FaultKind.RESTART)
            if not whole and not 0 <= fault.statement < self._statements:
                problems.append(f"fault {fault.name!r} names statement {fault.statement} of {self._statements}")
        if problems:
            raise SettingsError(f"{self._instance}: " + "; ".join(problems))


class SimulatedReader:
    """A `DatabaseReader` of one simulated database."""

    def __init__(self, provider: SimulatedProvider, database: str, budget: Budget) -> None:
        self._provider = provider
        self._database = database
        self._budget = budget

    @property
    def cost_ms(self) -> float | None:
        """Nobody is asked, so nobody tells."""
        return None

    def capabilities(self) -> Capabilities:
        """Everything is there."""
        self._provider.ask(self._database, self._budget)
        items = tuple(Capability(name, available=True) for name in ("counters", "texts", "plans", "plan_hash"))
        return Capabilities(Engine.SIMULATED, "simulated 1.0", 10_000, items)

    def read_counters(self, previous: CounterReading | None = None) -> CounterReading:
        """All counters of the present life."""
        del previous
        return self._provider.ask(self._database, self._budget).reading(self._provider.now())

    def read_facts(self) -> Mapping[str, str]:
        """None yet."""
        return {}

    def read_history(self, start: datetime, end: datetime) -> CounterReading:
        """Not to be had.

        Raises:
            FeatureUnavailable: always.
        """
        raise FeatureUnavailable(f"no history from {start} to {end}", target=self._database)

    def try_statements(self) -> Sequence[StatementTrial]:
        """There are no statements."""
        return ()

    def read_texts(self, statements: Sequence[StatementKey]) -> list[StatementText]:
        """Texts of the statements that exist."""
        self._provider.ask(self._database, self._budget)
        found = (self._provider.number(key.query_hash) for key in statements)
        return [statement_text(number) for number in found if number is not None]

    def read_plans(self, statements: Sequence[StatementKey]) -> list[CapturedPlan]:
        """The plan each key names; a reason where there is none."""
        answers: list[CapturedPlan] = []
        self._provider.ask(self._database, self._budget)
        for key in statements:
            if self._budget.remaining() <= 0:
                break
            found = self._provider.find(key)
            answers.append(captured_plan(*found) if found else _no_plan(key))
        return answers


def _no_plan(key: StatementKey) -> CapturedPlan:
    return CapturedPlan(key.query_hash, 0, origin="simulated", reason="the simulated server knows no such plan")
