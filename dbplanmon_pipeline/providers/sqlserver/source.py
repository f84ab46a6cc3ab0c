"""Which of its two memories a server is asked for: Query Store, or the plan cache where that does not record."""

from enum import StrEnum

from dbplanmon_pipeline.core.model import Capability
from dbplanmon_pipeline.errors import FeatureUnavailable, PermissionMissing
from dbplanmon_pipeline.providers.sqlserver.capability_items import capabilities_of, require_readable
from dbplanmon_pipeline.providers.sqlserver.probe import ReplicaRole, ServerFacts
from dbplanmon_pipeline.providers.sqlserver.query_store_state import READ_ONLY


class Source(StrEnum):
    """Where counters come from; `auto` chooses per database and reading."""

    AUTO = "auto"
    QUERY_STORE = "query_store"
    PLAN_CACHE = "plan_cache"


SECONDARY_REPLICA = "Query Store of a secondary replica holds the work of the primary"
HIDDEN = "the login may not read Query Store"
NOTHING_RECENT = "Query Store is read-only and holds nothing recent"


def against_query_store(facts: ServerFacts) -> str:
    """Why Query Store does not serve; empty where it does, or where its age has to tell (`is_fresh_asked`)."""
    state = facts.query_store
    if state is None:
        return HIDDEN
    if facts.role is ReplicaRole.SECONDARY:
        return SECONDARY_REPLICA
    if not state.readable:
        return f"Query Store is {state.words}"
    if not state.records and state.actual != READ_ONLY:
        return "Query Store records no new statements"
    return ""


def is_fresh_asked(facts: ServerFacts) -> bool:
    """True where Query Store was stopped, and only its newest interval tells whether it still serves."""
    return facts.query_store is not None and facts.query_store.actual == READ_ONLY


def require_query_store(facts: ServerFacts, target: str, reason: str) -> None:
    """Refuse where Query Store is asked for and does not serve.

    Raises:
        FeatureUnavailable: it does not record, with the statement that turns it on.
        PermissionMissing: the login may not read it, with the grant.
    """
    if not reason:
        return
    item = _item(facts, "read_query_store" if facts.query_store is None else "query_store")
    kind = PermissionMissing if facts.query_store is None else FeatureUnavailable
    raise kind(reason, target=target, remedy=item.remedy if item else "")


def require_plan_cache(facts: ServerFacts, target: str, reason: str) -> None:
    """Refuse where the plan cache has to serve and the login may not read it.

    Args:
        facts: what the probe found.
        target: for the message.
        reason: why Query Store does not serve; empty where the settings ask for the plan cache.

    Raises:
        PermissionMissing: with the grant, and what would turn Query Store on.
    """
    require_readable(facts, target)
    item = _item(facts, "read_plan_cache")
    if item is None or item.available:
        return
    if not reason:
        raise PermissionMissing(item.detail, target=target, remedy=item.remedy)
    other = _item(facts, "query_store")
    remedies = [item.remedy, other.remedy if other is not None else ""]
    raise PermissionMissing(
        f"{reason}, and the login may not read the plan cache instead",
        target=target,
        remedy=" Or: ".join(remedy for remedy in remedies if remedy),
    )


def source_capability(asked: Source, reason: str) -> Capability:
    """Where the figures come from, as an item of the check.

    Args:
        asked: what the settings say.
        reason: why Query Store does not serve, empty where it does.
    """
    if asked is Source.PLAN_CACHE:
        return Capability("source", available=True, detail="figures come from the plan cache, as the settings say")
    if not reason:
        return Capability("source", available=True, detail="figures come from Query Store")
    if asked is Source.AUTO:
        return Capability("source", available=True, detail=f"figures come from the plan cache: {reason}")
    remedy = "Set options.source: auto, or turn Query Store on."
    return Capability(
        "source", available=False, detail=f"the settings ask for Query Store, but: {reason}", remedy=remedy
    )


def _item(facts: ServerFacts, name: str) -> Capability | None:
    return next((item for item in capabilities_of(facts).items if item.name == name), None)
