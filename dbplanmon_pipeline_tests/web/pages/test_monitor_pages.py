"""The pages about the monitor itself: collector, settings, audit; and who may see them."""

from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.ports import SpooledReading
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline.store import DiskSpool
from dbplanmon_pipeline_tests.store.samples import reading
from dbplanmon_pipeline_tests.web.pages import told
from dbplanmon_pipeline_tests.web.pages.site import SETTINGS, serving

browser_test = pytest.mark.browser
PATHS = [
    "/plan-changes",
    "/hotspots",
    "/kpis",
    "/kpis/x",
    "/alerts",
    "/collector",
    "/settings",
    "/audit",
    "/databases/fleet/sim0001",
    "/plans/00",
    "/statements/fleet/sim0001/00",
]
PLANTED = """\
environment: development
store: {url: "sqlite:////tmp/none/zq1-ok.db"}
instances:
  - {name: fleet, engine: simulated, databases: 2}
  - name: box
    engine: sqlserver
    server: box.example.net
    login: {user: monitor, password: "zq9-login"}
    databases: [Sales]
alerts:
  channels:
    - {type: webhook, url: "https://hooks.example.net/zq9-path?token=zq9-query", headers: {X-Key: "zq9-header"}}
    - {type: pagerduty, routing_key: "zq9-routing"}
    - {type: email, name: m, host: h.example.net, sender: a@b.example, to: [b@b.example], user: u, password: zq9-mail}
    - {type: apprise, name: ap, url: "tgram://zq9-apprise/zq9-chat"}
kpis:
  - {name: k, instance: fleet, database: sim0001, sql: "SELECT 1 WHERE name = 'zq9-literal'", maximum: 1}
"""


@pytest.fixture(scope="module")
def busy(past, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("busy"), past=past, settings=told.settings(), lasts=True) as site:
        told.tell(site)
        yield site


@browser_test
def test_the_collector_shows_checks_failures_with_their_remedy_and_who_rests(open_page, busy):
    page = open_page(busy, "/collector")

    assert page.locator(".check-list > li").count() == 10
    failed = page.locator("section", has=page.locator("#failures")).inner_text()
    assert "Timeout: 1 database" in failed
    assert "raise the budget" in failed
    assert "no answer within 10 s" in failed
    resting = page.locator("section", has=page.locator("#breakers")).inner_text()
    assert "shop" in resting
    assert "rests until" in resting
    first = page.locator("section", has=page.locator("#readings")).locator("tbody tr").first.inner_text()
    assert "fleet/sim0002" in first
    assert "Failed" in first
    assert "interval_metric" in page.locator("section", has=page.locator("#store")).inner_text()


@browser_test
def test_no_table_of_the_collector_scrolls_sideways_on_a_phone(open_page, busy):
    page = open_page(busy, "/collector", viewport={"width": 360, "height": 740})
    assert page.locator(".scroll").count() == 4
    too_wide = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).map(box => box.ariaLabel)"
    assert page.locator(".scroll").evaluate_all(too_wide) == []


def test_readings_that_wait_on_disk_are_told(own_site, tmp_path):
    assert "wait on disk" not in own_site.get("/collector").text
    folder = next(path.parent for path in tmp_path.rglob("store.db"))
    at = own_site.clock()
    spool = DiskSpool(folder / "spool", 10_000_000, timedelta(days=1))
    spool.keep(at, [SpooledReading(told.REF, Engine.SIMULATED, reading(at, [1, 2]))])
    assert "1 reading of the fleet" in own_site.get("/collector").text


@browser_test
def test_settings_say_what_was_written_where(open_page, busy):
    page = open_page(busy, "/settings")

    page.get_by_label("Filter settings").fill("kpis.orders.minimum")
    row = page.locator(
        "#settings tr:visible", has=page.get_by_role("rowheader", name="kpis.orders.minimum", exact=True)
    ).inner_text()
    assert "10" in row
    assert "dbplanmon.yaml" in row
    page.get_by_label("Filter settings").fill("collection.top_n")
    assert "default" in page.locator("#settings tr:visible", has_text="collection.top_n").inner_text()


def test_no_setting_shows_a_secret(past, tmp_path):
    with serving(tmp_path, past=past, settings=PLANTED) as planted:
        text = planted.get("/settings").text
        others = "".join(planted.get(path).text for path in ("/alerts", "/collector", "/kpis", "/kpis/k"))
    loaded = load_settings(tmp_path / "dbplanmon.yaml", environ={})
    assert len(loaded.alerts.channels) == 4
    assert "box.example.net" in text
    assert "zq9" not in text
    assert "zq9" not in others


def test_a_reference_to_a_secret_says_where_it_lies(busy):
    assert "env:MAIL_PASSWORD" in busy.get("/settings").text


@browser_test
def test_the_audit_tells_who_did_what_and_is_narrowed(open_page, own_site):
    number = own_site.store.incidents()[0].incident_id
    own_site.post(f"/api/incidents/{number}/acknowledge", headers=own_site.bearer(), json={"note": "<b>mine</b>"})

    page = open_page(own_site, "/audit")
    assert "only ever added" in page.inner_text("main")
    page.get_by_label("By whom").fill("robot")
    page.get_by_label("What").fill("incident ack")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**actor=robot**")
    (row,) = page.locator("tbody tr").all()
    assert "<b>mine</b>" in row.inner_text()
    row.get_by_role("link", name=number).click()
    page.wait_for_url(f"**/incidents/{number}")


@browser_test
def test_the_navigation_shows_where_one_is(open_page, busy):
    for path, group, part in (
        ("/audit", "Monitor", "Audit"),
        ("/hotspots", "Statements", "Hotspots"),
        ("/kpis/orders", "KPIs", None),
        ("/databases/fleet/sim0001", "Fleet", None),
    ):
        page = open_page(busy, path)
        assert page.locator("nav.sections [aria-current]").all_inner_texts() == [group]
        assert page.locator("nav.parts [aria-current]").all_inner_texts() == ([part] if part else [])


@pytest.fixture(scope="module")
def closed(past, tmp_path_factory):
    """People have to log in."""
    with serving(
        tmp_path_factory.mktemp("closed"), past=past, settings=f"{SETTINGS}web: {{anonymous: nobody}}\n"
    ) as site:
        yield site


@pytest.mark.parametrize("path", PATHS)
def test_nobody_sees_a_page_where_people_have_to_log_in(closed, path):
    answer = closed.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=")
