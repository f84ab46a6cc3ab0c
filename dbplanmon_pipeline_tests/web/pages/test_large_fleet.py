"""The page of a fleet that is too large to be shown at once."""

import re
from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline_tests.store.samples import collected
from dbplanmon_pipeline_tests.web.pages.site import serving

INSTANCES, DATABASES = 10, 30
SETTINGS = "environment: production\ninstances:\n" + "".join(
    f"  - {{name: sql-{number:02}, engine: simulated, databases: {DATABASES}}}\n" for number in range(INSTANCES)
)
TROUBLED = DatabaseRef("sql-07", "db029")
MOST_BYTES = 160_000


@pytest.fixture(scope="module")
def large(past, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("large"), past=past, settings=SETTINGS) as site:
        store, now = site.store, site.clock()
        refs = [DatabaseRef(f"sql-{i:02}", f"db{d:03}") for i in range(INSTANCES) for d in range(DATABASES)]
        store.record([collected(ref, now, [1]) for ref in refs])
        one = store.open_incidents()[0]
        other = replace(one, incident_id="00ba5eba11ff", instance=TROUBLED.instance, database=TROUBLED.database)
        store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, other, other.opened_at)])
        yield site


def rows(text: str) -> list[str]:
    return re.findall(r'<tr data-words="\S+ (\S+)', text)


def test_a_large_fleet_comes_in_part_and_what_is_in_trouble_is_there(large):
    page = large.get("/").text
    assert len(page) < MOST_BYTES
    assert len(rows(page)) <= 120
    assert rows(page)[0] in (TROUBLED.database, "sim0001")
    assert TROUBLED.database in rows(page)
    assert page.count('class="instance card"') == INSTANCES + 1
    assert "All 30 databases of sql-03" in page


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?instance=sql-03", 30),
        ("?q=db029", 10),
        ("?q=SQL-03+db02", 10),
        ("?q=critical", 2),
        ("?instance=sql-03&q=db001", 1),
        ("?q=db", 200),
        ("?q=db&skip=200", 100),
        ("?q=nothing-like-it", 0),
        ("?q=db&skip=-1", 200),
        ("?q=db&skip=99999999999999999999", 200),
    ],
)
def test_the_server_finds_all_of_them(large, query, count):
    assert len(rows(large.get(f"/{query}").text)) == count


def test_every_database_is_a_link_away(large):
    seen = set()
    for number in range(INSTANCES):
        seen |= {(number, name) for name in rows(large.get(f"/?instance=sql-{number:02}").text)}
    assert len(seen) == INSTANCES * DATABASES


def test_an_instance_nobody_knows_is_no_failure(large):
    answer = large.get("/?instance=%3Cb%3E")
    assert answer.status_code == 200
    assert "0 databases on &lt;b&gt;" in answer.text


@pytest.mark.browser
@pytest.mark.parametrize("scripts", [True, False])
def test_enter_looks_through_the_whole_fleet(open_page, large, scripts):
    page = open_page(large, java_script_enabled=scripts)
    box = page.get_by_label("Filter databases")
    box.fill("sql-05 db017")
    if scripts:
        assert "press Enter to look through all 302" in page.locator("#fleet-told").inner_text()
    box.press("Enter")
    page.wait_for_url("**?q=sql-05+db017")
    (row,) = page.locator("table.databases tbody tr:visible").all()
    assert "db017" in row.inner_text()
    page.get_by_role("link", name="The whole fleet").click()
    page.wait_for_url(large.url + "/")


@pytest.mark.browser
def test_pages_of_an_instance_follow_each_other(open_page, large):
    page = open_page(large, "/?q=db")
    page.get_by_role("link", name="Next page").click()
    page.wait_for_url("**skip=200")
    assert page.locator("table.databases tbody tr").count() == 100
    page.get_by_role("link", name="First page").click()
    page.wait_for_url(lambda url: "skip" not in url)
