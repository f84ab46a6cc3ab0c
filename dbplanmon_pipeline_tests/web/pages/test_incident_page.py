"""The page of one incident, and what operators do there."""

import re

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentEvent, IncidentState
from dbplanmon_pipeline.core.ports.access import Role

browser_test = pytest.mark.browser


def the_incident(site):
    (found,) = site.store.incidents()
    return found


def path_of(site):
    return f"/incidents/{the_incident(site).incident_id}"


@browser_test
def test_it_says_what_got_slower_how_much_and_what_it_costs(open_page, site):
    page = open_page(site, path_of(site))

    assert re.fullmatch(
        r"Statement [0-9a-f]{8} became \d+\.\dx slower", page.get_by_role("heading", level=1).inner_text()
    )
    figures = page.locator(".figures").inner_text()
    for words in ("Effect", "CPU time per execution", "Costs per hour", "95 % sure", "Lasts", "Changed"):
        assert words in figures


@browser_test
def test_the_chart_shows_the_rise_the_span_normal_and_the_new_plan(open_page, site):
    page = open_page(site, path_of(site))

    chart = page.locator("svg.chart")
    for part in (".chart-line.good", ".chart-line.bad", ".chart-span", ".chart-normal", ".chart-band", ".chart-mark"):
        assert chart.locator(part).count() >= 1, part
    good, bad = (chart.locator(f".chart-dot.{tone}").first.bounding_box() for tone in ("good", "bad"))
    assert bad["y"] < good["y"]
    assert bad["x"] > good["x"]


@browser_test
def test_the_pointer_reads_a_value_of_the_chart(open_page, site):
    page = open_page(site, path_of(site))

    page.locator("svg.chart .chart-dot.bad").last.hover(force=True)

    assert re.search(r"\d+ ms.*executions.*plan", page.locator("#readout").text_content())


@browser_test
def test_the_values_stand_in_a_table_too(open_page, site):
    page = open_page(site, path_of(site))

    page.get_by_text("Values as a table").click()

    rows = page.locator("#readout-values tbody tr")
    assert rows.count() == page.locator("svg.chart .chart-dot").count()
    assert "executions" in rows.first.inner_text()


@browser_test
def test_both_plans_stand_side_by_side_with_what_differs_marked(open_page, site):
    page = open_page(site, path_of(site))

    before, now = (page.get_by_role("region", name=name, exact=True) for name in ("Before", "Now"))
    assert before.locator(".plan-line").count() == before.locator(".same, .changed, .gone").count()
    assert "became" in now.locator(".changed .plan-changes").first.inner_text()
    assert before.bounding_box()["y"] == now.bounding_box()["y"]


@browser_test
def test_the_keyboard_leads_from_an_operator_to_its_mate_in_the_other_plan(open_page, site):
    page = open_page(site, path_of(site))

    link = page.get_by_role("region", name="Before", exact=True).get_by_role("link", name="changed").first
    mate = link.get_attribute("href")
    assert page.get_by_role("region", name="Now", exact=True).locator(mate).count() == 1
    link.focus()
    assert "mate" in page.locator(mate).get_attribute("class")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{mate}")
    page.locator(mate).get_by_role("link", name="changed").focus()
    assert page.evaluate("document.activeElement.getAttribute('href')").startswith("#before-")


@browser_test
def test_ways_back_the_statement_and_the_messages_are_there(open_page, site):
    page = open_page(site, path_of(site))

    told = page.inner_text("main")
    for words in ("The way back", "Risk: ", "UPDATE", "dba", "Incident opened", "First bad interval"):
        assert words in told
    assert page.get_by_role("button", name="Copy").count() >= 1


@browser_test
def test_a_viewer_sees_no_form(open_page, site):
    page = open_page(site, path_of(site))

    assert page.get_by_role("button", name="Acknowledge").count() == 0
    assert "Log in" in page.inner_text("main")


@browser_test
def test_an_operator_acknowledges_resolves_and_reopens_with_notes(open_page, own_site):
    page = open_page(own_site, path_of(own_site), token=own_site.token())

    page.get_by_label("Note").fill("I look <b>after</b> it")
    page.get_by_role("button", name="Acknowledge").click()
    page.wait_for_url("**told=acknowledged")
    assert "Acknowledged" in page.get_by_role("status").inner_text()
    assert the_incident(own_site).state is IncidentState.ACKNOWLEDGED
    assert "I look <b>after</b> it" in page.inner_text("main")

    page.get_by_label("Note").fill("index is back")
    page.get_by_role("button", name="Resolve").click()
    page.wait_for_url("**told=resolved")
    assert page.get_by_role("button", name="Resolve").count() == 0

    page.get_by_label("Note").fill("it is not")
    page.get_by_role("button", name="Reopen").click()
    page.wait_for_url("**told=reopened")
    found = the_incident(own_site)
    assert (found.state, found.note) == (IncidentState.NEW, "it is not")

    told = {(change.event, change.actor) for change in own_site.store.incident_events(found.incident_id)}
    assert {
        (event, "anna") for event in (IncidentEvent.ACKNOWLEDGED, IncidentEvent.RESOLVED, IncidentEvent.REOPENED)
    } < told
    audit = [entry for entry in own_site.store.audit(found.opened_at) if entry.actor == "anna"]
    assert "incident acknowledged" in {entry.action for entry in audit}


