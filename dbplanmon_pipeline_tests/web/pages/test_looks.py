"""Every page for everybody: accessible in light and dark, on a phone, on paper, below a prefix, without scripts."""

import pytest

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline_tests.web.pages import told
from dbplanmon_pipeline_tests.web.pages.site import serving

pytestmark = pytest.mark.browser

PAGES = [
    "/",
    "/incidents",
    "/incidents?q=nothing+fits",
    "INCIDENT",
    "/login",
    "STATEMENT",
    "PLAN",
    "/databases/fleet/sim0001",
    "/plan-changes",
    "/hotspots",
    "/kpis",
    "/kpis/orders",
    "/alerts",
    "/collector",
    "/settings",
    "/audit",
]
RULES = {
    "light": {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "dark": {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}},
}
"""Of each scheme; another one changes nothing but colours."""


@pytest.fixture(scope="module")
def site(past, tmp_path_factory):
    """With something on each page."""
    with serving(tmp_path_factory.mktemp("looks"), past=past, settings=told.settings(), lasts=True) as running:
        told.tell(running)
        yield running


def _path(site, path):
    incident = site.store.incidents()[0]
    place = f"{incident.instance}/{incident.database}/{hash_text(incident.query_hash)}"
    plans = f"{hash_text(incident.plan_hash)}?before={hash_text(incident.previous_plan_hash)}"
    for name, known in (
        ("INCIDENT", f"/incidents/{incident.incident_id}"),
        ("STATEMENT", f"/statements/{place}"),
        ("PLAN", f"/plans/{plans}"),
    ):
        path = path.replace(name, known)
    return path


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_in_light_and_dark(open_page, site, path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(site, _path(site, path))
    page.evaluate("for (const hidden of document.querySelectorAll('details')) hidden.open = true")
    backgrounds = set()
    for scheme, rules in RULES.items():
        page.emulate_media(color_scheme=scheme)
        backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))

        found = axe.run(page, options=rules)

        assert [
            (scheme, violation["id"], node["html"][:200], node["failureSummary"])
            for violation in found.response["violations"]
            for node in violation["nodes"]
        ] == []
        assert found.response["passes"] or found.response["inapplicable"]
    assert len(backgrounds) == 2


def test_axe_finds_nothing_in_the_forms_of_an_operator(open_page, own_site):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(own_site, _path(own_site, "INCIDENT"), token=own_site.token())
    page.evaluate("for (const hidden of document.querySelectorAll('details')) hidden.open = true")

    assert axe.run(page).response["violations"] == []


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_wider_than_a_phone(open_page, site, path):
    page = open_page(site, _path(site, path), viewport={"width": 360, "height": 740})

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    cut = page.evaluate(
        "[...document.querySelectorAll('main h1, main h2, main p, main dd, main label, main button, main td')]"
        ".filter(part => !part.closest('.scroll, .chart-box, pre, [hidden]') && part.offsetParent"
        " && part.getBoundingClientRect().right > 361).map(part => part.outerHTML.slice(0, 120))"
    )
    assert cut == []


def test_a_chosen_theme_is_remembered(open_page, site):
    page = open_page(site, "/", color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.get_by_role("button", name="Dark colours").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.goto("/incidents")

    assert dark != light
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    assert page.get_by_role("button", name="Dark colours").get_attribute("aria-pressed") == "true"


def test_the_keyboard_reaches_the_content_and_everything_in_it(open_page, site):
    page = open_page(site, "/incidents")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "q"
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "incident-title":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/incidents/*")


def test_pages_work_without_scripts(open_page, site):
    page = open_page(site, _path(site, "INCIDENT"), java_script_enabled=False)

    assert page.locator("svg.chart .chart-line").first.is_visible()
    assert not page.get_by_role("button", name="Copy").first.is_visible()
    assert not page.locator("#theme").is_visible()


def test_paper_shows_the_incident_without_forms(open_page, own_site):
    page = open_page(own_site, _path(own_site, "INCIDENT"), token=own_site.token())
    page.emulate_media(media="print")

    assert page.locator("svg.chart").is_visible()
    assert not page.get_by_role("button", name="Acknowledge").is_visible()
    assert not page.locator("header.top").is_visible()


def test_everything_works_below_the_path_of_a_proxy(open_page, past, tmp_path):
    with serving(tmp_path, past=past, path="/monitor") as below:
        page = open_page(below, "/monitor/")
        assert page.evaluate("getComputedStyle(document.body).margin") == "0px"
        page.get_by_role("link", name="Incidents", exact=True).click()
        page.wait_for_url("**/monitor/incidents")
        page.locator(".incident-title").click()
        page.wait_for_url("**/monitor/incidents/*")
        hrefs = page.evaluate(
            "[...document.querySelectorAll('a[href], form[action]')]"
            ".map(one => one.getAttribute('href') || one.getAttribute('action'))"
        )
        assert [href for href in hrefs if not href.startswith(("/monitor", "#"))] == []
