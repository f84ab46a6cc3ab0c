"""What the planner would make of an index that is not there, where the extension hypopg is."""

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg

from dbplanmon_pipeline.core.plans.postgres.index_candidates import index_candidates
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.remedies.what_if import WORTH_GAIN, WhatIf
from dbplanmon_pipeline.errors import PlanParseError, QueryTimedOut
from dbplanmon_pipeline.providers.postgres.explain import Hypothetical, explain
from dbplanmon_pipeline.providers.postgres.explainable import Explainable
from dbplanmon_pipeline.providers.postgres.probe import ServerFacts
from dbplanmon_pipeline.providers.postgres.session import Session

_MADE_UP = "<"
"""Begins the names that hypopg gives; the server itself gives none that does."""


def tried_indexes(
    session: Session, facts: ServerFacts, wanted: Explainable, settings: Mapping[str, str], document: Any
) -> tuple[WhatIf, ...]:
    """Indexes that the planner would use for a statement, with which its plan costs at most WORTH_GAIN of now.

    Args:
        session: open on the database; nothing of the trials is left on it.
        facts: where hypopg is; without it nothing is tried.
        wanted: the statement.
        settings: under which its plan was made.
        document: that plan.

    Raises:
        psycopg.Error: the connection broke. That the server refuses a trial, or has no time for it, is no error.
    """
    if not facts.what_if_schema:
        return ()
    try:
        plan = parse_pg_plan(document)
        return tuple(_tried(session, facts, wanted, settings, _cost(document), index_candidates(plan)))
    except (PlanParseError, QueryTimedOut):
        return ()


def _tried(
    session: Session,
    facts: ServerFacts,
    wanted: Explainable,
    settings: Mapping[str, str],
    cost: float,
    candidates: Any,
) -> Iterator[WhatIf]:
    for candidate in candidates:
        hypothetical = Hypothetical(facts.what_if_schema or "", candidate.definition)
        try:
            document = explain(session, facts.version_number, wanted, settings, hypothetical)
        except psycopg.Error:
            if not session.alive:
                raise
            continue
        found = WhatIf(candidate.definition, cost, _cost(document))
        if found.cost_with <= WORTH_GAIN * cost and _is_used(document):
            yield found


def _cost(document: Any) -> float:
    return float(document[0]["Plan"]["Total Cost"])


def _is_used(document: Any) -> bool:
    return any(operator.index.startswith(_MADE_UP) for operator in parse_pg_plan(document).operators())
