"""What a server and a database offer, and how to get what is missing."""

from dataclasses import dataclass

from dbplanmon_pipeline.core.model import Capabilities, Capability, Engine
from dbplanmon_pipeline.errors import FeatureUnavailable, PermissionMissing
from dbplanmon_pipeline.providers.postgres.explain import GENERIC_PLAN_VERSION
from dbplanmon_pipeline.providers.postgres.failures import INSTALL
from dbplanmon_pipeline.providers.postgres.session import Session
from dbplanmon_pipeline.providers.postgres.sqltext import statement, statement_in

NEWEST_TESTED_VERSION = 189999


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """One row of `sql/probe.sql`; None is "not there" or "not visible to this role".

    Attributes:
        version_number: as the server counts, 150004 for 15.4.
        extension_version: of pg_stat_statements in this database, for example `1.10`.
        max_statements: capacity of pg_stat_statements; None where the library is not loaded.
        track: which statements this role's own session counts: `none`, `top` or `all`.
        track_io_timing: `on` or `off`.
        what_if_schema: that holds the extension hypopg, where this role may use it.
    """

    version_number: int
    version: str
    in_recovery: bool
    role_oid: int
    role_name: str
    extension_version: str | None
    extension_schema: str | None
    uses_schema: bool | None
    max_statements: str | None
    track: str | None
    track_io_timing: str | None
    compute_query_id: str | None
    reads_all_stats: bool | None
    reads_all_data: bool | None
    what_if_schema: str | None

    @property
    def extension_number(self) -> tuple[int, ...]:
        """Version of pg_stat_statements for comparing; (0,) where it is not installed."""
        return tuple(int(part) for part in (self.extension_version or "0").split(".") if part.isdigit())

    @property
    def schema(self) -> str:
        """Schema that holds the extension."""
        return self.extension_schema or "public"

    def require_counters(self, target: str) -> None:
        """Refuse a database whose counters cannot be read, with the statement that helps.

        Raises:
            FeatureUnavailable: pg_stat_statements is not installed, not loaded or too old.
            PermissionMissing: its schema is closed to this role.
        """
        for item in (_installed(self), _loaded(self), _recent(self)):
            if not item.available:
                raise FeatureUnavailable(item.detail, target=target, remedy=item.remedy)
        if not self.uses_schema:
            item = _usable_schema(self)
            raise PermissionMissing(item.detail, target=target, remedy=item.remedy)

    def blind(self, target: str) -> PermissionMissing:
        """The error for a role that may see nothing but its own statements."""
        item = _rights(self)
        return PermissionMissing(item.detail, target=target, remedy=item.remedy)


def read_facts(session: Session) -> ServerFacts:
    """Ask once; about 2 ms.

    Raises:
        ProviderError: the server did not answer.
    """
    return ServerFacts(*session.rows(statement("probe"))[0])


def capabilities_of(facts: ServerFacts, session: Session) -> Capabilities:
    """The facts as a list of features with remedies; numbers that only inform stand in `facts`."""
    items = (
        _known_version(facts),
        _installed(facts),
        _loaded(facts),
        _recent(facts),
        _usable_schema(facts),
        _rights(facts),
        _query_ids(facts),
        _plans(facts),
        _io_times(facts),
        _own_statements(facts),
        _what_if(facts),
    )
    return Capabilities(Engine.POSTGRES, facts.version, facts.version_number, items, _facts(facts, session))


def _facts(facts: ServerFacts, session: Session) -> dict[str, str]:
    known = {
        "role": facts.role_name,
        "server_role": "replica" if facts.in_recovery else "primary",
        "pg_stat_statements": facts.extension_version or "",
        "pg_stat_statements.max": facts.max_statements or "",
        "pg_stat_statements.track": facts.track or "",
        "plans": "generic",
    }
    if facts.extension_number >= (1, 9) and facts.max_statements is not None:
        evictions, since = session.rows(statement_in("evictions", facts.schema))[0]
        known["evictions"] = str(evictions)
        known["counting_since"] = since.isoformat() if since else ""
    return known


