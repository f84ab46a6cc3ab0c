"""History of a simulated fleet with a Query Store: with what was read live it is the truth, however often imported."""

from datetime import datetime, timedelta

import pytest

from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import ImportStatus
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.history_days import days_before
from dbplanmon_pipeline.errors import FeatureUnavailable, PermissionMissing, QueryTimedOut
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.services.collect import CollectionStopped, CollectionTarget
from dbplanmon_pipeline.services.import_history import import_history
from dbplanmon_pipeline.services.read_database import CaptureLimits
from dbplanmon_pipeline_tests.services.fleets import EVERYTHING, START, STEP, AlteredProvider, Fleet, Wrapped, recorded

DAYS = days_before(START.date(), 4)
FIRST = datetime.fromisoformat(f"{DAYS[0]}T00:00:00+00:00")
ONE = DatabaseRef("fleet", "sim0001")


def query_store(clock, databases=1, *, provider=SimulatedProvider, **options):
    hourly = {"source": "query_store", "interval_minutes": 60, "statements": 8}
    return provider("fleet", databases, clock=clock, **{**hourly, **options})


def targets_of(fleet, limits=EVERYTHING, engine=Engine.SIMULATED):
    return [CollectionTarget(ref, engine, limits, 10.0) for ref in fleet.refs]


def run(fleet, targets=None, days=DAYS, **options):
    chosen = targets_of(fleet) if targets is None else targets
    return import_history(chosen, fleet.providers, fleet.store, days=days, clock=fleet.clock, **options)


@pytest.fixture
def watched(store, clock):
    """Read live for half an hour."""
    fleet = Fleet(store, clock, query_store(clock, 2))
    fleet.collect()
    fleet.tick(6)
    return fleet


def failing_once(day, error):
    """A reader whose history of one day cannot be read."""

    def alter(_database, reader):
        def read_history(start, end):
            if start.date() < day <= end.date():
                raise error
            return reader.read_history(start, end)

        return Wrapped(reader, read_history=read_history)

    return alter


def test_imported_and_live_work_together_are_the_truth(watched):
    report = run(watched)
    assert [o.status for o in report.outcomes] == [ImportStatus.IMPORTED] * 8
    assert report.rows == sum(o.rows for o in report.outcomes) > 500
    watched.assert_recorded_is_true(FIRST - timedelta(microseconds=1), watched.clock())
    watched.tick(20)
    watched.assert_recorded_is_true(FIRST - timedelta(microseconds=1), watched.clock())


def test_days_in_any_order_and_again_are_the_same(watched):
    run(watched, days=DAYS[1:3])
    run(watched)
    once = recorded(watched.store, ONE)
    watched.clock.advance(STEP)
    run(watched, days=list(reversed(DAYS)))
    assert recorded(watched.store, ONE) == once
    watched.assert_recorded_is_true(FIRST - timedelta(microseconds=1), watched.clock() - STEP)


def test_live_from_the_plan_cache_first_leaves_the_running_interval_out(store, clock):
    clock.moment = START + timedelta(minutes=20)
    cached = Fleet(store, clock, query_store(clock, source="plan_cache"))
    cached.collect()
    fleet = Fleet(store, clock, query_store(clock))
    clock.advance(timedelta(hours=2))
    run(fleet)
    fleet.assert_recorded_is_true(FIRST - timedelta(microseconds=1), START - timedelta(microseconds=1))


def test_texts_and_plans_of_old_statements_are_read_once(store, clock):
    asked = []

    def alter(_database, reader):
        def read_plans(keys):
            asked.extend(key.plan_hash for key in keys)
            return reader.read_plans(keys)

        return Wrapped(reader, read_plans=read_plans)

    fleet = Fleet(store, clock, query_store(clock, provider=AlteredProvider, alter=alter))
    fleet.collect()
    live = len(asked)
    run(fleet)
    run(fleet)
    assert live > 0
    assert len(asked) == len(set(asked))
    state = store.capture_states([ONE])[ONE]
    assert set(asked) == set(state.plans)
    assert all(statement.has_text for query, statement in state.statements.items() if query != OTHER_STATEMENTS)


