"""Counters and gauges in the form of Prometheus."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from importlib.metadata import version

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from dbplanmon_pipeline.core.breaker import BreakerPolicy, is_open
from dbplanmon_pipeline.core.kpis.health import KpiStatus
from dbplanmon_pipeline.core.kpis.rules import KpiState
from dbplanmon_pipeline.core.model import CollectionStatus, Severity
from dbplanmon_pipeline.core.ports.collection import JobState
from dbplanmon_pipeline.core.ports.figures import DatabaseState
from dbplanmon_pipeline.web.metrics import names
from dbplanmon_pipeline.web.metrics.counters import Counters, Durations
from dbplanmon_pipeline.web.metrics.figures import Snapshot
from dbplanmon_pipeline.web.metrics.labels import NAMED, OTHER
from dbplanmon_pipeline.web.metrics.names import Metric

Values = Iterable[tuple[tuple[str, ...], float]]

KPIS = 200
"""So many KPIs are shown one by one, those in trouble first."""

_DISTRIBUTION = "dbplanmon-pipeline"
_SEVERITIES = [severity.value for severity in Severity]
_BREAKERS = {"breaker": "instance", "channel": "channel"}
_NO_DURATIONS = Durations()


def counter_families(counters: Counters) -> Iterator[Family]:
    """What counted since the process began."""
    instances = sorted(counters.instances.names)
    yield duration_family(names.DURATION, {name: counters.durations.get(name, _NO_DURATIONS) for name in instances})
    yield _counter(names.SAMPLES, (((name,), counters.rows[name]) for name in instances))
    read = {(name, status.value) for name in instances for status in (CollectionStatus.OK, CollectionStatus.FAILED)}
    yield _counter(names.READINGS, ((key, counters.readings[key]) for key in sorted(read | set(counters.readings))))
    yield _counter(names.CONNECTIONS, (((name,), counters.connections[name]) for name in instances))
    found = {(name, severity) for name in instances for severity in _SEVERITIES} | set(counters.incidents)
    yield _counter(names.REGRESSIONS, ((key, counters.incidents[key]) for key in sorted(found)))
    sent = sorted(counters.deliveries.items())
    yield _counter(names.ALERTS, (((channel,), count) for (channel, took), count in sent if took))
    yield _counter(names.ALERTS_FAILED, (((channel,), count) for (channel, took), count in sent if not took))
    yield _counter(names.REMEDIATIONS, [((), 0)])
    yield _counter(names.KPI_READINGS, (((state.value,), counters.kpis[state.value]) for state in KpiState))


def gauge_families(snapshot: Snapshot, age_seconds: float, breaker: BreakerPolicy) -> Iterator[Family]:
    """How things stand."""
    yield _gauge(names.BUILD, [((version(_DISTRIBUTION),), 1)])
    yield _gauge(names.STORE_UP, [((), float(snapshot.up))])
    yield _gauge(names.AGE, [((), age_seconds)])
    store = snapshot.store
    if store is None:
        return
    yield from _collection(snapshot)
    yield from _kpis(snapshot.kpis)
    yield _gauge(names.STORE_SIZE, [((), store.store_bytes)])
    yield _gauge(names.ARCHIVE_SIZE, [((), store.archive_bytes)])
    yield _gauge(names.INCIDENTS, (((name,), store.open_incidents.get(name, 0)) for name in _SEVERITIES))
    yield _gauge(names.ALERTS_UNSENT, sorted(store.alerts.items()))
    overdue = ((channel, snapshot.at - since) for channel, since in sorted(store.overdue_since.items()))
    yield _gauge(names.ALERTS_OVERDUE, (((channel,), max(wait.total_seconds(), 0)) for channel, wait in overdue))
    yield from _jobs(store.jobs, snapshot.at, breaker)


def _collection(snapshot: Snapshot) -> Iterator[Family]:
    states = snapshot.databases
    ended = Counter(state.status.value if state.status else "never_read" for state in states)
    known = [*(status.value for status in CollectionStatus if status is not CollectionStatus.SPOOLED), "never_read"]
    yield _gauge(names.DATABASES, (((status,), ended[status]) for status in known))
    ages = [(state, _age(state.last_success_at, snapshot.at)) for state in states]
    busiest = {(ref.instance, ref.database): None for ref in snapshot.busiest}
    own = {*busiest, *[key for state in states if (key := _key(state)) not in busiest][: NAMED - len(busiest)]}
    yield _gauge(names.LAST_SUCCESS, _named(ages, own, max))
    yield _gauge(names.LAG, _named([(state, state.lag_seconds) for state in states], own, max))
    costs = [(state, None if state.cost_ms is None else state.cost_ms / 1000) for state in states]
    yield _gauge(names.COST, _named(costs, own, sum))


def _named(
    values: Iterable[tuple[DatabaseState, float | None]],
    own: set[tuple[str, str]],
    together: Callable[[Iterable[float]], float],
) -> Values:
    """A series for each database with labels of its own, and one for all others; unknown values are left out."""
    others = []
    for state, value in values:
        if value is None:
            continue
        if _key(state) in own:
            yield _key(state), value
        else:
            others.append(value)
    if others:
        yield (OTHER, OTHER), together(others)


def _jobs(jobs: Iterable[JobState], now: datetime, policy: BreakerPolicy) -> Iterator[Family]:
    own = [job for job in jobs if job.name.partition(":")[0] not in _BREAKERS][:NAMED]
    yield _gauge(names.JOB_FAILURES, (((job.name,), job.consecutive_failures) for job in own))
    ages = ((job.name, _age(job.last_success_at, now)) for job in own)
    yield _gauge(names.JOB_SUCCESS, (((name,), age) for name, age in ages if age is not None))
    yield _gauge(names.BREAKER, _breakers(jobs, now, policy))


def _breakers(jobs: Iterable[JobState], now: datetime, policy: BreakerPolicy) -> Values:
    """The open ones first: they keep their names where there are too many."""
    found = [(kind, name, is_open(job, now, policy)) for job in jobs for kind, name in [_breaker(job.name)] if kind]
    found.sort(key=lambda one: (not one[2], one[0], one[1]))
    for kind, name, opened in found[:NAMED]:
        yield (kind, name), float(opened)
    more: Counter[str] = Counter()
    for kind, _, opened in found[NAMED:]:
        more[kind] += int(opened)
    yield from (((kind, OTHER), float(count)) for kind, count in sorted(more.items()))


def _breaker(job: str) -> tuple[str, str]:
    prefix, _, name = job.partition(":")
    return _BREAKERS.get(prefix, ""), name


def _kpis(status: Iterable[KpiStatus]) -> Iterator[Family]:
    read = [(spec.name, result) for spec, _, result in status if result is not None]
    read.sort(key=lambda one: (one[1].state is KpiState.OK, one[0]))
    shown = sorted((name, result) for name, result in read[:KPIS])
    states = (((name, state.value), float(result.state is state)) for name, result in shown for state in KpiState)
    yield _gauge(names.KPI_STATE, states)
    yield _gauge(names.KPI_VALUE, (((name,), result.value) for name, result in shown if result.value is not None))


def _key(state: DatabaseState) -> tuple[str, str]:
    return state.ref.instance, state.ref.database


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max((now - moment).total_seconds(), 0.0)


def duration_family(metric: Metric, durations: Mapping[str, Durations]) -> Family:
    """A histogram with one label."""
    family = HistogramMetricFamily(metric.full_name, metric.meaning, labels=metric.labels)
    for label, found in durations.items():
        family.add_metric([label], found.cumulative(), found.total_seconds)
    return family


def _counter(metric: Metric, values: Values) -> Family:
    family = CounterMetricFamily(metric.full_name, metric.meaning, labels=metric.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def _gauge(metric: Metric, values: Values) -> Family:
    family = GaugeMetricFamily(metric.full_name, metric.meaning, labels=metric.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family
