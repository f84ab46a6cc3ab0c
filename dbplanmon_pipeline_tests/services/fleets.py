"""A simulated fleet on a real store, with a clock that stands until it is moved, and its truth."""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dbplanmon_pipeline.core.breaker import BreakerPolicy
from dbplanmon_pipeline.core.model import CollectionOutcome, DatabaseRef
from dbplanmon_pipeline.core.ports import Budget, DatabaseReader
from dbplanmon_pipeline.providers.simulated import SimulatedProvider, TrueWork
from dbplanmon_pipeline.services.collect import CollectionPolicy, CollectionReport, CollectionTarget, collect
from dbplanmon_pipeline.services.read_database import CaptureLimits
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline.testing import FixedClock

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
STEP = timedelta(minutes=5)
EVERYTHING = CaptureLimits(top_n=10_000, min_executions=0, max_plans=10_000)
BREAKER = BreakerPolicy(5, timedelta(seconds=30), timedelta(minutes=10))


class Fleet:
    """Providers of several instances, read into one store."""

    def __init__(
        self,
        store: SqlStore,
        clock: FixedClock,
        *providers: SimulatedProvider,
        limits: CaptureLimits = EVERYTHING,
        budget_seconds: float = 10.0,
        max_workers: int = 8,
    ) -> None:
        self.store = store
        self.clock = clock
        self.providers = {provider.instance_name: provider for provider in map(named, providers)}
        self._limits = limits
        self._budget = budget_seconds
        self._policy = CollectionPolicy(max_workers, STEP, BREAKER)

    @property
    def refs(self) -> list[DatabaseRef]:
        return [DatabaseRef(name, db) for name, provider in self.providers.items() for db in provider.databases()]

    def collect(self, refs: Sequence[DatabaseRef] | None = None, **options: Any) -> CollectionReport:
        """Read once, now."""
        targets = [
            CollectionTarget(ref, self.providers[ref.instance].engine, self._limits, self._budget)
            for ref in (self.refs if refs is None else refs)
        ]
        return collect(targets, self.providers, self.store, clock=self.clock, policy=self._policy, **options)

    def tick(self, times: int = 1, by: timedelta = STEP) -> CollectionReport:
        """Let time pass and read, so many times; returns the last report."""
        for _ in range(times):
            self.clock.advance(by)
            report = self.collect()
        return report

    def assert_recorded_is_true(self, since: datetime, until: datetime, refs: Sequence[DatabaseRef] = ()) -> None:
        """What the store holds of each statement and plan is what really ran, no more and no less."""
        for ref in refs or self.refs:
            expected = self.providers[ref.instance].truth(ref.database, since, until)
            assert_same_work(recorded(self.store, ref), expected)


def named(provider: SimulatedProvider) -> Any:
    """The provider with the name of its instance beside it."""
    provider.instance_name = provider._instance
    return provider


def recorded(store: SqlStore, ref: DatabaseRef) -> dict[tuple[int, int], TrueWork]:
    """All work in the store by (query_hash, plan_hash)."""
    rows = store.interval_frame(START - timedelta(days=40), START + timedelta(days=40), databases=[ref]).rows
    columns = ["execution_count", "elapsed_time_us", "worker_time_us", "logical_reads_pages"]
    sums = rows.groupby(["query_hash", "plan_hash"])[columns].sum()
    return {
        (int(query), int(plan)): TrueWork(*map(float, row))
        for (query, plan), row in zip(sums.index, sums.to_numpy(), strict=True)
    }


def assert_same_work(found: Mapping[Any, TrueWork], expected: Mapping[Any, TrueWork]) -> None:
    ran = {key: work for key, work in expected.items() if work.executions}
    assert found.keys() == ran.keys()
    for key, work in ran.items():
        assert found[key].executions == work.executions
        for name in ("elapsed_us", "worker_us", "reads_pages"):
            assert getattr(found[key], name) == pytest.approx(getattr(work, name), rel=1e-6)


def total(work: Mapping[Any, TrueWork]) -> TrueWork:
    return sum(work.values(), TrueWork())


def by_database(report: CollectionReport) -> dict[str, CollectionOutcome]:
    return {outcome.ref.database: outcome for outcome in report.outcomes}


class AlteredProvider(SimulatedProvider):
    """Lets a test come between: `alter(database, reader)` gives the reader that is used, or raises."""

    def __init__(self, *args: Any, alter: Callable[[str, DatabaseReader], DatabaseReader], **options: Any) -> None:
        super().__init__(*args, **options)
        self.alter = alter

    @contextmanager
    def open(self, database: str, budget: Budget) -> Iterator[DatabaseReader]:
        with super().open(database, budget) as reader:
            yield self.alter(database, reader)


class Wrapped:
    """Anything, with some of its methods replaced."""

    def __init__(self, inner: object, **replaced: Any) -> None:
        self._inner = inner
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Interrupted(BaseException):
    """Like Dagster's own interrupt: no `Exception`."""


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise `Interrupted` in the main thread after so long, as the signal of a cancelled run does."""

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
