"""Log in with a token, look and act by role, log out; over real HTTP."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.services.grant_access import revoke_token
from dbplanmon_pipeline.web.access.attempts import PER_ADDRESS, WINDOW
from dbplanmon_pipeline_tests.web.access.serving import Site, done, serving


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def closed_site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, "anonymous: nobody") as running:
        yield running


def test_a_stranger_may_look_but_is_sent_to_the_login_to_act(site: Site) -> None:
    browser = site.browser()
    assert browser.get("/look").json()["name"] == "anonymous"
    answer = browser.post("/act")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2F")
    assert done == []


def test_where_strangers_see_nothing_the_login_leads_back_to_the_page(closed_site: Site) -> None:
    browser = closed_site.browser()
    answer = browser.get("/look?a=1&b=%26")
    assert answer.status_code == 303
    form = browser.get(answer.headers["location"])
    assert 'name="next" value="/look?a=1&amp;b=%26"' in form.text
    entered = browser.post("/login", data={"token": closed_site.token(), "next": "/look?a=1&b=%26"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/look?a=1&b=%26")
    assert browser.get(entered.headers["location"]).json()["name"] == "anna"


def test_programs_get_a_status_instead_of_the_login(closed_site: Site) -> None:
    answer = closed_site.browser().get("/api/look")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "Authorization: Bearer" in answer.json()["error"]


def test_an_operator_acts_under_their_name(site: Site) -> None:
    browser = site.logged_in("berta")
    token = browser.get("/look").json()["csrf_token"]
    answer = browser.post("/act", data={"csrf_token": token, "note": "checked"})
    assert answer.json() == {"by": "berta", "note": "checked"}
    assert done == ["berta"]


def test_a_viewer_may_not_act(site: Site) -> None:
    browser = site.logged_in("vera", Role.VIEWER)
    token = browser.get("/look").json()["csrf_token"]
    answer = browser.post("/act", data={"csrf_token": token})
    assert answer.status_code == 403
    assert "vera may not do this; it takes the role operator" in answer.text
    assert done == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_a_program_acts_with_its_token_by_role(site: Site, role: Role) -> None:
    headers = {"Authorization": f"Bearer {site.token('ci', role)}"}
    answer = site.browser().post("/api/act", headers=headers, content=b"{}")
    assert (answer.status_code, done) == ((200, ["ci"]) if role is Role.OPERATOR else (403, []))


@pytest.mark.parametrize("path", ["/api/look", "/look"])
def test_a_token_that_opens_nothing_is_refused_and_not_taken_for_a_stranger(site: Site, path: str) -> None:
    answer = site.browser().get(path, headers={"Authorization": "Bearer dbpm_" + "0" * 64})
    assert answer.status_code == 401
    assert "opens nothing" in answer.json()["error"]


def test_a_wrong_token_shows_the_form_again_and_never_the_token(site: Site) -> None:
    answer = site.browser().post("/login", data={"token": "dbpm_wrong<b>"})
    assert answer.status_code == 401
    assert "This token opens nothing" in answer.text
    assert "wrong" not in answer.text.replace("wrong token", "")
    assert "set-cookie" not in answer.headers


def test_the_cookie_is_of_the_careful_kind(site: Site) -> None:
    answer = site.browser().post("/login", data={"token": site.token()})
    name, *flags = [part.strip().lower() for part in answer.headers["set-cookie"].split(";")]
    assert len(name.partition("=")[2]) == 64
    assert {"httponly", "samesite=lax", "path=/", "max-age=43200"} <= set(flags)
    assert "secure" not in flags


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, "anna"),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, "anna"),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, "anna"),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, "anonymous"),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, "anonymous"),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, "anonymous"),
    ],
)
def test_a_login_counts_where_somebody_goes_and_not_in_pages_of_others(
    site: Site, headers: dict[str, str], name: str
) -> None:
    assert site.logged_in().get("/look", headers=headers).json()["name"] == name


def test_a_login_outlives_the_server(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        cookies = dict(first.logged_in().cookies)
    with serving(tmp_path) as second:
        browser = second.browser()
        browser.cookies.update(cookies)
        assert browser.get("/look").json()["name"] == "anna"


def test_revoking_the_token_ends_the_login_at_once(site: Site) -> None:
    browser = site.logged_in()
    revoke_token(site.store, "anna", actor="root")
    assert browser.get("/look").json()["name"] == "anonymous"


def test_a_login_ends_with_its_time(site: Site) -> None:
    browser = site.logged_in()
    site.clock.moment += timedelta(hours=12)
    assert browser.get("/look").json()["name"] == "anonymous"


def test_a_new_login_is_a_new_cookie_and_ends_the_old_one(site: Site) -> None:
    browser = site.logged_in()
    before = browser.cookies["dbplanmon_session"]
    browser.post("/login", data={"token": site.token("berta")})
    assert browser.cookies["dbplanmon_session"] != before
    old = site.browser()
    old.cookies.set("dbplanmon_session", before)
    assert old.get("/look").json()["name"] == "anonymous"


def test_a_cookie_somebody_planted_is_not_taken_over(site: Site) -> None:
    browser = site.browser()
    browser.cookies.set("dbplanmon_session", "a" * 64)
    answer = browser.post("/login", data={"token": site.token()})
    assert "dbplanmon_session=" + "a" * 64 not in answer.headers["set-cookie"]


def test_logging_out_ends_the_login_on_the_server(site: Site) -> None:
    browser = site.logged_in()
    cookie = browser.cookies["dbplanmon_session"]
    page = browser.get("/login").text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    assert browser.post("/logout", data={"csrf_token": token}).status_code == 303
    assert "dbplanmon_session" not in browser.cookies
    browser.cookies.set("dbplanmon_session", cookie)
    assert browser.get("/look").json()["name"] == "anonymous"


def test_another_site_cannot_log_somebody_out(site: Site) -> None:
    browser = site.logged_in()
    assert browser.post("/logout").status_code == 403
    assert browser.get("/logout").status_code == 405
    assert browser.get("/look").json()["name"] == "anna"


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/%0d%0aSet-Cookie:x",
        "javascript:alert(1)",
        "/\n/evil.example",
        "\u202e/",
        "/login?next=/login",
        "",
        "http:evil",
    ],
)
def test_the_login_leads_to_no_other_site(site: Site, wanted: str) -> None:
    answer = site.browser().post("/login", data={"token": site.token(), "next": wanted})
    assert answer.headers["location"] in ("/", "/%0d%0aSet-Cookie:x")
    assert "x" not in [name.lower() for name in answer.headers]


def test_guessing_is_slowed_down_and_a_right_token_in_time_is_not(site: Site) -> None:
    browser, token = site.browser(), site.token()
    for _ in range(3):
        assert browser.post("/login", data={"token": token}).status_code == 303
    statuses = [browser.post("/login", data={"token": f"guess {number}"}).status_code for number in range(PER_ADDRESS)]
    assert statuses == [401] * PER_ADDRESS
    limited = browser.post("/login", data={"token": token})
    assert limited.status_code == 429
    assert limited.headers["retry-after"] == str(int(WINDOW.total_seconds()))
    site.clock.moment += WINDOW
    assert browser.post("/login", data={"token": token}).status_code == 303


def test_without_a_store_the_login_says_so(tmp_path: Path) -> None:
    with serving(tmp_path, store_there=False) as site:
        answer = site.browser().post("/login", data={"token": "dbpm_" + "0" * 64})
        assert answer.status_code == 503
        assert "dbplanmon store upgrade" in answer.text
        browser = site.browser()
        browser.cookies.set("dbplanmon_session", "a" * 64)
        assert browser.get("/look").json()["name"] == "anonymous"
        answer = browser.get("/api/look", headers={"Authorization": "Bearer dbpm_" + "0" * 64})
        assert (answer.status_code, "dbplanmon store upgrade" in answer.json()["error"]) == (503, True)
