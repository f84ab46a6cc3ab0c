"""Foreign text on the pages, and requests that make no sense: nothing runs, nothing turns around, nothing breaks."""

import json
import string
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import html
from starlette.routing import Mount, Route

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import CapturedPlan, DatabaseRef, StatementText
from dbplanmon_pipeline.core.ports import Alert, Suggestion
from dbplanmon_pipeline.core.ports.access import Role
from dbplanmon_pipeline.services.grant_access import issue_token
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.store.samples import FIVE_MINUTES, NOON, incident, ticks
from dbplanmon_pipeline_tests.web.access.serving import Site, running

SCRIPT = "</td></pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>"
TURNING = "\u202e\u2066\u2067\u2069\u200f\u061c"
ODD = f"{SCRIPT}{TURNING} \x00\x1b[31m\x85\ufeff\ud7ff{{{{7*7}}}} {{% raw %}} ${{x}} javascript:alert(4) &lt;b&gt;"
NAME = f"Sa<b>les{TURNING}\x1b"
HUGE = "SELECT " + ", ".join(f"<i>c{number}</i>" for number in range(70_000))
PLAN = json.dumps(
    [{"Plan": {"Node Type": f"Seq Scan{ODD}", "Relation Name": ODD, "Schema": "public", "Filter": ODD, "Alias": ODD,
               "Startup Cost": 0.0, "Total Cost": 9.0, "Plan Rows": 5, "Plan Width": 4}}]
)  # fmt: skip
WILD = {ord(mark) for mark in TURNING} | {0, 0x1B, 0x85, 0xFEFF}


def _write(monitor: Monitor) -> None:
    """Incidents whose every text comes from somebody who means harm."""
    reference = DatabaseRef(f"al{NAME}", NAME)
    with monitor.session() as session:
        store = session.store
        for first, text in ((True, ODD), (False, HUGE)):
            query = -5 if first else -6
            for item in ticks(reference, NOON - timedelta(hours=1), 12, [query], plan_hash=7):
                plans = [CapturedPlan(query, number, "pgjson", PLAN, "generic") for number in (6, 7)]
                store.record([replace(item, texts=(StatementText(query, text),), plans=tuple(plans))])
            found = incident(
                incident_id=f"{query % 16:012x}",
                instance=reference.instance,
                database=reference.database,
                query_hash=query,
                evidence=(ODD, ODD),
            )
            steps = [
                IncidentChange(IncidentEvent.OPENED, found, NOON),
                IncidentChange(IncidentEvent.ACKNOWLEDGED, found, NOON + FIVE_MINUTES, actor=ODD[:200], note=ODD),
            ]
            for step in steps:
                store.save_incident_changes([step])
            store.save_suggestions(
                [Suggestion(f"s{query}", found.incident_id, "restore_index", "low", ODD, ODD, ODD, NOON)]
            )
            alert = Alert(f"a{query}", found.incident_id, "opened", "log", "high", NOON, ODD, ODD, {"x": ODD})
            store.add_alerts([alert], decided_at=NOON)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    (folder / "dbplanmon.yaml").write_text("environment: test\n")
    monitor = Monitor(load_settings(environ={}, cwd=folder), FixedClock(NOON + FIVE_MINUTES))
    _write(monitor)
    with running(monitor) as found:
        yield found


@pytest.fixture(scope="module")
def operator(site: Site) -> httpx.Client:
    browser = site.browser()
    token = issue_token(site.store, "anna", Role.OPERATOR, actor="root", now=site.clock()).secret
    assert browser.post("/login", data={"token": token}).status_code == 303
    return browser


PAGES = ("/", "/incidents", "/incidents?text=%3Cscript%3E%E2%80%AE%00&state=all", "/incidents/00000000000b")
HUGE_PAGE = "/incidents/00000000000a"


def found_in(answer: httpx.Response) -> html.HtmlElement:
    assert answer.status_code == 200, answer.text[:2000]
    return html.document_fromstring(answer.content)


@pytest.mark.parametrize("path", [*PAGES, HUGE_PAGE])
def test_foreign_text_runs_nothing(operator: httpx.Client, path: str) -> None:
    page = found_in(operator.get(path))
    attributes = [name for node in page.iter() if isinstance(node.tag, str) for name in node.attrib]
    assert [name for name in attributes if name.startswith("on") or name == "style"] == []
    assert page.xpath("//script[not(@src)] | //style | //img[@src='x'] | //iframe | //object | //base") == []
    assert [link for link in page.xpath("//@href | //@src | //@action") if "javascript" in link.lower()] == []
    assert page.xpath("//td//i | //pre//i[starts-with(text(), 'c1')] | //td/b[starts-with(text(), 'les')]") == []


