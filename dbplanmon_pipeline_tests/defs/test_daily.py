"""Assets by UTC day: one day, a week in one run, and days that are not over."""

from datetime import timedelta

import pytest

from dbplanmon_pipeline_tests.defs.locations import INLINE, metadata_of, why_it_failed
from dbplanmon_pipeline_tests.services.fleets import START, STEP

TODAY = START.date()
WEEK = {
    "dagster/asset_partition_range_start": (TODAY - timedelta(days=6)).isoformat(),
    "dagster/asset_partition_range_end": TODAY.isoformat(),
}


@pytest.fixture
def recorded(make_location):
    """An hour of today."""
    location = make_location(baselines={"min_intervals": 5})
    with location.monitor.session() as session:
        session.collect()
        for _ in range(12):
            location.clock.advance(STEP)
            session.collect()
    return location


def partitions_of(result):
    return [e.step_materialization_data.materialization.partition for e in result.get_asset_materialization_events()]


def test_baselines_of_today_are_learnt_from_what_is_there(recorded):
    result = recorded.run("baselines_job", partition_key=TODAY.isoformat())
    facts = metadata_of(result)["baselines"]
    assert facts["statements"] == facts["dagster/row_count"] > 15
    assert facts["intervals_read"] > 100
    with recorded.monitor.session() as session:
        found = session.store.baselines(recorded.clock(), session.detector.layout)
    assert (len(found.table), found.as_of) == (facts["statements"], recorded.clock())


def test_a_week_of_baselines_is_one_run_with_a_materialisation_per_day(recorded):
    result = recorded.run("baselines_job", tags=WEEK)
    assert result.success
    assert sorted(partitions_of(result)) == [(TODAY - timedelta(days=n)).isoformat() for n in range(6, -1, -1)]
    table = metadata_of(result)["baselines"]["days"]
    assert len(table.splitlines()) == 2 + 7
    assert len(table) <= INLINE


def test_backfill_knows_only_what_had_ended_by_each_day(recorded):
    recorded.run("baselines_job", tags=WEEK)
    with recorded.monitor.session() as session:
        yesterday = session.store.baselines(START.replace(hour=0), session.detector.layout)
        today = session.store.baselines(recorded.clock(), session.detector.layout)
    assert len(yesterday.table) == 0
    assert len(today.table) > 15


def test_finished_day_is_rolled_up_and_sealed(recorded):
    recorded.clock.moment = START + timedelta(days=2)
    with recorded.monitor.session() as session:
        before = session.store.interval_frame(START, START + STEP * 12)
    result = recorded.run("rollups_job", partition_key=TODAY.isoformat())
    found = metadata_of(result)
    assert found["hourly_rollups"]["rows"] > 15
    assert found["metrics_archive"]["rows"] == len(before.rows)
    with recorded.monitor.session() as session:
        after = session.store.interval_frame(START, START + STEP * 12)
    assert after.rows.drop(columns=["counter_reset"]).sum().to_dict() == pytest.approx(
        before.rows.drop(columns=["counter_reset"]).sum().to_dict()
    )
    again = metadata_of(recorded.run("rollups_job", partition_key=TODAY.isoformat()))
    assert again["metrics_archive"]["rows"] == len(before.rows)


def test_day_that_is_not_over_cannot_be_sealed_and_says_so(recorded):
    result = recorded.run("rollups_job", partition_key=TODAY.isoformat())
    assert not result.success
    assert "has not ended yet" in why_it_failed(result)


def test_summary_is_a_page_with_its_grade(recorded):
    facts = metadata_of(recorded.run("daily_summary_job", partition_key=TODAY.isoformat()))["daily_summary"]
    assert facts["page"].startswith("# Monday 02 November 2026: grade A")
    assert (facts["grade"], facts["databases_read"]) == ("A", 3)
    assert "## Dearest statements" in facts["page"]
    assert "week" not in facts, "nobody asked for one"
    assert facts["messages_queued"] == 0, "the day is not over"


def test_summary_of_a_day_without_readings_says_so(recorded):
    before = (TODAY - timedelta(days=3)).isoformat()
    facts = metadata_of(recorded.run("daily_summary_job", partition_key=before))["daily_summary"]
    assert facts["grade"] == "D"
    assert "nothing was collected" in facts["page"]
