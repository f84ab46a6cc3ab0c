"""Simulated servers that live across processes: their time is that of the machine, their faults are in the plan."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from dbplanmon_pipeline.composition.monitor import MakeProvider
from dbplanmon_pipeline.core.ports import Budget, DatabaseReader
from dbplanmon_pipeline.errors import CannotConnect, LoginFailed, QueryTimedOut
from dbplanmon_pipeline.providers.simulated import SimulatedFault, SimulatedProvider
from dbplanmon_pipeline.providers.simulated.faults import FaultKind
from dbplanmon_pipeline.settings import InstanceSettings, Settings
from dbplanmon_pipeline_tests.soak.plan import Injection, Plan, Trouble

INTERVAL_MINUTES, FLUSH_SECONDS = 60, 300
REGRESSED_STATEMENT, REGRESSION = 3, 6.0


class TroubledServer(SimulatedProvider):
    """A simulated server of the plan. Each reading is of one moment, which is written down.

    Args:
        plan: what goes wrong.
        name: of the instance.
        source: where its counters come from.
    """

    def __init__(self, plan: Plan, name: str, source: str) -> None:
        self._plan = plan
        self._held = threading.local()
        super().__init__(
            name,
            list(plan.database_names),
            clock=self._moment,
            seed=plan.seed,
            statements=plan.statements,
            faults=list(_faults(plan, name)),
            source=source,
            interval_minutes=INTERVAL_MINUTES,
            flush_seconds=FLUSH_SECONDS,
        )

    @contextmanager
    def open(self, database: str, budget: Budget) -> Iterator[DatabaseReader]:
        self._held.moment = self._plan.now()
        try:
            self._suffer(database, budget)
            with super().open(database, budget) as reader:
                self._write_down(database, self._held.moment)
                yield reader
        finally:
            self._held.moment = None

    def _moment(self) -> datetime:
        return getattr(self._held, "moment", None) or self._plan.now()

    def _suffer(self, database: str, budget: Budget) -> None:
        target = f"{self._instance}/{database}"
        for trouble in self._plan.injections:
            if not (trouble.hits(self._instance, database) and trouble.is_on(self._plan.elapsed())):
                continue
            match trouble.kind:
                case Trouble.UNREACHABLE:
                    raise CannotConnect("no route to the simulated server", target=target)
                case Trouble.LOGIN_FAILED:
                    raise LoginFailed("the simulated server rejects the login", target=target)
                case Trouble.SLOW:
                    self._dawdle(budget)
                    raise QueryTimedOut("the simulated server does not answer in time", target=target)
                case _:
                    pass

    def _dawdle(self, budget: Budget) -> None:
        while budget.remaining() > 0:
            self._cancelled.wait(min(0.1, budget.remaining()))
            if self._cancelled.is_set():
                return

    def _write_down(self, database: str, moment: datetime) -> None:
        line = f"{self._instance} {database} {moment.isoformat()}\n".encode()
        journal = os.open(self._plan.journal / "readings", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(journal, line)
        finally:
            os.close(journal)


def server_of(plan: Plan, name: str) -> TroubledServer:
    """The server of this name."""
    return TroubledServer(plan, name, dict(plan.instances)[name])


def provider_maker(plan: Plan) -> MakeProvider:
    """Servers of the plan in place of those of the settings."""

    def make(instance: InstanceSettings, settings: Settings) -> SimulatedProvider:
        return server_of(plan, instance.name)

    return make


def _faults(plan: Plan, name: str) -> Iterator[SimulatedFault]:
    for number, one in enumerate(plan.injections):
        if one.instance != name:
            continue
        if one.kind is Trouble.SERVER_RESTART:
            yield SimulatedFault(f"restart {number}", "", 0, FaultKind.RESTART, *_stretch(plan, one))
        if one.kind is Trouble.PLAN_REGRESSION:
            begins, _ = _stretch(plan, one)
            for database in one.databases:
                yield SimulatedFault(
                    f"plan {number}",
                    database,
                    REGRESSED_STATEMENT,
                    FaultKind.PLAN_REGRESSION,
                    begins,
                    factor=REGRESSION,
                )


def _stretch(plan: Plan, one: Injection) -> tuple[datetime, datetime]:
    return plan.moment(one.begins), plan.moment(one.ends)
