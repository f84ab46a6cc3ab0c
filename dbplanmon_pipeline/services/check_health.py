"""The monitor's own health from its store: six facts, none of them costs a monitored server anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from dbplanmon_pipeline.core.fleet import watched
from dbplanmon_pipeline.core.health import (
    Finding,
    Health,
    Row,
    baseline_age,
    collector_cost,
    coverage,
    freshness,
)
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import FactChange, SchemaStatus
from dbplanmon_pipeline.core.ports.figures import DatabaseState, FigureStore
from dbplanmon_pipeline.core.readings.query_store_health import query_store_health
from dbplanmon_pipeline.errors import StoreError

LARGEST_COST_SHARE = 0.01
LEAST_NAMED_SHARE = 0.8
BASELINE_LIMIT = timedelta(hours=30)
"""A baseline stands for the end of a day and is replaced 26 hours later; the rest is for a slow rebuild."""


FORCE_FAILURES_COUNT_FOR = timedelta(hours=24)


class HealthStore(FigureStore, Protocol):
    """The parts of the store that health looks at."""

    def schema_status(self) -> SchemaStatus:
        """What is there; never changes anything."""
        ...

    def facts_of_all(self) -> Mapping[DatabaseRef, Mapping[str, str]]:
        """Present value of every fact of every database that has any."""
        ...

    def fact_changes_of_all(self, start: datetime, end: datetime) -> Sequence[FactChange]:
        """Facts of all databases that changed in [start, end]."""
        ...


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """What is asked of the fleet.

    Attributes:
        interval: cadence of the collection.
        expected: databases that the settings name.
        layout: form of the baselines in use.
        instances: enabled instances, true where their databases are discovered.
    """

    interval: timedelta
    expected: tuple[DatabaseRef, ...]
    layout: str
    instances: Mapping[str, bool] = field(default_factory=dict)


def check_health(store: HealthStore, *, policy: HealthPolicy, now: datetime) -> dict[str, Finding]:
    """Each fact by the name of its asset check."""
    schema = _schema(store)
    if schema.health is not Health.HEALTHY:
        unknown = Finding(Health.DEGRADED, "not known while the store is not ready")
        return {"store_schema_is_current": schema} | dict.fromkeys(
            (
                "metrics_are_recent",
                "named_statements_cover_the_load",
                "collector_cost_is_low",
                "baselines_are_recent",
                "query_store_is_healthy",
            ),
            unknown,
        )
    states = store.database_states()
    since = now - max(policy.interval * 12, timedelta(hours=1))
    lately = [state for state in states if state.logged_at is not None and state.logged_at >= since]
    shares = store.named_shares(now - timedelta(hours=1))
    baseline, judged = store.newest_baseline(now, policy.layout) or (None, 0)
    return {
        "store_schema_is_current": schema,
        "metrics_are_recent": _freshness(states, policy, now),
        "named_statements_cover_the_load": coverage(lately, shares, LEAST_NAMED_SHARE),
        "collector_cost_is_low": collector_cost(lately, policy.interval, LARGEST_COST_SHARE),
        "baselines_are_recent": baseline_age(baseline, judged, now, BASELINE_LIMIT),
        "query_store_is_healthy": _query_store(store, now),
    }


def _freshness(states: Sequence[DatabaseState], policy: HealthPolicy, now: datetime) -> Finding:
    fleet = watched(states, policy.expected, policy.instances, policy.interval)
    if not fleet and any(policy.instances.values()):
        return Finding(Health.UNHEALTHY, "no database was read yet: run `dbplanmon collect`, or start the daemon")
    return freshness({state.ref: state.last_success_at for state in fleet}, now, policy.interval)


def _query_store(store: HealthStore, now: datetime) -> Finding:
    """Worth a look at most: it is trouble of single databases, which are read another way meanwhile."""
    changes = store.fact_changes_of_all(now - FORCE_FAILURES_COUNT_FOR, now)
    finding = query_store_health(store.facts_of_all(), changes)
    return replace(finding, health=Health.DEGRADED) if finding.health is Health.UNHEALTHY else finding


def _schema(store: HealthStore) -> Finding:
    try:
        return schema_finding(store.schema_status())
    except StoreError as error:
        return Finding(Health.UNHEALTHY, f"the store cannot be read: {' '.join(str(error).split())}")


def schema_finding(status: SchemaStatus) -> Finding:
    """Healthy when the store has the schema this program expects."""
    if status.is_current:
        return Finding(Health.HEALTHY, f"schema {status.revision}")
    if status.missing_tables:
        rows: tuple[Row, ...] = tuple({"table": name} for name in status.missing_tables)
        return Finding(Health.UNHEALTHY, "tables are missing: run `dbplanmon store upgrade`", rows)
    return Finding(
        Health.UNHEALTHY,
        f"schema {status.revision or 'none'}, expected {status.expected}: run `dbplanmon store upgrade`",
    )
