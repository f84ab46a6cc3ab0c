"""Tokens and logins of the status page, on both kinds of store."""

import re
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.services.grant_access import (
    AccessRefused,
    issue_token,
    log_in,
    log_out,
    revoke_token,
    token_of,
    token_of_login,
)
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.store.conftest import SettableClock, clock, store, store_url

__all__ = ["clock", "store", "store_url"]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def issued(store: SqlStore, clock: SettableClock, name: str = "anna", lasting: timedelta | None = None) -> str:
    return issue_token(store, name, Role.OPERATOR, actor="root", now=clock(), lasting=lasting).secret


def test_a_token_opens_until_it_is_revoked(store: SqlStore, clock: SettableClock) -> None:
    secret = issued(store, clock)
    found = token_of(store, secret, clock())
    assert found is not None
    assert (found.name, found.role, found.created_by) == ("anna", Role.OPERATOR, "root")
    revoke_token(store, "anna", actor="root", reason="left the team")
    assert token_of(store, secret, clock()) is None


def test_a_token_can_be_told_by_programs_that_look_for_secrets(store: SqlStore, clock: SettableClock) -> None:
    assert re.fullmatch(r"dbpm_[0-9a-f]{64}", issued(store, clock))


def test_a_token_ends_with_its_time(store: SqlStore, clock: SettableClock) -> None:
    secret = issued(store, clock, lasting=DAY)
    assert token_of(store, secret, clock() + DAY - timedelta(seconds=1)) is not None
    assert token_of(store, secret, clock() + DAY) is None


@pytest.mark.parametrize("change", [lambda s: s[:-1] + ("0" if s[-1] != "0" else "1"), lambda s: s.upper(), str.strip])
def test_only_the_very_token_opens(store: SqlStore, clock: SettableClock, change: object) -> None:
    secret = issued(store, clock)
    given = change(f"{secret} ") if change is str.strip else change(secret)
    assert (token_of(store, given, clock()) is not None) == (given == secret)


@pytest.mark.parametrize("given", ["", "dbpm_", "anna", "dbpm_" + "0" * 64, "\x00", "dbpm_" + "é" * 64, "x" * 100_000])
def test_anything_else_opens_nothing(store: SqlStore, clock: SettableClock, given: str) -> None:
    issued(store, clock)
    assert token_of(store, given, clock()) is None


def test_the_beginning_of_a_digest_is_not_enough(store: SqlStore, clock: SettableClock) -> None:
    secret = issued(store, clock)
    with store._database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE access_token SET digest = CAST(X'00' AS BLOB)"
            if connection.dialect.name == "sqlite"
            else "UPDATE access_token SET digest = '\\x00'::bytea"
        )
    assert token_of(store, secret, clock()) is None


def test_neither_token_nor_cookie_is_stored(store: SqlStore, clock: SettableClock) -> None:
    secret = issued(store, clock)
    token = token_of(store, secret, clock())
    assert token is not None
    cookie = log_in(store, token, clock(), HOUR)
    with store._database.read() as connection:
        rows = [
            row
            for table in ("access_token", "access_login", "audit_log")
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}").all()
        ]
    shown = repr(rows)
    assert secret not in shown
    assert secret.removeprefix("dbpm_") not in shown
    assert cookie not in shown


def test_a_name_is_free_again_once_its_token_has_ended(store: SqlStore, clock: SettableClock) -> None:
    first = issued(store, clock)
    with pytest.raises(AccessRefused, match="revoke it first"):
        issued(store, clock)
    revoke_token(store, "anna", actor="root")
    issued(store, clock, lasting=HOUR)
    clock.moment += DAY
    third = issued(store, clock)
    assert token_of(store, first, clock()) is None
    assert token_of(store, third, clock()) is not None
    assert [token.revoked_at is None for token in store.tokens()] == [False, False, True]


@pytest.mark.parametrize("name", ["", " anna", "anonymous", "Anonymous", "a\nb", "a\u202eb", "x" * 65, "-rf", "a/b"])
def test_a_name_that_would_confuse_the_audit_is_refused(store: SqlStore, clock: SettableClock, name: str) -> None:
    with pytest.raises(AccessRefused, match="no name for a token"):
        issued(store, clock, name)


def test_revoking_what_is_not_there_says_where_to_look(store: SqlStore) -> None:
    with pytest.raises(AccessRefused, match="dbplanmon access list"):
        revoke_token(store, "nobody", actor="root")


def test_every_grant_and_its_end_stand_in_the_audit(store: SqlStore, clock: SettableClock) -> None:
    issued(store, clock)
    revoke_token(store, "anna", actor="eve", reason="left")
    entries = store.audit(clock() - DAY)
    assert [(e.actor, e.action, e.subject) for e in entries] == [
        ("eve", "access revoked", "anna"),
        ("root", "access added", "anna"),
    ]
    assert entries[0].detail == {"reason": "left"}
    assert entries[1].detail["role"] == "operator"


def test_a_login_lasts_until_its_time_and_no_longer_than_its_token(store: SqlStore, clock: SettableClock) -> None:
    token = token_of(store, issued(store, clock, lasting=2 * HOUR), clock())
    assert token is not None
    cookie, long = log_in(store, token, clock(), HOUR), log_in(store, token, clock(), DAY)
    assert token_of_login(store, cookie, clock() + HOUR - timedelta(seconds=1)) == store.tokens()[0]
    assert token_of_login(store, cookie, clock() + HOUR) is None
    assert token_of_login(store, long, clock() + 2 * HOUR) is None


def test_revoking_a_token_ends_its_logins_at_once(store: SqlStore, clock: SettableClock) -> None:
    token = token_of(store, issued(store, clock), clock())
    assert token is not None
    cookie = log_in(store, token, clock(), HOUR)
    revoke_token(store, "anna", actor="root")
    assert token_of_login(store, cookie, clock()) is None


def test_logging_out_ends_one_login_only(store: SqlStore, clock: SettableClock) -> None:
    token = token_of(store, issued(store, clock), clock())
    assert token is not None
    here, there = log_in(store, token, clock(), HOUR), log_in(store, token, clock(), HOUR)
    log_out(store, here)
    assert token_of_login(store, here, clock()) is None
    assert token_of_login(store, there, clock()) is not None


def test_expired_logins_are_forgotten_with_the_next_one(store: SqlStore, clock: SettableClock) -> None:
    token = token_of(store, issued(store, clock), clock())
    assert token is not None
    log_in(store, token, clock(), HOUR)
    clock.moment += DAY
    log_in(store, token, clock(), HOUR)
    with store._database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM access_login").scalar() == 1


def test_the_day_of_the_last_use_is_remembered(store: SqlStore, clock: SettableClock) -> None:
    secret = issued(store, clock)
    assert store.tokens()[0].last_used_on is None
    token_of(store, secret, clock())
    token_of(store, secret, clock() + DAY)
    assert store.tokens()[0].last_used_on == (clock() + DAY).date()


def test_the_view_shows_people_everything_but_the_digest(store: SqlStore, clock: SettableClock) -> None:
    issued(store, clock)
    with store._database.read() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM v_access_token").mappings().all()
    assert row["name"] == "anna"
    assert "digest" not in row
