"""Deployments on the command line."""

from datetime import UTC, datetime, timedelta

import pytest

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def test_a_deployment_is_marked_listed_and_audited(cli):
    at = (datetime.now(UTC) - timedelta(hours=2)).replace(microsecond=0)
    made = cli.json(
        "mark-deploy", "shop 2.4", "--instance", "fleet", "--database", "Sales", "--at", at.isoformat(),
        "--note", "new\norder search", "--actor", "ann",
    )  # fmt: skip
    assert made["note"] == "new order search"
    assert datetime.fromisoformat(made["deployed_at"]) == at
    assert cli.json("deploys", "list")["deployments"] == [made]
    shown = cli("deploys", "list").stdout
    assert "shop 2.4" in shown
    assert "fleet/Sales" in shown
    store = cli.store()
    (entry,) = (one for one in store.audit(LONG_AGO) if one.action == "deployment marked")
    store.close()
    assert (entry.actor, entry.subject) == ("ann", made["deployment_id"])


def test_without_a_place_and_a_moment_it_is_everywhere_and_now(cli):
    told = cli("mark-deploy", "hotfix")
    assert told.stdout.startswith("deployment hotfix to every instance is marked for 20")
    assert cli.json("deploys", "list", "--since", "1h")["deployments"][0]["name"] == "hotfix"


def test_none_is_said_in_words(cli):
    assert cli("deploys", "list").stdout.strip() == "no deployments"


def test_a_marker_put_by_mistake_is_taken_back_and_audited(cli):
    first = cli.json("mark-deploy", "shop 2.4", "--instance", "fleet")
    again = cli.json("mark-deploy", "shop 2.4")
    told = cli("deploys", "remove", "shop 2.4")
    assert told.exit_code == 1
    assert "2 deployments have this name; give the id of one" in told.stderr
    gone = cli.json("deploys", "remove", first["deployment_id"], "--actor", "bob", "--reason", "wrong server")
    assert gone == {**first, "removed_by": "bob"}
    told = cli("deploys", "remove", "shop 2.4", "--actor", "bob").stdout
    assert told.startswith("deployment shop 2.4 to every instance, marked for 20")
    assert cli.json("deploys", "list")["deployments"] == []
    store = cli.store()
    removed = [one for one in store.audit(LONG_AGO) if one.action == "deployment removed"]
    store.close()
    assert {one.subject for one in removed} == {first["deployment_id"], again["deployment_id"]}
    assert {one.actor for one in removed} == {"bob"}


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (("mark-deploy",), 2, "Missing argument 'NAME'"),
        (("mark-deploy", "x", "--at", "yesterday"), 2, "'yesterday' is no moment"),
        (("mark-deploy", " "), 1, "a deployment needs a name"),
        (("mark-deploy", "x" * 201), 1, "at most 200 characters, not 201"),
        (("mark-deploy", "x", "--instance", "fleeet"), 1, "no instance is called 'fleeet'"),
        (("mark-deploy", "x", "--at", "2999-01-01"), 1, "lies ahead"),
        (("deploys", "remove", "x"), 1, "no deployment 'x' is marked; see dbplanmon deploys list"),
    ],
    ids=["no name", "no moment", "empty name", "long name", "unknown instance", "ahead", "nothing to take back"],
)
def test_what_cannot_be_is_said_in_one_line(cli, call, code, words):
    result = cli(*call)
    assert result.exit_code == code
    assert words in " ".join(result.stderr.split())
