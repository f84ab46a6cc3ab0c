"""One open connection to one simulated database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np

from dbplanmon_pipeline.core.kpis.statement import KpiRow, KpiStatement
from dbplanmon_pipeline.core.model import Capabilities, Capability, CapturedPlan, Engine, StatementText
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.ports import Budget, StatementKey
from dbplanmon_pipeline.core.readings.counters import CounterReading
from dbplanmon_pipeline.core.readings.plan_cache import plan_cache_reading
from dbplanmon_pipeline.core.readings.query_store import (
    AVERAGES,
    ReadingSpan,
    RuntimeStats,
    WaitStats,
    query_store_reading,
)
from dbplanmon_pipeline.core.readings.query_store_span import IntervalPolicy, reading_span
from dbplanmon_pipeline.core.statement_trial import StatementTrial
from dbplanmon_pipeline.errors import FeatureUnavailable
from dbplanmon_pipeline.providers.simulated.facts import facts_of, query_store_state
from dbplanmon_pipeline.providers.simulated.figures import figures_of
from dbplanmon_pipeline.providers.simulated.history import DatabaseHistory
from dbplanmon_pipeline.providers.simulated.statements import statement_text
from dbplanmon_pipeline.providers.simulated.versions import SimulatedVersion


class SimulatedServer(Protocol):
    """What a reader asks of its instance."""

    @property
    def version(self) -> SimulatedVersion:
        """Which SQL Server it acts."""
        ...

    @property
    def has_query_store(self) -> bool:
        """False where the plan cache is the source."""
        ...

    def ask(self, database: str, budget: Budget) -> DatabaseHistory:
        """Answer one question of a reader, after the latency."""
        ...

    def now(self) -> datetime:
        """The present moment."""
        ...

    def number(self, wanted: int) -> int | None:
        """Number of a statement by its query hash."""
        ...

    def plan(self, database: str, key: StatementKey) -> CapturedPlan:
        """The plan a key names, or a reason why there is none."""
        ...


class SimulatedReader:
    """A `DatabaseReader` of one simulated database."""

    def __init__(self, server: SimulatedServer, database: str, budget: Budget) -> None:
        self._server = server
        self._database = database
        self._budget = budget

    @property
    def cost_ms(self) -> float | None:
        """Nobody is asked, so nobody tells."""
        return None

    def capabilities(self) -> Capabilities:
        """Everything is there, but for a Query Store that was switched off."""
        history, version = self._ask(), self._server.version
        items = [Capability(name, available=True) for name in ("counters", "texts", "plans", "plan_hash")]
        if self._server.has_query_store:
            state = query_store_state(history, self._server.now(), query_store=True)
            off = "" if state == "READ_WRITE" else "Take the fault query_store_off back."
            items.append(Capability("query_store", available=not off, detail=state, remedy=off))
        return Capabilities(Engine.SIMULATED, f"simulated {version.product}", version.number, tuple(items))

    def read_counters(self, previous: CounterReading | None = None) -> CounterReading:
        """Query Store from where `previous` says, or all of the plan cache."""
        history, now = self._ask(), self._server.now()
        with self._budget.computing:
            if not self._server.has_query_store:
                return plan_cache_reading(history.plan_cache(now), read_at=now)
            return self._query_store(history, now, previous)

    def _query_store(self, history: DatabaseHistory, now: datetime, previous: CounterReading | None) -> CounterReading:
        policy = IntervalPolicy(history.cadence.interval_us, history.cadence.flush_us)
        # Older ones begin at multiples of the length, which is what the span takes of those that are not listed.
        intervals = history.intervals(now, epoch_us(now) - policy.overlap_us - policy.length_us)
        span = reading_span(intervals, previous, policy, now_us=epoch_us(now), skew_us=0)
        return self._reading(now, history.query_store(now, span.covers_from_us), span)

    def read_facts(self) -> Mapping[str, str]:
        """What may explain a slower statement."""
        history = self._ask()
        with self._budget.computing:
            return facts_of(
                history,
                self._server.now(),
                query_store=self._server.has_query_store,
                version=self._server.version,
            )

    def read_table_facts(self, tables: Sequence[str]) -> Mapping[str, str]:
        """None: no table here changes."""
        del tables
        return {}

    def read_history(self, start: datetime, end: datetime) -> CounterReading:
        """Every interval that began within [start, end) and is over, as far back as Query Store remembers.

        Raises:
            FeatureUnavailable: the plan cache is the source.
        """
        history, now = self._ask(), self._server.now()
        if not self._server.has_query_store:
            raise FeatureUnavailable(
                "the plan cache keeps no history", target=self._database, remedy="Let it have a Query Store."
            )
        length = history.cadence.interval_us
        first = _not_before(epoch_us(start), length)
        stop = min(_not_before(epoch_us(end), length), history.cadence.interval_start(epoch_us(now)))
        stats, waits = history.query_store(now, first)
        within = stats.take(stats.interval_start_us < stop)
        return self._reading(now, (within, waits), ReadingSpan(first, max(first, stop)))

    def try_statements(self) -> Sequence[StatementTrial]:
        """There are no statements."""
        return ()

    def read_figures(self, statement: KpiStatement, timeout: float) -> KpiRow:
        """Figures of the last hour by name; see `figures_of`.

        Raises:
            StatementRefused: it does not only read.
            FeatureUnavailable: it names no figure.
        """
        del timeout
        return figures_of(self._ask(), statement, self._server.now(), self._database)

    def read_texts(self, statements: Sequence[StatementKey]) -> list[StatementText]:
        """Texts of the statements that exist."""
        self._ask()
        with self._budget.computing:
            found = (self._server.number(key.query_hash) for key in statements)
            return [statement_text(number) for number in found if number is not None]

    def read_plans(self, statements: Sequence[StatementKey]) -> list[CapturedPlan]:
        """The plan each key names; a reason where there is none."""
        answers: list[CapturedPlan] = []
        self._ask()
        for key in statements:
            if self._budget.remaining() <= 0:
                break
            with self._budget.computing:
                answers.append(self._server.plan(self._database, key))
        return answers

    def _ask(self) -> DatabaseHistory:
        return self._server.ask(self._database, self._budget)

    def _reading(self, now: datetime, figures: tuple[RuntimeStats, WaitStats], span: ReadingSpan) -> CounterReading:
        stats, waits = figures
        if self._server.version.has_waits_and_spills:
            return query_store_reading(stats, waits, read_at=now, span=span)
        stats.averages[:, AVERAGES.index("spill_pages")] = np.nan
        return query_store_reading(stats, None, read_at=now, span=span)


def _not_before(moment_us: int, length: int) -> int:
    """Beginning of the first interval that begins at or after a moment."""
    return -(-moment_us // length) * length
