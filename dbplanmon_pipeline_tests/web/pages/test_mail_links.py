"""Somebody who is logged in follows a link from elsewhere; another site tries to use the login. In a real browser.

The other site is `localhost`, the status page `127.0.0.1`: two sites in the eyes of a browser.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentState
from dbplanmon_pipeline_tests.web.pages.site import SETTINGS, serving

pytestmark = pytest.mark.browser


@pytest.fixture
def closed_site(past, tmp_path):
    with serving(tmp_path, past=past, settings=f"{SETTINGS}web: {{anonymous: nobody}}\n") as running:
        yield running


@contextmanager
def another_site(page: str) -> Iterator[str]:
    """Serves one page, such as a mail, on another site."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join(30)


def incident_of(site):
    (one,) = site.store.open_incidents()
    return one


def test_a_link_of_a_mail_leads_to_the_page_and_the_page_can_be_used(open_page, closed_site):
    path = f"/incidents/{incident_of(closed_site).incident_id}"
    page = open_page(closed_site, token=closed_site.token("anna"))

    with another_site(f'<a href="{closed_site.url}{path}">An incident</a>') as mail:
        page.goto(mail)
        page.get_by_role("link", name="An incident").click()
        page.wait_for_url(f"**{path}")
    page.get_by_role("button", name="Acknowledge").click()
    page.wait_for_url("**told=acknowledged**")

    assert incident_of(closed_site).state is IncidentState.ACKNOWLEDGED


def test_a_form_of_another_site_changes_nothing(open_page, closed_site):
    address = f"{closed_site.url}/incidents/{incident_of(closed_site).incident_id}/acknowledge"
    page = open_page(closed_site, token=closed_site.token("anna"))

    with another_site(f'<form method="post" action="{address}"><button>Win</button></form>') as evil:
        page.goto(evil)
        with page.expect_navigation():
            page.get_by_role("button", name="Win").click()

    assert page.url.startswith(f"{closed_site.url}/login")
    assert incident_of(closed_site).state is IncidentState.NEW


def test_another_site_gets_nothing_of_a_login_into_its_own_page(browser, open_page, closed_site):
    cookies = open_page(closed_site, token=closed_site.token("anna")).context.cookies()
    seen = []

    def note(request) -> None:
        seen.append(request)

    asks = f"""<iframe src="{closed_site.url}/incidents"></iframe><img src="{closed_site.url}/api/incidents">
        <script>fetch("{closed_site.url}/api/incidents", {{credentials: "include", mode: "no-cors"}})
          .catch(() => 0).then(() => document.title = "asked")</script>"""

    # A context of its own: that the browser blocks these answers is what it should complain of.
    with another_site(asks) as evil, browser.new_context() as context:
        context.add_cookies(cookies)
        page = context.new_page()
        page.on("request", note)
        page.goto(evil, wait_until="load")
        page.wait_for_function("document.title === 'asked'")
        sent = [request for request in seen if request.url.startswith(closed_site.url)]
        assert len(sent) >= 3
        assert [request.url for request in sent if "cookie" in request.all_headers()] == []
        assert all("incident-row" not in frame.content() for frame in page.frames[1:])
        page.goto(f"{closed_site.url}/incidents")
        assert page.locator(".incident-row").count() == 1
