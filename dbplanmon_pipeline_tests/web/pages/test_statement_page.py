"""One statement over time, its plans, its way to and from other pages."""

from urllib.parse import quote

import pytest

from dbplanmon_pipeline.core.model import CapturedPlan, DatabaseRef, StatementText, hash_text
from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.core.statements.fingerprint import Dialect, fingerprint
from dbplanmon_pipeline_tests.store.samples import collected

browser_test = pytest.mark.browser


def path_of(site, **query):
    incident = site.store.incidents()[0]
    words = "&".join(f"{name}={value}" for name, value in query.items())
    return f"/statements/{incident.instance}/{incident.database}/{hash_text(incident.query_hash)}" + (
        f"?{words}" if words else ""
    )


@browser_test
def test_cost_over_time_is_drawn_with_a_lane_for_each_plan(open_page, site):
    page = open_page(site, path_of(site))

    assert page.locator("svg.chart .chart-line.good").count() >= 1
    assert page.locator("svg.chart .chart-line.bad").count() >= 1
    lanes = page.locator("svg.lanes")
    tones = lanes.locator("rect").evaluate_all("all => all.map(one => one.classList[1])")
    assert tones == ["plan-tone-0", "plan-tone-1"]
    assert lanes.get_attribute("aria-label").count("executions") == 2
    first, second = page.locator("table", has_text="CPU each").locator("tbody tr").all()
    assert "now" in first.inner_text()
    assert first.locator(".plan-letter").inner_text() == "A"
    assert second.locator(".plan-letter").inner_text() == "B"


@browser_test
def test_figure_and_span_are_a_click_away_and_keep_each_other(open_page, site):
    page = open_page(site, path_of(site))

    page.get_by_role("link", name="Executions", exact=True).click()
    page.wait_for_url("**metric=executions**")
    page.get_by_role("link", name="30 days, by hour").click()
    page.wait_for_url("**span=30d**metric=executions**")

    assert page.locator(".switch [aria-current]").all_inner_texts() == ["Executions", "30 days, by hour"]
    assert "executions per hour" in page.locator("svg.chart").first.text_content()


def test_hours_and_days_show_the_work_of_the_intervals(own_site):
    rows = {}
    for span in ("24h", "30d", "365d"):
        rows[span] = own_site.get(path_of(own_site, span=span, metric="executions")).text.count("<tr data-at=")
    assert rows["24h"] > 60
    assert 4 <= rows["30d"] <= 6

    own_site.store.roll_up_day(own_site.clock().date())
    after = own_site.get(path_of(own_site, span="30d", metric="executions")).text.count("<tr data-at=")
    assert after == rows["30d"]


@pytest.mark.parametrize("query", [{"span": "2h"}, {"metric": "beauty"}])
def test_a_choice_that_is_none_is_told(site, query):
    answer = site.get(path_of(site, **query))
    assert answer.status_code == 400
    assert "is one of" in answer.text


@pytest.mark.parametrize("name", ["00000000000000ff", "nonsense", "x" * 200])
def test_an_unknown_statement_has_a_way_back(site, name):
    answer = site.get(f"/statements/fleet/sim0001/{name}")
    assert answer.status_code == 404
    assert 'href="/"' in answer.text


@browser_test
def test_incident_statement_database_and_plan_lead_to_each_other(open_page, site):
    page = open_page(site, f"/incidents/{site.store.incidents()[0].incident_id}")

    page.locator("section", has=page.locator("#statement")).get_by_role("link").click()
    page.wait_for_url("**/statements/**")
    page.get_by_role("link", name="compare").click()
    page.wait_for_url("**/plans/**before=**")
    assert page.locator(".plan-line.changed, .plan-line.new").count() >= 1
    page.go_back()
    page.locator("main .lead a").click()
    page.wait_for_url("**/databases/fleet/sim0001")
    page.locator("section", has=page.locator("#incidents")).get_by_role("link", name="became").click()
    page.wait_for_url("**/incidents/*")


@browser_test
def test_an_operator_mutes_the_statement_with_a_reason(open_page, own_site):
    page = open_page(own_site, path_of(own_site), token=own_site.token())

    page.get_by_label("For").select_option(label="7 days")
    page.get_by_label("Reason").fill("we know")
    page.get_by_role("button", name="Mute this statement").click()
    page.wait_for_url("**told=muted")

    assert "Muted until" in page.locator(".head-badges").inner_text()
    (mute,) = own_site.store.mutes(at=own_site.clock())
    incident = own_site.store.incidents()[0]
    assert (mute.query_hash, mute.database, mute.created_by, mute.reason) == (
        incident.query_hash,
        "sim0001",
        "anna",
        "we know",
    )


def test_nobody_mutes_without_the_right(own_site):
    path = path_of(own_site) + "/mute"
    assert own_site.post(path, data={"span": "1h"}).status_code == 303
    looks = {"Authorization": f"Bearer {own_site.token('looker', Role.VIEWER)}"}
    assert own_site.post(path, data={"span": "1h"}, headers=looks).status_code == 403
    assert own_site.post(path, data={"span": "1y"}, headers=own_site.bearer()).status_code == 400
    assert own_site.store.mutes() == []


def test_a_plan_that_was_not_kept_says_why(own_site):
    ref = DatabaseRef("fleet", "odd")
    told = CapturedPlan(77, 0x4D, reason="no plan: larger than 2 MB")
    own_site.store.record([collected(ref, own_site.clock(), [77], plans=[told], texts=[StatementText(77, "SELECT 1")])])

    page = own_site.get("/statements/fleet/odd/000000000000004d")
    assert "no plan: larger than 2 MB" in page.text
    assert "There are no" in page.text
    assert "larger than 2 MB" in own_site.get("/plans/000000000000004d").text
    assert own_site.get("/plans/00000000000000aa").status_code == 404


def test_the_fingerprint_is_told_where_the_text_and_its_dialect_are_known(own_site):
    text = StatementText(77, "SELECT a FROM [T] WHERE b = ?")
    refs = [DatabaseRef("fleet", "odd"), DatabaseRef("removed", "odd")]
    own_site.store.record([collected(ref, own_site.clock(), [77, 78], texts=[text]) for ref in refs])

    digits = str(fingerprint("select a from t where b = 5", Dialect.TSQL))
    assert digits in own_site.get("/statements/fleet/odd/000000000000004d").text
    assert "Fingerprint" not in own_site.get("/statements/fleet/odd/000000000000004e").text
    assert "Fingerprint" not in own_site.get("/statements/removed/odd/000000000000004d").text


@browser_test
def test_odd_names_and_texts_do_no_harm(open_page, own_site):
    ref = DatabaseRef("fleet", 'a/b "<c>" ?x=1#y %2F')
    evil = "<script>window.hacked = 1</script>"
    own_site.store.record([collected(ref, own_site.clock(), [77], texts=[StatementText(77, f"SELECT '{evil}'")])])
    page = open_page(own_site, f"/databases/fleet/{quote(ref.database, safe='')}")
    assert page.get_by_role("heading", level=1).inner_text() == ref.database

    page = open_page(own_site, f"/statements/fleet/{quote(ref.database, safe='')}/000000000000004d")
    assert evil in page.locator("#statement-text").inner_text()
    assert page.evaluate("window.hacked") is None
    page.locator("main .lead a").click()
    page.wait_for_url("**/databases/**")
    assert page.get_by_role("heading", level=1).inner_text() == ref.database
