"""The database page and the lists of the fleet: changes of plans, hotspots, KPIs, messages."""

import html
import re

import pytest

from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline_tests.web.pages import told
from dbplanmon_pipeline_tests.web.pages.site import serving

browser_test = pytest.mark.browser
EMPTY = "environment: test\n"


@pytest.fixture(scope="module")
def busy(past, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("busy"), past=past, settings=told.settings(), lasts=True) as site:
        told.tell(site)
        yield site


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A store with nothing in it."""
    with serving(tmp_path_factory.mktemp("fresh"), settings=EMPTY) as site:
        site.store.upgrade()
        yield site


# ---------------------------------------------------------------- database


@browser_test
def test_a_database_shows_its_load_its_dearest_statements_and_what_changed(open_page, busy):
    page = open_page(busy, "/databases/fleet/sim0001")

    assert page.locator("svg.chart .chart-line").count() >= 1
    table = page.locator("section", has=page.locator("#dearest")).locator("tbody tr")
    assert table.count() == 12
    assert "critical" in page.locator("section", has=page.locator("#incidents")).inner_text().lower()
    assert page.locator("section", has=page.locator("#changes")).get_by_role("link", name="incident").count() == 1
    assert "READ_WRITE" in page.inner_text("main")


@browser_test
def test_window_and_ranking_of_a_database_are_links(open_page, busy):
    page = open_page(busy, "/databases/fleet/sim0001")
    by_cpu = page.locator("#dearest").locator("xpath=ancestor::section").locator("tbody tr a").first.inner_text()

    page.get_by_role("link", name="1 hour", exact=True).click()
    page.wait_for_url("**window=1h**")
    page.get_by_role("link", name="Logical reads", exact=True).click()
    page.wait_for_url("**window=1h**by=reads**")

    assert page.locator(".switch [aria-current]").all_inner_texts() == ["1 hour", "Logical reads"]
    assert by_cpu


@browser_test
def test_a_database_that_fails_says_how(open_page, busy):
    page = open_page(busy, "/databases/fleet/sim0002")
    assert "no answer within 10 s" in page.locator(".notice").inner_text()


def test_an_unknown_database_says_what_to_try(busy):
    answer = busy.get("/databases/fleet/none")
    assert answer.status_code == 404
    assert "dbplanmon check fleet/none" in answer.text


# ---------------------------------------------------------------- changes of plans, hotspots


@browser_test
@pytest.mark.parametrize(
    ("field", "value", "rows"),
    [("Statement or hash", "update t", 1), ("Statement or hash", "nothing", 0), ("Database", "sim0002", 0)],
)
def test_changes_of_plans_are_narrowed_by_a_form_that_can_be_shared(open_page, busy, field, value, rows):
    page = open_page(busy, "/plan-changes")
    assert page.locator("tbody tr").count() == 1

    page.get_by_label(field).fill(value)
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**?**")

    assert page.locator("tbody tr").count() == rows
    assert page.get_by_label(field).input_value() == value
    assert (page.get_by_role("heading", name="Nothing fits").count() == 1) is not bool(rows)


@browser_test
def test_hotspots_are_ranked_and_lead_to_their_statement(open_page, busy):
    page = open_page(busy, "/hotspots?instance=fleet&database=sim0001")
    ranks = [int(cell) for cell in page.locator("tbody tr td:first-child").all_inner_texts()]
    assert ranks == sorted(ranks)
    assert page.locator("tbody svg.bar").count() == len(ranks) > 3

    page.get_by_label("Window").select_option(label="Yesterday, same time")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**at=24h**")
    assert page.get_by_role("heading", name="No ranking yet").count() == 1
    page.go_back()
    page.locator("tbody a.mono").first.click()
    page.wait_for_url("**/statements/fleet/sim0001/*")


# ---------------------------------------------------------------- KPIs


@browser_test
def test_kpis_in_trouble_come_first_and_say_why(open_page, busy):
    page = open_page(busy, "/kpis")

    rows = page.locator("tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rows] == ["orders", "carts", "fresh"]
    assert "Out of limits" in rows[0]
    assert "below the minimum of 10" in rows[0]
    assert "at most 90" in rows[1]
    assert "Not read yet" in rows[2]
    assert page.locator("tbody svg.spark").count() == 2
    page.get_by_role("link", name="orders").click()
    page.wait_for_url("**/kpis/orders")


@browser_test
def test_a_kpi_is_drawn_with_its_limits_and_without_its_statement(open_page, busy):
    page = open_page(busy, "/kpis/orders?span=7d")

    assert page.locator("svg.chart .chart-band").count() == 1
    assert page.locator("svg.chart .chart-line").count() >= 1
    assert "at least 10" in page.locator(".figures").inner_text()
    assert told.SECRET not in page.content()


def test_a_kpi_that_was_never_read_and_one_that_is_none(busy):
    assert "No value was read" in busy.get("/kpis/fresh").text
    assert busy.get("/kpis/none").status_code == 404


# ---------------------------------------------------------------- messages


@browser_test
def test_messages_tell_what_was_decided_and_how_sending_went(open_page, busy):
    page = open_page(busy, "/alerts")

    given_up, waits, delivered = (page.locator(".message", has_text=f"message {n}") for n in (2, 1, 0))
    assert "Given up" in given_up.inner_text()
    assert "no such mailbox" in given_up.inner_text()
    assert "Delivered" in delivered.inner_text()
    waits.get_by_text("1 attempt").click()
    assert "the mail server is busy; again at" in waits.inner_text()
    channel = page.get_by_role("row", name="dba-mail")
    assert "Fails" in channel.inner_text()
    waits.get_by_role("link").click()
    page.wait_for_url("**/incidents/*")


@browser_test
def test_messages_are_chosen_by_state_and_channel(open_page, busy):
    page = open_page(busy, "/alerts")
    page.get_by_label("State").select_option(label="Given up")
    page.get_by_label("Channel", exact=True).select_option(label="dba-mail")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**state=given_up**")
    assert page.locator(".message").count() == 1


def test_pages_of_messages_follow_each_other(own_site):
    at = own_site.clock()
    own_site.store.add_alerts(
        [Alert(f"many-{n}", "kpi:orders", "opened", "bulk", "low", at, f"message-{n:03}", "") for n in range(60)]
    )
    first = own_site.get("/alerts?channel=bulk").text
    (following,) = re.findall(r'href="([^"]*after=[^"]*)"', first)
    second = own_site.get(html.unescape(following)).text
    shown = re.findall(r"message-\d{3}", first + second)
    assert len(shown) == len(set(shown)) == 60


@pytest.mark.parametrize(
    "path",
    [
        "/alerts?state=loud",
        "/alerts?period=2y",
        "/plan-changes?after=x",
        "/hotspots?by=colour",
        "/hotspots?at=then",
        "/audit?after=x",
        "/databases/fleet/sim0001?window=2d",
        "/databases/fleet/sim0001?by=colour",
        "/kpis/orders?span=2d",
    ],
)
def test_what_makes_no_sense_is_told_in_a_line(busy, path):
    answer = busy.get(path)
    assert answer.status_code == 400
    assert "This cannot be done" in answer.text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/plan-changes", "No plan changed"),
        ("/hotspots", "No ranking yet"),
        ("/kpis", "No KPI is asked for"),
        ("/alerts", "Nobody was told anything"),
        ("/collector", "No database was read yet"),
        ("/audit", "Nothing was done yet"),
    ],
)
def test_an_empty_list_says_what_to_expect(fresh, path, words):
    answer = fresh.get(path)
    assert answer.status_code == 200
    assert words in answer.text


PATHS = ["/plan-changes", "/hotspots", "/kpis", "/alerts", "/collector", "/audit", "/databases/a/b", "/plans/ff"]


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """There is no store yet."""
    with serving(tmp_path_factory.mktemp("without")) as site:
        yield site


@pytest.mark.parametrize("path", [*PATHS, "/statements/a/b/ff"])
def test_without_a_store_every_page_says_what_to_do(without, path):
    answer = without.get(path)
    assert answer.status_code == 503
    assert "dbplanmon store upgrade" in answer.text
    assert "Traceback" not in answer.text
