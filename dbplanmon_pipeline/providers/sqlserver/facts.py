"""What is true of a database now and may explain a slower statement later."""

from collections.abc import Callable, Iterable
from typing import Any

from dbplanmon_pipeline.core.causes.context_facts import EDITION_FACT, SETTING_FACT, SQL_SERVER_VERSION_FACT
from dbplanmon_pipeline.core.readings.query_store import PRIMARY_REPLICA
from dbplanmon_pipeline.core.readings.query_store_health import (
    FORCED_PLAN_FACT,
    IDENTITY_FACT,
    SIZE_FACT,
    SIZE_STEP_PERCENT,
    STATE_FACT,
    forced_plan_value,
)
from dbplanmon_pipeline.core.remedies.plan_forcing import REPLICA_GROUPS_FACT
from dbplanmon_pipeline.core.statements.tsql import mask_tsql_literals
from dbplanmon_pipeline.providers.sqlserver.engine_advice import read_engine_advice
from dbplanmon_pipeline.providers.sqlserver.hashes import hex_text
from dbplanmon_pipeline.providers.sqlserver.optional_rows import optional_rows
from dbplanmon_pipeline.providers.sqlserver.probe import DatabaseFacts, ReplicaRole, ServerFacts
from dbplanmon_pipeline.providers.sqlserver.query_store_state import QueryStoreState
from dbplanmon_pipeline.providers.sqlserver.session import Session

MOST_STATEMENT_FACTS = 200
"""Forced plans, hints, advice and variants together, per database; what is beyond is left out."""

MOST_HINT_CHARACTERS = 300

_ROLE_SETTINGS = (
    "read_committed_snapshot",
    "parameterization_forced",
    "auto_create_statistics",
    "auto_update_statistics",
    "auto_update_statistics_async",
)


RowsOf = Callable[[str], list[tuple[Any, ...]]]


def read_facts(
    session: Session,
    facts: ServerFacts,
    *,
    dear_rows: RowsOf | None = None,
    mask: Callable[[str], str] = mask_tsql_literals,
    groups_at_work: frozenset[int] | None = None,
) -> dict[str, str]:
    """Values by name; what the login may not see or the version does not have is left out.

    Args:
        session: an open connection to the database.
        facts: what the probe found on it.
        dear_rows: rows of a statement that makes the server read all its plans; not given: asked now.
        mask: takes the literals out of the text of a hint.
        groups_at_work: replica groups with figures in the last reading; None where it did not read Query Store.

    Raises:
        ProviderError: the server did not answer at all.
    """
    found = _properties(facts.properties) | _identity(facts)
    found |= _settings(session, facts)
    if facts.query_store is not None:
        found |= _query_store(facts.query_store)
    if facts.offers("2017"):
        options = optional_rows(session, "automatic_tuning")
        found |= {f"automatic tuning {name}": str(state) for name, state in options}
    found |= _of_query_store(session, facts, dear_rows or (lambda name: optional_rows(session, name)), mask)
    return found | _replicas(session, facts, groups_at_work)


def _properties(properties: DatabaseFacts) -> dict[str, str]:
    found = {f"{SETTING_FACT}{name}": _on_off(getattr(properties, name)) for name in _ROLE_SETTINGS}
    if properties.compatibility_level is not None:
        found["compatibility level"] = str(properties.compatibility_level)
    return {name: value for name, value in found.items() if value}


def _on_off(value: bool | None) -> str:
    return "" if value is None else "on" if value else "off"


def _identity(facts: ServerFacts) -> dict[str, str]:
    found = {"replica role": facts.role.value, IDENTITY_FACT: facts.identity}
    found |= {SQL_SERVER_VERSION_FACT: facts.version, EDITION_FACT: facts.edition}
    if facts.started_at is not None:
        found["server started"] = f"{facts.started_at:%Y-%m-%dT%H:%M:%SZ}"
    return {name: value for name, value in found.items() if value}


