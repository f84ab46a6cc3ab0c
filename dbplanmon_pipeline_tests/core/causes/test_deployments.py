from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.causes.deployments import (
    AHEAD,
    LONGEST_NAME,
    UnknownDeployment,
    UnusableDeployment,
    chosen_deployment,
    deployment_words,
    new_deployment,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def marked(name="shop 2.4", **given):
    return new_deployment(name, **{"now": NOW, "actor": "ann", **given})


def test_the_same_deployment_has_the_same_id_whoever_marks_it_when():
    first = marked(instance="prod", deployed_at=NOW)
    again = marked(instance="prod", deployed_at=NOW, note="again", now=NOW + timedelta(hours=1), actor="bob")
    assert first.deployment_id == again.deployment_id != marked(instance="test", deployed_at=NOW).deployment_id
    assert len(first.deployment_id) == 12


def test_texts_become_one_harmless_line():
    found = marked("  shop\n2.4\x1b[31m\u202e ", note="a\r\nb")
    assert (found.name, found.note) == ("shop 2.4[31m", "a b")
    assert deployment_words(found) == "deployment shop 2.4[31m to every instance: a b"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": " \n "}, "needs a name"),
        ({"name": "x" * (LONGEST_NAME + 1)}, "the name of a deployment has at most 200 characters, not 201"),
        ({"note": "x" * 2001}, "the note of a deployment has at most 2,000 characters"),
        ({"database": "x" * 256}, "the database of a deployment has at most 255"),
        ({"deployed_at": NOW + AHEAD * 2}, "2026-03-01 12:20 UTC lies ahead"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_one_line(given, words):
    with pytest.raises(UnusableDeployment, match=words):
        marked(**given)


@pytest.mark.parametrize(
    ("instance", "database", "expected"),
    [("", "", True), ("prod", "", True), ("prod", "Shop", True), ("", "Shop", True), ("test", "", False)],
)
def test_a_deployment_concerns_its_place_and_what_lies_in_it(instance, database, expected):
    found = marked(instance=instance, database=database)
    assert found.concerns("prod", "Shop") is expected
    assert found.concerns("prod", "") is expected


def test_a_deployment_to_another_database_does_not_concern_this_one():
    assert not marked(database="Other").concerns("prod", "Shop")


def test_a_marker_is_chosen_by_its_id_before_its_name():
    first = marked("shop 2.4")
    named_like_it = marked(first.deployment_id)
    assert chosen_deployment([named_like_it, first], first.deployment_id) == first
    assert chosen_deployment([named_like_it, first], " shop\n2.4 ") == first


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("shop 2.5", r"no deployment 'shop 2\.5' is marked"),
        ("", "no deployment '' is marked"),
        ("shop 2.4", r"2 deployments have this name; give the id of one: \w{12} \(2026-03-01 11:00\), \w{12} \("),
    ],
)
def test_a_marker_that_is_not_told_apart_is_refused_in_one_line(wanted, words):
    known = [marked(deployed_at=NOW - timedelta(hours=1)), marked()]
    with pytest.raises(UnknownDeployment, match=words):
        chosen_deployment(known, wanted)
