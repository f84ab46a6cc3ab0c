"""The asset `backtest_report`, run by hand over the store of its location."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.defs.daily import end_of
from dbplanmon_pipeline.services.backtest import BacktestPolicy
from dbplanmon_pipeline_tests.defs.locations import metadata_of, why_it_failed
from dbplanmon_pipeline_tests.services.recorded_trouble import BEGIN, DAYS, FIRST, SETTINGS, Collector, recorded

SECTIONS = {
    "collection": {"interval": "1h", "startup_delay": "0s"},
    "baselines": {"days": 2, "min_intervals": 20},
    "analysis": {"lookback": "12h", "min_extra_seconds_per_hour": 0.1},
}


@pytest.fixture
def location(make_location):
    location = make_location(moment=BEGIN + timedelta(days=DAYS), **SECTIONS)
    with location.monitor.session() as session:
        Collector(session.store, recorded()).record(BEGIN + timedelta(days=DAYS + 1))
    return location


def made(location, **config):
    result = location.run("backtest_job", run_config={"ops": {"backtest_report": {"config": config}}})
    assert result.success
    return metadata_of(result)["backtest_report"]


def test_the_past_is_replayed_and_the_report_is_a_file(location):
    facts = made(location)
    assert (facts["dagster/row_count"], facts["first"]) == (len(recorded().rows), FIRST.isoformat())
    assert facts["alerts"] > 4
    assert "told at" in facts["alerts_told"]
    page = Path(facts["report"])
    assert page.parent == location.settings.state_dir / "backtests"
    assert "Back-test of the store" in page.read_text("utf-8")


def test_other_settings_labels_and_a_part_of_the_time(location, tmp_path):
    stricter, labels = tmp_path / "stricter.yaml", tmp_path / "labels.csv"
    stricter.write_text(SETTINGS.replace("min_extra_seconds_per_hour: 0.1", "min_extra_seconds_per_hour: 1000"))
    begun = (FIRST + timedelta(hours=4)).isoformat()
    labels.write_text(f"instance,query_hash,start,end\nshop,{hash_text(3)},{begun},\n")
    until = FIRST + timedelta(days=1)
    facts = made(location, settings=str(stricter), labels=str(labels), until=until.isoformat(), instance="shop")
    assert facts["last"] <= until.isoformat()
    assert (facts["recall"], facts["alerts_only_tried"]) == (1.0, 0)
    assert facts["alerts_only_in_force"] == facts["alerts"] - facts["alerts_tried"] > 0
    assert "shop/db0" in facts["alerts_told"]
    assert "depot" not in facts["alerts_told"]


def test_an_empty_store_has_nothing_to_replay(make_location):
    facts = made(make_location())
    assert (facts["alerts"], facts["first"]) == (0, "the record is too short")


def test_only_the_last_pages_stay(make_location):
    location = make_location()
    folder = location.settings.state_dir / "backtests"
    folder.mkdir(parents=True)
    for day in range(1, 26):
        (folder / f"backtest-2026-01-{day:02}T000000.html").write_text("old")
    (folder / "notes.txt").write_text("theirs")
    newest = Path(made(location)["report"])
    pages = sorted(path.name for path in folder.glob("*.html"))
    assert len(pages) == 20
    assert pages[-1] == newest.name
    assert (folder / "notes.txt").exists()


def test_production_learns_at_two_until_midnight_as_a_replay_does(make_location):
    location = make_location(kept=True)
    (asked,) = location.tick("baselines_schedule", FIRST + timedelta(hours=2)).run_requests
    assert end_of(date.fromisoformat(asked.partition_key)) == FIRST
    at = location.settings.baselines.time
    assert BacktestPolicy().rebuild_at == timedelta(hours=at.hour, minutes=at.minute)


def test_no_schedule_and_no_sensor_asks_for_it(make_location):
    location = make_location()
    asked = {schedule.job_name for schedule in location.repository.schedule_defs}
    asked |= {target.job_name for sensor in location.repository.sensor_defs for target in sensor.targets}
    assert "backtest_job" not in asked


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"since": "yesterday"}, "since: 'yesterday' is no ISO time with zone"),
        ({"since": "2026-03-05T00:00Z", "until": "2026-03-04T00:00Z"}, "since is later than until"),
        ({"settings": "none.yaml"}, "none.yaml"),
        ({"labels": "none.csv"}, "none.csv cannot be read as labels"),
    ],
    ids=["moment", "order", "settings", "labels"],
)
def test_a_wrong_config_is_one_clear_error(make_location, config, complaint):
    result = make_location().run("backtest_job", run_config={"ops": {"backtest_report": {"config": config}}})
    assert not result.success
    assert complaint in why_it_failed(result)
