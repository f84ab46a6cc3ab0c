"""What a server and one of its databases are, asked in small statements, so that a refused one costs little."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from dbplanmon_pipeline.errors import FeatureUnavailable, PermissionMissing
from dbplanmon_pipeline.providers.sqlserver.editions import (
    OLDEST,
    RELEASES,
    EngineEdition,
    feature_level,
    release_of,
    version_number,
)
from dbplanmon_pipeline.providers.sqlserver.permissions import Permissions
from dbplanmon_pipeline.providers.sqlserver.query_store_state import QueryStoreState
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTER_HOUR_MS = 900_000
SKEW_NOISE_SECONDS = 2.0
"""Less than this is a matter of measuring."""

_LASTING = {"permissions", "columns"}


class ReplicaRole(StrEnum):
    """Which copy of a database is being read."""

    STANDALONE = "standalone"
    PRIMARY = "primary"
    SECONDARY = "secondary"


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """One row of `sql/database.sql`; None where it could not be read.

    Attributes:
        created_local_s: when it was created or restored, in seconds since 1970 on the wall clock of the server.
        group_database_id: the same on all replicas of an availability group; empty outside of groups.
    """

    compatibility_level: int | None = None
    collation: str | None = None
    is_read_only: bool | None = None
    is_query_store_on: bool | None = None
    read_committed_snapshot: bool | None = None
    parameterization_forced: bool | None = None
    auto_create_statistics: bool | None = None
    auto_update_statistics: bool | None = None
    auto_update_statistics_async: bool | None = None
    created_local_s: int | None = None
    group_database_id: str | None = None


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What one connection found.

    Attributes:
        version: as the server writes it, `16.0.4135.4`.
        version_number: 16004135 for that; 12002000 on every cloud edition.
        edition: in the server's words, `Developer Edition (64-bit)`.
        engine_edition: kind of server.
        is_rds: it runs in Amazon RDS, where nobody is a system administrator.
        login / database: as the server calls them.
        role: which copy of the database this is.
        identity: the same as long as the database is; a restore brings another one. Empty where unknown.
        started_at: aware UTC; None where it may not be seen.
        clock_skew_seconds: clock of the server minus ours.
        properties: of the database.
        permissions: of the login.
        query_store: None where it may not be seen.
        columns: `view.column` for the columns only some versions have, without `sys.`.
        refused: statements of the probe that the server did not answer, with the first line of why.
    """

    version: str
    version_number: int
    edition: str
    engine_edition: EngineEdition
    is_rds: bool
    login: str
    database: str
    role: ReplicaRole
    identity: str
    started_at: datetime | None
    clock_skew_seconds: float
    properties: DatabaseFacts = field(default_factory=DatabaseFacts)
    permissions: Permissions = field(default_factory=Permissions)
    query_store: QueryStoreState | None = None
    columns: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def level(self) -> int:
        """Place on the scale of `editions.RELEASES`, by which statements are chosen."""
        return feature_level(self.engine_edition, self.version_number)

    @property
    def release(self) -> str:
        """`2022`; empty for the cloud editions, which have no release."""
        return release_of(self.version_number)

    def offers(self, release: str) -> bool:
        """True where the server has what came with that release."""
        return self.level >= RELEASES[release]

    def has_column(self, view: str, column: str) -> bool:
        """True where the view (without `sys.`) has the column; only for columns that `sql/columns.sql` asks for."""
        return f"{view}.{column}" in self.columns


