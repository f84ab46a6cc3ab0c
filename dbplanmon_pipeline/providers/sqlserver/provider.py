"""SQL Server 2016 and newer, boxes and cloud editions, as a monitored instance."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic

from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.name_patterns import NamePatterns
from dbplanmon_pipeline.core.ports import Budget, Clock
from dbplanmon_pipeline.errors import ProviderError
from dbplanmon_pipeline.providers.open_sessions import OpenSessions
from dbplanmon_pipeline.providers.sqlserver.connection import ConnectionSettings
from dbplanmon_pipeline.providers.sqlserver.discovery import HOME, find_databases
from dbplanmon_pipeline.providers.sqlserver.gate import ConnectionGate
from dbplanmon_pipeline.providers.sqlserver.limits import MOST_ROWS
from dbplanmon_pipeline.providers.sqlserver.plan_cache import SharedPlanCache
from dbplanmon_pipeline.providers.sqlserver.reader import Shared, SqlServerReader
from dbplanmon_pipeline.providers.sqlserver.session import CANCELLED, Session, connect
from dbplanmon_pipeline.providers.sqlserver.source import Source

MOST_CONNECTIONS = 16

_DISCOVERY_SECONDS = 10.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SqlServerProvider:
    """One SQL Server instance, as `core.ports.Provider` asks; safe to use from several threads.

    Args:
        instance: its name in the settings.
        connection: where, as whom and how.
        databases: names to read; empty means discovery.
        include, exclude: regular expressions for discovery; a name must match one of `include` where there are any,
            and none of `exclude`.
        home: database in which discovery asks.
        source: where counters come from.
        max_connections: connections to the instance at once, those that are being given up included.
        redact: mask literals in texts and plans.
        most_rows: figures of Query Store, or statements in the plan cache, that one reading may hold.
        clock: present moment, aware UTC.
    """

    engine = Engine.SQLSERVER

    def __init__(
        self,
        *,
        instance: str,
        connection: ConnectionSettings,
        databases: Sequence[str] = (),
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        home: str = HOME,
        source: Source = Source.AUTO,
        max_connections: int = MOST_CONNECTIONS,
        redact: bool = True,
        most_rows: int = MOST_ROWS,
        clock: Clock = _utc_now,
    ) -> None:
        self._instance = instance
        self._connection = connection
        self._databases = tuple(databases)
        self._wanted = NamePatterns(include, exclude)
        self._home = home
        self._source = source
        self._gate = ConnectionGate(max_connections)
        self._redact = redact
        self._clock = clock
        self._shared = Shared(cache=SharedPlanCache(most_rows=most_rows), most_rows=most_rows)
        self._sessions = OpenSessions[Session]()

    def databases(self) -> list[str]:
        """The names given, else those of users that are online, open to the login and let through by the patterns.

        Raises:
            ProviderError: discovery could not connect or read.
        """
        if self._databases:
            return list(self._databases)
        budget = Budget(monotonic() + _DISCOVERY_SECONDS, monotonic)
        with self._session(self._home, budget) as session:
            names = find_databases(session)
        return [name for name in names if self._wanted.accept(name)]

    @contextmanager
    def open(self, database: str, budget: Budget) -> Iterator[SqlServerReader]:
        """Connect to one database; the connection is given back when the block ends, whatever happens.

        What was found out about the database is asked anew after a failure.

        Raises:
            ProviderError: it cannot be reached or refuses the login, or no connection became free in time.
        """
        try:
            with self._session(database, budget) as session:
                yield SqlServerReader(session, database, self._shared, self._clock, self._source, redact=self._redact)
        except ProviderError:
            self._shared.facts.pop(database, None)
            raise

    def cancel(self) -> None:
        """Break every running statement; readers that are open take no further one. Returns within a second."""
        self._sessions.interrupt(CANCELLED)

    def close(self) -> None:
        """Break what still runs and forget what was found out; readers close their connections themselves."""
        self.cancel()
        self._shared.cache.forget()

    @contextmanager
    def _session(self, database: str, budget: Budget) -> Iterator[Session]:
        target = str(DatabaseRef(self._instance, database))
        session = connect(self._connection, database, target, budget, self._gate)
        with self._sessions.kept(session):
            yield session
