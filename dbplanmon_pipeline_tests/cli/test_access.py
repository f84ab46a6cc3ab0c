from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.services.grant_access import token_of


def opened_by(cli, secret):
    store = cli.store()
    found = token_of(store, secret, datetime.now(UTC))
    store.close()
    return found


def test_a_token_is_printed_once_and_opens(cli):
    result = cli("access", "add", "anna", "--role", "operator", "--actor", "root")
    secret = result.stdout.strip()
    assert secret.startswith("dbpm_")
    assert "not shown again" in result.stderr
    token = opened_by(cli, secret)
    assert (token.name, token.role, token.created_by, token.expires_at) == ("anna", Role.OPERATOR, "root", None)
    shown = cli("access", "list")
    assert "anna" in shown.stdout
    assert secret not in shown.stdout


def test_a_token_expires_after_the_span_that_was_asked_for(cli):
    record = cli.json("access", "add", "ci", "--expires", "90d")
    left = datetime.fromisoformat(record["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)
    assert record["role"] == "viewer"
    assert opened_by(cli, record["token"]).name == "ci"


def test_a_revoked_token_opens_nothing_and_is_listed_only_when_asked(cli):
    secret = cli.json("access", "add", "anna")["token"]
    assert cli.json("access", "revoke", "anna", "--reason", "left", "--actor", "eve") == {
        "name": "anna",
        "revoked_by": "eve",
    }
    assert opened_by(cli, secret) is None
    assert cli.json("access", "list")["tokens"] == []
    (token,) = cli.json("access", "list", "--all")["tokens"]
    assert (token["name"], token["state"]) == ("anna", "revoked")


def test_both_stand_in_the_audit_and_the_token_does_not(cli):
    secret = cli.json("access", "add", "anna", "--actor", "root")["token"]
    cli("access", "revoke", "anna", "--reason", "left", "--actor", "eve")
    store = cli.store()
    entries = store.audit(datetime.now(UTC) - timedelta(hours=1))
    store.close()
    assert [(entry.actor, entry.action) for entry in entries] == [("eve", "access revoked"), ("root", "access added")]
    assert secret not in repr(entries)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (("add", "anna"), "a token 'anna' is in force"),
        (("add", "anonymous"), "no name for a token"),
        (("revoke", "berta"), "no token 'berta' is in force; see dbplanmon access list"),
    ],
)
def test_what_cannot_be_is_one_line(cli, call, told):
    cli("access", "add", "anna")
    result = cli("access", *call)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert told in line


def test_a_wrong_span_is_wrong_usage(cli):
    assert cli("access", "add", "anna", "--expires", "soon").exit_code == 2