class _Probe:
    """Runs small statements and remembers which were refused."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.refused: dict[str, str] = {}

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        """Empty where the login may not ask, or the server does not know what is asked."""
        try:
            return self._session.rows(statement(name))
        except (PermissionMissing, FeatureUnavailable) as error:
            self.refused[name] = " ".join(error.message.split())
            return []

    def row(self, name: str) -> tuple[Any, ...] | None:
        """The first row, None where there is none."""
        return next(iter(self.rows(name)), None)


def read_server_facts(
    session: Session,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    known: ServerFacts | None = None,
) -> ServerFacts:
    """Ask the server and the current database; about eight small statements, two less where it is known already.

    What the login may not see is left unknown and stands in `refused`.

    Args:
        session: an open connection to the database.
        clock: ours, aware UTC.
        known: what an earlier connection found; columns and rights stay as long as the version does.

    Raises:
        FeatureUnavailable: the server is older than 2016, or no SQL Server that is supported.
        ProviderError: the server did not answer at all.
    """
    asked_at = clock()
    version, edition, engine, rds, login, database, updateability, now = session.rows(statement("server"))[0]
    skew = (now - (asked_at + (clock() - asked_at) / 2)).total_seconds()
    kind = EngineEdition.of(int(engine or 0))
    _require_supported(kind, version, session.target)
    probe = _Probe(session)
    properties = DatabaseFacts(*(probe.row("database") or ()))
    lasting = known if known is not None and (known.version, known.engine_edition) == (version, kind) else None
    if lasting is not None:
        probe.refused |= {name: words for name, words in lasting.refused.items() if name in _LASTING}
    permissions, columns = (lasting.permissions, lasting.columns) if lasting else _lasting(probe)
    level = feature_level(kind, version_number(version))
    return ServerFacts(
        version=version,
        version_number=version_number(version),
        edition=edition or "",
        engine_edition=kind,
        is_rds=rds is not None,
        login=login or "",
        database=database or "",
        role=_role(probe, kind, properties, read_only=updateability == "READ_ONLY"),
        identity=_identity(probe, kind, properties),
        started_at=_started_at(probe, now),
        clock_skew_seconds=_steady(skew, known),
        properties=properties,
        permissions=permissions,
        query_store=_query_store(probe, level),
        columns=columns,
        refused=probe.refused,
    )


def _lasting(probe: _Probe) -> tuple[Permissions, frozenset[str]]:
    """What only an upgrade or an administrator changes."""
    permissions = Permissions.of_row(probe.row("permissions") or ())
    return permissions, frozenset(f"{view}.{column}" for view, column in probe.rows("columns"))


def _steady(skew: float, known: ServerFacts | None) -> float:
    """The skew known before unless the clocks really moved: intervals shall not change their times by measuring."""
    if known is not None and abs(skew - known.clock_skew_seconds) < SKEW_NOISE_SECONDS:
        return known.clock_skew_seconds
    return skew


def _require_supported(kind: EngineEdition, version: str, target: str) -> None:
    if kind in (EngineEdition.WAREHOUSE, EngineEdition.EDGE):
        raise FeatureUnavailable(
            f"{kind.value} is not supported", target=target, remedy="Remove the instance from the settings."
        )
    if feature_level(kind, version_number(version)) < OLDEST:
        raise FeatureUnavailable(
            f"SQL Server {version} is too old", target=target, remedy="SQL Server 2016 or newer is needed."
        )


def _role(probe: _Probe, kind: EngineEdition, database: DatabaseFacts, *, read_only: bool) -> ReplicaRole:
    """A database that is closed to writing though not set so is a copy, whatever its groups say.

    In a distributed group the first replica of the second group is primary there and secondary in the whole, so one
    group that calls it secondary is enough.
    """
    if read_only and database.is_read_only is False:
        return ReplicaRole.SECONDARY
    if kind.is_one_database or not database.group_database_id:
        return ReplicaRole.STANDALONE
    states = [is_primary for (is_primary,) in probe.rows("replica_role") if is_primary is not None]
    return ReplicaRole.PRIMARY if all(states) else ReplicaRole.SECONDARY


def _identity(probe: _Probe, kind: EngineEdition, database: DatabaseFacts) -> str:
    """A failover changes the recovery fork and shows another creation date, so a group is known by its own number."""
    if database.group_database_id:
        return f"group {database.group_database_id.lower()}"
    if database.created_local_s is None:
        return ""
    created = _EPOCH + timedelta(seconds=database.created_local_s)
    found = None if kind.is_one_database else probe.row("recovery_fork")
    fork = f", fork {found[0].lower()}" if found is not None and found[0] else ""
    return f"created {created:%Y-%m-%d %H:%M:%S}{fork}"


def _started_at(probe: _Probe, now: datetime) -> datetime | None:
    found = probe.row("server_start")
    return None if found is None else started_at(now, *found)


def started_at(now: datetime, uptime_ms: int, started_local_ms: int) -> datetime:
    """Start of a server in UTC, the same at every reading.

    Its wall clock tells the start exactly, but in a time zone that it does not tell and that may have changed since;
    now minus the uptime is UTC, but wavers by the drift of two clocks. Zones differ by quarters of an hour, so the
    second tells which zone the first was in.

    Args:
        now: clock of the server, aware UTC.
        uptime_ms: by its tick counter.
        started_local_ms: milliseconds since 1970 on its wall clock.

    Returns:
        Aware UTC, to the second.
    """
    about_ms = (now - _EPOCH).total_seconds() * 1000 - uptime_ms
    zone_ms = round((started_local_ms - about_ms) / _QUARTER_HOUR_MS) * _QUARTER_HOUR_MS
    return _EPOCH + timedelta(seconds=(started_local_ms - zone_ms) // 1000)


def _query_store(probe: _Probe, level: int) -> QueryStoreState | None:
    row = probe.row("query_store_options")
    if row is None:
        return None
    waits = probe.row("query_store_waits") if level >= RELEASES["2017"] else None
    return QueryStoreState.of_row(row, keeps_waits=waits[0] == "ON" if waits is not None else None)
