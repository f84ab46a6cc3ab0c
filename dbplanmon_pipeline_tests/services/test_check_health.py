"""The monitor's own health, judged from a store that a simulated fleet filled."""

from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.health import Health
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import SchemaStatus
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.errors import StoreUnavailable
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.services.check_health import HealthPolicy, check_health, schema_finding
from dbplanmon_pipeline.services.read_database import CaptureLimits
from dbplanmon_pipeline.services.rebuild_baselines import rebuild_baselines
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline_tests.services.fleets import EVERYTHING, STEP, AlteredProvider, Fleet, Wrapped

NAMES = {
    "store_schema_is_current",
    "metrics_are_recent",
    "named_statements_cover_the_load",
    "collector_cost_is_low",
    "baselines_are_recent",
    "query_store_is_healthy",
}
DETECTOR = StatisticalDetector(DetectorPolicy(step=STEP, min_intervals=2))


def simulated(clock, **options):
    return SimulatedProvider("fleet", 3, clock=clock, **{"statements": 20, "source": "query_store", **options})


def health(fleet, now=None, expected=None, instances=None):
    refs = fleet.refs if expected is None else expected
    policy = HealthPolicy(STEP, tuple(refs), DETECTOR.layout, instances or {})
    return check_health(fleet.store, policy=policy, now=now or fleet.clock())


@pytest.fixture
def well(store, clock):
    """Read three times, normal known."""
    fleet = Fleet(store, clock, simulated(clock))
    fleet.collect()
    fleet.tick(3)
    rebuild_baselines(store, DETECTOR, as_of=clock(), days=7)
    return fleet


def test_all_is_well(well):
    found = health(well)
    assert found.keys() == NAMES
    assert {finding.health for finding in found.values()} == {Health.HEALTHY}


def test_silent_database_is_amber_and_named(well, store):
    silent = DatabaseRef("fleet", "gone")
    finding = health(well, expected=[*well.refs, silent])["metrics_are_recent"]
    assert finding.health is Health.DEGRADED
    assert finding.rows == ({"database": "fleet/gone", "last_read": "never", "age_minutes": None},)


def test_discovered_database_that_was_never_read_is_amber_and_named(store, clock):
    fleet = Fleet(store, clock, simulated(clock, failing=1))
    fleet.collect()
    finding = health(fleet, expected=(), instances={"fleet": True})["metrics_are_recent"]
    assert finding.health is Health.DEGRADED
    assert [row["last_read"] for row in finding.rows] == ["never"]


def test_fleet_that_is_only_discovered_and_never_was_is_red(store, clock):
    fleet = Fleet(store, clock, simulated(clock))
    finding = health(fleet, expected=(), instances={"fleet": True})["metrics_are_recent"]
    assert finding.health is Health.UNHEALTHY
    assert "dbplanmon collect" in finding.summary


def test_metrics_grow_stale_after_three_intervals(well):
    assert health(well, well.clock() + STEP * 3)["metrics_are_recent"].health is Health.HEALTHY
    finding = health(well, well.clock() + STEP * 3 + timedelta(seconds=1))["metrics_are_recent"]
    assert finding.health is Health.UNHEALTHY
    assert len(finding.rows) == 3


def test_a_discovered_database_counts_as_long_as_its_instance_and_one_nobody_expects_never(well):
    hour = well.clock() + timedelta(hours=1)
    beyond = hour + timedelta(seconds=1)
    for silent in (hour, beyond, hour + timedelta(days=3)):
        found = health(well, silent, expected=[], instances={"fleet": True})["metrics_are_recent"]
        assert found.health is Health.UNHEALTHY
        assert found.summary.startswith("3 of 3 databases not read")
    assert health(well, hour, expected=[])["metrics_are_recent"].summary.startswith("0 databases read")
    finding = health(well, beyond, expected=well.refs[:1])["metrics_are_recent"]
    assert [row["database"] for row in finding.rows] == [str(well.refs[0])]
    assert health(well, hour)["named_statements_cover_the_load"].summary.startswith("3 databases read")
    assert health(well, beyond)["named_statements_cover_the_load"].summary.startswith("0 databases read")


def test_hidden_load_is_told(store, clock):
    fleet = Fleet(store, clock, simulated(clock), limits=CaptureLimits(top_n=1, min_executions=2))
    fleet.collect()
    fleet.tick(2)
    finding = health(fleet)["named_statements_cover_the_load"]
    assert finding.health is Health.DEGRADED
    assert finding.rows[0]["named_share"] < 0.8


