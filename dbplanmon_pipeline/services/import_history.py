"""Read what engines still know from before we watched them, so that what is normal is known on the first day.

Each day of each database is stored in one transaction and in place of what an earlier import of it brought: any day can
be imported again, with the same result.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import date, datetime

from dbplanmon_pipeline.core.model import CapturedPlan, CollectionOutcome, DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import (
    Budget,
    Clock,
    DatabaseReader,
    HistoryStore,
    ImportedDay,
    ImportStatus,
    KnownStatement,
    Provider,
)
from dbplanmon_pipeline.core.readings.capture import select_rows, wanted_plans, wanted_texts
from dbplanmon_pipeline.core.readings.counters import CounterReading
from dbplanmon_pipeline.core.readings.deltas import whole_intervals
from dbplanmon_pipeline.core.readings.history_days import importable, span_of
from dbplanmon_pipeline.errors import FeatureUnavailable, ProviderError, StoreError
from dbplanmon_pipeline.services.collect import POLL_SECONDS, CollectionStopped, CollectionTarget, why_unreadable
from dbplanmon_pipeline.services.read_database import TEXTS_PER_STATEMENT

ENGINES_WITH_HISTORY = frozenset({Engine.SQLSERVER, Engine.SIMULATED})

MAX_WORKERS = 4
"""Databases read at once: history is large and in no hurry."""


@dataclass(frozen=True, slots=True)
class HistoryOutcome:
    """How the import of one day of one database ended; `day` is None where no day was tried."""

    ref: DatabaseRef
    day: date | None
    status: ImportStatus
    rows: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """What one import did, in the order of the targets, newest day first."""

    outcomes: tuple[HistoryOutcome, ...]
    duration_seconds: float

    @property
    def rows(self) -> int:
        """Interval rows stored."""
        return sum(outcome.rows for outcome in self.outcomes)

    @property
    def failed(self) -> tuple[HistoryOutcome, ...]:
        """Databases whose history could not be read to its end."""
        return tuple(outcome for outcome in self.outcomes if outcome.status is ImportStatus.FAILED)

    @property
    def not_imported(self) -> tuple[HistoryOutcome, ...]:
        """Everything that is not as asked for, failed or not."""
        return tuple(outcome for outcome in self.outcomes if outcome.status is not ImportStatus.IMPORTED)


def import_history(
    targets: Sequence[CollectionTarget],
    providers: Mapping[str, Provider],
    store: HistoryStore,
    *,
    days: Sequence[date],
    clock: Clock,
    unlisted: Sequence[CollectionOutcome] = (),
    max_workers: int = MAX_WORKERS,
    stopped: Callable[[], bool] = lambda: False,
    monotonic: Callable[[], float] = time.monotonic,
) -> HistoryReport:
    """Import UTC days of every database that was read at least once; one that fails never stops the others.

    Args:
        targets: databases; the budget of each holds for each day anew.
        providers: by instance.
        store: where the days go.
        days: in any order; the newest is read first, as it matters most where the rest cannot be had.
        clock: the present moment, aware UTC.
        unlisted: instances whose databases could not be listed.
        max_workers: connections at once.
        stopped: asked often; true ends the import, whole days already stored stay.
        monotonic: clock of the budgets.

    Raises:
        CollectionStopped: `stopped` said so.
        StoreError: our own store failed; nothing half is stored.
    """
    began = monotonic()
    wanted = sorted(set(days), reverse=True)
    run = _Run(providers, store, store.recorded_from(), clock, stopped, monotonic)
    outcomes = run.all_databases(targets, wanted, max_workers) if targets else []
    silent = [HistoryOutcome(o.ref, None, ImportStatus.FAILED, message=o.message) for o in unlisted]
    return HistoryReport((*outcomes, *silent), monotonic() - began)


@dataclass(slots=True)
class _Known:
    """Statements whose text, and plans whose body, need not be read again."""

    statements: dict[int, KnownStatement]
    plans: frozenset[int]

    def learn(self, imported: ImportedDay, asked: frozenset[int]) -> None:
        """A plan that could not be had is not asked for once per day."""
        self.statements |= {text.query_hash: KnownStatement(0, None, has_text=True) for text in imported.texts}
        self.plans |= asked


class _Run:
    """The threads of one import; each reads one database and stores its days."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        store: HistoryStore,
        recorded_from: Mapping[DatabaseRef, datetime],
        clock: Clock,
        stopped: Callable[[], bool],
        monotonic: Callable[[], float],
    ) -> None:
        self._providers = providers
        self._store = store
        self._recorded_from = recorded_from
        self._clock = clock
        self._stopped = stopped
        self._monotonic = monotonic
        self._aborted = threading.Event()

    def all_databases(
        self, targets: Sequence[CollectionTarget], days: Sequence[date], max_workers: int
    ) -> list[HistoryOutcome]:
        pool = ThreadPoolExecutor(min(max_workers, len(targets)), thread_name_prefix="history")
        try:
            futures = [pool.submit(self._one_database, target, days) for target in targets]
            self._wait_for(futures)
        except BaseException:
            # Also Dagster's interrupt, which is no Exception: waiting for the pool would hold a cancelled run for as
            # long as the slowest server. A day that is being stored is stored whole or not at all.
            self._aborted.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for instance in {target.ref.instance for target in targets}:
                self._providers[instance].cancel()
            raise
        pool.shutdown()
        return [outcome for future in futures for outcome in future.result()]

    def _wait_for(self, futures: Sequence[Future[list[HistoryOutcome]]]) -> None:
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            if self._stopped():
                raise CollectionStopped
            for future in done:
                future.result()

    def _cancelled(self) -> bool:
        return self._aborted.is_set() or self._stopped()

    def _one_database(self, target: CollectionTarget, days: Sequence[date]) -> list[HistoryOutcome]:
        ref = target.ref
        if target.engine not in ENGINES_WITH_HISTORY:
            return [HistoryOutcome(ref, None, ImportStatus.SKIPPED, message=f"{target.engine} keeps no history")]
        recorded_from = self._recorded_from.get(ref)
        if recorded_from is None:
            return [HistoryOutcome(ref, None, ImportStatus.SKIPPED, message="not read yet; it is collected first")]
        spans = {day: span for day in days if (span := span_of(day, recorded_from))}
        if not spans:
            why = f"recorded live since {recorded_from:%Y-%m-%d %H:%M} UTC, before the days asked for"
            return [HistoryOutcome(ref, None, ImportStatus.SKIPPED, message=why)]
        return self._days(target, spans, recorded_from)

    def _days(
        self, target: CollectionTarget, spans: Mapping[date, tuple[datetime, datetime]], recorded_from: datetime
    ) -> list[HistoryOutcome]:
        state = self._store.capture_states([target.ref])[target.ref]
        known = _Known(dict(state.statements), state.plans)
        outcomes: list[HistoryOutcome] = []
        for day in spans:
            if self._cancelled():
                break
            imported = self._read_day(target, day, spans[day], recorded_from, known)
            kept = self._store.record_history(imported)
            outcomes.append(_outcome(imported, kept=kept))
            if imported.rows is None:
                outcomes[-1] = _with_rest(outcomes[-1], len(spans) - len(outcomes))
                break
        return outcomes

    def _read_day(
        self,
        target: CollectionTarget,
        day: date,
        span: tuple[datetime, datetime],
        recorded_from: datetime,
        known: _Known,
    ) -> ImportedDay:
        budget = Budget(self._monotonic() + target.budget_seconds, self._monotonic, self._cancelled)
        try:
            with self._providers[target.ref.instance].open(target.ref.database, budget) as reader:
                reading = reader.read_history(*span)
                rows = importable(whole_intervals(reading), day, recorded_from)
                limits = target.limits
                rows = select_rows(rows, top_n=limits.top_n, min_executions=limits.min_executions)
                imported = ImportedDay(target.ref, day, ImportStatus.IMPORTED, rows)
                return self._explained(reader, reading, imported, target, known)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever one target does, the others are read
            unavailable = isinstance(error, FeatureUnavailable)
            status = ImportStatus.UNAVAILABLE if unavailable else ImportStatus.FAILED
            return ImportedDay(target.ref, day, status, message=why_unreadable(error)[1])

    def _explained(
        self,
        reader: DatabaseReader,
        reading: CounterReading,
        imported: ImportedDay,
        target: CollectionTarget,
        known: _Known,
    ) -> ImportedDay:
        """With texts and plans that are new; figures are kept even when explaining fails."""
        rows = imported.rows
        if rows is None or not len(rows):
            return imported
        limits = target.limits
        asked: frozenset[int] = frozenset()
        try:
            if wanted := wanted_texts(reading, rows, known.statements, limit=limits.top_n * TEXTS_PER_STATEMENT):
                imported = replace(imported, texts=tuple(reader.read_texts(wanted)))
            plans_wanted = wanted_plans(
                reading,
                rows,
                known.statements,
                known.plans,
                now=self._clock(),
                limit=limits.max_plans,
                recheck_after=limits.recheck_after,
            )
            if plans_wanted:
                asked = frozenset(key.plan_hash for key in plans_wanted)
                imported = replace(imported, plans=_bodies(reader.read_plans(plans_wanted)))
        except ProviderError as error:
            imported = replace(imported, message=f"plans or texts were not read: {error.message}")
        known.learn(imported, asked)
        return imported


def _bodies(plans: Sequence[CapturedPlan]) -> tuple[CapturedPlan, ...]:
    return tuple(plan for plan in plans if plan.body)


def _outcome(imported: ImportedDay, *, kept: bool) -> HistoryOutcome:
    if not kept:
        why = "imported before and sealed since, so it stays as it is"
        return HistoryOutcome(imported.ref, imported.day, ImportStatus.SEALED, message=why)
    rows = 0 if imported.rows is None else len(imported.rows)
    return HistoryOutcome(imported.ref, imported.day, imported.status, rows, imported.message)


def _with_rest(outcome: HistoryOutcome, untried: int) -> HistoryOutcome:
    rest = f"; {untried} earlier days were not tried" if untried else ""
    return replace(outcome, message=f"{outcome.message}{rest}")
