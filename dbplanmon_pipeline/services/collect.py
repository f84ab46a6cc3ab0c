"""Read every target once, difference its counters, and store the result: one database never stops the others."""

import hashlib
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.breaker import BreakerPolicy, after_failure, after_success, is_open
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import (
    Budget,
    CaptureState,
    Clock,
    CollectedDatabase,
    CollectionStore,
    JobState,
    Provider,
)
from dbplanmon_pipeline.errors import ProviderError
from dbplanmon_pipeline.services.read_database import CaptureLimits, read_database

COMMIT_ROWS = 8_000
COMMIT_SECONDS = 1.0
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class CollectionTarget:
    """One database to read, with the limits its settings give it."""

    ref: DatabaseRef
    engine: Engine
    limits: CaptureLimits
    budget_seconds: float


@dataclass(frozen=True, slots=True)
class CollectionPolicy:
    """Attributes: at most `max_workers` connections at once; when breakers open; cadence, to recognise gaps."""

    max_workers: int
    interval: timedelta
    breaker: BreakerPolicy


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """What one collection did, one outcome per target, in the order of the targets."""

    tick: datetime
    outcomes: tuple[CollectionOutcome, ...]
    peak_workers: int
    duration_seconds: float

    @property
    def failed(self) -> tuple[CollectionOutcome, ...]:
        """Targets that could not be read."""
        return tuple(o for o in self.outcomes if o.status is CollectionStatus.FAILED)

    @property
    def skipped(self) -> tuple[CollectionOutcome, ...]:
        """Targets left alone because the breaker of their instance is open."""
        return tuple(o for o in self.outcomes if o.status is CollectionStatus.SKIPPED)

    @property
    def rows(self) -> int:
        """Interval rows stored."""
        return sum(o.rows for o in self.outcomes)

    @property
    def failed_share(self) -> float:
        """Share of targets that could not be read or were left alone, 0..1."""
        return (len(self.failed) + len(self.skipped)) / len(self.outcomes) if self.outcomes else 0.0


def collect(
    targets: Sequence[CollectionTarget],
    providers: Mapping[str, Provider],
    store: CollectionStore,
    *,
    clock: Clock,
    policy: CollectionPolicy,
    unlisted: Sequence[CollectionOutcome] = (),
    stopped: Callable[[], bool] = lambda: False,
    monotonic: Callable[[], float] = time.monotonic,
) -> CollectionReport:
    """Read all targets in parallel and store what they did since their last reading.

    Rows and counter states of a database commit together, so a run that is killed or repeated neither loses nor
    doubles work. All intervals of one run end at the same tick. `unlisted` are instances whose databases could not be
    listed; they are logged and reported with the rest.

    Raises:
        StoreError: our own store failed; nothing half is stored.
    """
    started = monotonic()
    tick = clock()
    breakers = _breakers(targets, store)
    resting = {name for name, state in breakers.items() if is_open(state, tick, policy.breaker)}
    skipped = [
        _skip(target, breakers[target.ref.instance], tick) for target in targets if target.ref.instance in resting
    ]
    reading = sorted((t for t in targets if t.ref.instance not in resting), key=_stagger)
    states = store.capture_states([target.ref for target in reading])

    run = _Run(providers, policy, tick, stopped, monotonic)
    outcomes = {item.outcome.ref: item.outcome for item in skipped}
    unread = [*skipped, *(CollectedDatabase(outcome, _engine(providers, outcome)) for outcome in unlisted)]
    if unread:
        store.record(unread)
    outcomes.update(run.read_and_store(reading, states, store))

    _remember_breakers(reading, outcomes, breakers, store, policy.breaker, tick)
    ordered = tuple(outcomes[target.ref] for target in targets)
    return CollectionReport(tick, (*ordered, *unlisted), min(policy.max_workers, len(reading)), monotonic() - started)