@browser_test
def test_what_is_not_possible_any_more_is_said_on_the_page(open_page, own_site):
    page = open_page(own_site, path_of(own_site), token=own_site.token())
    own_site.post(f"/api{path_of(own_site)}/dismiss", headers=own_site.bearer(), json={"note": "harmless"})

    with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        page.get_by_role("button", name="Acknowledge").click()

    assert answer.value.status == 409
    assert "is dismissed" in page.get_by_role("alert").inner_text()
    page.goto("/")


@browser_test
def test_an_operator_mutes_the_statement_for_a_week(open_page, own_site):
    page = open_page(own_site, path_of(own_site), token=own_site.token())

    page.get_by_text("Mute messages").click()
    page.get_by_label("For", exact=True).select_option("7d")
    page.get_by_label("Reason").fill("known")
    page.get_by_role("button", name="Mute", exact=True).click()
    page.wait_for_url("**told=muted")

    (rule,) = own_site.store.mutes(at=own_site.clock())
    incident = the_incident(own_site)
    assert (rule.query_hash, rule.database, rule.reason, rule.created_by) == (
        incident.query_hash,
        incident.database,
        "known",
        "anna",
    )
    assert (rule.expires_at - own_site.clock()).days == 7
    assert "Muted until" in page.inner_text("main")


def test_a_form_from_another_site_changes_nothing(own_site):
    answer = own_site.post(
        f"{path_of(own_site)}/acknowledge", data={"note": ""}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code in (303, 403)
    assert the_incident(own_site).state is IncidentState.NEW


def test_a_program_acknowledges_with_a_token(own_site):
    path = f"/api{path_of(own_site)}/acknowledge"
    answer = own_site.post(path, headers=own_site.bearer(), json={"note": "on it"})
    assert answer.status_code == 200
    assert (answer.json()["event"], answer.json()["actor"], answer.json()["note"]) == ("acknowledged", "robot", "on it")
    again = own_site.post(path, headers={"Authorization": f"Bearer {own_site.token('second')}"})
    assert (again.status_code, "acknowledged" in again.json()["error"]) == (409, True)


@pytest.mark.parametrize("body", ["{", "[]", '{"note": 7}', '{"note": "' + "x" * 2_001 + '"}'])
def test_a_body_that_makes_no_sense_changes_nothing(own_site, body):
    answer = own_site.post(f"/api{path_of(own_site)}/acknowledge", headers=own_site.bearer(), content=body)
    assert answer.status_code == 400
    assert the_incident(own_site).state is IncidentState.NEW


def test_the_json_tells_all_of_the_page(site):
    found = site.get(f"/api{path_of(site)}").json()
    assert found["plan_changes"]
    assert found["suggestions"][0]["script"]
    assert found["history"][0]["event"] == "opened"
    assert "UPDATE" in found["statement"]


def test_only_events_that_exist_are_understood(own_site):
    answer = own_site.post(f"/api{path_of(own_site)}/explode", headers=own_site.bearer())
    assert (answer.status_code, "acknowledge" in answer.json()["error"]) == (404, True)


def test_a_start_of_the_id_is_enough(site):
    assert site.get(path_of(site)[:-4]).status_code == 200


def test_anonymous_people_may_be_kept_out(past, tmp_path):
    from dbplanmon_pipeline_tests.web.pages.site import SETTINGS, serving

    with serving(tmp_path, past=past, settings=f"{SETTINGS}web: {{anonymous: nobody}}\n") as closed:
        for path in ("/", "/incidents", path_of(closed)):
            assert closed.get(path).headers["location"].startswith("/login?next=")
        assert closed.get("/api/incidents").status_code == 401
        assert closed.get("/api/incidents", headers=closed.bearer(Role.VIEWER)).status_code == 200


def test_a_channel_that_keeps_it_open_hears_of_the_decision(past, tmp_path):
    from dbplanmon_pipeline_tests.web.pages.site import SETTINGS, serving

    channel = "{type: pagerduty, routing_key: 'env:ROUTING_KEY', enabled: true}"
    settings = f"{SETTINGS}alerts: {{channels: [{channel}]}}\n"
    with serving(tmp_path, past=past, settings=settings, environ={"ROUTING_KEY": "r" * 32}) as pager:
        answer = pager.post(f"/api{path_of(pager)}/resolve", headers=pager.bearer(), json={"note": "index is back"})
        assert answer.status_code == 200
        (queued,) = [row.alert for row in pager.store.alert_rows(limit=1000) if row.alert.event == "resolved"]
        assert queued.channel == "pagerduty"
