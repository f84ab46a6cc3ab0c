"""Every page has a twin for programs: the same rights, bounds and care with foreign text, and a line in the docs."""

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.routing import Route

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import DatabaseRef, StatementText, hash_text
from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.services.mute_alerts import MuteScope, mute_alerts
from dbplanmon_pipeline.web.api.routes import api_routes
from dbplanmon_pipeline.web.pages.routes import page_routes
from dbplanmon_pipeline_tests.store.samples import collected
from dbplanmon_pipeline_tests.web.pages import told
from dbplanmon_pipeline_tests.web.pages.site import SETTINGS, serving

DOCS = Path(__file__).parents[3] / "docs" / "status-page.md"
WITHOUT = {"/plans/{plan_hash}", "/findings/{rule}"}
"""Pages whose equivalent the docs name."""

ODD = DatabaseRef("fleet", 'a/b "<c>" \u202e')
EVIL = "SELECT '\u202etxet\u2066' </script><script>alert(1)</script> &amp; \x7f \u2028"
SECRET = told.SECRET


def paths(routes) -> set[str]:
    return {route.path for route in routes if isinstance(route, Route) and "GET" in (route.methods or ())}


GETS = sorted(paths(api_routes()))


@pytest.fixture(scope="module")
def busy(past, tmp_path_factory):
    """With something in each list, and texts that are written to do harm."""
    folder = tmp_path_factory.mktemp("busy")
    settings = f"{told.settings()}web: {{anonymous: nobody}}\n"
    with serving(folder, past=past, settings=settings, environ={"MAIL_PASSWORD": "zq9-mail"}) as site:
        told.tell(site)
        store, now = site.store, site.clock()
        mute_alerts(store, MuteScope("fleet", ODD.database, 77), span="24h", actor="anna", at=now, reason=EVIL)
        store.record([collected(ODD, now, [77], texts=[StatementText(77, EVIL)])])
        one = store.open_incidents()[0]
        planted = replace(
            one, incident_id="00ba5eba11ff", database=ODD.database, query_hash=77, evidence=(EVIL,), note=EVIL
        )
        store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, planted, planted.opened_at, EVIL, EVIL)])
        yield site


@pytest.fixture(scope="module")
def viewer(busy):
    return busy.bearer(Role.VIEWER)


def filled(path: str) -> str:
    """The path of something that is there, with the oddest name there is."""
    database = "a%2Fb%20%22%3Cc%3E%22%20%E2%80%AE"
    for name, value in (
        ("{incident_id}", "00ba5eba11ff"),
        ("{instance}", "fleet"),
        ("{database:path}", database),
        ("{query_hash}", hash_text(77)),
        ("{kpi:path}", "orders"),
    ):
        path = path.replace(name, value)
    assert "{" not in path
    return path


def test_every_page_has_a_twin():
    missing = {path for path in paths(page_routes()) - WITHOUT if f"/api{path}" not in GETS}
    assert missing == {"/"}
    assert "/api/fleet" in GETS


def test_the_docs_name_every_route_for_programs():
    text = DOCS.read_text("utf-8").split("## For programs")[1]
    shown = set(re.findall(r"`(/api/[^`]*)`", text))
    shown |= {f"/api{path}" for path in re.findall(r"^\| `([^`]+)` \| the same below", text, re.MULTILINE)}
    names = {"incident_id": "ID", "mute_id": "ID", "kpi:path": "NAME", "query_hash": "HASH"}
    routes = {
        re.sub(r"{([^}]+)}", lambda found: names.get(found[1], found[1].partition(":")[0].upper()), route.path)
        for route in api_routes()
    }
    assert shown == routes


@pytest.mark.parametrize("path", GETS)
def test_a_viewer_gets_json_that_does_no_harm_wherever_it_is_shown(busy, viewer, path):
    answer = busy.get(filled(path), headers=viewer)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert isinstance(answer.json(), dict)
    assert set(answer.content) <= set(range(32, 127)) - set(b"<>&")
    assert SECRET not in answer.text
    assert "zq9-mail" not in answer.text


@pytest.mark.parametrize("path", GETS)
def test_a_stranger_gets_nothing(busy, path):
    answer = busy.get(filled(path))
    assert (answer.status_code, list(answer.json())) == (401, ["error"])


@pytest.fixture(scope="module")
def away(tmp_path_factory):
    """Its store does not answer."""
    settings = "environment: test\nstore: {url: 'postgresql://u:zq9-away@127.0.0.1:9/store'}\n"
    with serving(tmp_path_factory.mktemp("away"), settings=settings) as site:
        yield site


@pytest.mark.parametrize("path", GETS)
def test_a_store_that_is_away_is_told_in_one_line(away, path):
    answer = away.get(filled(path))
    assert answer.status_code == (200 if path == "/api/settings" else 503), answer.text
    assert "zq9-away" not in answer.text


