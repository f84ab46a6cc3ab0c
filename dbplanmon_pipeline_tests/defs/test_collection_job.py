"""The collection job: what it shows, what makes it fail, and how little it writes."""

from datetime import timedelta

import dagster as dg
import pytest

from dbplanmon_pipeline_tests.defs.locations import (
    INLINE,
    checks_of,
    metadata_of,
    simulated_fleet,
    texts_of,
    why_it_failed,
)
from dbplanmon_pipeline_tests.services.fleets import START, STEP

MOST_EVENTS = 25


def test_it_materialises_both_assets_with_what_it_read(location):
    assert location.collect().success
    result = location.collect()
    found = metadata_of(result)
    assert found.keys() == {"plan_snapshots", "query_metrics"}
    assert found["plan_snapshots"]["new_plans"] == found["plan_snapshots"]["new_statements"] > 20
    metrics = found["query_metrics"]
    assert metrics["dagster/row_count"] > 20
    assert (metrics["databases"], metrics["failed"], metrics["skipped"]) == (3, 0, 0)
    assert metrics["tick"] == (START + STEP * 2).timestamp()
    assert metrics["not_read"] == "every target was read"
    assert "fleet/sim0001" in metrics["slowest"]


def test_rows_are_in_the_store_before_the_run_ends(location):
    location.collect()
    location.collect()
    with location.monitor.session() as session:
        assert session.store.latest_interval_end() == START + STEP * 2


@pytest.mark.parametrize("databases", [1, 500])
def test_events_of_a_run_do_not_grow_with_the_fleet(make_location, databases):
    location = make_location(instances=[simulated_fleet(databases)])
    first, second = location.collect(), location.collect()
    assert first.success
    assert second.success
    assert metadata_of(second)["query_metrics"]["databases"] == databases
    assert location.events(second) <= MOST_EVENTS
    analysis = location.run("analysis_job")
    assert analysis.success
    assert location.events(analysis) <= MOST_EVENTS


@pytest.mark.parametrize("failing", [0, 40, 500])
def test_metadata_stays_short_whatever_happens(make_location, failing):
    location = make_location(instances=[simulated_fleet(500, failing=failing)])
    result = location.collect()
    for asset, metadata in metadata_of(result).items():
        for name, text in texts_of(metadata).items():
            assert len(text) <= INLINE, (asset, name)
    for evaluation in checks_of(result).values():
        assert len(evaluation.metadata["targets"].value) <= INLINE
        assert len(evaluation.description) <= INLINE


class TestReachability:
    @pytest.mark.parametrize(
        ("failing", "passed", "severity"),
        [
            (0, True, dg.AssetCheckSeverity.WARN),
            (1, False, dg.AssetCheckSeverity.WARN),
            (3, False, dg.AssetCheckSeverity.ERROR),
            (4, False, dg.AssetCheckSeverity.ERROR),
        ],
        ids=["green", "amber", "red", "all dead"],
    )
    def test_colour_follows_the_share_of_silent_targets(self, make_location, failing, passed, severity):
        location = make_location(instances=[simulated_fleet(4, failing=failing)])
        evaluation = checks_of(location.collect())["targets_are_reachable"]
        assert (evaluation.passed, evaluation.severity) == (passed, severity)

    def test_table_names_the_dead_target_and_why(self, make_location):
        location = make_location(instances=[simulated_fleet(4, failing=1)])
        result = location.collect()
        assert result.success
        with location.monitor.session() as session:
            (dead,) = session.providers["fleet"].failing_databases
        evaluation = checks_of(result)["targets_are_reachable"]
        table = evaluation.metadata["targets"].value.splitlines()
        assert table[0] == "| database | state | why | message |"
        assert table[2].startswith(f"| fleet/{dead} | failed | unreachable | the simulated server refuses connections")
        assert evaluation.description == f"1 of 4 targets did not answer: fleet/{dead}"

    def test_dead_instance_is_amber_even_once_its_breaker_rests(self, make_location):
        dead = {**simulated_fleet(2, failing=2), "name": "dead"}
        location = make_location(instances=[simulated_fleet(4), dead])
        for _ in range(5):
            location.collect()
        evaluation = checks_of(location.collect(by=timedelta(minutes=1)))["targets_are_reachable"]
        assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert "| dead/sim0001 | skipped | breaker |" in evaluation.metadata["targets"].value


