"""A site over the recorded fleet, and a browser that tells of every complaint."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbplanmon_pipeline_tests.support.requirements import absent
from dbplanmon_pipeline_tests.web.pages.site import Site, serving

DESKTOP = {"width": 1280, "height": 720}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="module")
def site(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """For tests that only look."""
    with serving(tmp_path_factory.mktemp("site"), past=past, lasts=True) as running:
        yield running


# One file at a time: while Playwright runs, the thread has a running loop, and nothing else may start one there.
@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        absent("browser", "no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


def _is_complaint(told):
    """A refused form is told on the page; that the browser mentions it, too, is no complaint."""
    return told.type in ("error", "warning") and "a status of 409" not in told.text


class Tabs:
    """Pages of one browser; whoever only looks gets the page of the last one, as a new context costs half a second."""

    def __init__(self, browser) -> None:
        self.complaints = []
        self._browser = browser
        self._kept = {}
        self._own = []
        self._taken = set()

    def page(self, site: Site, *, viewport=DESKTOP, color_scheme="light", **options):
        """A page that has not seen anything yet; options other than the looks make a context of its own."""
        page = self._again(site) if site.lasts and not options else self._new(self._own, site, **options)
        page.set_viewport_size(viewport)
        page.emulate_media(media="screen", color_scheme=color_scheme, reduced_motion="reduce")
        return page

    def _again(self, site: Site):
        if site.url in self._taken:
            return self._new(self._own, site)
        self._taken.add(site.url)
        if site.url not in self._kept:
            kept = []
            page = self._new(kept, site)
            self._kept[site.url] = kept[0]
            return page
        (page,) = self._kept[site.url].pages
        page.evaluate("localStorage.clear(), sessionStorage.clear()")
        page.context.clear_cookies()
        return page

    def end_test(self) -> None:
        """Close what nobody else may use."""
        changed = [url for url, context in self._kept.items() if len(context.pages) != 1]
        for context in (*self._own, *(self._kept.pop(url) for url in changed)):
            context.close()
        self._own.clear()
        self._taken.clear()

    def _new(self, contexts, site: Site, **options):
        context = self._browser.new_context(base_url=site.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda told: self.complaints.append(told.text) if _is_complaint(told) else None)
        return page


@pytest.fixture(scope="module")
def tabs(browser):
    return Tabs(browser)


@pytest.fixture
def open_page(tabs):
    """Opens pages; at the end none may have complained, be it of a script, a style or the security policy."""
    tabs.complaints.clear()

    def opened(site: Site, path: str = "/", *, token: str = "", expects: int = 200, **options):
        page = tabs.page(site, **options)
        if token:
            page.goto("/login")
            page.get_by_label("Access token").fill(token)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url("**/")
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == expects
        if expects >= 400:
            tabs.complaints.clear()
        return page

    yield opened
    tabs.end_test()
    assert tabs.complaints == []
