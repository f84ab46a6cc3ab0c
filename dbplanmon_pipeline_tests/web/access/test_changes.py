"""What a request that changes something must show: where it comes from, and the token of a form of ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbplanmon_pipeline_tests.web.access.serving import Site, done, serving

PUBLIC = "https://status.example.net"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("site"), f"public_url: {PUBLIC}/db") as running:
        yield running


@pytest.fixture(scope="module")
def login(site: Site) -> tuple[str, str]:
    """Cookie and token of the forms."""
    browser = site.logged_in()
    return browser.cookies["dbplanmon_session"], browser.get("/look").json()["csrf_token"]


def acted(site: Site, login: tuple[str, str], *headers: tuple[str, str], token: str | None = None) -> int:
    done.clear()
    cookie, right = login
    fixed = [("Host", f"127.0.0.1:{site.port}"), ("Cookie", f"dbplanmon_session={cookie}")]
    status, _ = site.raw_form("/act", [*fixed, *headers], csrf_token=right if token is None else token)
    assert done == (["anna"] if status == 200 else [])
    return status


def own(site: Site) -> str:
    return f"http://127.0.0.1:{site.port}"


def test_a_form_of_ours_is_taken(site: Site, login: tuple[str, str]) -> None:
    assert acted(site, login, ("Origin", own(site))) == 200
    assert acted(site, login, ("Sec-Fetch-Site", "same-origin")) == 200
    assert acted(site, login, ("Sec-Fetch-Site", "same-origin"), ("Origin", own(site))) == 200


def test_behind_a_proxy_the_origin_is_that_of_the_public_address(site: Site, login: tuple[str, str]) -> None:
    assert acted(site, login, ("Origin", PUBLIC)) == 200
    assert acted(site, login, ("Origin", f"{PUBLIC}:443")) == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Origin", "null")],
        [("Origin", "")],
        [("Origin", "https://evil.example")],
        [("Origin", "http://127.0.0.1")],
        [("Origin", "http://127.0.0.1:1")],
        [("Origin", "http://status.example.net")],
        [("Origin", "https://status.example.net.evil.example")],
        [("Origin", "https://status.example.net:444")],
        [("Origin", "http://[::1")],
        [("Origin", "http://x:99999999")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
        [("Sec-Fetch-Site", "none")],
        [("Sec-Fetch-Site", "cross-site"), ("Origin", PUBLIC)],
        [("Sec-Fetch-Site", "same-origin"), ("Origin", "https://evil.example")],
    ],
    ids=repr,
)
def test_a_form_of_another_site_is_not(site: Site, login: tuple[str, str], headers: list[tuple[str, str]]) -> None:
    assert acted(site, login, *headers) == 403


@pytest.mark.parametrize("token", ["", "0" * 64, "é", "\x00", "x" * 100_000])
def test_a_form_without_our_token_is_not(site: Site, login: tuple[str, str], token: str) -> None:
    assert acted(site, login, ("Origin", own(site)), token=token) == 403


def test_the_token_of_another_login_does_not_help(site: Site, login: tuple[str, str]) -> None:
    other = site.logged_in("berta").get("/look").json()["csrf_token"]
    assert other != login[1]
    assert acted(site, login, ("Origin", own(site)), token=other) == 403


def test_a_script_of_ours_may_send_the_token_in_a_header(site: Site, login: tuple[str, str]) -> None:
    headers = (("Origin", own(site)), ("X-CSRF-Token", login[1]))
    assert acted(site, login, *headers, token="") == 200


def test_a_stranger_has_no_token_to_give(site: Site) -> None:
    assert site.browser().get("/look").json()["csrf_token"] == ""


def test_a_program_with_a_token_needs_neither(site: Site) -> None:
    done.clear()
    headers = [("Host", "localhost"), ("Authorization", f"Bearer {site.token('ci')}")]
    assert site.raw("POST", "/api/act", headers)[0] == 200
    assert done == ["ci"]


def test_a_login_is_not_taken_from_another_site(site: Site) -> None:
    headers = [("Host", "localhost"), ("Origin", "https://evil.example")]
    assert site.raw_form("/login", headers, token=site.token("eve"))[0] == 403


@pytest.mark.parametrize("body", [b"csrf_token=%ff%fe", b"\xff\xfe", b"&".join([b"a=1"] * 500)])
def test_a_form_that_cannot_be_read_is_refused(site: Site, login: tuple[str, str], body: bytes) -> None:
    headers = [
        ("Host", f"127.0.0.1:{site.port}"),
        ("Cookie", f"dbplanmon_session={login[0]}"),
        ("Origin", own(site)),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", str(len(body))),
    ]
    status, text = site.raw("POST", "/act", headers, body)
    assert (status, "the form cannot be read" in text) == (400, True)


def test_looking_changes_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as fresh:
        token = fresh.token()
        for path in ("/act", f"/act?csrf_token={token}", "/logout", "/api/act"):
            assert fresh.logged_in(f"x{len(fresh.clients)}").get(path).status_code == 405
        assert done == []
