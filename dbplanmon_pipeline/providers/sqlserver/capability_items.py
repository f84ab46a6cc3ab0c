"""The facts of a server as a list of capabilities, each missing one with the statement that helps."""

from dbplanmon_pipeline.core.model import Capabilities, Capability, Engine
from dbplanmon_pipeline.errors import PermissionMissing
from dbplanmon_pipeline.providers.sqlserver.editions import AZURE_LEVEL
from dbplanmon_pipeline.providers.sqlserver.permissions import database_grant, definition_grant, quoted, server_grant
from dbplanmon_pipeline.providers.sqlserver.probe import ReplicaRole, ServerFacts
from dbplanmon_pipeline.providers.sqlserver.query_store_state import OFF, SECONDARY, SIZE_LIMIT, QueryStoreState

NEWEST_KNOWN = 18_00_0000
"""The first version nobody has looked at yet."""

FULL_SHARE = 0.9
TOLERATED_SKEW_SECONDS = 60.0

_SIZE_MB = 1000
_MOST_MB_ON_AZURE = 10_240


def capabilities_of(facts: ServerFacts) -> Capabilities:
    """Everything a DBA may want to act upon as an item, everything else as a fact.

    `query_store` says that executions are being recorded there, `read_query_store` that history may be read,
    `read_plan_cache` that the views of the whole server may be read, `read_indexes` that every table shows its indexes.
    """
    state = facts.query_store
    items = (
        _known_version(facts),
        _read_query_store(facts),
        *((_query_store(facts, state), _room(facts, state), _waits(facts, state)) if state is not None else ()),
        _read_plan_cache(facts),
        _read_indexes(facts),
        _clock(facts),
    )
    shown = tuple(item for item in items if item is not None)
    return Capabilities(Engine.SQLSERVER, facts.version, facts.version_number, shown, _facts(facts))


def require_readable(facts: ServerFacts, target: str) -> None:
    """Refuse a database of which nothing can be read.

    Raises:
        PermissionMissing: neither Query Store nor the plan cache may be read.
    """
    if not (facts.permissions.reads_database or facts.permissions.reads_server):
        item = _read_query_store(facts)
        raise PermissionMissing(item.detail, target=target, remedy=item.remedy)


def _known_version(facts: ServerFacts) -> Capability:
    name = facts.engine_edition.value + (f" {facts.release}" if facts.release else "")
    newer = NEWEST_KNOWN <= facts.level < AZURE_LEVEL
    detail = f"{name} {facts.version}, {facts.edition}" + (", newer than what is known" if newer else "")
    return Capability("version", available=True, detail=detail)


def _read_query_store(facts: ServerFacts) -> Capability:
    allowed = facts.permissions.reads_database
    refused = facts.refused.get("query_store_options", "")
    detail = refused or f"login {facts.login} may not read Query Store of this database"
    grant = database_grant(facts.engine_edition, facts.permissions, facts.login, _place(facts))
    return Capability("read_query_store", allowed, "" if allowed else detail, "" if allowed else grant)


def _place(facts: ServerFacts) -> str:
    """Where rights to this database are given; a copy of it takes none."""
    return "this database at its primary replica" if facts.role is ReplicaRole.SECONDARY else "this database"


def _query_store(facts: ServerFacts, state: QueryStoreState) -> Capability:
    if state.records:
        interval = f"intervals of {state.interval_length_minutes} min, flushed every {state.flush_interval_seconds} s"
        return Capability("query_store", available=True, detail=f"{state.words}, {interval}")
    if state.capture_mode == "NONE":
        detail, options = "Query Store records no new statements (capture mode NONE)", "QUERY_CAPTURE_MODE = AUTO"
        return Capability("query_store", available=False, detail=detail, remedy=_alter(facts, f"({options})"))
    return Capability(
        "query_store", available=False, detail=f"Query Store is {state.words}", remedy=_wake(facts, state)
    )


def _wake(facts: ServerFacts, state: QueryStoreState) -> str:
    """The statement that makes Query Store record again."""
    if facts.role is ReplicaRole.SECONDARY:
        return "Turn Query Store on at the primary replica."
    if state.actual == OFF:
        return _turn_on(facts)
    if state.actual == "ERROR":
        return _repair(facts)
    if state.readonly_reason & SIZE_LIMIT:
        return _alter(facts, f"(OPERATION_MODE = READ_WRITE, MAX_STORAGE_SIZE_MB = {_larger(facts, state)})")
    if state.readonly_reason & ~SECONDARY:
        return f"Query Store records again when this is over: {state.reason}."
    return _alter(facts, "(OPERATION_MODE = READ_WRITE)")


