"""Reads Query Store into a `CounterReading`: intervals first, then their figures by the numbers of those intervals."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.counters import CounterReading, Longs
from dbplanmon_pipeline.core.readings.query_store import (
    AVERAGES,
    DEVIATIONS,
    MAXIMA,
    MINIMA,
    ReadingSpan,
    RuntimeStats,
    WaitStats,
    query_store_reading,
)
from dbplanmon_pipeline.core.readings.query_store_span import (
    LONGEST_BACK_US,
    EngineInterval,
    IntervalPolicy,
    reading_span,
    skew_between,
)
from dbplanmon_pipeline.errors import FeatureUnavailable, ProviderError
from dbplanmon_pipeline.providers.sqlserver.columns import columns_of, hash_column, long_column, number_table
from dbplanmon_pipeline.providers.sqlserver.limits import MOST_ROWS
from dbplanmon_pipeline.providers.sqlserver.own_statements import OwnStatements, look_in_query_store
from dbplanmon_pipeline.providers.sqlserver.probe import ServerFacts
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement, statement_in
from dbplanmon_pipeline.providers.sqlserver.value_lists import value_lists

HISTORY_SLICE = 96
"""Intervals of history read at once, a day of quarters of an hour; fewer where they hold too much."""

_SECOND_US = 1_000_000
_STATS = "query_store_runtime_stats"
_LONG_COLUMNS = 4
_SPLITS = np.cumsum([1, len(AVERAGES), len(DEVIATIONS), len(MINIMA)])

Row = tuple[Any, ...]
Flags = NDArray[np.bool_]


class TooManyRows(ProviderError):
    """More figures than a reading may have; nothing is cut silently."""


class QueryStore:
    """Query Store of one database, on one connection.

    Args:
        session: open on the database.
        facts: what the probe found; `facts.query_store` is known.
        own: which statements are ours.
        clock: ours, aware UTC.
        most_rows: bound of one statement.
    """

    def __init__(
        self,
        session: Session,
        facts: ServerFacts,
        own: OwnStatements,
        clock: Callable[[], datetime],
        most_rows: int = MOST_ROWS,
    ) -> None:
        if facts.query_store is None:
            raise FeatureUnavailable("Query Store may not be seen", target=session.target)
        self._session = session
        self._facts = facts
        self._own = own
        self._clock = clock
        self._most_rows = most_rows
        # An empty state names no lengths; those of the server's own defaults then do.
        length, flush = facts.query_store.interval_length_minutes, facts.query_store.flush_interval_seconds
        self._policy = IntervalPolicy((length or 60) * 60 * _SECOND_US, (flush or 900) * _SECOND_US)
        self._groups_at_work: frozenset[int] | None = None

    @property
    def groups_at_work(self) -> frozenset[int] | None:
        """Numbers of the replica groups with figures in what `read` last read; None before that."""
        return self._groups_at_work

    def is_fresh(self) -> bool:
        """True where an interval is there that ended less than two lengths ago.

        Raises:
            ProviderError: the server did not answer.
        """
        now_us, _ = self._now_us()
        return bool(self._intervals(now_us - 2 * self._policy.length_us))

    def read(self, previous: CounterReading | None) -> CounterReading:
        """Every interval that may have changed since `previous`, our own statements left out.

        Raises:
            TooManyRows: more figures than `most_rows`.
            ProviderError: the server did not answer.
        """
        read_at = self._clock()
        now_us, skew_us = self._now_us()
        intervals = self._intervals(now_us - LONGEST_BACK_US)
        span = reading_span(intervals, previous, self._policy, now_us=now_us, skew_us=skew_us)
        wanted = [interval for interval in intervals if interval.start_us >= span.covers_from_us]
        stats, waits = self._figures(wanted)
        self._groups_at_work = frozenset(stats.replica_group_id.tolist())
        return query_store_reading(self._others(stats, previous), waits, read_at=read_at, span=span)

    def read_history(self, start: datetime, end: datetime) -> CounterReading:
        """Every interval that began within [start, end) and is over, in slices that are bounded one by one.

        Raises:
            TooManyRows: one interval alone holds more figures than `most_rows`.
            ProviderError: the server did not answer.
        """
        read_at = self._clock()
        now_us, skew_us = self._now_us()
        first_us, end_us = epoch_us(start) + skew_us, epoch_us(end) + skew_us
        wanted = [
            interval
            for interval in self._intervals(first_us)
            if first_us <= interval.start_us < end_us and interval.end_us <= now_us
        ]
        parts = list(self._slices(wanted)) or [self._figures([])]
        stats = _joined(RuntimeStats, [part for part, _ in parts])
        waits = _joined(WaitStats, [part for _, part in parts if part is not None]) if parts[0][1] is not None else None
        span = ReadingSpan(max(first_us, 1), max(end_us, 1), skew_us)
        return query_store_reading(self._others(stats, None), waits, read_at=read_at, span=span)

    def _now_us(self) -> tuple[int, int]:
        """Present moment of the server, and by how much to move its moments onto our clock."""
        ours = epoch_us(self._clock())
        servers = ours + round(self._facts.clock_skew_seconds * _SECOND_US)
        return servers, skew_between(servers, ours)

    def _intervals(self, ended_after_us: int) -> list[EngineInterval]:
        rows = self._session.rows(statement("intervals"), (from_epoch_us(max(ended_after_us, 0)),))
        return [EngineInterval(epoch_us(start), epoch_us(end), number) for number, start, end in rows]

    def _slices(self, intervals: Sequence[EngineInterval]) -> Iterator[tuple[RuntimeStats, WaitStats | None]]:
        waiting = [intervals[at : at + HISTORY_SLICE] for at in range(0, len(intervals), HISTORY_SLICE)][::-1]
        while waiting:
            part = waiting.pop()
            try:
                figures = self._figures(part)
            except TooManyRows:
                if len(part) == 1:
                    raise
                half = len(part) // 2
                waiting += [part[half:], part[:half]]
            else:
                yield figures

    def _figures(self, intervals: Sequence[EngineInterval]) -> tuple[RuntimeStats, WaitStats | None]:
        """Figures of these intervals; nothing is asked where there are none."""
        keeps_waits = bool(self._facts.query_store and self._facts.query_store.keeps_waits)
        stats = self._runtime_stats(self._rows(self._stats_name(), intervals), intervals)
        grouped = self._facts.has_column("query_store_wait_stats", "replica_group_id")
        name = "wait_stats_2022" if grouped else "wait_stats"
        return stats, _wait_stats(self._rows(name, intervals), intervals) if keeps_waits else None

    def _rows(self, name: str, intervals: Sequence[EngineInterval]) -> list[Row]:
        """Rows of a range of numbers; what else lies in it is dropped later.

        From 2022 on the server finds figures by the number of their interval; older ones read through all they keep,
        which is why a reading asks once for all its intervals.
        """
        if not intervals:
            return []
        numbers = [interval.interval_id for interval in intervals]
        rows = self._session.rows(statement(name), (min(numbers), max(numbers)), limit=self._most_rows + 1)
        if len(rows) > self._most_rows:
            raise TooManyRows(
                f"Query Store has more than {self._most_rows} rows to read at once",
                target=self._session.target,
                remedy="Set QUERY_CAPTURE_MODE = AUTO, collect more often, or set options.source: plan_cache.",
            )
        return rows

    def _stats_name(self) -> str:
        if self._facts.has_column(_STATS, "replica_group_id"):
            return "runtime_stats_2022"
        return "runtime_stats_2017" if self._facts.has_column(_STATS, "avg_tempdb_space_used") else "runtime_stats"

    def _runtime_stats(self, rows: Sequence[Row], intervals: Sequence[EngineInterval]) -> RuntimeStats:
        """Columns from rows in one pass, without rows of other intervals, and of plans that are gone meanwhile."""
        columns = columns_of(rows, _LONG_COLUMNS + int(_SPLITS[-1]) + len(MAXIMA))
        plan_id, replica, kind, interval_id = (long_column(column) for column in columns[:_LONG_COLUMNS])
        count, averages, deviations, minima, maxima = np.split(number_table(columns[_LONG_COLUMNS:]), _SPLITS, axis=1)
        start, end, wanted = _times(interval_id, intervals)
        query_hash, plan_hash, known = self._hashes(plan_id)
        every = RuntimeStats(
            plan_id,
            replica,
            kind,
            query_hash,
            plan_hash,
            start,
            end,
            count[:, 0],
            averages,
            deviations,
            minima,
            maxima,
        )
        kept = wanted & known
        return every if kept.all() else every.take(kept)

    def _hashes(self, plan_id: Longs) -> tuple[Longs, Longs, Flags]:
        """Hashes of statement and plan per row, and whether Query Store still has the plan.

        They are asked each time: a plan that was lost before it was written leaves its number to another one.
        """
        numbers, place = np.unique(plan_id, return_inverse=True)
        found: dict[int, tuple[bytes | None, bytes | None]] = {}
        for plan_ids in value_lists(numbers.tolist()):
            rows = self._session.rows(statement_in("plan_hashes", len(plan_ids)), plan_ids)
            found.update((number, (query_hash, plan_hash)) for number, query_hash, plan_hash in rows)
        each = [found.get(number, (None, None)) for number in numbers.tolist()]
        known = np.array([number in found for number in numbers.tolist()], dtype=np.bool_)
        query_hash, plan_hash = (hash_column([pair[part] for pair in each]) for part in (0, 1))
        return query_hash[place], plan_hash[place], known[place]

    def _others(self, stats: RuntimeStats, previous: CounterReading | None) -> RuntimeStats:
        """The figures without those of our own statements."""
        hashes, first = np.unique(stats.query_hash, return_index=True)
        plan_of = dict(zip(hashes.tolist(), stats.plan_id[first].tolist(), strict=True))
        unjudged = self._own.unjudged(plan_of, previous)
        look_in_query_store(self._session, self._own, {query_hash: plan_of[query_hash] for query_hash in unjudged})
        return stats.take(~np.isin(stats.query_hash, list(self._own.ours)))


def _wait_stats(rows: Sequence[Row], intervals: Sequence[EngineInterval]) -> WaitStats:
    plan_id, replica, interval_id, wait_ms = columns_of(rows, 4)
    start, _, known = _times(long_column(interval_id), intervals)
    wait = np.array(wait_ms, dtype=np.float64)
    return WaitStats(long_column(plan_id)[known], long_column(replica)[known], start[known], wait[known])


def _times(wanted: Longs, intervals: Sequence[EngineInterval]) -> tuple[Longs, Longs, Flags]:
    """Beginning and end of the interval of each number, and whether it is one of these intervals."""
    if not intervals:
        return wanted, wanted, np.zeros(len(wanted), dtype=np.bool_)
    ordered = sorted(intervals, key=lambda interval: interval.interval_id)
    known = long_column([interval.interval_id for interval in ordered])
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    start = long_column([interval.start_us for interval in ordered])[place]
    end = long_column([interval.end_us for interval in ordered])[place]
    return start, end, known[place] == wanted


def _joined(kind: type[Any], parts: Sequence[Any]) -> Any:
    """All rows of one or more of these, column by column."""
    return kind(*(np.concatenate([getattr(part, name) for part in parts]) for name in kind.__slots__))
