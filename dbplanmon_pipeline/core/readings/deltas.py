"""From two readings of cumulative counters to the work done between them: nothing invented, nothing counted twice.

The rules, in the order they are asked:

- Without an earlier reading nothing is known to be new, so nothing is emitted; counters that the engine keeps per
  interval are whole pieces of known time, and are.
- A reading that is not younger than the earlier one is not accepted; the earlier one stays the state.
- The same counter in the same life, none of its figures fallen: the difference.
- Another life, or any figure fallen: it began again from zero. The whole row comes from the new life, never a mix of
  both, flagged because work between the earlier reading and the end of the old life is lost.
- A counter not seen before: a new life, whole and unflagged; unless it is known to have begun before the earlier
  reading. Then it was there but hidden (a missing permission, a cap), and unknown is not zero: nothing is emitted.
- A counter of an engine interval that fell did not begin again from zero: the engine lost what it had not flushed yet.
  How much of the rest is new cannot be told; nothing is emitted, and it goes on from there.
- Where one kind of source took over from the other, only what began after the earlier reading is new.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import (
    COUNTERS,
    EXECUTIONS,
    EXTREMA,
    CounterReading,
    Floats,
    IntervalRows,
    Longs,
)
from dbplanmon_pipeline.core.readings.merging import merge_equal_keys, take_rows

_NOISE = 1e-9
_RAN = [EXECUTIONS, COUNTERS.index("aborted_count"), COUNTERS.index("exception_count")]
_IS_MAXIMUM = np.array([name.endswith("_max") for name in EXTREMA])
_SQUARES = tuple(
    (COUNTERS.index(f"{name}_sumsq"), COUNTERS.index(name)) for name in ("elapsed_time_us", "worker_time_us")
)

_SQUARE_COLUMNS = [squares for squares, _ in _SQUARES]

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Delta:
    """Work done between two readings of one database.

    Attributes:
        rows: one row per (query, plan, interval) that ran, sorted by query, plan, interval.
        resets: counters that began again since the earlier reading.
        new_lives: counters seen for the first time and taken whole.
        hidden: counters or lives seen for the first time though older than the earlier reading; nothing was taken.
        seconds: time between the readings; None without an earlier one.
        accepted: False when the reading must not become the new state, or work would be lost or counted twice.
        note: why there is nothing, one line; empty when the two readings were differenced.
    """

    rows: IntervalRows
    resets: int = 0
    new_lives: int = 0
    hidden: int = 0
    seconds: float | None = None
    accepted: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Pairing:
    """Per counter of the present reading: its row in the earlier one (0 where `unseen`), and how it goes on."""

    partner: NDArray[np.intp]
    unseen: Flags
    restarted: Flags
    hidden: Flags
    lost: Flags

    @property
    def continues(self) -> Flags:
        return ~(self.unseen | self.restarted)

    @property
    def silent(self) -> Flags:
        """What of these is new cannot be told."""
        return self.hidden | self.lost


def difference(previous: CounterReading | None, current: CounterReading, now_end: datetime | None = None) -> Delta:
    """Work recorded by `current` that `previous` had not seen.

    A reading must hold every counter the target has: one that is missing is taken to have ended, and counts whole
    when it comes back in a new life.

    Args:
        previous: the state after the last recorded reading; None before the first.
        current: the reading to record.
        now_end: end of the interval, aware UTC; `current.read_at` when not given.
    """
    end = now_end or current.read_at
    if previous is None:
        if current.by_interval:
            return Delta(_first_intervals(current, epoch_us(end)), new_lives=len(current))
        return Delta(empty_rows(), note="first reading: what ran before it is not counted")
    seconds = (end - previous.read_at).total_seconds()
    if seconds <= 0:
        return Delta(empty_rows(), seconds=seconds, accepted=False, note=_not_younger(previous.read_at, end))
    if _says_the_same(previous, current):
        return Delta(empty_rows(), seconds=seconds)
    pairing = _paired(previous, current)
    increments = _increments(previous, current, pairing)
    emitted = np.flatnonzero(_ran(increments) & ~pairing.silent)
    start, stop = _intervals(current, epoch_us(previous.read_at), epoch_us(end))
    extrema = _extrema(previous, current, pairing)
    every = IntervalRows(current.query_hash, current.plan_hash, start, stop, increments, extrema, pairing.restarted)
    return Delta(
        merge_equal_keys(take_rows(every, emitted)),
        resets=int((pairing.restarted | pairing.lost).sum()),
        new_lives=int((pairing.unseen & ~pairing.hidden).sum()),
        hidden=int(pairing.hidden.sum()),
        seconds=seconds,
    )


def retained(reading: CounterReading) -> CounterReading:
    """What of a reading the next one is differenced against: without the intervals that are settled."""
    if not reading.by_interval:
        return reading
    stays = np.flatnonzero(reading.interval_start_us >= reading.next_from_us)
    since = max(reading.covers_from_us, reading.next_from_us)
    return reading.take(stays, covers_from_us=since, next_from_us=reading.next_from_us)


def whole_intervals(reading: CounterReading) -> IntervalRows:
    """Every counter of a reading by interval, as a row of the interval the engine gives it."""
    ran = np.flatnonzero(_ran(reading.values))
    every = IntervalRows(
        reading.query_hash,
        reading.plan_hash,
        reading.interval_start_us,
        reading.interval_end_us,
        _possible(reading.values.copy()),
        reading.extrema,
        np.zeros(len(reading), dtype=np.bool_),
    )
    return merge_equal_keys(take_rows(every, ran))


def empty_rows() -> IntervalRows:
    """No work at all, in the right shapes."""
    none = np.empty(0, dtype=np.int64)
    return IntervalRows(
        none, none, none, none, np.empty((0, len(COUNTERS))), np.empty((0, len(EXTREMA))), np.empty(0, dtype=bool)
    )


def _first_intervals(reading: CounterReading, end_us: int) -> IntervalRows:
    """All of a first reading by interval, the running one cut at the present moment."""
    rows = whole_intervals(reading)
    start, stop = _cut(rows.interval_start_us, rows.interval_end_us, 0, end_us)
    return replace(rows, interval_start_us=start, interval_end_us=stop)


def _ran(values: Floats) -> Flags:
    ran: Flags = np.logical_or.reduce(np.nan_to_num(values[:, _RAN]) > 0, axis=1)
    return ran


def _not_younger(before: datetime, end: datetime) -> str:
    if before == end:
        return "nothing counted: this moment has been read already"
    return f"nothing counted: the clock went back {(before - end).total_seconds():.0f} s since the last reading"


def _says_the_same(previous: CounterReading, current: CounterReading) -> bool:
    """True where nothing ran in between; most databases of a fleet at night, so it is asked before all else."""
    return (
        len(previous) == len(current)
        and previous.values.tobytes() == current.values.tobytes()
        and previous.keys == current.keys
        and previous.lives == current.lives
    )


def _paired(previous: CounterReading, current: CounterReading) -> _Pairing:
    row_of = {key: row for row, key in enumerate(previous.keys)}
    found = np.array([row_of.get(key, -1) for key in current.keys], dtype=np.intp)
    unseen = found < 0
    partner = np.where(unseen, 0, found)
    other = _other_life(previous, current, found)
    fell = _any_fell(previous, current, partner) & ~unseen
    by_interval = current.interval_start_us > 0
    restarted = (other | (fell & ~by_interval)) & ~unseen
    return _Pairing(
        partner,
        unseen,
        restarted,
        hidden=(unseen | other) & _was_there(previous, current),
        lost=fell & by_interval & ~other,
    )


def _was_there(previous: CounterReading, current: CounterReading) -> Flags:
    """True where a counter is known to be older than the last reading, though that did not show it.

    Rights were missing then, another server answers under the same address after a failover, or another kind of source
    took over.
    """
    by_interval = current.interval_start_us > 0
    began = np.where(by_interval, current.interval_start_us, current.life_began_us)
    older: Flags = (began > 0) & (began < epoch_us(previous.read_at))
    same_kind = previous.by_interval == current.by_interval
    return older & ~by_interval if same_kind else older | (began == 0)


def _other_life(previous: CounterReading, current: CounterReading, found: NDArray[np.intp]) -> Flags:
    """True where both readings name the life and the names differ."""
    lives = previous.lives
    pairs = zip(current.lives, found.tolist(), strict=True)
    differs = [row >= 0 and life != lives[row] and bool(life) and bool(lives[row]) for life, row in pairs]
    return np.array(differs, dtype=np.bool_)


def _any_fell(previous: CounterReading, current: CounterReading, partner: NDArray[np.intp]) -> Flags:
    """True where a figure is lower than before by more than the rounding of averages turned into totals."""
    if not len(previous):
        return np.zeros(len(current), dtype=np.bool_)
    before = previous.values[partner]
    fell = current.values < before - _NOISE * np.abs(before)
    if current.by_interval:
        # Made of averages and deviations that the engine rounds; they fall a little whenever rows are flushed.
        fell[:, _SQUARE_COLUMNS] = False
    fallen: Flags = np.logical_or.reduce(fell, axis=1)
    return fallen


def _increments(previous: CounterReading, current: CounterReading, pairing: _Pairing) -> Floats:
    """Work per counter [n, COUNTERS], NaN where either reading does not tell."""
    if not len(previous):
        return _possible(current.values.copy())
    before = np.where(pairing.continues[:, None], previous.values[pairing.partner], 0.0)
    return _possible(np.maximum(current.values - before, 0.0))


def _possible(increments: Floats) -> Floats:
    """Sums of squares brought to where they can be: from total^2 / n (all alike) to total^2 (one did it all)."""
    executions = np.maximum(increments[:, EXECUTIONS], 1.0)
    for squares, total in _SQUARES:
        largest = increments[:, total] ** 2
        increments[:, squares] = np.clip(increments[:, squares], largest / executions, largest)
    return increments


def _extrema(previous: CounterReading, current: CounterReading, pairing: _Pairing) -> Floats:
    """Extremes of the increment: those of the whole life while it is new, later only when they moved, else NaN."""
    if not len(previous):
        return current.extrema
    before, now = previous.extrema[pairing.partner], current.extrema
    moved = np.where(_IS_MAXIMUM, now > before, now < before)
    return np.where(moved | ~pairing.continues[:, None], now, np.nan)


def _intervals(current: CounterReading, before_us: int, end_us: int) -> tuple[Longs, Longs]:
    """The time between the readings, cut to the engine's own interval where it keeps one."""
    own_start, own_end = current.interval_start_us, current.interval_end_us
    start, stop = _cut(own_start, own_end, before_us, end_us)
    return np.where(own_start > 0, start, before_us), np.where(own_start > 0, stop, end_us)


def _cut(own_start: Longs, own_end: Longs, before_us: int, end_us: int) -> tuple[Longs, Longs]:
    """Engine intervals without the time read before; one whose work came late keeps its own time, none ends later."""
    stop = np.minimum(end_us, own_end)
    start = np.maximum(before_us, own_start)
    start = np.where(start >= stop, own_start, start)
    # A server whose clock is ahead names moments that are still to come.
    return np.where(start >= stop, before_us or end_us - 1, start), stop