class TestFailure:
    def test_run_fails_when_all_targets_do_and_still_shows_them(self, make_location):
        location = make_location(instances=[simulated_fleet(2, failing=2)])
        result = location.collect()
        assert not result.success
        assert "2 of 2 targets could not be read" in why_it_failed(result)
        assert metadata_of(result)["query_metrics"]["failed"] == 2
        assert "targets_are_reachable" in checks_of(result)
        with location.monitor.session() as session:
            assert session.store.job_states(["collection"])["collection"].consecutive_failures == 1

    def test_threshold_of_the_settings_decides(self, make_location):
        sections = {"collection": {"failure_threshold": 0.5, "startup_delay": "0s"}}
        assert not make_location(instances=[simulated_fleet(4, failing=2)], **sections).collect().success
        assert make_location(instances=[simulated_fleet(4, failing=1)], **sections).collect().success

    def test_empty_fleet_is_no_failure(self, make_location):
        result = make_location(instances=[]).collect()
        assert result.success
        assert checks_of(result)["targets_are_reachable"].passed


class TestSelection:
    def test_config_reads_only_what_it_names(self, location):
        result = location.collect("fleet/sim0002")
        assert metadata_of(result)["query_metrics"]["databases"] == 1
        with location.monitor.session() as session:
            assert {str(o.ref) for o in session.store.collection_log(START)} == {"fleet/sim0002"}

    def test_config_may_name_a_whole_instance(self, location):
        assert metadata_of(location.collect("fleet"))["query_metrics"]["databases"] == 3

    @pytest.mark.parametrize(
        ("wanted", "complaint"),
        [
            ("prod", "no instance 'prod' in the settings; there are: fleet"),
            ("fleet/Sales", "no database 'Sales' on fleet; there are: sim0001, sim0002, sim0003"),
        ],
    )
    def test_unknown_name_is_one_clear_error(self, location, wanted, complaint):
        result = location.collect("fleet/sim0001", wanted)
        assert not result.success
        assert why_it_failed(result).endswith(complaint)
        with location.monitor.session() as session:
            assert session.store.collection_log(START) == []
            assert session.store.job_states(["collection"])["collection"].consecutive_failures == 0

    def test_dead_database_asked_for_by_name_fails_the_run_but_starts_no_back_off(self, make_location):
        location = make_location(instances=[simulated_fleet(3, failing=1)])
        with location.monitor.session() as session:
            (dead,) = session.providers["fleet"].failing_databases
        assert not location.collect(f"fleet/{dead}").success
        with location.monitor.session() as session:
            states = session.store.job_states(["collection", "breaker:fleet"])
        assert {state.consecutive_failures for state in states.values()} == {0}


class TestSnapshotOfOneDatabase:
    """`database_snapshot`, by one click."""

    def read(self, location, key, by=STEP):
        location.instance.add_dynamic_partitions("databases", [key])
        return location.run("database_snapshot_job", by, partition_key=key)

    def test_it_reads_its_one_database_and_shows_the_dearest_statements(self, location):
        first = metadata_of(self.read(location, "fleet/sim0002"))["database_snapshot"]
        assert first["state"] == "first_reading"
        assert "first reading" in first["dearest_statements"]
        second = metadata_of(self.read(location, "fleet/sim0002"))["database_snapshot"]
        assert second["dagster/row_count"] > 5
        assert "FROM dbo." in second["dearest_statements"]
        assert len(second["dearest_statements"]) <= INLINE
        with location.monitor.session() as session:
            assert {o.ref.database for o in session.store.collection_log(START)} == {"sim0002"}

    def test_it_fails_visibly_for_a_dead_database_each_time(self, make_location):
        location = make_location(instances=[simulated_fleet(3, failing=3)])
        for _ in range(6):
            result = self.read(location, "fleet/sim0001")
            assert not result.success
            assert "fleet/sim0001 could not be read: the simulated server refuses connections" in why_it_failed(result)

    def test_it_reads_a_database_whose_instance_is_left_alone_by_the_schedule(self, make_location):
        location = make_location(instances=[simulated_fleet(3, failing=3)])
        for _ in range(5):
            location.collect()
        result = self.read(location, "fleet/sim0001", by=timedelta(seconds=30))
        assert "refuses connections" in why_it_failed(result)

    def test_database_that_is_gone_from_the_settings_is_one_clear_error(self, location):
        assert "no database 'old' on fleet" in why_it_failed(self.read(location, "fleet/old"))
