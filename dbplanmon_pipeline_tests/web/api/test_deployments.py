"""Deployments over HTTP, and on the page of an incident that came after one."""

from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest

from dbplanmon_pipeline.core.causes.deployments import new_deployment
from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline_tests.web.pages.site import serving

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def site(past, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("site"), past=past) as found:
        yield found


def mark(site, **given):
    return site.post("/api/deploys", headers=site.bearer(), json={"name": "shop 2.4", **given})


def test_a_pipeline_marks_a_deployment_and_the_incident_names_it(own_site):
    (incident,) = own_site.store.incidents()
    at = incident.began_at - timedelta(minutes=7)
    answer = mark(own_site, name=f"shop {EVIL}", instance="fleet", at=at.isoformat(), note=EVIL)
    assert answer.status_code == 201
    assert answer.json()["created_by"] == "robot"
    assert [one["name"] for one in own_site.get("/api/deploys").json()["deployments"]] == [f"shop {EVIL}"]

    told = own_site.get(f"/api/incidents/{incident.incident_id}").json()["causes"]
    (cause,) = (one for one in told if one["kind"] == "deployment")
    assert cause["evidence"] == ["7 min before the first bad interval began", "it came right before"]
    assert 0 < cause["plausibility"] < 1

    page = own_site.get(f"/incidents/{incident.incident_id}").text
    assert "What may have caused it" in page
    assert "deployment shop &lt;script&gt;" in page
    assert "cause 1, " in page
    assert EVIL not in page
    (entry,) = (one for one in own_site.store.audit(at) if one.action == "deployment marked")
    assert entry.actor == "robot"


def test_the_same_deployment_twice_is_one(own_site):
    at = own_site.clock().isoformat()
    first, again = (
        mark(own_site, at=at),
        own_site.post(
            "/api/deploys",
            headers={"Authorization": f"Bearer {own_site.token('other')}"},
            json={"name": "shop 2.4", "at": at},
        ),
    )
    assert first.json()["deployment_id"] == again.json()["deployment_id"]
    assert len(own_site.get("/api/deploys").json()["deployments"]) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "a deployment needs a name"),
        (b"\xff", "the body is no JSON"),
        (b"[]", "send an object of texts"),
        (b'{"name": 7}', "send an object of texts"),
        (b'{"name": "x", "when": "now"}', "'when' is not known here"),
        (b'{"note": "x"}', "a deployment needs a name"),
        (b'{"name": "x", "at": "soon"}', '"at" is no moment'),
        (b'{"name": "x", "at": "0001-01-01T00:00+14:00"}', '"at" is no moment'),
        (b'{"name": "x", "at": "2999-01-01"}', "lies ahead"),
        (b'{"name": "x", "instance": "nowhere"}', "no instance is called 'nowhere'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(site, body, words):
    answer = site.post("/api/deploys", headers={"Authorization": f"Bearer {token_of(site)}"}, content=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def token_of(site):
    """A token per question: their names are unique."""
    token_of.count += 1
    return site.token(f"robot-{token_of.count}")


token_of.count = 0


@pytest.mark.parametrize(("role", "status"), [(None, 401), (Role.VIEWER, 403)])
def test_only_operators_mark(own_site, role, status):
    headers = own_site.bearer(role) if role else {}
    answer = own_site.post("/api/deploys", headers=headers, json={"name": "x"})
    assert answer.status_code == status
    assert own_site.get("/api/deploys").json() == {"deployments": []}


def take_back(site, wanted, headers, **given):
    url = f"{site.url}/api/deploys/{quote(wanted, safe='')}"
    return httpx.request("DELETE", url, headers=headers, trust_env=False, timeout=30, **given)


def test_a_marker_is_taken_back_and_no_incident_names_it(own_site):
    (incident,) = own_site.store.incidents()
    headers, at = own_site.bearer(), incident.began_at - timedelta(minutes=7)
    marked = {"name": "shop/2.4 %41", "at": at.isoformat()}
    made = own_site.post("/api/deploys", headers=headers, json=marked).json()
    answer = take_back(own_site, made["name"], headers, json={"reason": "wrong one"})
    assert (answer.status_code, answer.json()) == (200, {**made, "removed_by": "robot"})
    told = own_site.get(f"/api/incidents/{incident.incident_id}").json()["causes"]
    assert "deployment" not in {one["kind"] for one in told}
    (entry,) = (one for one in own_site.store.audit(at) if one.action == "deployment removed")
    assert (entry.actor, entry.subject, entry.detail["reason"]) == ("robot", made["deployment_id"], "wrong one")
    again = take_back(own_site, made["deployment_id"], headers)
    assert (again.status_code, again.json()["error"][:13]) == (404, "no deployment")


@pytest.mark.parametrize(("role", "status"), [(None, 401), (Role.VIEWER, 403)])
def test_only_operators_take_back(own_site, role, status):
    made = new_deployment("x", now=own_site.clock(), actor="ann")
    own_site.store.add_deployment(made)
    answer = take_back(own_site, made.deployment_id, own_site.bearer(role) if role else {})
    assert answer.status_code == status
    assert own_site.store.deployments(made.deployed_at, made.deployed_at) == [made]
