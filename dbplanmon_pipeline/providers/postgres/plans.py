"""Generic plans of normalised statements, each with what explains it: indexes, table sizes, planner settings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from dbplanmon_pipeline.core.causes.table_facts import TableShape
from dbplanmon_pipeline.core.model import CapturedPlan
from dbplanmon_pipeline.core.plans.postgres.redact import redact_pg_plan
from dbplanmon_pipeline.core.plans.postgres.shape import plan_hash_of_pg
from dbplanmon_pipeline.core.remedies.what_if import WhatIf, as_context
from dbplanmon_pipeline.errors import PlanParseError, QueryTimedOut
from dbplanmon_pipeline.providers.postgres.distributions import KnownDistributions
from dbplanmon_pipeline.providers.postgres.explainable import Explainable, explainable
from dbplanmon_pipeline.providers.postgres.parameter_types import explain_typed
from dbplanmon_pipeline.providers.postgres.plan_context import PlanContexts
from dbplanmon_pipeline.providers.postgres.probe import ServerFacts
from dbplanmon_pipeline.providers.postgres.role_settings import RoleSettings
from dbplanmon_pipeline.providers.postgres.rows_sought import rows_sought
from dbplanmon_pipeline.providers.postgres.session import Session
from dbplanmon_pipeline.providers.postgres.what_if import tried_indexes

PLAN_SECONDS = 2.0
MAX_TEXT_CHARACTERS = 100_000
MAX_BODY_BYTES = 4_000_000
"""Some 6,000 partitions; a plan of 2,000 has 1.2 MB, of which the store keeps 22 kB."""

GENERIC, GENERIC_SEARCH = "generic", "generic search"
"""Values of `CapturedPlan.origin`: of the statement itself, and of the rows it looks for to change or lock them."""

_REASONS = {
    "42P01": "a relation was not found: dropped, temporary, or outside the search path of the monitor",
    "3F000": "a schema was not found",
    "42P18": "the type of a parameter cannot be told",
    "42P08": "the type of a parameter cannot be told",
    "42725": "the type of a parameter cannot be told",
    "42804": "the types of the parameters do not fit",
    "42883": "the types of the parameters do not fit",
    "42601": "the normalised text is no valid statement",
    "42703": "a column was not found",
    "0A000": "the server does not explain such a statement",
    "55P03": "a table was locked",
    "57014": f"planning took longer than {PLAN_SECONDS:g} s",
}


@dataclass(frozen=True, slots=True)
class NormalisedText:
    """A statement as pg_stat_statements has it, and the role that runs it most often."""

    text: str
    role_oid: int


@dataclass(frozen=True, slots=True)
class _Found:
    query_hash: int
    document: Any
    origin: str
    settings: dict[str, str]
    tried: tuple[WhatIf, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadPlans:
    """Plans or reasons, one per statement, and what is known of the tables they read."""

    plans: list[CapturedPlan]
    shapes: tuple[TableShape, ...]


def read_plans(
    session: Session,
    facts: ServerFacts,
    query_hashes: Sequence[int],
    texts: Mapping[int, NormalisedText],
    distributions: KnownDistributions,
) -> ReadPlans:
    """Plans or reasons, one per statement, as far as the budget reaches.

    Args:
        session: open on the database.
        facts: version and rights.
        query_hashes: statements, the most wanted first.
        texts: their normalised texts; a missing or cut one is a reason.
        distributions: what earlier readings found of the tables; brought up to date.

    Raises:
        ProviderError: the connection broke. Running out of time is no error: what was read is returned.
    """
    answers: list[CapturedPlan | _Found] = []
    try:
        session.limit_statements(PLAN_SECONDS)
        known = {query_hash: texts[query_hash] for query_hash in query_hashes if query_hash in texts}
        settings = RoleSettings.read(session, (text.role_oid for text in known.values()))
        answers.extend(
            _answer(session, facts, query_hash, known.get(query_hash), settings) for query_hash in query_hashes
        )
        session.limit_statements(session.budget.remaining())
        documents = [answer.document for answer in answers if isinstance(answer, _Found)]
        contexts = PlanContexts.read(session, documents, distributions)
    except QueryTimedOut:
        if session.cancelled:
            raise
        contexts = PlanContexts()
    plans = [answer if isinstance(answer, CapturedPlan) else _captured(answer, contexts) for answer in answers]
    return ReadPlans(plans, contexts.shapes)


def _answer(
    session: Session, facts: ServerFacts, query_hash: int, known: NormalisedText | None, settings: RoleSettings
) -> CapturedPlan | _Found:
    if known is None:
        return _none(query_hash, "the text is not readable")
    if len(known.text) >= MAX_TEXT_CHARACTERS:
        return _none(query_hash, f"the text has {MAX_TEXT_CHARACTERS} characters or more")
    judged = explainable(known.text)
    if judged.reason:
        return _none(query_hash, judged.reason)
    of_role = settings.of(known.role_oid)
    try:
        document, planned, origin = _planned(session, facts, judged, of_role)
        return _Found(query_hash, document, origin, of_role, tried_indexes(session, facts, planned, of_role, document))
    except psycopg.Error as error:
        if not session.alive:
            raise session.translated(error) from None
        return _none(query_hash, _reason(error, judged.kind))


def _planned(
    session: Session, facts: ServerFacts, judged: Explainable, of_role: dict[str, str]
) -> tuple[Any, Explainable, str]:
    """A plan, the statement it is of, and its origin: where writing is refused, that of the rows it looks for.

    Raises:
        psycopg.Error: what the server said of the statement itself.
    """
    try:
        return *explain_typed(session, facts.version_number, judged, of_role), GENERIC
    except psycopg.errors.InsufficientPrivilege:
        # A view has no rows of its own, so all its columns are asked for.
        searches = filter(None, (rows_sought(judged.text, columns) for columns in ("ctid", "*")))
        for search in searches if session.alive else ():
            try:
                return *explain_typed(session, facts.version_number, explainable(search), of_role), GENERIC_SEARCH
            except psycopg.Error as error:
                if not session.alive:
                    raise
                if not isinstance(error, psycopg.errors.UndefinedColumn):
                    break
        raise


def _reason(error: psycopg.Error, kind: str) -> str:
    """Why the server refused, without its words: they may quote values of the statement."""
    state = error.sqlstate or "unknown"
    if state == "42501":
        return f"permission denied to plan {kind.upper()}"
    return _REASONS.get(state, f"the server refused to plan it (SQLSTATE {state})")


def _none(query_hash: int, reason: str) -> CapturedPlan:
    return CapturedPlan(query_hash, 0, reason=f"no plan: {reason}")


def _captured(found: _Found, contexts: PlanContexts) -> CapturedPlan:
    try:
        plan_hash = plan_hash_of_pg(found.document)
        body = json.dumps(redact_pg_plan(found.document), separators=(",", ":"), ensure_ascii=False)
    except PlanParseError:
        return _none(found.query_hash, "the server's answer is no plan that can be read")
    if len(body.encode()) > MAX_BODY_BYTES:
        return _none(found.query_hash, f"the plan is larger than {MAX_BODY_BYTES} bytes")
    return CapturedPlan(
        found.query_hash,
        plan_hash,
        format="pgjson",
        body=body,
        origin=found.origin,
        context={**contexts.of(found.document, found.settings), **as_context(found.tried)},
    )
