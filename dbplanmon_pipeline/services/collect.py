"""Read every target once, difference its counters, and store the result: one database never stops the others."""

import hashlib
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import PurePath

from dbplanmon_pipeline.core.breaker import BreakerPolicy
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import (
    Budget,
    CaptureState,
    Clock,
    CollectedDatabase,
    CollectionStore,
    Provider,
    SpoolLoss,
)
from dbplanmon_pipeline.errors import DbPlanMonError, ProviderError, SettingsError, StoreError
from dbplanmon_pipeline.services.breakers import (
    BREAKER,
    breaker_states,
    left_alone,
    remember_breakers,
    resting_instances,
)
from dbplanmon_pipeline.services.quick_retries import QuickRetries, told_again
from dbplanmon_pipeline.services.read_database import CaptureLimits, read_database
from dbplanmon_pipeline.services.replay_spool import COMMIT_ROWS, Replayed

COMMIT_SECONDS = 1.0
COMMIT_COUNTERS = 50_000
"""Readings are held until their rows are stored, or they themselves are kept; with quiet databases or without the store
there would be no other bound."""

POLL_SECONDS = 0.2

STATES_AT_ONCE, FEWEST_AHEAD = 256, 64
"""Databases whose states are read together, and how many are left to read when those of the next ones are: all states
of a fleet of 2,000 take 90 MB."""


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
    """What one collection did, one outcome per target, in the order of the targets.

    Attributes:
        partial: somebody asked for some targets only: such a run proves nothing about the rest.
        replayed: what of earlier runs was recorded first.
        spool_lost: readings the spool had to let go of.
        store_failure: why the store was away, so that readings were spooled; empty when it was there.
    """

    tick: datetime
    outcomes: tuple[CollectionOutcome, ...]
    peak_workers: int
    duration_seconds: float
    partial: bool = False
    replayed: Replayed = field(default_factory=Replayed)
    spool_lost: SpoolLoss = field(default_factory=SpoolLoss)
    store_failure: str = ""

    @property
    def failed(self) -> tuple[CollectionOutcome, ...]:
        """Targets that could not be read."""
        return tuple(o for o in self.outcomes if o.status is CollectionStatus.FAILED)

    @property
    def skipped(self) -> tuple[CollectionOutcome, ...]:
        """Targets left alone because the breaker of their instance is open."""
        return tuple(o for o in self.outcomes if o.error_class == BREAKER)

    @property
    def spooled(self) -> tuple[CollectionOutcome, ...]:
        """Targets whose readings wait on disk for the store."""
        return tuple(o for o in self.outcomes if o.status is CollectionStatus.SPOOLED)

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
    partial: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    monotonic: Callable[[], float] = time.monotonic,
) -> CollectionReport:
    """Read all targets in parallel and store what they did since their last reading.

    Rows and counter states of a database commit together, so a run that is killed or repeated neither loses nor
    doubles work. All intervals of one run end at the same tick.

    Args:
        targets: databases to read.
        providers: by instance.
        store: where counter states come from and rows go to.
        clock: the present moment; asked once, for the tick.
        policy: limits of the run.
        unlisted: instances whose databases could not be listed; they are logged and reported with the rest.
        partial: somebody asked for these targets by name: they are read even where the breaker of their instance is
            open, and their failures do not open it, as one dead database is no dead server.
        stopped: asked often; true ends the run within seconds.
        monotonic: clock of the budgets.

    Raises:
        CollectionStopped: `stopped` said so; nothing half is stored.
        StoreError: our own store failed; nothing half is stored.
    """
    started = monotonic()
    tick = clock()
    breakers = breaker_states([*(t.ref.instance for t in targets), *(o.ref.instance for o in unlisted)], store)
    resting = set() if partial else resting_instances(breakers, tick, policy.breaker)
    skipped = [
        CollectedDatabase(left_alone(target.ref, breakers[target.ref.instance], tick), target.engine)
        for target in targets
        if target.ref.instance in resting
    ]
    reading = sorted((t for t in targets if t.ref.instance not in resting), key=_stagger)

    run = _Run(providers, policy, tick, stopped, monotonic)
    outcomes = {item.outcome.ref: item.outcome for item in skipped}
    unread = [*skipped, *(CollectedDatabase(outcome, _engine(providers, outcome)) for outcome in unlisted)]
    if unread:
        store.record(unread)
    outcomes.update(run.read_and_store(reading, store))

    read = [*(outcomes[target.ref] for target in reading), *unlisted]
    remember_breakers(read, breakers, store, policy.breaker, tick, partial=partial)
    ordered = tuple(outcomes[target.ref] for target in targets)
    workers = min(policy.max_workers, len(reading))
    return CollectionReport(tick, (*ordered, *unlisted), workers, monotonic() - started, partial)


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
        self._began = monotonic()
        self._aborted = False
        self._computing = threading.RLock()
        self._retries = QuickRetries()

    def read_and_store(
        self, targets: Sequence[CollectionTarget], store: CollectionStore
    ) -> dict[DatabaseRef, CollectionOutcome]:
        results: queue.SimpleQueue[CollectedDatabase | BaseException] = queue.SimpleQueue()
        outcomes: dict[DatabaseRef, CollectionOutcome] = {}
        pool = ThreadPoolExecutor(self._policy.max_workers, thread_name_prefix="collect")
        try:
            self._drain(results, self._submitted(pool, results, targets, store), store, outcomes)
        except BaseException:
            # Also Dagster's interrupt, which is no Exception: waiting for the pool would hold a cancelled run for
            # as long as the slowest target.
            self._abort(pool)
            raise
        pool.shutdown()
        return outcomes

    def _submitted(
        self,
        pool: ThreadPoolExecutor,
        results: "queue.SimpleQueue[CollectedDatabase | BaseException]",
        targets: Sequence[CollectionTarget],
        store: CollectionStore,
    ) -> Iterator[int]:
        """Hands some more targets to the workers each time it is asked; how many they are."""
        for first in range(0, len(targets), STATES_AT_ONCE):
            some = targets[first : first + STATES_AT_ONCE]
            states = store.capture_states([target.ref for target in some])
            for target in some:
                # Taken out, so that each state can go as soon as its database is read.
                pool.submit(self._read_into, results, target, states.pop(target.ref))
            yield len(some)

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
        budget = Budget(began + target.budget_seconds, self._monotonic, self._cancelled, self._computing)
        provider = self._providers[target.ref.instance]
        try:
            collected = told_again(
                *self._retries.attempt(
                    target.ref.instance,
                    lambda: read_database(
                        provider, target.ref, state, budget, self._tick, target.limits, self._policy.interval
                    ),
                    budget.remaining,
                )
            )
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever one target does, the others are read
            collected = _failed(target, self._tick, error)
        duration_ms = (self._monotonic() - began) * 1000
        return replace(collected, outcome=replace(collected.outcome, duration_ms=duration_ms))

    def _drain(
        self,
        results: "queue.SimpleQueue[CollectedDatabase | BaseException]",
        submitted: Iterator[int],
        store: CollectionStore,
        outcomes: dict[DatabaseRef, CollectionOutcome],
    ) -> None:
        batch: list[CollectedDatabase] = []
        rows = counters = 0
        batch_began = self._monotonic()
        expected = next(submitted, 0)
        while expected:
            item = _next(results)
            # Asked after the wait: what a target answers once the run is being stopped is no failure of its own.
            if self._stopped():
                raise CollectionStopped
            if isinstance(item, BaseException):
                raise item
            if item is not None:
                expected -= 1
                batch.append(item)
                rows += len(item.rows) if item.rows is not None else 0
                counters += len(item.counters) if item.counters is not None else 0
            if expected < max(FEWEST_AHEAD, 2 * self._policy.max_workers):
                expected += next(submitted, 0)
            full = rows >= COMMIT_ROWS or counters >= COMMIT_COUNTERS
            due = not expected or full or self._monotonic() - batch_began >= COMMIT_SECONDS
            if batch and due:
                self._commit(batch, store, outcomes)
            if due:
                batch, rows, counters, batch_began = [], 0, 0, self._monotonic()

    def _commit(
        self,
        batch: Sequence[CollectedDatabase],
        store: CollectionStore,
        outcomes: dict[DatabaseRef, CollectionOutcome],
    ) -> None:
        lag = self._monotonic() - self._began
        told = [replace(item, outcome=replace(item.outcome, lag_seconds=lag)) for item in batch]
        refused = store.record(told)
        for item in told:
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


def _next(results: "queue.SimpleQueue[CollectedDatabase | BaseException]") -> CollectedDatabase | BaseException | None:
    try:
        return results.get(timeout=POLL_SECONDS)
    except queue.Empty:
        return None


def _failed(target: CollectionTarget, tick: datetime, error: Exception) -> CollectedDatabase:
    error_class, message = why_unreadable(error)
    outcome = CollectionOutcome(target.ref, tick, CollectionStatus.FAILED, error_class=error_class, message=message)
    return CollectedDatabase(outcome, target.engine)


def why_unreadable(error: Exception) -> tuple[str, str]:
    """Error class and one line for the collection log.

    Of an error that is not ours only its type and place are told: its words may hold a secret or a literal.
    """
    if isinstance(error, ProviderError):
        return error.error_class, error.sentence
    if isinstance(error, DbPlanMonError):
        return "settings" if isinstance(error, SettingsError) else "defect", " ".join(str(error).split())
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return "defect", f"unexpected {type(error).__name__} in {PurePath(frame.filename).name}, line {frame.lineno}"


def _engine(providers: Mapping[str, Provider], outcome: CollectionOutcome) -> Engine:
    return providers[outcome.ref.instance].engine
