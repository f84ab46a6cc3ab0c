"""One reading of one database: counters, their difference, the texts and plans that are worth asking for."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.capture import attribute_plans, select_rows, wanted_plans, wanted_texts
from dbplanmon_pipeline.core.counters import IntervalRows
from dbplanmon_pipeline.core.deltas import Delta, difference
from dbplanmon_pipeline.core.model import (
    CapturedPlan,
    CollectionOutcome,
    CollectionStatus,
    DatabaseRef,
    StatementText,
)
from dbplanmon_pipeline.core.ports import Budget, CaptureState, CollectedDatabase, DatabaseReader, Provider
from dbplanmon_pipeline.errors import ProviderError

GAP_FACTOR = 1.5


@dataclass(frozen=True, slots=True)
class CaptureLimits:
    """How much of one database is kept per reading.

    Attributes:
        top_n: statements kept by each measure; the rest is summed into one row.
        min_executions: fewer executions are kept only when they were dear.
        max_plans: plans asked for per reading.
        recheck_after: a plan older than this is asked for again where counters do not name their plan.
    """

    top_n: int = 50
    min_executions: int = 2
    max_plans: int = 30
    recheck_after: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Reading:
    rows: IntervalRows
    texts: tuple[StatementText, ...]
    plans: tuple[CapturedPlan, ...]
    complaint: str = ""


def read_database(
    provider: Provider,
    ref: DatabaseRef,
    state: CaptureState,
    budget: Budget,
    tick: datetime,
    limits: CaptureLimits,
    interval: timedelta,
) -> CollectedDatabase:
    """Read one database as of `tick`; nothing is stored here.

    Raises:
        ProviderError: the counters could not be read. Texts or plans that fail only leave a message.
    """
    with provider.open(ref.database, budget) as reader:
        reading = replace(reader.read_counters(), read_at=tick)
        delta = difference(state.previous, reading)
        found = _read_details(reader, delta, reading.keys, state, tick, limits, provider)
        cost_ms = reader.cost_ms
    outcome = CollectionOutcome(
        ref,
        tick,
        CollectionStatus.OK if state.previous is not None else CollectionStatus.FIRST_READING,
        message=found.complaint or delta.note,
        rows=len(found.rows),
        statements_read=len(reading),
        new_statements=len(found.texts),
        new_plans=len({p.plan_hash for p in found.plans if p.plan_hash} - state.plans),
        plan_changes=_changed_plans(found.plans, state),
        resets=delta.resets,
        gap_seconds=_gap(state, tick, interval),
        cost_ms=cost_ms,
    )
    return CollectedDatabase(
        outcome,
        provider.engine,
        reading=reading,
        previous_read_at=state.previous.read_at if state.previous else None,
        rows=found.rows if len(found.rows) else None,
        texts=found.texts,
        plans=found.plans,
    )
