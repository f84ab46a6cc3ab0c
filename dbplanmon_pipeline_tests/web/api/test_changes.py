"""What programs and people change: each step of an incident, and rules about messages; each stands in the audit."""

from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.ports.access import Role

DAY = timedelta(days=1)


@pytest.fixture
def robot(own_site):
    return own_site.bearer()


def audit_of(site, action):
    page = site.store.audit_page(action=action, since=site.clock() - 365 * DAY)
    return [(entry.actor, entry.subject, entry.detail) for entry in page.rows]


def decide(site, robot, event, **body):
    (one, *_) = site.store.incidents()
    return site.post(f"/api/incidents/{one.incident_id}/{event}", headers=robot, json=body)


def test_a_program_leads_an_incident_through_its_life(own_site, robot):
    for event, state in (
        ("acknowledge", "acknowledged"),
        ("resolve", "resolved"),
        ("reopen", "new"),
        ("dismiss", "dismissed"),
        ("reopen", "new"),
        ("resolve", "resolved"),
    ):
        own_site.clock.advance(timedelta(minutes=1))
        answer = decide(own_site, robot, event, note=f"to {event}")
        assert (answer.status_code, answer.json()["state"]) == (200, state)
    (one, *_) = own_site.store.incidents()
    told = own_site.get(f"/api/incidents/{one.incident_id}", headers=robot).json()
    assert [step["actor"] for step in told["history"]].count("robot") == 6
    assert len(audit_of(own_site, "incident ")) >= 6


@pytest.mark.parametrize("event", ["acknowledge", "resolve", "dismiss"])
def test_what_has_ended_only_reopens_and_with_a_reason(own_site, robot, event):
    decide(own_site, robot, "dismiss")
    assert decide(own_site, robot, event).status_code == 409
    answer = decide(own_site, robot, "reopen")
    assert (answer.status_code, "say why" in answer.json()["error"]) == (409, True)


@pytest.mark.parametrize("event", ["acknowledge", "resolve", "dismiss", "reopen"])
def test_a_viewer_decides_nothing(own_site, event):
    assert decide(own_site, own_site.bearer(Role.VIEWER), event, note="x").status_code == 403


def test_a_program_mutes_and_unmutes(own_site, robot):
    given = {"instance": "fleet", "database": "sim0001", "for": "7d", "reason": "a known batch"}
    made = own_site.post("/api/mutes", headers=robot, json=given)
    assert made.status_code == 201
    assert (made.json()["created_by"], made.json()["database"]) == ("robot", "sim0001")
    assert [rule["mute_id"] for rule in own_site.get("/api/mutes").json()["mutes"]] == [made.json()["mute_id"]]

    path = f"/api/mutes/{made.json()['mute_id']}/remove"
    assert own_site.post(path, headers=robot, json={"reason": "over"}).json()["removed_by"] == "robot"

    assert own_site.get("/api/mutes").json()["mutes"] == []
    assert audit_of(own_site, "mute removed") == [("robot", made.json()["mute_id"], {"reason": "over"})]
    again = own_site.post(path, headers=robot)
    assert (again.status_code, "any more" in again.json()["error"]) == (409, True)


def test_a_rule_that_has_expired_is_not_removed(own_site, robot):
    made = own_site.post("/api/mutes", headers=robot, json={"instance": "fleet", "for": "1h"}).json()
    own_site.clock.advance(DAY)
    assert own_site.post(f"/api/mutes/{made['mute_id']}/remove", headers=robot).status_code == 409


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "name what to mute"),
        ({"for": "1h"}, "name what to mute"),
        ({"instance": "fleet", "for": "9y"}, "mute for 1h"),
        ({"instance": "x" * 301}, "at most 300"),
        ({"instance": "fleet", "label": "nice"}, "the label is one of"),
        ({"query_hash": "xyz"}, "16 hex digits"),
        ({"instance": 7}, "an object of texts"),
        ({"instnce": "fleet"}, "not known here"),
        ({"instance": "fleet", "reason": "x" * 2_001}, "at most 2,000"),
        ([], "an object of texts"),
    ],
    ids=repr,
)
def test_a_rule_that_makes_no_sense_is_told(own_site, robot, given, told):
    answer = own_site.post("/api/mutes", headers=robot, json=given)
    assert answer.status_code == 400
    assert told in answer.json()["error"]
    assert own_site.store.mutes() == []


def test_a_body_that_is_nested_without_end_is_no_defect(own_site, robot):
    answer = own_site.post("/api/mutes", headers=robot, content="[" * 100_000)
    assert (answer.status_code, answer.json()["error"]) == (400, "the body is no JSON")


@pytest.mark.parametrize("path", ["/api/mutes", "/api/mutes/abc/remove"])
@pytest.mark.parametrize("role", [None, Role.VIEWER])
def test_only_operators_mute_and_unmute(own_site, path, role):
    headers = own_site.bearer(role) if role else {}
    answer = own_site.post(path, headers=headers, json={"instance": "fleet"})
    assert answer.status_code == (403 if role else 401)
    assert own_site.store.mutes() == []