def _settings(session: Session, facts: ServerFacts) -> dict[str, str]:
    """Settings of the server, then of the database; a secondary replica may have values of its own."""
    secondary = facts.role is ReplicaRole.SECONDARY
    rows = [(name, value) for name, value in optional_rows(session, "instance_configurations")]
    for name, value, own in optional_rows(session, "scoped_configurations"):
        rows.append((name, own if secondary and own is not None else value))
    return {f"{SETTING_FACT}{name}": str(value) for name, value in rows if value is not None}


def _query_store(state: QueryStoreState) -> dict[str, str]:
    """The size in steps, since each change of a fact is kept for good."""
    found = {STATE_FACT: state.words}
    if state.fullness is not None and state.readable:
        percent = int(100 * state.fullness) // SIZE_STEP_PERCENT * SIZE_STEP_PERCENT
        found[SIZE_FACT] = f"{percent} % of {state.max_size_mb} MB"
    return found


def _of_query_store(
    session: Session, facts: ServerFacts, dear_rows: RowsOf, mask: Callable[[str], str]
) -> dict[str, str]:
    """Kinds that name a statement, the most telling first, until the bound."""
    if facts.query_store is None or not facts.query_store.readable:
        return {}
    found = _forced_plans(dear_rows("forced_plans"))
    if facts.offers("2022"):
        found |= _hints(optional_rows(session, "query_hints"), mask)
    if facts.offers("2017"):
        found |= read_engine_advice(session)
    if facts.offers("2022"):
        found |= _variants(optional_rows(session, "psp_variants"))
    return dict(list(found.items())[:MOST_STATEMENT_FACTS])


def _forced_plans(rows: Iterable[tuple[Any, ...]]) -> dict[str, str]:
    """The same plan forced for several queries of one hash is one fact; the failures are added."""
    failures: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for query_hash, plan_hash, count, reason in rows:
        name = f"{FORCED_PLAN_FACT}{hex_text(query_hash)} {hex_text(plan_hash)}"
        failures[name] = failures.get(name, 0) + int(count or 0)
        if count:
            reasons[name] = str(reason or "")
    return {name: forced_plan_value(count, reasons.get(name, "")) for name, count in failures.items()}


def _hints(rows: Iterable[tuple[Any, ...]], mask: Callable[[str], str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for query_hash, text, failures in rows:
        failing = f", {failures} failures" if failures else ""
        words = " ".join(mask(str(text or "")).split())[:MOST_HINT_CHARACTERS]
        found.setdefault(f"query hint {hex_text(query_hash)}", []).append(words + failing)
    return {name: "; ".join(dict.fromkeys(hints)) for name, hints in found.items()}


def _variants(rows: Iterable[tuple[Any, ...]]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for query_hash, dispatcher, count in rows:
        name = f"psp variants {hex_text(query_hash)}"
        found.setdefault(name, []).append(f"{count} under dispatcher {hex_text(dispatcher)}")
    return {name: "; ".join(parts) for name, parts in found.items()}


def _replicas(session: Session, facts: ServerFacts, at_work: frozenset[int] | None) -> dict[str, str]:
    """The primary's group, and others with work of their own; each that is listed where their work is not known.

    A group is listed as soon as a replica exists, so the list alone tells nothing about whose work is recorded.
    """
    if facts.query_store is None or not facts.query_store.readable or not facts.offers("2022"):
        return {}
    rows = [(number, name) for number, name in optional_rows(session, "replica_groups")]
    others = (at_work or frozenset()) - {PRIMARY_REPLICA}
    rows += [(number, None) for number in sorted(others - {number for number, _ in rows})]
    told = [row for row in rows if at_work is None or row[0] in {PRIMARY_REPLICA, *others}]
    words = [_group_words(number, name, working=number in others) for number, name in told]
    return {REPLICA_GROUPS_FACT: ", ".join(words)} if words else {}


def _group_words(number: int, name: str | None, *, working: bool) -> str:
    named = f"{number}: {name}" if name else str(number)
    return f"{named}{' ' if name else ': '}with work in the last reading" if working else named
