"""State of Query Store in one database, in words."""

from dataclasses import dataclass

READ_WRITE, READ_ONLY, OFF = "READ_WRITE", "READ_ONLY", "OFF"

_CAPTURES_AT_PRIMARY = "READ_CAPTURE_SECONDARY"
"""What a secondary replica of 2022 and newer calls itself when it sends its work to the Query Store of the primary."""

SECONDARY, SIZE_LIMIT = 8, 65536

_REASONS = {
    1: "database is read-only",
    2: "database is in single-user mode",
    4: "database is in emergency mode",
    SECONDARY: "secondary replica",
    SIZE_LIMIT: "size limit reached",
    131072: "too many statements for its memory",
    262144: "waiting data fill its memory",
    524288: "database is full",
}


@dataclass(frozen=True, slots=True)
class QueryStoreState:
    """One row of `sql/query_store_options.sql`.

    Attributes:
        desired / actual: `OFF`, `READ_ONLY` or `READ_WRITE`; `actual` may be `ERROR`.
        readonly_reason: bits of the server that say why `actual` is not `desired`; 0 where they agree.
        current_size_mb / max_size_mb: on disk; the largest size is 0 where there is no limit.
        flush_interval_seconds: executions are in memory only for so long.
        interval_length_minutes: length of one row of runtime statistics.
        stale_threshold_days: how long history is kept; 0 for ever.
        max_plans_per_query: further plans of a statement are not recorded; 0 no limit.
        capture_mode: `ALL`, `AUTO`, `CUSTOM` or `NONE`.
        cleanup_mode: `AUTO` where old data make room before the size limit is reached, else `OFF`.
        keeps_waits: None where the version keeps none or does not tell.
    """

    desired: str
    actual: str
    readonly_reason: int
    current_size_mb: int
    max_size_mb: int
    flush_interval_seconds: int
    interval_length_minutes: int
    stale_threshold_days: int
    max_plans_per_query: int
    capture_mode: str
    cleanup_mode: str
    keeps_waits: bool | None = None

    @classmethod
    def of_row(cls, row: tuple[object, ...], *, keeps_waits: bool | None) -> "QueryStoreState":
        """From the row as it comes; NULL counts as 0 or empty."""
        desired, actual, *middle, capture_mode, cleanup_mode = row
        reason, current, largest, flush, interval, stale, plans = (int(str(number or 0)) for number in middle)
        if actual == _CAPTURES_AT_PRIMARY:
            actual, reason = READ_ONLY, reason | SECONDARY
        return cls(
            desired=str(desired or OFF),
            actual=str(actual or OFF),
            readonly_reason=reason,
            current_size_mb=current,
            max_size_mb=largest,
            flush_interval_seconds=flush,
            interval_length_minutes=interval,
            stale_threshold_days=stale,
            max_plans_per_query=plans,
            capture_mode=str(capture_mode or ""),
            cleanup_mode=str(cleanup_mode or ""),
            keeps_waits=keeps_waits,
        )

    @property
    def words(self) -> str:
        """`READ_WRITE`, `READ_ONLY (size limit reached)`, `OFF` or `ERROR`."""
        return f"{READ_ONLY} ({self.reason})" if self.actual == READ_ONLY else self.actual

    @property
    def reason(self) -> str:
        """Why it is read-only; several reasons are joined."""
        told = [words for bit, words in _REASONS.items() if self.readonly_reason & bit]
        unknown = self.readonly_reason & ~sum(_REASONS)
        if unknown:
            told.append(f"reason {unknown}")
        return ", ".join(told) if told else "set so"

    @property
    def records(self) -> bool:
        """True where executions are being recorded: here, or on the primary whose copy this is."""
        if self.capture_mode == "NONE":
            return False
        return self.actual == READ_WRITE or (self.actual == READ_ONLY and bool(self.readonly_reason & SECONDARY))

    @property
    def readable(self) -> bool:
        """True where recorded history can be read, however old."""
        return self.actual in (READ_WRITE, READ_ONLY)

    @property
    def fullness(self) -> float | None:
        """Share of the largest size, 0..1 and a little above; None where there is no limit."""
        return self.current_size_mb / self.max_size_mb if self.max_size_mb > 0 else None
