"""The list of incidents, its filter and its JSON."""

from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline_tests.web.pages.site import NOW

browser_test = pytest.mark.browser


@browser_test
def test_an_incident_is_told_in_words_and_leads_to_its_page(open_page, site):
    page = open_page(site, "/incidents")

    row = page.locator(".incident-row")
    assert row.count() == 1
    told = row.inner_text()
    for words in ("slower", "fleet/sim0001", "Plan regression", "per hour", "New"):
        assert words in told
    row.locator("a").click()
    page.wait_for_url("**/incidents/*")


@browser_test
@pytest.mark.parametrize(
    ("field", "value", "fits"),
    [
        ("State", "Dismissed", False),
        ("State", "All", True),
        ("Severity", "Critical", True),
        ("Severity", "Low", False),
        ("Cause", "Contention", False),
        ("Instance", "fleet", True),
        ("Changed", "Last hour", True),
    ],
)
def test_a_choice_narrows_the_list_and_stays_chosen(open_page, site, field, value, fits):
    page = open_page(site, "/incidents")

    page.get_by_label(field, exact=True).select_option(label=value)
    page.get_by_role("button", name="Show").click()
    page.wait_for_load_state()

    assert page.locator(".incident-row").count() == int(fits)
    assert page.locator(f"select:has(option:checked:text-is('{value}'))").count() == 1


@browser_test
def test_words_of_the_statement_find_it_and_others_do_not(open_page, site):
    page = open_page(site, "/incidents?q=nothing+like+this")
    assert "No incident fits" in page.inner_text("main")

    page.get_by_label("Statement, hash or id").fill("update t SET")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**q=update**")
    assert page.locator(".incident-row").count() == 1


def test_a_choice_that_is_none_is_told(site):
    answer = site.get("/incidents?severity=terrible")
    assert answer.status_code == 400
    assert "low, medium, high, critical" in answer.text


def _many(site, count):
    (one,) = site.store.open_incidents()
    for number in range(count):
        other = replace(
            one, incident_id=f"{number:012x}", query_hash=1_000 + number, extra_seconds_per_hour=float(number // 2)
        )
        site.store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, other, other.opened_at)])


def test_pages_follow_each_other_without_loss_or_repetition(own_site):
    _many(own_site, 60)

    found, mark = [], ""
    while mark is not None:
        answer = own_site.get("/api/incidents", params={"limit": 25, "after": mark}).json()
        found += [incident["incident_id"] for incident in answer["incidents"]]
        mark = answer["next"]

    assert len(found) == len(set(found)) == answer["total"] == 61


@browser_test
def test_the_next_page_is_a_click_away(open_page, own_site):
    _many(own_site, 60)
    page = open_page(own_site, "/incidents")
    assert page.locator(".incident-row").count() == 50

    page.get_by_role("link", name="Next page").click()
    page.wait_for_url("**after=**")
    assert page.locator(".incident-row").count() == 11
    page.get_by_role("link", name="First page").click()
    page.wait_for_url(lambda url: "after" not in url)


def test_the_json_has_the_keys_of_the_command_line(site):
    (incident,) = site.get("/api/incidents").json()["incidents"]
    assert (incident["instance"], incident["database"], incident["state"]) == ("fleet", "sim0001", "new")
    assert incident["effect_ratio"] > 3
    assert incident["began_at"] < NOW.isoformat()


def test_programs_without_a_right_hear_of_it_in_json(own_site, tmp_path):
    (incident,) = own_site.get("/api/incidents").json()["incidents"]
    path = f"/api/incidents/{incident['incident_id']}/acknowledge"
    assert own_site.post(path).status_code == 401
    answer = own_site.post(path, headers=own_site.bearer(Role.VIEWER))
    assert answer.status_code == 403
    assert "operator" in answer.json()["error"]
