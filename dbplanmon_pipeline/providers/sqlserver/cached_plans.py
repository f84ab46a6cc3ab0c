"""Plans and texts from the plan cache, one by one by their handles."""

from collections.abc import Mapping, Sequence

from dbplanmon_pipeline.core.model import CapturedPlan, StatementText
from dbplanmon_pipeline.core.ports import StatementKey
from dbplanmon_pipeline.errors import QueryTimedOut
from dbplanmon_pipeline.providers.sqlserver.plan_cache import CachedStatement
from dbplanmon_pipeline.providers.sqlserver.plan_context import PlanContexts
from dbplanmon_pipeline.providers.sqlserver.plans import (
    CACHED,
    GONE_FROM_CACHE,
    MOST_PLAN_BYTES,
    NOT_KEPT,
    AnsweredPlans,
    CachedTexts,
    captured,
    forgiving,
    no_plan,
    statement_text,
    unreadable,
)
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement


def read_cached_texts(texts: CachedTexts, keys: Sequence[StatementKey], *, redact: bool) -> list[StatementText]:
    """Texts of these statements; hidden ones, our own and those that have left the cache are left out.

    Raises:
        ProviderError: the connection broke, or the time is up.
    """
    found = {}
    for key in keys:
        text, ours = texts.of(key.counter_key)
        kept = None if ours else statement_text(key.query_hash, text, redact=redact)
        if kept is not None:
            found[key.query_hash] = kept
    return list(found.values())


def read_cached_plans(
    session: Session,
    places: Mapping[str, CachedStatement],
    keys: Sequence[StatementKey],
    answered: AnsweredPlans,
    database: str,
    *,
    redact: bool,
) -> list[CapturedPlan]:
    """Plans or reasons, as far as the budget reaches; without those answered for another database.

    What is known of their tables comes with them where the server tells it.

    Raises:
        ProviderError: the connection broke, or the run was cancelled.
    """
    plans = _read_plans(session, places, keys, answered, database, redact=redact)
    return PlanContexts(session, database, redact=redact).added_to(plans)


def _read_plans(
    session: Session,
    places: Mapping[str, CachedStatement],
    keys: Sequence[StatementKey],
    answered: AnsweredPlans,
    database: str,
    *,
    redact: bool,
) -> list[CapturedPlan]:
    answers: list[CapturedPlan] = []
    for key in keys:
        if not answered.wanted(key.plan_hash, database):
            continue
        try:
            answer = _cached_plan(session, places.get(key.counter_key), key, redact=redact)
        except QueryTimedOut:
            answered.failed(key.plan_hash)
            if session.cancelled or not answers:
                raise
            return answers
        if answer.reason:
            answered.failed(key.plan_hash)
        answers.append(answer)
    return answers


def _cached_plan(session: Session, place: CachedStatement | None, key: StatementKey, *, redact: bool) -> CapturedPlan:
    if place is None:
        return no_plan(key, GONE_FROM_CACHE)
    parameters = (MOST_PLAN_BYTES, place.plan_handle, place.start_offset, place.end_offset)
    rows = forgiving(session, lambda: session.rows(statement("cached_plan"), parameters))
    if not rows:
        return no_plan(key, GONE_FROM_CACHE)
    size_bytes, body = rows[0]
    if reason := unreadable(size_bytes):
        # Without a size the plan may just have left the cache.
        return no_plan(key, reason, lasting=bool(size_bytes))
    return captured(key, body, CACHED, None, redact=redact) if body else no_plan(key, NOT_KEPT)
