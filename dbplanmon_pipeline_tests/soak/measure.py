"""What is looked at every minute: memory of the processes, runs, ticks, rows, sizes."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil
import psycopg

_ROLES = {
    "code-server": "code server",
    "api": "code server's child",
    "dagster._daemon": "daemon",
    "dagster_webserver": "webserver",
    "serve": "status page",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One look.

    Attributes:
        seconds: after the start.
        memory_mb: resident size by role of the processes that stay.
        processes: how many there are, runs included.
        counts: rows, events, runs and ticks, by name; empty while the server is away.
    """

    seconds: float
    memory_mb: Mapping[str, float]
    processes: int
    counts: Mapping[str, float] = field(default_factory=dict)


def memory_by_role(supervisor: psutil.Process) -> tuple[dict[str, float], int]:
    """Resident size [MB] of `dbplanmon up` and the processes that stay below it, and how many there are in all."""
    found: dict[str, float] = defaultdict(float)
    family = [supervisor, *supervisor.children(recursive=True)]
    for process in family:
        try:
            role = "up" if process.pid == supervisor.pid else _role(process.cmdline())
            if role:
                found[role] += process.memory_info().rss / 1e6
        except psutil.Error:
            continue
    return dict(found), len(family)


def _role(words: list[str]) -> str:
    """Runs are short and have none."""
    if any("multiprocessing" in word for word in words):
        return ""
    return next((_ROLES[word] for word in words if word in _ROLES), "")


_COUNTS = {
    "interval rows": "SELECT count(*) FROM v_interval_metric",
    "readings": "SELECT count(*) FROM collection_log WHERE status IN ('ok', 'first_reading')",
    "unread": "SELECT count(*) FROM collection_log WHERE status NOT IN ('ok', 'first_reading')",
    "store MB": "SELECT pg_database_size(current_database()) / 1e6",
}
_DAGSTER_COUNTS = {
    "events": "SELECT count(*) FROM event_logs",
    "runs": "SELECT count(*) FROM runs",
    "unfinished runs": "SELECT count(*) FROM runs WHERE status NOT IN ('QUEUED', 'SUCCESS', 'FAILURE', 'CANCELED')",
    "Dagster MB": "SELECT pg_database_size(current_database()) / 1e6",
}


def count_everything(store_dsn: str, dagster_dsn: str) -> dict[str, float]:
    """Counts of both databases; empty where the server does not answer."""
    found: dict[str, float] = {}
    for dsn, questions in ((store_dsn, _COUNTS), (dagster_dsn, _DAGSTER_COUNTS)):
        try:
            with psycopg.connect(dsn, connect_timeout=3, options="-c statement_timeout=20000") as connection:
                for name, question in questions.items():
                    found[name] = float(connection.execute(question.encode()).fetchone()[0])  # type: ignore[index]
        except psycopg.Error:
            return {}
    return found


@dataclass(frozen=True, slots=True)
class RunEnd:
    """One run of Dagster: times in epoch seconds of the clock of the processes, None where it never came so far."""

    job: str
    status: str
    started: float | None
    ended: float | None

    @property
    def duration(self) -> float | None:
        """Seconds."""
        return self.ended - self.started if self.started and self.ended else None


def runs_of(dagster_dsn: str) -> list[RunEnd]:
    """All runs, the oldest first."""
    sql = "SELECT pipeline_name, status, start_time, end_time FROM runs ORDER BY id"
    return [RunEnd(*row) for row in _rows(dagster_dsn, sql)]


def ticks_of(dagster_dsn: str) -> dict[tuple[str, str], int]:
    """How many ticks each schedule and sensor had, by name and status."""
    sql = (
        "SELECT i.instigator_body::json -> 'origin' ->> 'job_name', t.status "
        "FROM job_ticks t JOIN instigators i USING (selector_id)"
    )
    return dict(Counter((str(name), str(status)) for name, status in _rows(dagster_dsn, sql)))


def _rows(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        return connection.execute(sql.encode()).fetchall()


def growth(samples: list[Sample], role: str, warm_up: float, whole: float) -> float | None:
    """Median size of the last half over that between warm-up and half, minus one; None without both."""
    early = [one.memory_mb[role] for one in samples if role in one.memory_mb and warm_up <= one.seconds < whole / 2]
    late = [one.memory_mb[role] for one in samples if role in one.memory_mb and one.seconds >= whole / 2]
    return median(late) / median(early) - 1 if early and late else None
