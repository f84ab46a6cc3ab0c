"""PostgreSQL 15 and newer as a monitored instance, read through pg_stat_statements and EXPLAIN."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from dbplanmon_pipeline.core.causes.table_facts import TableShape, table_facts
from dbplanmon_pipeline.core.kpis.statement import KpiRow, KpiStatement
from dbplanmon_pipeline.core.model import Capabilities, CapturedPlan, DatabaseRef, Engine, StatementText
from dbplanmon_pipeline.core.name_patterns import NamePatterns
from dbplanmon_pipeline.core.ports import Budget, Clock, StatementKey
from dbplanmon_pipeline.core.readings.counters import CounterReading
from dbplanmon_pipeline.core.statement_trial import StatementTrial
from dbplanmon_pipeline.errors import FeatureUnavailable
from dbplanmon_pipeline.providers.open_sessions import OpenSessions
from dbplanmon_pipeline.providers.postgres.counters import OwnStatements, read_counters
from dbplanmon_pipeline.providers.postgres.distributions import KnownDistributions
from dbplanmon_pipeline.providers.postgres.explainable import statement_kind
from dbplanmon_pipeline.providers.postgres.figures import read_figures
from dbplanmon_pipeline.providers.postgres.plans import MAX_TEXT_CHARACTERS, NormalisedText, read_plans
from dbplanmon_pipeline.providers.postgres.probe import ServerFacts, capabilities_of, read_facts
from dbplanmon_pipeline.providers.postgres.self_test import run_self_test
from dbplanmon_pipeline.providers.postgres.session import CANCELLED, Session, connect
from dbplanmon_pipeline.providers.postgres.sqltext import statement, statement_in

TEXT_HIDDEN = "permission_missing"
"""`StatementText.kind` of a text this role may not see; the capability `read_all_stats` has the remedy."""

_DISCOVERY_SECONDS = 10.0


def _no_password() -> str | None:
    return None


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What earlier readings of one database found, so that it is not asked for again."""

    own: OwnStatements = field(default_factory=OwnStatements)
    distributions: KnownDistributions = field(default_factory=KnownDistributions)


class PostgresReader:
    """One open connection to one database, as `core.ports.DatabaseReader` asks.

    `cost_ms` is the wall time between sending our statements and holding their answers: an upper bound of what the
    server spent, since the way there and back is in it.
    """

    def __init__(
        self,
        session: Session,
        remembered: Remembered,
        clock: Clock,
        redact: Callable[[str], str] | None = None,
    ) -> None:
        self._session = session
        self._remembered = remembered
        self._clock = clock
        self._redact = redact
        self._known_facts: ServerFacts | None = None
        self._texts: dict[int, NormalisedText] = {}
        self._shapes: tuple[TableShape, ...] = ()

    @property
    def cost_ms(self) -> float | None:
        """Milliseconds so far; see the class."""
        return self._session.cost_ms

    def capabilities(self) -> Capabilities:
        """Ask again, whatever was known before.

        Raises:
            ProviderError: the server did not answer.
        """
        self._known_facts = read_facts(self._session)
        return capabilities_of(self._known_facts, self._session)

    def read_counters(self, previous: CounterReading | None = None) -> CounterReading:
        """Every statement of the database under every role, except our own; an earlier reading changes nothing.

        Raises:
            FeatureUnavailable: pg_stat_statements is not installed, not loaded or too old.
            PermissionMissing: this role sees no statement but its own.
            ProviderError: the server did not answer.
        """
        del previous
        try:
            return read_counters(self._session, self._facts(), self._remembered.own, self._clock)
        except FeatureUnavailable:
            self._known_facts = read_facts(self._session)
            self._known_facts.require_counters(self._session.target)
            raise

    def read_figures(self, statement: KpiStatement, timeout: float) -> KpiRow:
        """Run one statement in a transaction that the server keeps from writing, and take its first row.

        Raises:
            StatementRefused: it is not one reading statement.
            ProviderError: the server refused it, or did not answer within `timeout` seconds.
        """
        return read_figures(self._session, statement, timeout)

    def read_texts(self, statements: Sequence[StatementKey]) -> list[StatementText]:
        """Normalised texts, redacted; a hidden one comes empty with the kind `permission_missing`.

        Raises:
            ProviderError: the server did not answer.
        """
        wanted = list(dict.fromkeys(key.query_hash for key in statements))
        known = self._normalised(wanted)
        hidden = not self._facts().reads_all_stats
        found = [self._text(query_hash, known[query_hash].text) for query_hash in wanted if query_hash in known]
        if hidden:
            found.extend(StatementText(query_hash, "", TEXT_HIDDEN) for query_hash in wanted if query_hash not in known)
        return found

    def read_plans(self, statements: Sequence[StatementKey]) -> list[CapturedPlan]:
        """Generic plans; what cannot be planned has a reason that begins with `no plan:`.

        Raises:
            ProviderError: the connection broke, or the run was cancelled.
        """
        wanted = list(dict.fromkeys(key.query_hash for key in statements))
        texts = self._normalised(wanted)
        found = read_plans(self._session, self._facts(), wanted, texts, self._remembered.distributions)
        self._shapes = found.shapes
        return found.plans

    def read_facts(self) -> Mapping[str, str]:
        """Start, version and role of the server, and settings as new sessions of this database get them.

        Raises:
            ProviderError: the server did not answer.
        """
        return dict(self._session.rows(statement("server_facts")))

    def read_table_facts(self, tables: Sequence[str]) -> Mapping[str, str]:
        """Of the tables of the plans read last; these are read again and again, so no others are asked for."""
        del tables
        return {name: value for shape in self._shapes for name, value in table_facts(shape).items()}

    def read_history(self, start: datetime, end: datetime) -> CounterReading:
        """Not to be had.

        Raises:
            FeatureUnavailable: always.
        """
        del start, end
        raise FeatureUnavailable(
            "pg_stat_statements keeps no history",
            target=self._session.target,
            remedy="What is normal is learnt from now on.",
        )

    def try_statements(self) -> Sequence[StatementTrial]:
        """Each of our statements, run once; see `self_test`.

        Raises:
            ProviderError: the server did not answer.
        """
        return run_self_test(self._session, self._facts())

    def _facts(self) -> ServerFacts:
        if self._known_facts is None:
            self._known_facts = read_facts(self._session)
        return self._known_facts

    def _text(self, query_hash: int, text: str) -> StatementText:
        kind = statement_kind(text)
        return StatementText(query_hash, self._redact(text) if self._redact else text, kind)

    def _normalised(self, query_hashes: Sequence[int]) -> dict[int, NormalisedText]:
        """Texts by statement, as the server has them; read once per connection."""
        missing = [query_hash for query_hash in query_hashes if query_hash not in self._texts]
        if missing:
            facts = self._facts()
            facts.require_counters(self._session.target)
            parameters = {"query_hashes": missing, "max_characters": MAX_TEXT_CHARACTERS}
            rows = self._session.rows(statement_in("texts", facts.schema), parameters)
            self._texts.update((row[0], NormalisedText(row[1], row[2])) for row in rows if row[1] is not None)
        return self._texts


