"""Record what was read while the store was away: tick by tick, through the same differencing, each reading once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import (
    CaptureState,
    CollectedDatabase,
    CollectionStore,
    ReadingSpool,
    SpooledReading,
    SpoolLoss,
)
from dbplanmon_pipeline.core.readings.spooled_readings import as_read_after
from dbplanmon_pipeline.errors import StoreError, StoreSchemaMismatch, StoreUnavailable
from dbplanmon_pipeline.services.read_database import CaptureLimits, recorded_later

ATTEMPTS = 3
"""Another process may record the same readings at the same time; what is refused is looked at again."""

COMMIT_ROWS = 8_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was recorded from the spool.

    Attributes:
        ticks: moments that were recorded, at least in part.
        readings / rows: readings recorded, interval rows they gave.
        not_needed: readings the state had moved past, or that did not join on to it: the work in them is recorded by
            another reading.
        lost: what could not be recorded at all.
        problem: why the rest still waits, one line; empty where nothing does.
    """

    ticks: int = 0
    readings: int = 0
    rows: int = 0
    not_needed: int = 0
    lost: SpoolLoss = field(default_factory=SpoolLoss)
    problem: str = ""


def replay_spool(
    spool: ReadingSpool,
    store: CollectionStore,
    *,
    now: datetime,
    limits: Callable[[DatabaseRef], CaptureLimits],
    interval: timedelta,
    stopped: Callable[[], bool] = lambda: False,
) -> Replayed:
    """Record all that waits, oldest first.

    A batch is removed once all of it is committed. One that is replayed again after a crash finds states that are not
    older than its readings, and adds nothing.

    Args:
        spool: where readings wait.
        store: reached again.
        now: aware UTC.
        limits: what is kept of a database.
        interval: cadence, to recognise gaps.
        stopped: asked before each batch; what is left waits for the next run.

    Raises:
        StoreUnavailable, StoreSchemaMismatch: the store is away again; what is left waits.
    """
    try:
        done = Replayed(lost=spool.expire(now))
    except StoreError as error:
        # A folder that cannot be tidied up is no reason to leave the store alone.
        return Replayed(problem=str(error))
    run = _Replay(store, limits, interval)
    ticks: set[datetime] = set()
    for batch in spool.waiting():
        if stopped():
            break
        try:
            readings = spool.load(batch)
        except StoreError as error:
            done = replace(done, lost=done.lost + SpoolLoss(1, 0, str(error)))
            readings = []
        try:
            recorded, rows = run.record(readings)
            spool.remove(batch)
        except (StoreUnavailable, StoreSchemaMismatch):
            raise
        except StoreError as error:
            # Not away, but it refuses: live readings go on, and hold the same work in coarser intervals.
            return replace(done, problem=str(error))
        ticks.update([batch.tick] if recorded else [])
        done = replace(
            done,
            ticks=len(ticks),
            readings=done.readings + recorded,
            rows=done.rows + rows,
            not_needed=done.not_needed + len(readings) - recorded,
        )
    return done


class _Replay:
    """States as they move on, so that each is read from the store once."""

    def __init__(
        self, store: CollectionStore, limits: Callable[[DatabaseRef], CaptureLimits], interval: timedelta
    ) -> None:
        self._store = store
        self._limits = limits
        self._interval = interval
        self._states: dict[DatabaseRef, CaptureState] = {}

    def record(self, readings: Sequence[SpooledReading]) -> tuple[int, int]:
        """Readings and rows that were recorded; the rest is not needed.

        Raises:
            StoreError: as the store says, or readings that are refused again and again.
        """
        recorded, rows, waiting = 0, 0, list(readings)
        for _ in range(ATTEMPTS):
            self._learn(waiting)
            refused: set[DatabaseRef] = set()
            for part in _parts(self._collected(waiting)):
                refused_now = self._store.record(part)
                taken = [item for item in part if item.outcome.ref not in refused_now]
                self._move_on(taken)
                recorded += len(taken)
                rows += sum(item.outcome.rows for item in taken)
                refused |= refused_now
            if not refused:
                return recorded, rows
            for ref in refused:
                del self._states[ref]
            waiting = [one for one in waiting if one.ref in refused]
        raise StoreError("other collections keep storing the same databases; spooled readings wait for the next run")

    def _learn(self, readings: Sequence[SpooledReading]) -> None:
        missing = [one.ref for one in readings if one.ref not in self._states]
        if missing:
            self._states |= self._store.capture_states(missing)

    def _collected(self, readings: Sequence[SpooledReading]) -> Iterator[CollectedDatabase]:
        for one in readings:
            state = self._states[one.ref]
            reading = as_read_after(state.previous, one.reading)
            if reading is None:
                continue
            found = recorded_later(one.ref, one.engine, state, reading, self._limits(one.ref), self._interval)
            if found is not None:
                yield found

    def _move_on(self, taken: Sequence[CollectedDatabase]) -> None:
        for item in taken:
            ref, reading = item.outcome.ref, item.reading
            if reading is not None:
                self._states[ref] = replace(self._states[ref], previous=reading, read_at=reading.read_at)


def _parts(collected: Iterator[CollectedDatabase]) -> Iterator[list[CollectedDatabase]]:
    """As many as one transaction should hold."""
    part: list[CollectedDatabase] = []
    rows = 0
    for item in collected:
        part.append(item)
        rows += item.outcome.rows
        if rows >= COMMIT_ROWS:
            yield part
            part, rows = [], 0
    if part:
        yield part