def _turn_on(facts: ServerFacts) -> str:
    waits = ", WAIT_STATS_CAPTURE_MODE = ON" if facts.offers("2017") else ""
    return _alter(
        facts,
        f"= ON (OPERATION_MODE = READ_WRITE, MAX_STORAGE_SIZE_MB = {_SIZE_MB}, INTERVAL_LENGTH_MINUTES = 60, "
        f"QUERY_CAPTURE_MODE = AUTO, SIZE_BASED_CLEANUP_MODE = AUTO{waits})",
    )


def _repair(facts: ServerFacts) -> str:
    name = quoted(facts.database)
    if facts.offers("2017"):
        return (
            f"Run ALTER DATABASE {name} SET QUERY_STORE = OFF; EXEC {name}.sys.sp_query_store_consistency_check; "
            f"ALTER DATABASE {name} SET QUERY_STORE = ON;"
        )
    return f"Run ALTER DATABASE {name} SET QUERY_STORE CLEAR; which empties it, then SET QUERY_STORE = ON."


def _room(facts: ServerFacts, state: QueryStoreState) -> Capability | None:
    if state.fullness is None or not state.readable:
        return None
    room = state.fullness < FULL_SHARE
    detail = f"{state.current_size_mb} of {state.max_size_mb} MB used"
    remedy = "" if room else _alter(facts, f"(MAX_STORAGE_SIZE_MB = {_larger(facts, state)})")
    return Capability("query_store_room", room, detail, remedy)


def _waits(facts: ServerFacts, state: QueryStoreState) -> Capability | None:
    if state.keeps_waits is None or not state.readable:
        return None
    kept = state.keeps_waits
    detail = "" if kept else "optional: Query Store keeps no waits, so contention is told from slow plans less well"
    return Capability(
        "query_store_waits", kept, detail, "" if kept else _alter(facts, "(WAIT_STATS_CAPTURE_MODE = ON)")
    )


def _read_plan_cache(facts: ServerFacts) -> Capability:
    """On Azure SQL Database the right to the database is the right to its part of the cache."""
    allowed = facts.permissions.reads_server
    if facts.engine_edition.is_one_database:
        allowed = facts.permissions.reads_database and "server_start" not in facts.refused
    missing = f"login {facts.login} may not read the plan cache, which serves where Query Store does not record"
    grant = server_grant(facts.engine_edition, facts.permissions, facts.login, is_rds=facts.is_rds)
    return Capability("read_plan_cache", allowed, "" if allowed else missing, "" if allowed else grant)


def _read_indexes(facts: ServerFacts) -> Capability:
    allowed = facts.permissions.reads_definitions
    missing = f"optional: login {facts.login} may not see all tables, so an index that is gone may stay unnamed"
    grant = definition_grant(facts.engine_edition, facts.login, _place(facts))
    return Capability("read_indexes", allowed, "" if allowed else missing, "" if allowed else grant)


def _clock(facts: ServerFacts) -> Capability:
    skew = facts.clock_skew_seconds
    right = abs(skew) <= TOLERATED_SKEW_SECONDS
    way = "ahead of" if skew > 0 else "behind"
    detail = "" if right else f"the clock of the server is {abs(skew):.0f} s {way} ours"
    return Capability("clock", right, detail, "" if right else "Synchronise the clocks of both machines.")


def _facts(facts: ServerFacts) -> dict[str, str]:
    level = facts.properties.compatibility_level
    known = {
        "engine_edition": facts.engine_edition.value + (" in Amazon RDS" if facts.is_rds else ""),
        "edition": facts.edition,
        "login": facts.login,
        "server_role": facts.role.value,
        "compatibility_level": "" if level is None else str(level),
        "collation": facts.properties.collation or "",
        "started": f"{facts.started_at:%Y-%m-%dT%H:%M:%SZ}" if facts.started_at else "",
        "clock_skew_seconds": f"{facts.clock_skew_seconds:.1f}",
    }
    return known | (_query_store_facts(facts.query_store) if facts.query_store is not None else {})


def _query_store_facts(state: QueryStoreState) -> dict[str, str]:
    return {
        "query_store": state.words,
        "query_store_capture_mode": state.capture_mode,
        "query_store_interval_minutes": str(state.interval_length_minutes),
        "query_store_flush_seconds": str(state.flush_interval_seconds),
        "query_store_history_days": str(state.stale_threshold_days),
        "query_store_size_mb": f"{state.current_size_mb} of {state.max_size_mb}",
    }


def _larger(facts: ServerFacts, state: QueryStoreState) -> int:
    """Twice the room [MB], as far as the edition allows."""
    wanted = max(2 * state.max_size_mb, _SIZE_MB)
    return min(wanted, _MOST_MB_ON_AZURE) if facts.engine_edition.is_one_database else wanted


def _alter(facts: ServerFacts, options: str) -> str:
    return f"Run ALTER DATABASE {quoted(facts.database)} SET QUERY_STORE {options};"
