"""Names of hosts, proxies, headers, sizes and errors, over real HTTP."""

import http.client
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.web.access.headers import CONTENT_SECURITY_POLICY
from dbplanmon_pipeline_tests.web.access.serving import Site, serving

PROXIED = """\
public_url: https://status.example.net/db
trusted_hosts: [monitor.lan, "10.0.0.5"]
trusted_proxies: ["127.0.0.0/8"]
user_header: X-Forwarded-User
operators: [olga]
anonymous: nobody
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("site"), "trusted_hosts: [monitor.lan]") as running:
        yield running


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("proxied"), PROXIED, path="/db") as running:
        yield running


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "LocalHost:3001", "[::1]:80", "localhost.", "monitor.lan", "Monitor.LAN:8443"],
)
def test_names_of_ours_are_answered(site: Site, host: str) -> None:
    assert site.raw("GET", "/look", [("Host", host)])[0] == 200


@pytest.mark.parametrize(
    "hosts",
    [
        ["evil.example"],
        ["127.0.0.1.evil.example"],
        ["localhost.evil.example"],
        ["10.9.9.9"],
        ["0.0.0.0"],
        ["localhost:x"],
        ["localhost@evil.example"],
        ["[::1"],
        [""],
        ["xn--80ak6aa92e.com"],
    ],
    ids=repr,
)
def test_other_names_get_one_line(site: Site, hosts: list[str]) -> None:
    status, text = site.raw("GET", "/look", [("Host", host) for host in hosts])
    assert status == 400
    assert "anonymous" not in text


@pytest.mark.parametrize("hosts", [["localhost", "evil.example"], []], ids=repr)
def test_two_names_or_none_are_refused(site: Site, hosts: list[str]) -> None:
    assert site.raw("GET", "/look", [("Host", host) for host in hosts])[0] == 400


def test_the_refusal_is_json_where_a_program_asks(site: Site) -> None:
    status, text = site.raw("GET", "/api/look", [("Host", "evil.example")])
    assert (status, text.startswith('{"error":"this name is not known here')) == (400, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/look", 200),
        ("GET", "/nothing", 404),
        ("GET", "/login", 200),
        ("GET", "/health/live", 200),
        ("DELETE", "/look", 405),
        ("BREW", "/look", 405),
        ("GET", "/fail", 500),
    ],
)
def test_every_answer_carries_the_headers(site: Site, method: str, path: str, status: int) -> None:
    answer = site.browser().request(method, path)
    assert answer.status_code == status
    headers = answer.headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers
    assert "server" not in headers


def test_files_of_ours_may_be_kept_while_their_address_has_their_hash(site: Site) -> None:
    browser = site.browser()
    link = next(part for part in browser.get("/").text.split('"') if "/static/" in part and ".css?v=" in part)
    assert browser.get(link).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert browser.get(link.partition("?")[0]).headers["cache-control"] == "no-cache"
    assert browser.get(link).headers["content-security-policy"] == CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(
    ("headers", "status"), [({"Host": "evil.example"}, 400), ({"Host": "localhost", "Content-Length": "1000001"}, 413)]
)
def test_what_is_refused_at_the_door_carries_them_too(site: Site, headers: dict[str, str], status: int) -> None:
    connection = http.client.HTTPConnection(site.host, site.port, timeout=20)
    connection.putrequest("POST", "/look", skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("content-security-policy")) == (status, CONTENT_SECURITY_POLICY)
    connection.close()


def test_over_https_the_browser_is_told_to_stay_there(proxied: Site) -> None:
    answer = proxied.browser().get("/login", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_a_large_request_is_refused_before_it_is_read(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.token('large')}"}
    browser = site.browser()
    assert browser.post("/api/act", headers=headers, content=b"x" * 1_000_000).json() == {"body": 1_000_000}
    assert site.raw("POST", "/api/act", [("Host", "localhost"), ("Content-Length", "1000001")])[0] == 413
    chunks = iter([b"x" * 400_000] * 3)
    answer = browser.post("/api/act", headers=headers, content=chunks)
    assert (answer.status_code, answer.json()) == (413, {"error": "the request is larger than 1 MB"})


def test_a_failure_of_ours_is_a_plain_page_and_one_entry_of_the_log(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    answer = site.browser().get("/fail?secret=x")
    assert answer.status_code == 500
    assert "Traceback" not in answer.text
    assert "hunter2" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.event == "page_failed"
    assert record.error_id in answer.text
    assert record.path == "/fail"


def test_a_page_that_is_not_there_leads_back(site: Site) -> None:
    answer = site.browser().get("/nothing/<script>")
    assert answer.status_code == 404
    assert "<script>" not in answer.text
    assert 'href="/"' in answer.text


def asked(proxied: Site, path: str = "/db/api/look", **headers: str) -> httpx.Response:
    return proxied.browser().get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_trusted_proxy_names_client_scheme_host_and_user(proxied: Site) -> None:
    found = asked(
        proxied,
        X_Forwarded_For="198.51.100.7, 203.0.113.9, 127.0.0.2",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="status.example.net",
        X_Forwarded_User="vera",
    ).json()
    assert found["client"] == "203.0.113.9"
    assert found["url"] == "https://status.example.net/db/look"
    assert (found["name"], found["role"]) == ("vera", "viewer")


def test_a_proxy_that_takes_the_prefix_away_changes_nothing(proxied: Site) -> None:
    assert asked(proxied, "/api/look", X_Forwarded_User="vera").json()["url"].endswith("/db/look")


def test_the_host_a_proxy_names_must_be_known_too(proxied: Site) -> None:
    assert asked(proxied, X_Forwarded_Host="evil.example", X_Forwarded_User="vera").status_code == 400


@pytest.mark.parametrize("name", ["", "  ", "anonymous", "Anonymous", "\x7f"])
def test_a_proxy_that_names_nobody_leaves_a_stranger(proxied: Site, name: str) -> None:
    assert proxied.raw("GET", "/db/api/look", [("Host", "localhost"), ("X-Forwarded-User", name)])[0] in (400, 401)


def test_two_names_of_a_user_are_none(proxied: Site) -> None:
    headers = [("Host", "localhost"), ("X-Forwarded-User", "olga"), ("X-Forwarded-User", "vera")]
    assert proxied.raw("GET", "/db/api/look", headers)[0] == 401


@pytest.mark.parametrize(("name", "status"), [("vera", 403), ("olga", 200), ("Olga", 403)])
def test_users_of_a_proxy_act_only_where_the_settings_name_them(proxied: Site, name: str, status: int) -> None:
    browser = proxied.browser()
    browser.headers.update({"X-Forwarded-User": name, "Origin": "https://status.example.net"})
    token = browser.get("/db/look").json()["csrf_token"]
    assert browser.post("/db/act", data={"csrf_token": token}).status_code == status
    assert browser.post("/db/act", data={}).status_code == 403


def test_behind_https_the_cookie_is_secure_and_stays_below_the_prefix(proxied: Site) -> None:
    headers = {"X-Forwarded-Proto": "https", "Origin": "https://status.example.net"}
    data = {"token": proxied.token("secure", Role.VIEWER), "next": "/db/look"}
    answer = proxied.browser().post("/db/login", data=data, headers=headers)
    flags = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}
    assert {"secure", "path=/db"} <= flags
    assert answer.headers["location"] == "/db/look"


def test_a_proxy_that_speaks_plainly_to_us_does_not_lose_the_flag(proxied: Site) -> None:
    headers = [("Host", "status.example.net"), ("Origin", "https://status.example.net")]
    browser = proxied.browser()
    data = {"token": proxied.token("plain", Role.VIEWER)}
    answer = browser.post("/db/login", data=data, headers=dict(headers))
    assert "secure" in answer.headers["set-cookie"].lower()


def test_links_of_the_login_keep_the_prefix(proxied: Site) -> None:
    answer = proxied.browser().get("/db/look")
    assert answer.headers["location"] == "/db/login?next=%2Fdb%2Flook"
    assert 'action="/db/login"' in proxied.browser().get("/db/login").text


def test_what_a_stranger_says_about_itself_is_not_believed(site: Site) -> None:
    found = asked(
        site, "/api/look", X_Forwarded_For="203.0.113.9", X_Forwarded_Host="evil.example", X_Forwarded_User="olga"
    ).json()
    assert (found["client"], found["name"]) == ("127.0.0.1", "anonymous")
    assert found["url"].startswith("http://127.0.0.1:")


def test_each_address_behind_a_proxy_has_attempts_of_its_own(tmp_path: Path) -> None:
    with serving(tmp_path, 'trusted_proxies: ["127.0.0.1"]') as fresh:
        browser = fresh.browser()
        for _ in range(11):
            last = browser.post("/login", data={"token": "x"}, headers={"X-Forwarded-For": "203.0.113.1"})
        other = browser.post("/login", data={"token": "x"}, headers={"X-Forwarded-For": "203.0.113.2"})
    assert (last.status_code, other.status_code) == (429, 401)


def test_a_probe_may_ask_by_the_address_it_reached(tmp_path: Path) -> None:
    with serving(tmp_path, bind="127.0.0.2") as fresh:
        assert fresh.raw("GET", "/health/live", [("Host", f"127.0.0.2:{fresh.port}")])[0] == 200
        assert fresh.raw("GET", "/health/live", [("Host", "127.0.0.3")])[0] == 400


def test_a_file_that_is_not_there_leads_back_to_the_first_page(proxied: Site) -> None:
    answer = proxied.browser().get("/db/static/nothing.css")
    assert answer.status_code == 404
    assert 'href="/db/"' in answer.text
