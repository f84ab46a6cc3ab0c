"""An index is dropped, a plan does without it: what is read over the wire names the index and how to get it back."""

from contextlib import contextmanager

import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.stored import tree_of
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider
from dbplanmon_pipeline.providers.simulated.indexes import SCHEMA, indexes_of
from dbplanmon_pipeline.providers.simulated.plans import captured_plan
from dbplanmon_pipeline.providers.simulated.statements import subject
from dbplanmon_pipeline.providers.sqlserver.connection import ConnectionSettings, Encrypt
from dbplanmon_pipeline.providers.sqlserver.drivers import DriverKind
from dbplanmon_pipeline.providers.sqlserver.provider import SqlServerProvider
from dbplanmon_pipeline.services.analyse import analyse
from dbplanmon_pipeline.services.collect import CollectionPolicy, CollectionTarget, collect
from dbplanmon_pipeline.services.explain import explain_incident
from dbplanmon_pipeline.services.rebuild_baselines import rebuild_baselines
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.fleets import BREAKER, EVERYTHING, START, STEP
from dbplanmon_pipeline_tests.services.stories import DETECTOR, INSTANCE, REF, STATEMENTS, policy
from dbplanmon_pipeline_tests.support.simulated_sqlserver import SimulatedSqlServer
from dbplanmon_pipeline_tests.support.tds import TdsServer
from dbplanmon_pipeline_tests.support.tds.drivers import driver_path, odbc

CALM, BROKEN = 26, 6
"""Ticks before the index is dropped, and after."""

DROPPED_AT = START + STEP * CALM


def used_index(statement):
    """The index the normal plan of a statement goes through."""
    own = {index.name: index for index in indexes_of(subject(statement)) if not index.is_primary_key}
    used = [one.index for one in tree_of(captured_plan(statement, 0, 0)).operators() if one.index in own]
    return own[used[0]] if used else None


def victim(simulated):
    """A costly statement that runs often, and its index."""
    costly = [one for one in simulated.profiles(REF.database) if one.executions_per_hour > 300]
    served = [one for one in costly if used_index(one.statement)]
    profile = max(served, key=lambda one: one.executions_per_hour * min(one.elapsed_us, 50_000))
    return profile, used_index(profile.statement)


def fleet(clock, *faults):
    return SimulatedProvider(INSTANCE, 1, clock=clock, statements=STATEMENTS, seed=7, faults=faults)


@contextmanager
def watching(simulated, clock, dropped):
    odbc()
    pretended = SimulatedSqlServer(simulated, clock, dropped=dropped)
    with TdsServer(pretended.handler, auth=pretended.auth) as server:
        settings = ConnectionSettings(
            "127.0.0.1",
            server.port,
            user="mon",
            password=lambda: "s3cret-Of-The-Monitor",
            encrypt=Encrypt.OPTIONAL,
            driver=str(driver_path(DriverKind.MICROSOFT.value)),
        )
        provider = SqlServerProvider(instance=INSTANCE, connection=settings, clock=clock)
        try:
            yield provider
        finally:
            provider.close()


@pytest.fixture
def clock():
    return FixedClock(START)


@pytest.fixture
def store(tmp_path, clock):
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock=clock)
    store.upgrade()
    yield store
    store.close()


def test_an_incident_names_the_dropped_index_and_how_to_recreate_it(store, clock):
    profile, index = victim(fleet(clock))
    fault = SimulatedFault("drop", REF.database, profile.statement, FaultKind.PLAN_REGRESSION, DROPPED_AT, factor=8.0)
    target = CollectionTarget(REF, Engine.SQLSERVER, EVERYTHING, 20.0)
    with watching(fleet(clock, fault), clock, {index.name: DROPPED_AT}) as provider:

        def tick(times):
            for _ in range(times):
                clock.advance(STEP)
                (outcome,) = collect(
                    [target], {INSTANCE: provider}, store, clock=clock, policy=CollectionPolicy(1, STEP, BREAKER)
                ).outcomes
                assert not outcome.error_class, outcome

        tick(CALM)
        rebuild_baselines(store, DETECTOR, as_of=clock(), days=7)
        analyse(store, DETECTOR, policy=policy(), as_of=None)
        tick(BROKEN)
    (incident,) = analyse(store, DETECTOR, policy=policy(), as_of=None).open_incidents
    assert (incident.query_hash, incident.previous_plan_hash) == (profile.query_hash, profile.plan_hash)

    name = f"{index.name} on {SCHEMA}.{index.table}"
    found = explain_incident(store, incident, Engine.SQLSERVER)
    assert [line for line in found.context_lines if "index" in line] == [f"index {name} is gone: {index.definition}"]
    assert f"index {name}" in found.causes
    altered = f"alteration of {SCHEMA}.{index.table}"
    assert altered in {change.name for change in store.fact_changes(REF, DROPPED_AT, DROPPED_AT + STEP)}
    first = found.ranked[0]
    assert (first.candidate.about, first.candidate.table) == (index.name, f"{SCHEMA}.{index.table}")
    assert (first.word, first.candidate.at) == ("likely", DROPPED_AT)
    assert first.evidence[-1] == "the former plan went through it"
    recreate = next(one for one in store.suggestions([incident.incident_id]) if one.kind == "recreate_index")
    assert recreate.script == f"USE [{REF.database}];\n{index.definition};"
    assert "force_plan" not in {one.kind for one in found.suggestions}
    assert f"index {name} is gone" in store.alerts(START)[0].body
    assert f"likely: index {index.name} of {SCHEMA}.{index.table} is gone" in store.alerts(START)[0].body
