"""Read the KPIs that are due, in parallel up to a limit; none ever overlaps itself, none stops the others."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.breaker import BreakerPolicy, is_open
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.kpis.alerts import LAST_VALUES, kpi_alert, kpi_severity, unwatched_alert
from dbplanmon_pipeline.core.kpis.health import KpiStatus
from dbplanmon_pipeline.core.kpis.rules import (
    KpiChange,
    KpiMemory,
    KpiPolicy,
    KpiResult,
    KpiSpec,
    KpiState,
    advance,
    figure_of,
    is_due,
    judge,
    same_hours,
)
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports import Alert, Budget, Clock, KpiStore, Provider
from dbplanmon_pipeline.errors import ProviderError, SettingsError, StoreError
from dbplanmon_pipeline.services.breakers import breaker_states, left_alone
from dbplanmon_pipeline.services.collect import POLL_SECONDS, why_unreadable

LEASE_MARGIN = timedelta(minutes=1)
"""A reading that ends with its timeout still has to be judged and stored."""

_LATER = timedelta(microseconds=1)

LOOK_SECONDS = 5.0
"""While slow ones run, others that became due in the meantime are looked for this often."""


@dataclass(frozen=True, slots=True)
class KpiRunPolicy:
    """How KPIs are read and told of.

    Attributes:
        max_parallel: readings at once.
        telling: when people are told.
        channels: names of those that hear of an event of some severity.
        breaker: when an instance rests; its KPIs are left alone then. None asks all the same.
    """

    max_parallel: int = 5
    telling: KpiPolicy = field(default_factory=KpiPolicy)
    channels: Callable[[IncidentEvent, Severity], Sequence[str]] = lambda _event, _severity: ()
    breaker: BreakerPolicy | None = None


@dataclass(frozen=True, slots=True)
class KpiReport:
    """What one run did.

    Attributes:
        results: readings by name and time, in the order they began.
        under_way: KPIs that were asked for by name while another reading held them.
        alerts: messages that were queued, those about `unwatched` included.
        unwatched: KPIs in trouble that are no longer read; people are told of the end.
    """

    results: tuple[KpiResult, ...] = ()
    under_way: tuple[str, ...] = ()
    alerts: int = 0
    unwatched: tuple[str, ...] = ()

    def count(self, state: KpiState) -> int:
        """Readings with this state."""
        return sum(result.state is state for result in self.results)


class KpiRunStopped(Exception):
    """The run was asked to stop; what was read so far is stored, the rest is read next time."""


def due_kpis(specs: Sequence[KpiSpec], store: KpiStore, now: datetime) -> list[KpiSpec]:
    """Those that are due; the ones that waited longest come first."""
    memories = store.kpi_memories([spec.name for spec in specs])
    due = [spec for spec in specs if is_due(spec, memories[spec.name], now)]
    return sorted(due, key=lambda spec: (memories[spec.name].started_at is not None, memories[spec.name].started_at))


def run_kpis(
    specs: Sequence[KpiSpec],
    provider_of: Callable[[KpiSpec], Provider],
    store: KpiStore,
    *,
    clock: Clock,
    policy: KpiRunPolicy,
    named: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    monotonic: Callable[[], float] = time.monotonic,
) -> KpiReport:
    """Read those that are due, judge and store each reading together with what people are told of it.

    While a slow one runs, others that become due meanwhile are read too, so that it holds up nobody.

    Args:
        specs: KPIs to look at; unless they were named, trouble of any other KPI ends.
        provider_of: the instance of a KPI, under its own login where it has one; asked once per reading.
        store: memory, results and alerts.
        clock: the present moment.
        policy: limits of the run.
        named: somebody asked for these; they are read once, due or not, also where their instance rests.
        stopped: asked often; true ends the run within seconds.
        monotonic: clock of the budgets.

    Raises:
        KpiRunStopped: `stopped` said so.
        StoreError: our own store failed.
    """
    if named:
        return _Run(provider_of, store, clock, replace(policy, breaker=None), stopped, monotonic).through(
            specs, specs, again=False
        )
    unwatched, told = _end_unwatched(specs, store, clock(), policy)
    run = _Run(provider_of, store, clock, policy, stopped, monotonic)
    report = run.through(specs, due_kpis(specs, store, clock()), again=True)
    return replace(report, alerts=report.alerts + told, unwatched=unwatched)


def unwatched_kpis(specs: Sequence[KpiSpec], store: KpiStore) -> list[KpiMemory]:
    """Memory of KPIs in trouble that are none of these: removed, switched off, or of an instance that is."""
    watched = {spec.name for spec in specs}
    return [memory for memory in store.troubled_kpis() if memory.name not in watched]


def _end_unwatched(
    specs: Sequence[KpiSpec], store: KpiStore, now: datetime, policy: KpiRunPolicy
) -> tuple[tuple[str, ...], int]:
    ended, told = [], 0
    for memory in unwatched_kpis(specs, store):
        channels = policy.channels(IncidentEvent.AUTO_RESOLVED, Severity.MEDIUM)
        alerts = [unwatched_alert(memory, now, channel=channel) for channel in channels]
        if store.end_kpi(memory, alerts):
            ended.append(memory.name)
            told += len(alerts)
    return tuple(ended), told


@dataclass(slots=True)
class _Reading:
    """What came of one KPI; without a result another reading held it."""

    name: str
    result: KpiResult | None = None
    alerts: int = 0


class _Run:
    """The threads of one run."""

    def __init__(
        self,
        provider_of: Callable[[KpiSpec], Provider],
        store: KpiStore,
        clock: Clock,
        policy: KpiRunPolicy,
        stopped: Callable[[], bool],
        monotonic: Callable[[], float],
    ) -> None:
        self._provider_of = provider_of
        self._store = store
        self._clock = clock
        self._policy = policy
        self._stopped = stopped
        self._monotonic = monotonic
        self._aborted = False
        self._open: set[Provider] = set()

    def through(self, specs: Sequence[KpiSpec], first: Sequence[KpiSpec], *, again: bool) -> KpiReport:
        pool = ThreadPoolExecutor(self._policy.max_parallel, thread_name_prefix="kpi")
        asked: dict[Future[_Reading], bool] = {}
        try:
            asked = {pool.submit(self._read, spec): True for spec in first}
            readings = self._gather(pool, asked, specs if again else ())
        except BaseException:
            # Also Dagster's interrupt: waiting for the pool would hold a cancelled run for as long as the slowest.
            self._aborted = True
            pool.shutdown(wait=False, cancel_futures=True)
            for provider in tuple(self._open):
                provider.cancel()
            raise
        pool.shutdown()
        results = sorted((r.result for r in readings if r.result), key=lambda result: (result.started_at, result.name))
        held = tuple(reading.name for reading in readings if reading.result is None)
        return KpiReport(tuple(results), held if not again else (), sum(reading.alerts for reading in readings))

    def _gather(
        self, pool: ThreadPoolExecutor, asked: dict[Future[_Reading], bool], specs: Sequence[KpiSpec]
    ) -> list[_Reading]:
        """All answers; `asked` says which were there from the start: only these keep the run alive."""
        readings: list[_Reading] = []
        looked = self._monotonic()
        while asked:
            done, _ = wait(asked, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            if self._stopped():
                raise KpiRunStopped
            readings += [future.result() for future in done]
            for future in done:
                del asked[future]
            if any(asked.values()) and self._monotonic() - looked >= LOOK_SECONDS:
                looked = self._monotonic()
                self._ask_more(pool, asked, specs)
        return readings

    def _ask_more(
        self, pool: ThreadPoolExecutor, asked: dict[Future[_Reading], bool], specs: Sequence[KpiSpec]
    ) -> None:
        """Those that became due meanwhile, as far as a thread is free for them at once."""
        free = self._policy.max_parallel - len(asked)
        if free > 0:
            for spec in due_kpis(specs, self._store, self._clock())[:free]:
                asked[pool.submit(self._read, spec)] = False

    def _read(self, spec: KpiSpec) -> _Reading:
        """Take the KPI, read it, and store what came of it; the moment is that of its beginning, not of the run's."""
        memory = self._store.kpi_memories([spec.name])[spec.name]
        started_at = self._clock()
        if memory.started_at is not None:
            # A clock that was set back must not give two readings one moment.
            started_at = max(started_at, memory.started_at + _LATER)
        until = started_at + timedelta(seconds=spec.timeout_seconds) + LEASE_MARGIN
        if not self._store.lease_kpi(memory, started_at, until):
            return _Reading(spec.name)
        try:
            result = self._result(spec, started_at)
        except BaseException:
            self._store.release_kpi(spec.name, started_at)
            raise
        kept, change = advance(memory, result, self._policy.telling)
        alerts = self._alerts(spec, change, result)
        stored = self._store.record_kpi(result, kept, alerts)
        return _Reading(spec.name, result, len(alerts)) if stored else _Reading(spec.name)

    def _result(self, spec: KpiSpec, started_at: datetime) -> KpiResult:
        began = self._monotonic()
        value, normal = None, None
        if why := self._rests(spec, started_at):
            return KpiResult(spec.name, started_at, 0.0, KpiState.LEFT_ALONE, message=why)
        try:
            value = self._value(spec, began)
            history = self._store.kpi_values(spec.name, same_hours(started_at)) if _needs_history(spec) else []
            state, message, normal = judge(value, spec.limits, history)
        except StoreError:
            raise
        except Exception as error:
            if self._aborted or self._stopped():
                raise
            state, message = KpiState.ERROR, _why(error)
        duration_ms = (self._monotonic() - began) * 1000
        return KpiResult(spec.name, started_at, duration_ms, state, value, normal, message)

    def _rests(self, spec: KpiSpec, at: datetime) -> str:
        """Why an instance is not asked now; empty where it is."""
        if self._policy.breaker is None:
            return ""
        (breaker,) = breaker_states([spec.ref.instance], self._store).values()
        return left_alone(spec.ref, breaker, at).message if is_open(breaker, at, self._policy.breaker) else ""

    def _value(self, spec: KpiSpec, began: float) -> float | None:
        budget = Budget(began + spec.timeout_seconds, self._monotonic, lambda: self._aborted or self._stopped())
        provider = self._provider_of(spec)
        self._open.add(provider)
        with provider.open(spec.ref.database, budget) as reader:
            row = reader.read_figures(spec.statement, max(0.001, budget.remaining()))
        try:
            return figure_of(row, spec.column)
        except ValueError as error:
            raise ProviderError(str(error)) from None

    def _alerts(self, spec: KpiSpec, change: KpiChange | None, result: KpiResult) -> list[Alert]:
        if change is None:
            return []
        channels = self._policy.channels(change.event, kpi_severity(spec, change))
        last = self._store.kpi_results(spec.name, limit=LAST_VALUES - 1)
        return [kpi_alert(spec, change, result, last, channel=channel) for channel in channels]


def _needs_history(spec: KpiSpec) -> bool:
    return spec.limits.deviation_percent is not None


def _why(error: Exception) -> str:
    """The target is known from the KPI; what is no error of ours is told by its type alone."""
    return why_unreadable(error)[1]


def named_kpis(specs: Sequence[KpiSpec], names: Sequence[str]) -> list[KpiSpec]:
    """Those with these names, all where none is given.

    Raises:
        SettingsError: no KPI that is read has one of these names.
    """
    known = {spec.name: spec for spec in specs}
    for name in names:
        if name not in known:
            raise SettingsError(f"no KPI {name!r} is read; there are: {', '.join(list(known)[:20]) or 'none'}")
    return [known[name] for name in dict.fromkeys(names)] if names else list(specs)


def kpi_status(specs: Sequence[KpiSpec], store: KpiStore) -> list[KpiStatus]:
    """Each KPI with its memory and its newest reading."""
    names = [spec.name for spec in specs]
    memories, latest = store.kpi_memories(names), store.latest_kpi_results(names)
    return [(spec, memories[spec.name], latest.get(spec.name)) for spec in specs]
