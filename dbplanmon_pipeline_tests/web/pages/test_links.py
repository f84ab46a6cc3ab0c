"""Alerts lead to the page of their incident, where the settings say how people reach it."""

import shutil
from pathlib import Path

import pytest

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services import stories

SETTINGS = """\
environment: test
baselines: {min_intervals: 20}
alerts: {channels: [{type: log}]}
instances: [{name: fleet, engine: simulated, databases: 2}]
"""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    calm, folder = tmp_path_factory.mktemp("calm"), tmp_path_factory.mktemp("broken")
    stories.write_calm_past(calm)
    story = stories.continue_story(calm, folder)
    story.learn()
    story.fleet.tick(stories.BROKEN_TICKS)
    story.store.close()
    return folder


@pytest.mark.parametrize(
    ("web", "link"),
    [
        ("", None),
        ("web: {public_url: 'https://dba.example.net/monitor'}\n", "https://dba.example.net/monitor/incidents/{}"),
    ],
    ids=["without an address", "with an address"],
)
def test_an_alert_links_to_its_incident(broken, tmp_path, web, link):
    shutil.copytree(broken, tmp_path, dirs_exist_ok=True)
    (tmp_path / "dbplanmon.yaml").write_text(f"state_dir: {tmp_path}\n{SETTINGS}{web}")
    settings = load_settings(tmp_path / "dbplanmon.yaml", environ={})
    clock = FixedClock(stories.BROKEN_AT + stories.STEP * stories.BROKEN_TICKS)
    with Monitor(settings, clock).session() as session:
        session.analyse()
        alert = next(alert for alert in session.store.alerts(stories.START) if alert.event == "opened")
    expected = link.format(alert.incident_id) if link else None
    assert alert.facts["link"] == expected
    assert ("https://" in alert.body) is (link is not None)
