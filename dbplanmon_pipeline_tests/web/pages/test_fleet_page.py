"""What a DBA sees first."""

from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import CollectedDatabase
from dbplanmon_pipeline_tests.web.pages.site import SETTINGS, serving

pytestmark = pytest.mark.browser


def test_the_headline_says_that_somebody_is_needed(open_page, site):
    page = open_page(site)

    assert page.get_by_role("heading", level=1).inner_text() == "1 incident needs somebody"
    assert page.title().startswith("1 incident needs somebody")


def test_the_instance_in_trouble_comes_first_with_its_worst_database_on_top(open_page, site):
    page = open_page(site)

    first = page.locator("details.instance").first
    assert first.locator(".name").inner_text() == "fleet"
    rows = first.get_by_role("row")
    assert "sim0001" in rows.nth(1).inner_text()
    assert "critical" in rows.nth(1).inner_text().lower()
    assert "none" in rows.nth(2).inner_text()


def test_an_instance_that_was_never_read_says_so(open_page, site):
    page = open_page(site)

    never = page.locator("details.instance", has_text="shop")
    assert "Nothing was read of it yet" in never.inner_text()


def test_each_database_has_a_line_of_its_day(open_page, site):
    page = open_page(site)

    lines = page.locator("table.databases svg.spark")
    assert lines.count() == 2
    assert "in the last hour" in lines.first.get_attribute("aria-label")


def test_the_filter_narrows_while_somebody_types_and_works_as_a_link(open_page, site):
    page = open_page(site)
    rows = page.locator("table.databases tbody tr")

    page.get_by_label("Filter databases").fill("sim0002")
    assert [row.is_visible() for row in rows.all()] == [False, True]
    assert page.locator("#fleet-told").inner_text() == "1 of 2 shown"

    linked = open_page(site, "/?q=sim0002", java_script_enabled=False)
    (row,) = linked.locator("table.databases tbody tr").all()
    assert row.is_visible()
    assert "1 database with sim0002" in linked.inner_text("main").replace("“", "").replace("”", "")


def test_a_count_leads_to_those_incidents(open_page, site):
    page = open_page(site)

    page.locator(".tally a").first.click()
    page.wait_for_url("**/incidents?severity=critical")
    assert page.locator(".incident-row").count() == 1


def test_a_stale_fleet_is_not_called_quiet(open_page, own_site):
    for incident in own_site.store.open_incidents():
        own_site.post(f"/api/incidents/{incident.incident_id}/dismiss", headers=own_site.bearer())
    assert open_page(own_site).get_by_role("heading", level=1).inner_text() == "All quiet"

    own_site.clock.advance(timedelta(hours=1))
    page = open_page(own_site)
    assert page.get_by_role("heading", level=1).inner_text() == "2 databases are not read well"


def test_without_instances_it_says_what_to_write(open_page, tmp_path):
    with serving(tmp_path, settings="environment: test\n") as empty:
        page = open_page(empty)
        assert "No database is watched yet" in page.get_by_role("heading", level=1).inner_text()
        assert "engine: sqlserver" in page.locator("pre").inner_text()


def test_a_database_that_is_tried_no_more_is_told_apart_and_not_missed(open_page, own_site):
    (one,) = own_site.store.open_incidents()
    own_site.post(f"/api/incidents/{one.incident_id}/dismiss", headers=own_site.bearer())
    own_site.clock.advance(timedelta(days=2))
    outcome = CollectionOutcome(
        DatabaseRef("fleet", "sim0001"), own_site.clock(), CollectionStatus.FAILED, message="no answer"
    )
    own_site.store.record([CollectedDatabase(outcome, Engine.SIMULATED)])
    page = open_page(own_site)

    assert page.get_by_role("heading", level=1).inner_text() == "1 database is not read well"
    failing, gone = (row.inner_text() for row in page.locator("table.databases tbody tr").all())
    assert "no answer" in failing
    assert "No longer read" in gone


def test_an_instance_that_the_settings_no_longer_name_is_folded_at_the_end(open_page, past, tmp_path):
    with serving(tmp_path, past=past, settings=SETTINGS.replace("name: fleet", "name: other")) as site:
        page = open_page(site)
        last = page.locator("details.instance").last
        assert "no longer in the settings" in last.inner_text()
        assert not last.locator("table").is_visible()