@pytest.mark.parametrize("path", GETS)
def test_programs_only_look_with_get(busy, viewer, path):
    assert busy.post(filled(path), headers=viewer).status_code in (403, 404, 405)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/api/fleet", "databases"),
        ("/api/incidents?state=all", "incidents"),
        ("/api/alerts?period=365d", "alerts"),
        ("/api/audit?period=365d", "entries"),
    ],
)
def test_pages_of_a_list_follow_each_other(busy, viewer, path, key):
    whole = busy.get(path, headers=viewer, params=None).json()[key]
    found, mark = [], ""
    while mark is not None:
        answer = busy.get(f"{path}{'&' if '?' in path else '?'}limit=1&after={_quoted(mark)}", headers=viewer).json()
        assert len(answer[key]) <= 1
        found += answer[key]
        mark = answer["next"]
    assert found == whole
    assert len(whole) >= 2


def _quoted(mark: str) -> str:
    return quote(mark, safe="")


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1e3", "\u0664"])
@pytest.mark.parametrize("path", ["/api/incidents", "/api/fleet", "/api/alerts", "/api/kpis/orders"])
def test_a_limit_that_is_none_is_told(busy, viewer, path, limit):
    answer = busy.get(path, headers=viewer, params={"limit": limit})
    assert answer.status_code == 400
    assert "from 1 to 500" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/api/fleet?after=x", "/api/alerts?after=x", "/api/audit?after=x"])
def test_a_mark_that_is_none_is_told(busy, viewer, path):
    answer = busy.get(path, headers=viewer)
    assert (answer.status_code, "`after`" in answer.json()["error"]) == (400, True)


def test_the_fleet_is_narrowed_and_tells_what_the_page_tells(busy, viewer):
    found = busy.get("/api/fleet?q=sim0001+critical", headers=viewer).json()
    assert [one["database"] for one in found["databases"]] == ["sim0001"]
    assert found["databases"][0]["open_incidents"]["critical"] == 1
    assert found["total"] == 1
    assert {one["instance"]: one["databases"] for one in found["instances"]} == {"fleet": 3, "shop": 0}
    assert busy.get("/api/fleet?instance=shop", headers=viewer).json()["databases"] == []


def test_a_name_that_a_program_reads_leads_back_to_the_same_database(busy, viewer):
    (one,) = busy.get("/api/fleet", headers=viewer, params={"q": "a/b"}).json()["databases"]
    assert one["database"] == ODD.database
    again = busy.get(f"/api/databases/fleet/{_quoted(one['database'])}", headers=viewer).json()
    assert again["reading"]["target"] == str(ODD)


def test_a_statement_tells_its_intervals_and_what_is_normal(busy, viewer):
    one = next(i for i in busy.get("/api/incidents", headers=viewer).json()["incidents"] if i["database"] == "sim0001")
    found = busy.get(f"/api/statements/fleet/sim0001/{one['query_hash']}", headers=viewer).json()
    assert found["intervals_total"] == len(found["intervals"]) > 10
    assert found["intervals"][-1]["execution_count"] > 0
    assert found["normal"]["median_us"]["elapsed_time_us"] > 0
    assert {plan["plan_hash"] for plan in found["plans"]} >= {one["plan_hash"], one["previous_plan_hash"]}


def test_the_collector_tells_what_helps(busy, viewer):
    found = busy.get("/api/collector?limit=1", headers=viewer).json()
    assert found["failures"][0]["databases"] == ["fleet/sim0002"]
    assert "raise the budget" in found["failures"][0]["remedy"]
    assert (len(found["readings"]), found["readings_total"]) == (1, 3)
    assert [job["name"] for job in found["left_alone"]] == ["shop", "dba-mail"]


def test_settings_keep_their_secrets(busy, viewer):
    rows = {row["key"]: row for row in busy.get("/api/settings", headers=viewer).json()["settings"]}
    assert rows["kpis.orders.sql"]["value"].startswith("a text of")
    assert rows["alerts.channels.dba-mail.password"]["value"] == "env:MAIL_PASSWORD"
    assert rows["kpis.orders.minimum"]["source"]


def test_kpis_have_the_keys_of_the_command_line(busy, viewer):
    found = {one["name"]: one for one in busy.get("/api/kpis", headers=viewer).json()["kpis"]}
    assert (found["orders"]["trouble"], found["orders"]["latest"]["value"]) == ("breach", 4.0)
    assert len(busy.get("/api/kpis/orders?limit=5", headers=viewer).json()["results"]) == 5


def test_the_page_of_strangers_stays_open_to_programs_without_a_token(past, tmp_path):
    with serving(tmp_path, past=past, settings=SETTINGS) as open_site:
        assert open_site.get("/api/fleet").json()["databases"]
