"""Wrong tokens of programs are counted as those of the login are; over real HTTP."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.services.grant_access import revoke_token
from dbplanmon_pipeline.web.access import bearers
from dbplanmon_pipeline.web.access.attempts import PER_ADDRESS, WINDOW
from dbplanmon_pipeline_tests.web.access.serving import Site, serving


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, 'trusted_proxies: ["127.0.0.1"]') as running:
        yield running


def asked(site: Site, secret: str, address: str = "203.0.113.1") -> int:
    headers = {"Authorization": f"Bearer {secret}", "X-Forwarded-For": address}
    return site.browser().get("/api/look", headers=headers).status_code


def wrong(number: int) -> str:
    return f"dbpm_{number:064x}"


def exhaust(site: Site, address: str = "203.0.113.1") -> list[int]:
    return [asked(site, wrong(number), address) for number in range(PER_ADDRESS)]


def test_an_address_that_guesses_is_told_to_wait(site: Site) -> None:
    assert exhaust(site) == [401] * PER_ADDRESS
    headers = {"Authorization": f"Bearer {wrong(99)}", "X-Forwarded-For": "203.0.113.1"}
    answer = site.browser().get("/api/look", headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, str(int(WINDOW.total_seconds())))
    assert "too many wrong tokens" in answer.json()["error"]
    site.clock.moment += WINDOW
    assert asked(site, wrong(99)) == 401


def test_an_address_behind_the_same_proxy_has_attempts_of_its_own(site: Site) -> None:
    exhaust(site)
    assert asked(site, wrong(99), "203.0.113.2") == 401


def test_a_program_whose_token_opened_something_goes_on(site: Site) -> None:
    known, late = site.token("known", Role.VIEWER), site.token("late", Role.VIEWER)
    assert asked(site, known) == 200
    exhaust(site)
    assert asked(site, known) == 200
    assert asked(site, late) == 429


def test_a_token_that_is_taken_back_opens_nothing_any_more(site: Site) -> None:
    known = site.token("known", Role.VIEWER)
    assert asked(site, known) == 200
    exhaust(site)
    revoke_token(site.store, "known", actor="root")
    assert [asked(site, known) for _ in range(2)] == [401, 429]


def test_right_tokens_never_wait_for_each_other(site: Site) -> None:
    tokens = [site.token(f"robot{number}", Role.VIEWER) for number in range(3 * PER_ADDRESS)]
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda token: asked(site, token), tokens)) == {200}


def test_many_wrong_ones_at_once_do_not_all_get_through(site: Site) -> None:
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda number: asked(site, wrong(number)), range(60)))
    assert PER_ADDRESS <= statuses.count(401) < PER_ADDRESS + bearers.AT_ONCE
    assert statuses.count(401) + statuses.count(429) == 60


def test_guessing_tokens_keeps_nobody_from_logging_in(site: Site) -> None:
    exhaust(site)
    answer = site.browser().post("/login", data={"token": site.token()}, headers={"X-Forwarded-For": "203.0.113.1"})
    assert answer.status_code == 303


def test_the_log_tells_of_it_without_the_token(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        exhaust(site)
        asked(site, wrong(99))
    told = [record.event for record in caplog.records if hasattr(record, "event")]
    assert told == ["token_refused"] * PER_ADDRESS + ["token_limited"]
    assert "dbpm_" not in caplog.text


def test_what_is_remembered_stays_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bearers, "MOST_KNOWN", 2)
    first, *others = [site.token(f"robot{number}", Role.VIEWER) for number in range(3)]
    assert [asked(site, token) for token in (first, *others)] == [200] * 3
    exhaust(site)
    assert [asked(site, token) for token in (first, *others)] == [429, 200, 200]
