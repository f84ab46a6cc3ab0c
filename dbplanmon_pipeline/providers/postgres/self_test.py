"""Runs each of our statements once on a real server, over tables of its catalog and for statements that nobody ran."""

import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files

import psycopg

from dbplanmon_pipeline.core.statement_trial import StatementTrial
from dbplanmon_pipeline.errors import ProviderError
from dbplanmon_pipeline.providers.postgres.counters import counters_statement
from dbplanmon_pipeline.providers.postgres.explain import explain
from dbplanmon_pipeline.providers.postgres.explainable import Explainable
from dbplanmon_pipeline.providers.postgres.probe import ServerFacts
from dbplanmon_pipeline.providers.postgres.session import Session
from dbplanmon_pipeline.providers.postgres.sqltext import MARKER, statement, statement_in

SECONDS_PER_STATEMENT = 30.0

PLAN = "explain"
"""Name of the trial that stands for all plans; it is no file, since its text is that of the watched statements."""

_PLAN_PURPOSE = "the plan of a statement, made without running it"
_PLANNED = Explainable("SELECT c.relname FROM pg_catalog.pg_class AS c WHERE c.oid = $1", "select", parameters=1)
_ON_CONNECTING = ("session", "statement_timeout")
_COUNTERS = "counters_"
_OF_HYPOPG = ("hypothetical_index", "no_hypothetical_indexes")
_SCHEMA_MARK = "{schema}"
_PURPOSE = "-- Purpose: "
_TABLE: dict[str, object] = {"schemas": ["pg_catalog"], "names": ["pg_class"]}


def run_self_test(session: Session, facts: ServerFacts) -> list[StatementTrial]:
    """Try every statement that fits the server; a failure is a trial that is not ok, and the next one is tried.

    Args:
        session: an open connection to the database.
        facts: what the probe found on it.
    """
    session.limit_statements(SECONDS_PER_STATEMENT)
    return list(_trials(session, facts))


@cache
def purposes() -> dict[str, str]:
    """What each of our statements asks, in the words of its heading, by the name of its file."""
    folder = files("dbplanmon_pipeline.providers.postgres").joinpath("sql")
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return {entry.name.removesuffix(".sql"): _purpose(entry.read_text(encoding="utf-8")) for entry in entries}


def _purpose(text: str) -> str:
    return text.splitlines()[0].removeprefix(_PURPOSE).rstrip(".")


def _trials(session: Session, facts: ServerFacts) -> Iterator[StatementTrial]:
    uncounted = _without_counters(session, facts)
    for name, purpose in purposes().items():
        skipped = (uncounted if _of_counters(name) else "") or _skipped(name, facts) or _gone(session)
        if skipped:
            yield StatementTrial(name, purpose, ok=False, skipped_reason=skipped)
        else:
            yield _tried(name, purpose, lambda name=name: len(_rows(session, facts, name)))  # type: ignore[misc]
    if _gone(session):
        yield StatementTrial(PLAN, _PLAN_PURPOSE, ok=False, skipped_reason=_gone(session))
    else:
        yield _tried(PLAN, _PLAN_PURPOSE, lambda: _planned(session, facts))


def _skipped(name: str, facts: ServerFacts) -> str:
    if name in _ON_CONNECTING:
        return "ran when the connection was opened"
    if name.startswith(_COUNTERS) and name != counters_statement(facts):
        return "for another version of pg_stat_statements"
    if name in _OF_HYPOPG and not facts.what_if_schema:
        return "needs hypopg"
    return ""


def _of_counters(name: str) -> bool:
    return name not in _OF_HYPOPG and _SCHEMA_MARK in statement(name)


def _without_counters(session: Session, facts: ServerFacts) -> str:
    """Why no statement over pg_stat_statements can run; the check itself says what helps."""
    try:
        facts.require_counters(session.target)
    except ProviderError as error:
        return error.message
    return ""


def _gone(session: Session) -> str:
    return "" if session.alive else "the connection is gone"


def _tried(name: str, purpose: str, run: Callable[[], int]) -> StatementTrial:
    began = time.perf_counter()
    try:
        found = run()
    except ProviderError as error:
        message = " ".join(error.message.split())
        return StatementTrial(name, purpose, ok=False, duration_ms=_since(began), message=message, remedy=error.remedy)
    return StatementTrial(name, purpose, ok=True, rows=found, duration_ms=_since(began))


def _rows(session: Session, facts: ServerFacts, name: str) -> list[tuple[object, ...]]:
    schema = facts.what_if_schema if name in _OF_HYPOPG else facts.schema
    text = statement_in(name, schema or "") if _SCHEMA_MARK in statement(name) else statement(name)
    return session.rows(text, _harmless_parameters(facts).get(name))


def _harmless_parameters(facts: ServerFacts) -> dict[str, dict[str, object]]:
    """By statement: a table that every database has, our own role, a statement that nobody ran."""
    return {
        **dict.fromkeys(("column_statistics", "columns", "indexes", "table_sizes", "tables"), _TABLE),
        "hypothetical_index": {"definition": "CREATE INDEX ON pg_catalog.pg_class (relpages)"},
        "local_settings": {"names": ["work_mem"], "values": ["4MB"]},
        "own_statements": {"role_oid": facts.role_oid, "marker": MARKER},
        "procedure": {"name": "pg_catalog.now"},
        "role_settings": {"role_oids": [facts.role_oid]},
        "texts": {"query_hashes": [0], "max_characters": 1},
    }


def _planned(session: Session, facts: ServerFacts) -> int:
    try:
        return len(explain(session, facts.version_number, _PLANNED, {}))
    except psycopg.Error as error:
        raise session.translated(error) from None


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