@pytest.mark.parametrize("path", PAGES)
def test_marks_that_turn_writing_around_do_not_reach_the_page(operator: httpx.Client, path: str) -> None:
    text = operator.get(path).text
    shown = html.document_fromstring(text.encode()).text_content()
    assert {hex(ord(mark)) for mark in text + shown if ord(mark) in WILD} == set()
    assert {unicodedata.name(mark, "?") for mark in shown if unicodedata.bidirectional(mark) in _TURNING} == set()


_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_the_statement_is_still_to_be_read(operator: httpx.Client) -> None:
    shown = found_in(operator.get("/incidents/00000000000b")).text_content()
    assert "<script>alert(1)</script>" in shown
    assert "\u27e8U+202E\u27e9" in shown
    assert "{{7*7}}" in "".join(shown.split()) or "{{7 * 7}}" in shown
    assert "{{ 49 }}" not in shown


def test_programs_get_it_as_data(operator: httpx.Client) -> None:
    for path in ("/api/incidents", "/api/incidents/00000000000b"):
        answer = operator.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        answer.json()


def paths_of(site: Site, method: str) -> list[str]:
    routes = [route for route in site.app.routes if isinstance(route, Route) and method in (route.methods or ())]
    mounts = [f"{route.path}/{{file}}" for route in site.app.routes if isinstance(route, Mount)]
    return [route.path for route in routes] + (mounts if method == "GET" else [])


def filled(path: str, words: list[str]) -> str:
    """The path of a route with each parameter replaced."""
    for name in {name.partition(":")[0] for _, name, _, _ in string.Formatter().parse(path) if name}:
        for form in (f"{{{name}}}", f"{{{name}:path}}", f"{{{name}:int}}"):
            path = path.replace(form, quote(words[len(name) % len(words)], safe=""))
    return path


WORDS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["..", "../../etc/passwd", "%00", "\x00", "-1", "0", "1e999", "NaN", "9" * 400, "0123456789ab", "00000000000b",
         "2026-13-45", "2026-01-01T00:00:00Z", "0001-01-01", "9999-12-31T23:59:59Z", "' OR 1=1 --", "'; DROP TABLE x",
         TURNING, SCRIPT[:60], "all", "new", "high", "acknowledge", "reopen", "é" * 100, "a" * 5_000, "\ud7ff", "🦜"]
    ),
)  # fmt: skip
KEYS = st.sampled_from(
    ["state", "severity", "label", "instance", "database", "text", "since", "until", "after", "before", "cursor",
     "page", "next", "limit", "sort", "note", "for", "span", "scope", "query_hash", "window", "day", "days", "x"]
)  # fmt: skip
QUERIES = st.lists(st.tuples(KEYS, WORDS), max_size=5)
MANY = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@MANY
@given(choice=st.integers(0, 1_000), words=st.lists(WORDS, min_size=1, max_size=3), query=QUERIES)
def test_no_address_breaks_a_page(
    site: Site, operator: httpx.Client, choice: int, words: list[str], query: list[tuple[str, str]]
) -> None:
    paths = paths_of(site, "GET")
    path = filled(paths[choice % len(paths)], words)
    answer = operator.get(path, params=query)
    assert answer.status_code < 500, (path, query, answer.text[:500])


@MANY
@given(choice=st.integers(0, 1_000), words=st.lists(WORDS, min_size=1, max_size=3), fields=QUERIES)
def test_no_form_breaks_a_page(
    site: Site, operator: httpx.Client, choice: int, words: list[str], fields: list[tuple[str, str]]
) -> None:
    csrf = found_in(operator.get("/login")).xpath("string(//input[@name='csrf_token']/@value)")
    paths = [path for path in paths_of(site, "POST") if path not in ("/login", "/logout")]
    path = filled(paths[choice % len(paths)], words)
    answer = operator.post(path, data=dict(fields) | {"csrf_token": csrf})
    assert answer.status_code < 500, (path, fields, answer.text[:500])


@MANY
@given(
    choice=st.integers(0, 1_000), body=st.binary(max_size=200), kind=st.sampled_from(["application/json", "x/y", ""])
)
def test_no_body_breaks_the_api(site: Site, operator: httpx.Client, choice: int, body: bytes, kind: str) -> None:
    csrf = found_in(operator.get("/login")).xpath("string(//input[@name='csrf_token']/@value)")
    paths = [path for path in paths_of(site, "POST") if path.startswith("/api/")]
    path = filled(paths[choice % len(paths)], ["00000000000b", "acknowledge"])
    answer = operator.post(path, content=body, headers={"Content-Type": kind, "X-CSRF-Token": csrf})
    assert answer.status_code < 500, (path, body, answer.text[:500])


@pytest.mark.parametrize(
    "raw", ["/%ff%fe", "/incidents/%00", "/static/..%2f..%2fapp.py", "/static/%2e%2e/app.py", "//", "/?%"]
)
def test_odd_paths_are_refused_or_answered(site: Site, raw: str) -> None:
    status, text = site.raw("GET", raw, [("Host", "localhost")])
    assert status < 500
    assert "build_app" not in text
