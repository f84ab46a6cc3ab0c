"""The page of a statement whose executions fail, and the list it stands in."""

from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import Label
from dbplanmon_pipeline.core.readings.failures import FAILED_EXECUTIONS, Failures

FAILURES = Failures(0.0, 0.75, 0, 900, 75, 100, 75, 90.0)


@pytest.fixture(scope="module")
def incident(site):
    (found,) = site.store.incidents()
    failing = replace(
        found,
        label=Label.FAILING,
        metric=FAILED_EXECUTIONS,
        failures=FAILURES,
        effect_ratio=FAILURES.ratio,
        extra_seconds_per_hour=0.0,
        extra_seconds_low=0.0,
        extra_seconds_high=0.0,
        baseline_us=0.0,
        observed_us=0.0,
    )
    site.store.save_incident_changes([IncidentChange(IncidentEvent.UPDATED, failing, found.updated_at)])
    return failing


def test_the_page_tells_shares_and_counts(site, incident):
    page = site.get(f"/incidents/{incident.incident_id}").text
    for words in (
        "75 % of its executions fail, 0 % before",
        "Executions fail",
        "0 % → 75 % of executions fail",
        "Fails per hour",
        "share of executions that fail",
    ):
        assert words in page, words
    assert "Costs per hour" not in page


def test_the_list_tells_them_too(site, incident):
    page = site.get("/incidents").text
    assert "75 % of its executions fail" in page
    assert "+90 failures" in page


def test_the_same_as_json(site, incident):
    found = site.get(f"/api/incidents/{incident.incident_id}").json()
    assert found["label"] == "failing_executions"
    assert found["failures"]["per_hour"] == 90.0