class PostgresProvider:
    """One PostgreSQL instance, as `core.ports.Provider` asks; safe to use from several threads.

    Args:
        instance: its name in the settings.
        host, port, user: where and as whom; connect to the server itself, not to a transaction pooler.
        password: asked at each connection; None leaves it to libpq (a password file, a certificate, trust).
        databases: names to read; empty means discovery.
        include, exclude: regular expressions for discovery; a name must match one of `include` where there are any,
            and none of `exclude`.
        maintenance_database: where discovery connects.
        sslmode: as libpq knows it.
        connect_timeout: seconds for the whole connecting, name resolution included.
        application_name: as it shows in pg_stat_activity.
        options: further libpq keywords, for example `sslrootcert`.
        redact: masks literals in texts; PostgreSQL normalises most, but not those of utility statements.
        clock: present moment, aware UTC.
    """

    engine = Engine.POSTGRES

    def __init__(
        self,
        *,
        instance: str,
        host: str,
        user: str,
        port: int = 5432,
        password: Callable[[], str | None] = _no_password,
        databases: Sequence[str] = (),
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        maintenance_database: str = "postgres",
        sslmode: str = "prefer",
        connect_timeout: float = 5.0,
        application_name: str = "dbplanmon",
        options: Mapping[str, str] | None = None,
        redact: Callable[[str], str] | None = None,
        clock: Clock = _utc_now,
    ) -> None:
        self._instance = instance
        self._arguments: dict[str, Any] = {
            **_KEEPALIVES,
            **(options or {}),
            "host": host,
            "port": port,
            "user": user,
            "sslmode": sslmode,
            "application_name": application_name,
        }
        self._password = password
        self._databases = tuple(databases)
        self._wanted = NamePatterns(include, exclude)
        self._maintenance_database = maintenance_database
        self._connect_timeout = connect_timeout
        self._redact = redact
        self._clock = clock
        self._guard = threading.Lock()
        self._sessions = OpenSessions[Session]()
        self._remembered: dict[str, Remembered] = {}

    def databases(self) -> list[str]:
        """The names given, else those that this role may connect to and the patterns let through.

        Raises:
            ProviderError: discovery could not connect or read.
        """
        if self._databases:
            return list(self._databases)
        budget = Budget(monotonic() + _DISCOVERY_SECONDS, monotonic)
        with self._session(self._maintenance_database, budget) as session:
            names = [row[0] for row in session.rows(statement("databases"))]
        return [name for name in names if self._wanted.accept(name)]

    @contextmanager
    def open(self, database: str, budget: Budget) -> Iterator[PostgresReader]:
        """Connect to one database, read only; the socket is closed when the block ends, whatever happens.

        Raises:
            ProviderError: it cannot be reached, refuses the login, or is older than PostgreSQL 15.
        """
        with self._session(database, budget) as session:
            yield PostgresReader(session, self._remembered_of(database), self._clock, self._redact)

    def cancel(self) -> None:
        """Break every running statement; readers that are open take no further one. Returns within a second."""
        self._sessions.interrupt(CANCELLED)

    def close(self) -> None:
        """Break what still runs; readers close their connections at the end of their blocks."""
        self.cancel()

    @contextmanager
    def _session(self, database: str, budget: Budget) -> Iterator[Session]:
        secret = self._password()
        arguments = {**self._arguments, "dbname": database, "password": secret}
        target = str(DatabaseRef(self._instance, database))
        session = connect(arguments, target, budget, self._connect_timeout, (secret,) if secret else ())
        with self._sessions.kept(session):
            yield session

    def _remembered_of(self, database: str) -> Remembered:
        with self._guard:
            return self._remembered.setdefault(database, Remembered())


_KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