def test_dear_reading_is_told(store, clock):
    provider = AlteredProvider("fleet", 1, clock=clock, alter=lambda _, reader: Wrapped(reader, cost_ms=3_001.0))
    fleet = Fleet(store, clock, provider, limits=EVERYTHING)
    fleet.collect()
    finding = health(fleet)["collector_cost_is_low"]
    assert finding.health is Health.DEGRADED
    assert finding.rows == ({"database": "fleet/sim0001", "cost_ms": 3001.0, "allowed_ms": 3000.0},)


def test_baselines_grow_old_when_a_rebuild_is_missed(well):
    assert health(well, well.clock() + timedelta(hours=30))["baselines_are_recent"].health is Health.HEALTHY
    assert health(well, well.clock() + timedelta(hours=31))["baselines_are_recent"].health is Health.DEGRADED


def test_without_baselines_it_says_what_to_do(store, clock):
    finding = health(Fleet(store, clock, simulated(clock)))["baselines_are_recent"]
    assert finding.health is Health.DEGRADED
    assert "materialise `baselines`" in finding.summary


def told(*facts):
    """Each reading of the one database tells these facts."""
    waiting = iter(facts)
    return lambda _, reader: Wrapped(reader, read_facts=lambda: next(waiting))


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"query store state": "OFF"}, "off"),
        ({"query store state": "ERROR"}, "error"),
        ({"query store state": "READ_ONLY (size limit)"}, "read_only"),
        ({"query store state": "READ_WRITE", "query store size": "90 % of 1000 MB"}, "nearly_full"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_query_store_in_trouble_is_amber_and_named(store, clock, facts, problem):
    fleet = Fleet(store, clock, AlteredProvider("fleet", 1, clock=clock, alter=told(facts)))
    fleet.collect()
    finding = health(fleet)["query_store_is_healthy"]
    assert finding.health is Health.DEGRADED
    assert [(row["database"], row["problem"]) for row in finding.rows] == [("fleet/sim0001", problem)]


def test_plan_that_could_not_be_forced_is_told_for_a_day(store, clock):
    forced = "forced plan 00000000000000aa 00000000000000bb"
    writes = {"query store state": "READ_WRITE"}
    values = ("forced", "forced, 3 failures: NO_INDEX")
    readings = [writes | {forced: value} for value in values]
    fleet = Fleet(store, clock, AlteredProvider("fleet", 1, clock=clock, alter=told(*readings)))
    fleet.collect()
    assert health(fleet)["query_store_is_healthy"].health is Health.HEALTHY
    fleet.tick()
    finding = health(fleet)["query_store_is_healthy"]
    assert finding.health is Health.DEGRADED
    assert "failed 3 times more: NO_INDEX" in finding.rows[0]["what"]
    later = health(fleet, fleet.clock() + timedelta(hours=24, seconds=1))["query_store_is_healthy"]
    assert later.health is Health.HEALTHY


def test_empty_fleet_is_well(store, clock):
    found = health(Fleet(store, clock))
    assert {name for name, finding in found.items() if finding.health is not Health.HEALTHY} == {"baselines_are_recent"}


def test_missing_tables_are_told_and_nothing_is_made(tmp_path, clock):
    fleet = Fleet(open_store(f"sqlite:///{tmp_path}/none/store.db"), clock)
    found = health(fleet)
    assert found.keys() == NAMES
    assert found["store_schema_is_current"].health is Health.UNHEALTHY
    assert "dbplanmon store upgrade" in found["store_schema_is_current"].summary
    assert list(tmp_path.iterdir()) == []


def test_another_schema_is_told_from_missing_tables():
    older = schema_finding(SchemaStatus("", "0003", "0004"))
    none = schema_finding(SchemaStatus("", "", "0004"))
    broken = schema_finding(SchemaStatus("", "0004", "0004", ("query",)))
    assert {finding.health for finding in (older, none, broken)} == {Health.UNHEALTHY}
    assert older.summary == "schema 0003, expected 0004: run `dbplanmon store upgrade`"
    assert none.summary.startswith("schema none, expected 0004")
    assert broken.rows == ({"table": "query"},)


def test_store_out_of_reach_is_a_finding_and_no_failure(store, clock):
    def refuse():
        raise StoreUnavailable("the store at postgresql://dba:***@nowhere/store cannot be reached")

    fleet = Fleet(store, clock)
    fleet.store = Wrapped(store, schema_status=refuse)
    found = health(fleet)
    assert found.keys() == NAMES
    assert found["store_schema_is_current"].health is Health.UNHEALTHY
    assert "cannot be reached" in found["store_schema_is_current"].summary
