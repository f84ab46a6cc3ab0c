"""A site over the recorded fleet, and a browser that tells of every complaint."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbplanmon_pipeline_tests.support.requirements import absent
from dbplanmon_pipeline_tests.web.pages.site import Site, serving

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="module")
def site(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """For tests that only look."""
    with serving(tmp_path_factory.mktemp("site"), past=past) as running:
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


@pytest.fixture
def open_page(browser):
    """Opens pages; at the end none may have complained, be it of a script, a style or the security policy."""
    complaints, contexts = [], []

    def opened(site: Site, path: str = "/", *, token: str = "", expects: int = 200, **options):
        context = browser.new_context(base_url=site.url, reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: complaints.append(told.text) if _is_complaint(told) else None)
        if token:
            page.goto("/login")
            page.get_by_label("Access token").fill(token)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url("**/")
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == expects
        if expects >= 400:
            complaints.clear()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
