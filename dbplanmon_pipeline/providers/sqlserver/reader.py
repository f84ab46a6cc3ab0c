"""One open connection to one database of a SQL Server: counters from the source that serves, plans and texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from dbplanmon_pipeline.core.kpis.statement import KpiRow, KpiStatement
from dbplanmon_pipeline.core.model import Capabilities, CapturedPlan, StatementText
from dbplanmon_pipeline.core.ports import Clock, StatementKey
from dbplanmon_pipeline.core.readings.counters import CounterReading
from dbplanmon_pipeline.core.readings.plan_cache import PlanCacheStats, merge_equal_counters, plan_cache_reading
from dbplanmon_pipeline.core.statement_trial import StatementTrial
from dbplanmon_pipeline.errors import PermissionMissing, ProviderError, QueryTimedOut
from dbplanmon_pipeline.providers.sqlserver.cached_plans import read_cached_plans, read_cached_texts
from dbplanmon_pipeline.providers.sqlserver.capability_items import capabilities_of
from dbplanmon_pipeline.providers.sqlserver.facts import read_facts
from dbplanmon_pipeline.providers.sqlserver.figures import read_figures
from dbplanmon_pipeline.providers.sqlserver.limits import MOST_ROWS
from dbplanmon_pipeline.providers.sqlserver.optional_rows import KeptRows
from dbplanmon_pipeline.providers.sqlserver.own_statements import OwnStatements
from dbplanmon_pipeline.providers.sqlserver.plan_cache import CachedStatement, SharedPlanCache, database_number
from dbplanmon_pipeline.providers.sqlserver.plans import AnsweredPlans, CachedTexts
from dbplanmon_pipeline.providers.sqlserver.probe import ServerFacts, read_server_facts
from dbplanmon_pipeline.providers.sqlserver.query_store import QueryStore
from dbplanmon_pipeline.providers.sqlserver.self_test import run_self_test
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.source import (
    NOTHING_RECENT,
    Source,
    against_query_store,
    is_fresh_asked,
    require_plan_cache,
    require_query_store,
    source_capability,
)
from dbplanmon_pipeline.providers.sqlserver.stored_plans import StoredPlans, read_stored_texts
from dbplanmon_pipeline.providers.sqlserver.table_changes import read_table_facts

SOURCE_FACT = "figures come from"
"""Name of the fact that tells the source; a change of it explains a jump in what is recorded."""

TEXTS_JUDGED = 50
"""Texts of cached statements looked at per reading to find our own; ours are among the youngest when they are new."""

_WORDS = {Source.QUERY_STORE: "Query Store", Source.PLAN_CACHE: "plan cache"}


@dataclass(slots=True)
class Shared:
    """What the readers of one provider know together; `facts` by database, `most_rows` bounds one reading."""

    own: OwnStatements = field(default_factory=OwnStatements)
    cache: SharedPlanCache = field(default_factory=SharedPlanCache)
    answered: AnsweredPlans = field(default_factory=AnsweredPlans)
    facts: dict[str, ServerFacts] = field(default_factory=dict)
    dear: KeptRows = field(default_factory=KeptRows)
    most_rows: int = MOST_ROWS


class SqlServerReader:
    """As `core.ports.DatabaseReader` asks; used by one thread.

    `cost_ms` is the wall time between sending our statements and holding their answers: an upper bound of what the
    server spent. A look at the plan cache for all databases counts for the one that happened to do it.

    Args:
        session: open on the database.
        database: its name in the settings.
        shared: of the provider.
        clock: present moment, aware UTC.
        source: where counters come from.
        redact: mask literals in texts and plans.
    """

    def __init__(
        self, session: Session, database: str, shared: Shared, clock: Clock, source: Source, *, redact: bool
    ) -> None:
        self._session = session
        self._database = database
        self._shared = shared
        self._clock = clock
        self._source = source
        self._redact = redact
        self._found: ServerFacts | None = None
        self._used: Source | None = None
        self._groups_at_work: frozenset[int] | None = None
        self._places: dict[str, CachedStatement] = {}
        self._texts: CachedTexts | None = None

    @property
    def cost_ms(self) -> float | None:
        """Milliseconds so far; see the class."""
        return self._session.cost_ms

    def capabilities(self) -> Capabilities:
        """Ask again, whatever was known before.

        Raises:
            ProviderError: the server did not answer.
        """
        self._shared.facts.pop(self._database, None)
        self._found = None
        facts = self._facts()
        found = capabilities_of(facts)
        reason = self._against_query_store(facts)
        return replace(found, items=(*found.items, source_capability(self._source, reason)))

    def read_counters(self, previous: CounterReading | None = None) -> CounterReading:
        """Work by plan: of Query Store's intervals since `previous`, or of everything in the plan cache.

        Raises:
            PermissionMissing: the login may read neither.
            FeatureUnavailable: the settings ask for Query Store and it does not record.
            ProviderError: the server did not answer, or there is more than one reading may hold.
        """
        facts = self._facts()
        if self._source is Source.PLAN_CACHE:
            return self._read_plan_cache(facts, previous, "")
        reason = self._against_query_store(facts)
        if self._source is Source.QUERY_STORE:
            require_query_store(facts, self._session.target, reason)
        if reason:
            return self._read_plan_cache(facts, previous, reason)
        try:
            return self._read_query_store(facts, previous)
        except (PermissionMissing, QueryTimedOut) as error:
            if not self._may_fall_back(error, facts, previous):
                raise
            return self._read_plan_cache(facts, previous, error.message)

    def read_figures(self, statement: KpiStatement, timeout: float) -> KpiRow:
        """Run one statement in a transaction that is rolled back, and take its first row.

        Raises:
            StatementRefused: it does not only read, or its login is not declared least-privileged.
            ProviderError: the server refused it, or did not answer within `timeout` seconds.
        """
        return read_figures(self._session, statement, timeout)

    def read_texts(self, statements: Sequence[StatementKey]) -> list[StatementText]:
        """Texts as they were run, redacted; what the server hides or has forgotten is left out.

        Raises:
            ProviderError: the server did not answer.
        """
        if self._used is Source.PLAN_CACHE:
            return read_cached_texts(self._cached_texts(), statements, redact=self._redact)
        return read_stored_texts(self._session, statements, redact=self._redact)

    def read_plans(self, statements: Sequence[StatementKey]) -> list[CapturedPlan]:
        """Plans, or reasons that begin with `no plan:`; a plan read for another database is left out.

        Raises:
            ProviderError: the connection broke, or the run was cancelled.
        """
        answered = self._shared.answered
        if self._used is Source.PLAN_CACHE:
            return read_cached_plans(
                self._session, self._places, statements, answered, self._database, redact=self._redact
            )
        return StoredPlans(self._session, answered, redact=self._redact).read(statements, self._database)

    def read_facts(self) -> Mapping[str, str]:
        """Settings, forced plans, advice of the server, and where the figures come from.

        Raises:
            ProviderError: the server did not answer.
        """
        facts, now = self._facts(), self._clock()
        owner = f"{self._database} {facts.identity}"
        found = read_facts(
            self._session,
            facts,
            dear_rows=lambda name: self._shared.dear.rows(self._session, name, owner, now),
            groups_at_work=self._groups_at_work,
        )
        return {**found, SOURCE_FACT: _WORDS[self._used]} if self._used else found

    def read_table_facts(self, tables: Sequence[str]) -> Mapping[str, str]:
        """Rows, statistics and last alteration of these tables.

        Raises:
            ProviderError: the server did not answer.
        """
        return read_table_facts(self._session, tables)

    def read_history(self, start: datetime, end: datetime) -> CounterReading:
        """Intervals of Query Store that began within [start, end) and are over.

        Raises:
            FeatureUnavailable: Query Store is off here.
            PermissionMissing: the login may not read it.
            ProviderError: the server did not answer.
        """
        facts = self._facts()
        readable = facts.query_store is not None and facts.query_store.readable
        require_query_store(facts, self._session.target, "" if readable else against_query_store(facts))
        self._used = Source.QUERY_STORE
        return self._query_store(facts).read_history(start, end)

    def try_statements(self) -> Sequence[StatementTrial]:
        """Run each of our statements once.

        Raises:
            ProviderError: the server did not answer the probe.
        """
        return run_self_test(self._session, self._facts())

    def _facts(self) -> ServerFacts:
        """Asked once per connection: Query Store may have stopped, or a failover come, since the last one."""
        if self._found is None:
            self._found = read_server_facts(self._session, self._clock, self._shared.facts.get(self._database))
            self._shared.facts[self._database] = self._found
        return self._found

    def _query_store(self, facts: ServerFacts) -> QueryStore:
        return QueryStore(self._session, facts, self._shared.own, self._clock, self._shared.most_rows)

    def _against_query_store(self, facts: ServerFacts) -> str:
        reason = against_query_store(facts)
        if reason or not is_fresh_asked(facts):
            return reason
        return "" if self._query_store(facts).is_fresh() else NOTHING_RECENT

    def _may_fall_back(self, error: ProviderError, facts: ServerFacts, previous: CounterReading | None) -> bool:
        """True where the plan cache may serve instead.

        After a timeout only where no intervals were recorded before: else the next reading goes on where the last one
        ended and nothing is lost, while another source would have to begin anew. What passes soon is tried again.
        """
        if self._source is not Source.AUTO or not self._session.alive or self._session.cancelled or error.passes_soon:
            return False
        emitted = previous is not None and previous.by_interval
        allowed = isinstance(error, PermissionMissing) or not emitted
        return allowed and self._session.budget.remaining() > 0 and facts.permissions.reads_server

    def _read_query_store(self, facts: ServerFacts, previous: CounterReading | None) -> CounterReading:
        query_store = self._query_store(facts)
        reading = query_store.read(previous)
        self._used, self._groups_at_work = Source.QUERY_STORE, query_store.groups_at_work
        return reading

    def _read_plan_cache(self, facts: ServerFacts, previous: CounterReading | None, reason: str) -> CounterReading:
        require_plan_cache(facts, self._session.target, reason)
        content = self._shared.cache.content(self._session, facts, self._clock)
        number = database_number(self._session, facts)
        stats, self._places = content.of_database(number, self._shared.own.ours)
        self._used, self._texts = Source.PLAN_CACHE, None
        if self._judge(stats, previous):
            stats, self._places = content.of_database(number, self._shared.own.ours)
        return plan_cache_reading(merge_equal_counters(stats), read_at=content.taken_at)

    def _judge(self, stats: PlanCacheStats, previous: CounterReading | None) -> bool:
        """Look for our own statements among those not seen before, the youngest first; true where some were found."""
        own = self._shared.own
        new = set(own.unjudged(stats.query_hash.tolist(), previous))
        youngest = stats.age_us.argsort(kind="stable").tolist()
        place = {int(stats.query_hash[row]): row for row in reversed(youngest) if int(stats.query_hash[row]) in new}
        looked = sorted(place, key=lambda query_hash: stats.age_us[place[query_hash]])[:TEXTS_JUDGED]
        ours = [query_hash for query_hash in looked if self._cached_texts().of(stats.counter[place[query_hash]])[1]]
        own.learn(looked, ours)
        return bool(ours)

    def _cached_texts(self) -> CachedTexts:
        if self._texts is None:
            self._texts = CachedTexts(self._session, self._places)
        return self._texts