def test_rest_is_summed_as_it_is_live(watched):
    few = CaptureLimits(top_n=1, min_executions=2)
    run(watched, targets_of(watched, few))
    found = recorded(watched.store, ONE)
    assert any(query == OTHER_STATEMENTS for query, _plan in found)
    truth = watched.providers["fleet"].truth("sim0001", FIRST - timedelta(microseconds=1), watched.clock())
    assert sum(work.executions for work in found.values()) == sum(work.executions for work in truth.values())


def test_database_that_was_never_read_is_left_out_and_told(store, clock):
    report = run(Fleet(store, clock, query_store(clock)))
    assert [(o.status, o.day) for o in report.outcomes] == [(ImportStatus.SKIPPED, None)]
    assert "collected first" in report.outcomes[0].message
    assert store.history_attempts() == {}


def test_engine_without_history_is_not_asked(watched):
    report = run(watched, targets_of(watched, engine=Engine.POSTGRES))
    assert {o.message for o in report.outcomes} == {"postgres keeps no history"}


def test_days_that_are_recorded_live_need_no_import(watched):
    (outcome, _) = run(watched, days=[START.date() + timedelta(days=1)]).outcomes
    assert outcome.status is ImportStatus.SKIPPED
    assert "recorded live since 2026-11-02" in outcome.message


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FeatureUnavailable("Query Store is off", target="t"), ImportStatus.UNAVAILABLE),
        (PermissionMissing("no right", target="t"), ImportStatus.FAILED),
        (QueryTimedOut("too slow", target="t"), ImportStatus.FAILED),
        (ZeroDivisionError("pass word"), ImportStatus.FAILED),
    ],
    ids=["unavailable", "permission", "timeout", "defect"],
)
def test_day_that_cannot_be_read_ends_its_database_and_no_other(store, clock, error, status):
    def alter(database, reader):
        return reader if database == "sim0002" else failing_once(DAYS[1], error)(database, reader)

    fleet = Fleet(store, clock, query_store(clock, 2, provider=AlteredProvider, alter=alter))
    fleet.collect()
    report = run(fleet)
    first = [o for o in report.outcomes if o.ref == ONE]
    assert [o.status for o in first] == [ImportStatus.IMPORTED] * 2 + [status]
    assert first[-1].message.endswith("; 1 earlier days were not tried")
    assert "pass word" not in first[-1].message
    assert sum(o.status is ImportStatus.IMPORTED for o in report.outcomes if o.ref != ONE) == 4
    assert set(store.history_attempts()) == set(fleet.refs)


def test_figures_are_kept_where_plans_cannot_be_read(store, clock):
    def refuse(_keys):
        raise PermissionMissing("no right to see plans", target="t")

    provider = query_store(clock, provider=AlteredProvider, alter=lambda _, reader: Wrapped(reader, read_plans=refuse))
    fleet = Fleet(store, clock, provider)
    fleet.collect()
    report = run(fleet)
    assert report.failed == ()
    assert "no right to see plans" in report.outcomes[0].message
    assert report.rows > 0


def test_day_sealed_since_is_told_and_stays(watched):
    run(watched)
    watched.clock.advance(timedelta(days=3))
    watched.store.seal_day(DAYS[1])
    before = recorded(watched.store, ONE)
    report = run(watched, days=[DAYS[1]])
    assert {o.status for o in report.outcomes} == {ImportStatus.SEALED}
    assert recorded(watched.store, ONE) == before


def test_stop_ends_it_and_whole_days_stay(watched):
    asked = iter([False] * 8)
    with pytest.raises(CollectionStopped):
        run(watched, stopped=lambda: next(asked, True), max_workers=1)
    assert run(watched).failed == ()
    watched.assert_recorded_is_true(FIRST - timedelta(microseconds=1), watched.clock())