class _Run:
    """The threads of one collection and the single writer that drains them."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        policy: CollectionPolicy,
        tick: datetime,
        stopped: Callable[[], bool],
        monotonic: Callable[[], float],
    ) -> None:
        self._providers = providers
        self._policy = policy
        self._tick = tick
        self._stopped = stopped
        self._monotonic = monotonic
        self._aborted = False

    def read_and_store(
        self, targets: Sequence[CollectionTarget], states: Mapping[DatabaseRef, CaptureState], store: CollectionStore
    ) -> dict[DatabaseRef, CollectionOutcome]:
        results: queue.SimpleQueue[CollectedDatabase | BaseException] = queue.SimpleQueue()
        outcomes: dict[DatabaseRef, CollectionOutcome] = {}
        pool = ThreadPoolExecutor(self._policy.max_workers, thread_name_prefix="collect")
        try:
            for target in targets:
                pool.submit(self._read_into, results, target, states[target.ref])
            self._drain(results, len(targets), store, outcomes)
        except BaseException:
            # Also Dagster's interrupt, which is no Exception: waiting for the pool would hold a cancelled run for
            # as long as the slowest target.
            self._abort(pool)
            raise
        pool.shutdown()
        return outcomes

    def _abort(self, pool: ThreadPoolExecutor) -> None:
        self._aborted = True
        pool.shutdown(wait=False, cancel_futures=True)
        for provider in self._providers.values():
            provider.cancel()

    def _cancelled(self) -> bool:
        return self._aborted or self._stopped()

    def _read_into(
        self,
        results: "queue.SimpleQueue[CollectedDatabase | BaseException]",
        target: CollectionTarget,
        state: CaptureState,
    ) -> None:
        try:
            results.put(self._read(target, state))
        except BaseException as defect:  # noqa: BLE001 - a thread must answer, or the writer waits for ever
            results.put(defect)

    def _read(self, target: CollectionTarget, state: CaptureState) -> CollectedDatabase:
        began = self._monotonic()
        budget = Budget(began + target.budget_seconds, self._monotonic, self._cancelled)
        provider = self._providers[target.ref.instance]
        try:
            collected = read_database(
                provider, target.ref, state, budget, self._tick, target.limits, self._policy.interval
            )
        except ProviderError as error:
            collected = _failed(target, self._tick, error)
        duration_ms = (self._monotonic() - began) * 1000
        return replace(collected, outcome=replace(collected.outcome, duration_ms=duration_ms))

    def _drain(
        self,
        results: "queue.SimpleQueue[CollectedDatabase | BaseException]",
        expected: int,
        store: CollectionStore,
        outcomes: dict[DatabaseRef, CollectionOutcome],
    ) -> None:
        batch: list[CollectedDatabase] = []
        batch_began = self._monotonic()
        while expected:
            if self._stopped():
                raise CollectionStopped
            try:
                item = results.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, BaseException):
                raise item
            expected -= 1
            batch.append(item)
            rows = sum(len(c.rows) if c.rows is not None else 0 for c in batch)
            if not expected or rows >= COMMIT_ROWS or self._monotonic() - batch_began >= COMMIT_SECONDS:
                self._commit(batch, store, outcomes)
                batch, batch_began = [], self._monotonic()

    def _commit(
        self,
        batch: Sequence[CollectedDatabase],
        store: CollectionStore,
        outcomes: dict[DatabaseRef, CollectionOutcome],
    ) -> None:
        refused = store.record(batch)
        for item in batch:
            outcome = item.outcome
            if outcome.ref in refused:
                outcome = replace(
                    outcome,
                    status=CollectionStatus.SKIPPED,
                    rows=0,
                    message="another collection stored this database first",
                )
            outcomes[outcome.ref] = outcome


class CollectionStopped(Exception):
    """The run was asked to stop; whole databases already stored stay, the rest is read next time."""


def _stagger(target: CollectionTarget) -> bytes:
    return hashlib.blake2b(str(target.ref).encode(), digest_size=8).digest()


def _failed(target: CollectionTarget, tick: datetime, error: ProviderError) -> CollectedDatabase:
    outcome = CollectionOutcome(
        target.ref, tick, CollectionStatus.FAILED, error_class=error.error_class, message=_one_line(error)
    )
    return CollectedDatabase(outcome, target.engine)


def _one_line(error: ProviderError) -> str:
    then = f" {error.remedy}" if error.remedy else ""
    return " ".join(f"{error.message}{then}".split())


def _engine(providers: Mapping[str, Provider], outcome: CollectionOutcome) -> Engine:
    return providers[outcome.ref.instance].engine


def _skip(target: CollectionTarget, breaker: JobState, tick: datetime) -> CollectedDatabase:
    until = f" until {breaker.next_attempt_at:%H:%M:%S} UTC" if breaker.next_attempt_at else ""
    message = f"left alone{until} after {breaker.consecutive_failures} failures in a row: {breaker.detail}"
    outcome = CollectionOutcome(target.ref, tick, CollectionStatus.SKIPPED, error_class="breaker", message=message)
    return CollectedDatabase(outcome, target.engine)


def _breaker_name(instance: str) -> str:
    return f"breaker:{instance}"


def _breakers(targets: Sequence[CollectionTarget], store: CollectionStore) -> dict[str, JobState]:
    instances = sorted({target.ref.instance for target in targets})
    states = store.job_states([_breaker_name(name) for name in instances])
    return {name: states[_breaker_name(name)] for name in instances}


def _remember_breakers(
    targets: Sequence[CollectionTarget],
    outcomes: Mapping[DatabaseRef, CollectionOutcome],
    breakers: Mapping[str, JobState],
    store: CollectionStore,
    policy: BreakerPolicy,
    tick: datetime,
) -> None:
    """An instance fails when none of its databases could be read; one dead database is no dead server."""
    by_instance: dict[str, list[CollectionOutcome]] = {}
    for target in targets:
        by_instance.setdefault(target.ref.instance, []).append(outcomes[target.ref])
    changed = []
    for instance, results in by_instance.items():
        before = breakers[instance]
        if all(o.status is CollectionStatus.FAILED for o in results):
            changed.append(after_failure(before, policy, tick, results[0].message))
        elif before.consecutive_failures or before.last_success_at is None:
            changed.append(after_success(before, tick))
    if changed:
        store.save_job_states(changed)
