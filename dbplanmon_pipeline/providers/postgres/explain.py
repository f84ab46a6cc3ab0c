"""One generic plan, made in a read-only transaction that is rolled back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dbplanmon_pipeline.providers.postgres.explainable import Explainable
from dbplanmon_pipeline.providers.postgres.session import Session
from dbplanmon_pipeline.providers.postgres.sqltext import MARKER, statement, statement_in

GENERIC_PLAN_VERSION = 160000
_OPTIONS = "VERBOSE, FORMAT JSON"
_PREPARED = "dbplanmon_plan"


@dataclass(frozen=True, slots=True)
class Hypothetical:
    """An index that the planner shall believe in: where hypopg is, and the statement that would make the index."""

    schema: str
    definition: str


def explain(
    session: Session,
    version_number: int,
    wanted: Explainable,
    settings: Mapping[str, str],
    hypothetical: Hypothetical | None = None,
) -> Any:
    """The decoded EXPLAIN document, planned under `settings`, and with a hypothetical index where one is given.

    The transaction is read only whatever the functions do that the planner may evaluate, and nothing they set stays.

    Raises:
        psycopg.Error: the server refused to plan it.
        QueryTimedOut: the budget is spent or somebody cancelled.
    """
    document = _explained(session, version_number, wanted, settings, hypothetical)
    if _prepares(version_number) and any("Subplans Removed" in node for node in _nodes(document)):
        # A prepared statement is explained for parameters that are NULL, for which no partition is read at all.
        settings = {**settings, "enable_partition_pruning": "off"}
        document = _explained(session, version_number, wanted, settings, hypothetical)
    # VERBOSE is asked for the schema of each table; the lists of columns it adds too would double every body.
    for node in _nodes(document):
        node.pop("Output", None)
    return document


def _explained(
    session: Session,
    version_number: int,
    wanted: Explainable,
    settings: Mapping[str, str],
    hypothetical: Hypothetical | None,
) -> Any:
    with_prepare = _prepares(version_number)
    prepared = False
    session.attempt(f"BEGIN {MARKER} READ ONLY")
    try:
        if settings:
            session.attempt(statement("local_settings"), {"names": list(settings), "values": list(settings.values())})
        if hypothetical:
            session.attempt(
                statement_in("hypothetical_index", hypothetical.schema), {"definition": hypothetical.definition}
            )
        if with_prepare:
            session.attempt(question_of(wanted, version_number).encode())
            prepared = True
        document = session.attempt(_asked(wanted, version_number))[0][0]
    finally:
        if session.alive:
            session.attempt(f"ROLLBACK {MARKER}")
            if prepared:
                session.attempt(f"DEALLOCATE {MARKER} {_PREPARED}")
            if hypothetical:
                session.attempt(statement_in("no_hypothetical_indexes", hypothetical.schema))
    return document


def question_of(wanted: Explainable, version_number: int) -> str:
    """What holds the statement itself, and so what errors about it point into."""
    if _prepares(version_number):
        return f"PREPARE {MARKER} {_PREPARED} AS {wanted.text}"
    return f"EXPLAIN {MARKER} (GENERIC_PLAN, {_OPTIONS}) {wanted.text}"


def _prepares(version_number: int) -> bool:
    return version_number < GENERIC_PLAN_VERSION


def _asked(wanted: Explainable, version_number: int) -> bytes:
    """Sent without parameters, so in the simple protocol: `$1` belongs to the statement that is explained."""
    if not _prepares(version_number):
        return question_of(wanted, version_number).encode()
    nulls = f"({', '.join(['NULL'] * wanted.parameters)})" if wanted.parameters else ""
    return f"EXPLAIN {MARKER} ({_OPTIONS}) EXECUTE {_PREPARED}{nulls}".encode()


def _nodes(document: Any) -> Iterator[dict[str, Any]]:
    waiting = [entry["Plan"] for entry in document if "Plan" in entry]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.get("Plans", ()))
