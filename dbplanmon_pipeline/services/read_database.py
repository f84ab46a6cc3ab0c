"""One reading of one database: counters, their difference, the texts and plans that are worth asking for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.causes.context_facts import context_facts
from dbplanmon_pipeline.core.model import (
    CapturedPlan,
    CollectionOutcome,
    CollectionStatus,
    DatabaseRef,
    Engine,
    StatementText,
)
from dbplanmon_pipeline.core.ports import Budget, CaptureState, CollectedDatabase, DatabaseReader, Provider
from dbplanmon_pipeline.core.readings.capture import attribute_plans, select_rows, wanted_plans, wanted_texts
from dbplanmon_pipeline.core.readings.counters import CounterReading, IntervalRows
from dbplanmon_pipeline.core.readings.deltas import Delta, difference, retained
from dbplanmon_pipeline.core.readings.lost_state import begin_anew
from dbplanmon_pipeline.errors import ProviderError

GAP_FACTOR = 1.5
"""A reading later than this many intervals after the one before is told as a gap."""

TEXTS_PER_STATEMENT = 4
"""`top_n` holds by each of four measures, so up to four times as many statements may be new at once."""


MOST_TABLES = 40
"""Tables of which one reading asks what changed, those of new plans first."""

RECORDED_LATER = "read while the store was away, recorded later"


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
class _Details:
    """Rows with their plans, and what was read to explain them; `complaint` says what could not be read."""

    rows: IntervalRows
    texts: tuple[StatementText, ...] = ()
    plans: tuple[CapturedPlan, ...] = ()
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
        reading = replace(reader.read_counters(state.previous), read_at=tick)
        if state.blind:
            return _unrecorded(provider, ref, reading, reader.cost_ms, tick)
        with budget.computing:
            delta = _difference(state, reading)
        details = _read_details(reader, reading, delta, state, limits, tick, budget)
        facts = _read_facts(reader)
        facts_of_tables = _read_table_facts(reader, state, details.plans)
        cost_ms = reader.cost_ms
    with budget.computing:
        kept = retained(reading) if delta.accepted else None
    outcome = _outcome(ref, state, reading, delta, details, tick, interval)
    return CollectedDatabase(
        replace(outcome, cost_ms=cost_ms),
        provider.engine,
        reading=kept,
        previous_read_at=state.read_at,
        rows=details.rows if len(details.rows) else None,
        texts=details.texts,
        plans=details.plans,
        facts={**_facts_of_plans(details.plans), **facts_of_tables, **facts},
        facts_are_whole=bool(facts),
        counters=reading if delta.accepted else None,
    )


def _unrecorded(
    provider: Provider, ref: DatabaseRef, reading: CounterReading, cost_ms: float | None, tick: datetime
) -> CollectedDatabase:
    """Counters for the spool; what explains them is asked for when the store says what is missing."""
    outcome = CollectionOutcome(
        ref, tick, CollectionStatus.SPOOLED, statements_read=reading.statements, cost_ms=cost_ms
    )
    return CollectedDatabase(outcome, provider.engine, counters=reading)


def recorded_later(
    ref: DatabaseRef,
    engine: Engine,
    state: CaptureState,
    reading: CounterReading,
    limits: CaptureLimits,
    interval: timedelta,
) -> CollectedDatabase | None:
    """What a reading from the spool adds to the store; None where the state is not older than the reading.

    Rows without a plan get the one known from the last look. Texts and plans that are missing are asked for by the next
    readings of the server, as those of any statement are.
    """
    delta = _difference(state, reading)
    if not delta.accepted:
        return None
    rows = select_rows(delta.rows, top_n=limits.top_n, min_executions=limits.min_executions)
    details = _Details(attribute_plans(rows, state.statements, ()), complaint=RECORDED_LATER)
    return CollectedDatabase(
        _outcome(ref, state, reading, delta, details, reading.read_at, interval),
        engine,
        reading=retained(reading),
        previous_read_at=state.read_at,
        rows=details.rows if len(details.rows) else None,
    )


def _difference(state: CaptureState, reading: CounterReading) -> Delta:
    if state.previous is None and state.read_at is not None:
        return begin_anew(state.read_at, reading)
    return difference(state.previous, reading)


def _read_details(
    reader: DatabaseReader,
    reading: CounterReading,
    delta: Delta,
    state: CaptureState,
    limits: CaptureLimits,
    tick: datetime,
    budget: Budget,
) -> _Details:
    """Texts and plans of what ran. They explain the figures, so figures are kept even when explaining fails."""
    with budget.computing:
        rows = select_rows(delta.rows, top_n=limits.top_n, min_executions=limits.min_executions)
    if not len(rows):
        return _Details(rows)
    texts: Sequence[StatementText] = ()
    plans: Sequence[CapturedPlan] = ()
    complaint = ""
    try:
        with budget.computing:
            wanted = wanted_texts(reading, rows, state.statements, limit=limits.top_n * TEXTS_PER_STATEMENT)
        if wanted:
            texts = reader.read_texts(wanted)
        with budget.computing:
            plans_wanted = wanted_plans(
                reading,
                rows,
                state.statements,
                state.plans,
                now=tick,
                limit=limits.max_plans,
                recheck_after=limits.recheck_after,
            )
        if plans_wanted:
            plans = reader.read_plans(plans_wanted)
    except ProviderError as error:
        complaint = f"plans or texts were not read: {error.message}"
    with budget.computing:
        rows = attribute_plans(rows, state.statements, plans)
    return _Details(rows, tuple(texts), tuple(plans), complaint)


def _outcome(
    ref: DatabaseRef,
    state: CaptureState,
    reading: CounterReading,
    delta: Delta,
    details: _Details,
    tick: datetime,
    interval: timedelta,
) -> CollectionOutcome:
    gap = delta.seconds if delta.seconds and delta.seconds > interval.total_seconds() * GAP_FACTOR else None
    return CollectionOutcome(
        ref,
        tick,
        CollectionStatus.OK if state.previous is not None else CollectionStatus.FIRST_READING,
        message=details.complaint or delta.note,
        rows=len(details.rows),
        statements_read=reading.statements,
        new_statements=len(details.texts),
        new_plans=len({plan.plan_hash for plan in details.plans if plan.body} - state.plans),
        plan_changes=sum(_is_change(plan, state) for plan in details.plans),
        resets=delta.resets,
        gap_seconds=gap,
    )


def _is_change(plan: CapturedPlan, state: CaptureState) -> bool:
    known = state.statements.get(plan.query_hash)
    return bool(plan.plan_hash and known and known.plan_hash and known.plan_hash != plan.plan_hash)


def _read_facts(reader: DatabaseReader) -> Mapping[str, str]:
    """What explains figures later; without it they are kept all the same."""
    try:
        return reader.read_facts()
    except ProviderError:
        return {}


def _read_table_facts(reader: DatabaseReader, state: CaptureState, plans: Sequence[CapturedPlan]) -> Mapping[str, str]:
    """Of the tables of these plans and of those read earlier, without which figures are kept all the same."""
    read_now = (table for plan in plans if plan.body for table in plan.context.get("tables", ()))
    tables = list(dict.fromkeys([*read_now, *state.tables]))[:MOST_TABLES]
    try:
        return reader.read_table_facts(tables)
    except ProviderError:
        return {}


def _facts_of_plans(plans: Sequence[CapturedPlan]) -> dict[str, str]:
    """What shaped the plans of this reading; a later change of one may explain a slower statement."""
    facts: dict[str, str] = {}
    for plan in plans:
        facts.update(context_facts(plan.context))
    return facts