def _known_version(facts: ServerFacts) -> Capability:
    if facts.version_number <= NEWEST_TESTED_VERSION:
        return Capability("version", available=True, detail=f"PostgreSQL {facts.version}")
    return Capability("version", available=True, detail=f"PostgreSQL {facts.version}, newer than what was tested")


def _installed(facts: ServerFacts) -> Capability:
    return Capability(
        "pg_stat_statements",
        facts.extension_version is not None,
        f"version {facts.extension_version}" if facts.extension_version else "pg_stat_statements is not installed",
        "" if facts.extension_version else INSTALL,
    )


def _loaded(facts: ServerFacts) -> Capability:
    loaded = facts.max_statements is not None
    return Capability(
        "pg_stat_statements_loaded",
        loaded,
        f"up to {facts.max_statements} statements" if loaded else "pg_stat_statements is not loaded by the server",
        "" if loaded else "Add pg_stat_statements to shared_preload_libraries and restart the server.",
    )


def _recent(facts: ServerFacts) -> Capability:
    recent = facts.extension_version is None or facts.extension_number >= (1, 9)
    return Capability(
        "pg_stat_statements_recent",
        recent,
        "" if recent else f"pg_stat_statements {facts.extension_version} is too old",
        "" if recent else "Run ALTER EXTENSION pg_stat_statements UPDATE; in this database.",
    )


def _usable_schema(facts: ServerFacts) -> Capability:
    usable = facts.extension_schema is None or bool(facts.uses_schema)
    name, role = _identifier(facts.schema), _identifier(facts.role_name)
    return Capability(
        "pg_stat_statements_schema",
        usable,
        "" if usable else f"role {facts.role_name} may not use the schema {facts.schema} of pg_stat_statements",
        "" if usable else f"Run GRANT USAGE ON SCHEMA {name} TO {role}; in this database.",
    )


def _rights(facts: ServerFacts) -> Capability:
    allowed = bool(facts.reads_all_stats)
    return Capability(
        "read_all_stats",
        allowed,
        "" if allowed else f"role {facts.role_name} may not see the statements of other roles",
        "" if allowed else f"Run GRANT pg_monitor TO {_identifier(facts.role_name)};",
    )


def _query_ids(facts: ServerFacts) -> Capability:
    there = facts.compute_query_id != "off"
    return Capability(
        "query_id",
        there,
        "" if there else "compute_query_id is off, so statements are not counted",
        "" if there else "Set compute_query_id = auto and reload the server.",
    )


def _plans(facts: ServerFacts) -> Capability:
    allowed = bool(facts.reads_all_data)
    how = "EXPLAIN (GENERIC_PLAN)" if facts.version_number >= GENERIC_PLAN_VERSION else "PREPARE with a generic plan"
    name = _identifier(facts.role_name)
    return Capability(
        "read_plans",
        allowed,
        how if allowed else f"{how}; role {facts.role_name} may plan only over tables it may read",
        "" if allowed else f"Run GRANT pg_read_all_data TO {name}; or grant SELECT on the tables to be explained.",
    )


def _io_times(facts: ServerFacts) -> Capability:
    timed = facts.track_io_timing == "on"
    return Capability(
        "io_times",
        timed,
        "" if timed else "track_io_timing is off, so I/O times are unknown",
        "" if timed else "Set track_io_timing = on and reload the server.",
    )


def _own_statements(facts: ServerFacts) -> Capability:
    clean = facts.track == "none"
    return Capability(
        "own_statements_uncounted",
        clean,
        "" if clean else "optional: the monitor's own statements take places in pg_stat_statements",
        "" if clean else f"Run ALTER ROLE {_identifier(facts.role_name)} SET pg_stat_statements.track = 'none';",
    )


def _what_if(facts: ServerFacts) -> Capability:
    there = facts.what_if_schema is not None
    return Capability(
        "what_if_indexes",
        there,
        "hypopg" if there else "optional: without hypopg no index is suggested that the planner was not shown",
        ""
        if there
        else "Run CREATE EXTENSION hypopg; in this database, once its package is installed beside the server.",
    )


def _identifier(name: str) -> str:
    return name if name.isidentifier() and name.islower() else '"' + name.replace('"', '""') + '"'
