"""Collect whatever the store does: while it is away, readings go to the spool; once it is back, they come first."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.ports import (
    CaptureState,
    Clock,
    CollectedDatabase,
    CollectionStore,
    JobState,
    ReadingSpool,
    SpooledReading,
    SpoolLoss,
)
from dbplanmon_pipeline.core.readings.spooled_readings import without_a_state
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.services.collect import CollectionReport
from dbplanmon_pipeline.services.replay_spool import Replayed

_LOGGER = logging.getLogger(__name__)

_T = TypeVar("_T")

KEPT = "read, and kept on disk until the store is back"


class SpoolingStore:
    """A `CollectionStore` that turns to the spool for the rest of a run as soon as the store fails once.

    Asking a store again that has just failed costs a timeout each time. What only the store knows is then taken as
    unknown: no instance rests, no reading has a predecessor but one in the spool.

    Args:
        store: ours.
        spool: takes the readings.
        clock: the present moment.
        failure: why the store could not even be opened.

    Attributes:
        failure: why the store is away; None while it answers.
        spooled: databases whose readings were kept.
        lost: what the spool had to let go of for them.
    """

    def __init__(
        self, store: CollectionStore, spool: ReadingSpool, clock: Clock, failure: StoreError | None = None
    ) -> None:
        self.failure = failure
        self.spooled: set[DatabaseRef] = set()
        self.lost = SpoolLoss()
        self._store = store
        self._spool = spool
        self._clock = clock
        self._moment: datetime | None = None

    def tick(self) -> datetime:
        """The moment of the run: the clock as it stood when it was first asked."""
        if self._moment is None:
            self._moment = self._clock()
        return self._moment

    def attempt(self, ask: Callable[[CollectionStore], _T], otherwise: Callable[[], _T]) -> _T:
        """What the store answers, or what holds without it."""
        if self.failure is None:
            try:
                return ask(self._store)
            except StoreError as error:
                self.failure = error
        return otherwise()

    def job_states(self, names: Iterable[str]) -> dict[str, JobState]:
        """Memory by name; fresh ones without the store, so that nothing rests."""
        wanted = list(names)
        return self.attempt(lambda store: store.job_states(wanted), lambda: {name: JobState(name) for name in wanted})

    def save_job_states(self, states: Sequence[JobState]) -> None:
        """Insert or replace; forgotten without the store."""
        self.attempt(lambda store: store.save_job_states(states), lambda: None)

    def capture_states(self, refs: Sequence[DatabaseRef]) -> dict[DatabaseRef, CaptureState]:
        """State per database; blind ones without the store, which go on from what is in the spool."""
        return self.attempt(lambda store: store.capture_states(refs), lambda: self._blind_states(refs))

    def record(self, collected: Sequence[CollectedDatabase]) -> frozenset[DatabaseRef]:
        """Store all of them in one transaction, or keep their readings; returns the databases refused.

        Raises:
            StoreUnavailable: neither store nor spool can be written.
        """
        return self.attempt(lambda store: store.record(collected), lambda: self._keep(collected))

    def _blind_states(self, refs: Sequence[DatabaseRef]) -> dict[DatabaseRef, CaptureState]:
        left_off = self._spool.left_off()
        unknown = without_a_state(self.tick())
        return {ref: CaptureState(left_off.get(ref, unknown), {}, frozenset(), blind=True) for ref in refs}

    def _keep(self, collected: Sequence[CollectedDatabase]) -> frozenset[DatabaseRef]:
        readings = [
            SpooledReading(item.outcome.ref, item.engine, item.counters)
            for item in collected
            if item.counters is not None
        ]
        if readings:
            self.lost += self._spool.keep(self.tick(), readings)
            self.spooled.update(one.ref for one in readings)
        return frozenset()


def told(report: CollectionReport, store: SpoolingStore, replayed: Replayed) -> CollectionReport:
    """The report of a run with what became of its readings; what is out of the ordinary is one line in the log."""
    if replayed.readings or replayed.problem:
        _LOGGER.info(
            "recorded %d spooled readings of %d ticks%s",
            replayed.readings,
            replayed.ticks,
            f"; the rest waits: {replayed.problem}" if replayed.problem else "",
            extra={"event": "spool_replayed", "readings": replayed.readings, "rows": replayed.rows},
        )
    lost = replayed.lost + store.lost
    if lost.batches:
        _LOGGER.warning(
            "let go of %d spooled readings: %s",
            lost.readings,
            lost.reason,
            extra={"event": "spool_readings_lost", "readings": lost.readings, "batches": lost.batches},
        )
    if store.failure is None:
        return replace(report, replayed=replayed, spool_lost=lost)
    _LOGGER.error(
        "the store is away, %d readings are kept on disk: %s",
        len(store.spooled),
        store.failure,
        extra={"event": "readings_spooled", "readings": len(store.spooled)},
    )
    outcomes = tuple(_spooled(outcome) if outcome.ref in store.spooled else outcome for outcome in report.outcomes)
    return replace(report, outcomes=outcomes, replayed=replayed, spool_lost=lost, store_failure=str(store.failure))


def _spooled(outcome: CollectionOutcome) -> CollectionOutcome:
    return replace(outcome, status=CollectionStatus.SPOOLED, rows=0, message=KEPT)
