"""Small readings, rows and records for tests of the store."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope, IncidentState
from dbplanmon_pipeline.core.model import (
    CapturedPlan,
    CollectionOutcome,
    CollectionStatus,
    DatabaseRef,
    Engine,
    Label,
    Severity,
    StatementText,
)
from dbplanmon_pipeline.core.ports import CollectedDatabase
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, CounterReading, IntervalRows

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)
SALES = DatabaseRef("alpha", "Sales")
HR = DatabaseRef("alpha", "Hr")
CRM = DatabaseRef("beta", "Crm")


def us(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def reading(read_at: datetime, hashes: Sequence[int], seed: int = 0) -> CounterReading:
    count = len(hashes)
    random = np.random.default_rng(seed)
    values = random.lognormal(8, 1, (count, len(COUNTERS)))
    values[:, -1] = np.nan
    zeros = np.zeros(count, np.int64)
    return CounterReading(
        read_at=read_at,
        keys=tuple(f"10:{value}" for value in hashes),
        lives=tuple("2026-03-01 00:00:00+00" for _ in hashes),
        query_hash=np.array(hashes, np.int64),
        plan_hash=zeros,
        values=values,
        extrema=np.full((count, len(EXTREMA)), np.nan),
        interval_start_us=zeros,
        interval_end_us=zeros,
        life_began_us=zeros,
    )


def rows(
    start: datetime, end: datetime, hashes: Sequence[int], *, plan_hash: int = 0, executions: float = 10.0
) -> IntervalRows:
    count = len(hashes)
    values = np.tile(np.arange(1.0, len(COUNTERS) + 1), (count, 1))
    values[:, 0] = executions
    values[:, COUNTERS.index("wait_time_us")] = np.nan
    extrema = np.full((count, len(EXTREMA)), np.nan)
    extrema[:, 1] = 99.5
    return IntervalRows(
        query_hash=np.array(hashes, np.int64),
        plan_hash=np.full(count, plan_hash, np.int64),
        interval_start_us=np.full(count, us(start), np.int64),
        interval_end_us=np.full(count, us(end), np.int64),
        values=values,
        extrema=extrema,
        counter_reset=np.zeros(count, bool),
    )


def collected(
    ref: DatabaseRef,
    read_at: datetime,
    hashes: Sequence[int],
    *,
    previous: datetime | None = None,
    plan_hash: int = 0,
    texts: Sequence[StatementText] = (),
    plans: Sequence[CapturedPlan] = (),
    executions: float = 10.0,
) -> CollectedDatabase:
    """One reading: the first one has no rows, a later one has one row per statement since `previous`."""
    work = rows(previous, read_at, hashes, plan_hash=plan_hash, executions=executions) if previous else None
    status = CollectionStatus.OK if previous else CollectionStatus.FIRST_READING
    return CollectedDatabase(
        outcome=CollectionOutcome(ref, read_at, status, rows=len(hashes) if previous else 0, duration_ms=1.5),
        engine=Engine.POSTGRES,
        reading=reading(read_at, hashes),
        previous_read_at=previous,
        rows=work,
        texts=tuple(texts),
        plans=tuple(plans),
    )


def ticks(ref: DatabaseRef, first: datetime, count: int, hashes: Sequence[int], **kind: int) -> list[CollectedDatabase]:
    """A first reading and `count` more, five minutes apart."""
    moments = [first + FIVE_MINUTES * number for number in range(count + 1)]
    before = [None, *moments[:-1]]
    return [
        collected(ref, moment, hashes, previous=earlier, **kind)
        for moment, earlier in zip(moments, before, strict=True)
    ]


def late_rows(ref: DatabaseRef, started_at: datetime, work: IntervalRows) -> CollectedDatabase:
    """Rows without a reading, as an import of history brings them."""
    outcome = CollectionOutcome(ref, started_at, CollectionStatus.OK, rows=len(work))
    return CollectedDatabase(outcome=outcome, engine=Engine.POSTGRES, rows=work)


def incident(**changes: object) -> Incident:
    plain = Incident(
        incident_id="0123456789ab",
        scope=IncidentScope.QUERY,
        instance="alpha",
        database="Sales",
        query_hash=-5,
        state=IncidentState.NEW,
        label=Label.PLAN_REGRESSION,
        severity=Severity.HIGH,
        metric="worker_time_us",
        plan_hash=7,
        previous_plan_hash=6,
        effect_ratio=3.5,
        extra_seconds_per_hour=12.0,
        extra_seconds_low=9.0,
        extra_seconds_high=15.0,
        baseline_us=1000.0,
        observed_us=3500.0,
        score=8.25,
        began_at=NOON,
        opened_at=NOON + FIVE_MINUTES,
        updated_at=NOON + FIVE_MINUTES,
        last_bad_at=NOON + FIVE_MINUTES,
        evidence=("the plan changed", "CPU tripled"),
    )
    return replace(plain, **changes)
