"""Statements, names and notes are written by others; a page shows them and nothing more happens."""

from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import DatabaseRef, StatementText
from dbplanmon_pipeline_tests.store.samples import collected

EVIL = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
TURNED = "SELECT '\u202etxet\u202c' \u2066FROM\u2069 t \x00\x1b[31m"
REF = DatabaseRef("fleet", 'a/b "<c>" ?x=1#y %2F')


def _plant(site, text):
    (one,) = site.store.open_incidents()
    site.store.record([collected(REF, site.clock(), [77], texts=[StatementText(77, text)])])
    planted = replace(
        one,
        incident_id="00ba5eba11ff",
        database=REF.database,
        query_hash=77,
        evidence=(EVIL,),
        note=EVIL,
        extra_seconds_per_hour=1e6,
    )
    site.store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, planted, planted.opened_at, EVIL, EVIL)])
    return f"/incidents/{planted.incident_id}"


@pytest.mark.browser
def test_markup_in_texts_and_names_is_shown_as_text(open_page, own_site):
    path = _plant(own_site, f"SELECT 1 {EVIL}")
    for place in ("/", "/incidents", path):
        page = open_page(own_site, place)
        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 0
    assert EVIL in page.locator("#statement-text").inner_text()


@pytest.mark.browser
def test_odd_names_lead_to_the_right_list(open_page, own_site):
    _plant(own_site, "SELECT 1")
    page = open_page(own_site)

    page.get_by_role("row", name="a/b").get_by_role("link", name="critical").click()
    page.wait_for_url("**/incidents?**")

    assert page.locator(".incident-row").count() == 1
    assert page.get_by_label("Database").input_value() == REF.database


def test_marks_that_turn_the_direction_of_writing_are_left_out(own_site):
    shown = own_site.get(_plant(own_site, TURNED)).text
    assert not {"\u202e", "\u202c", "\u2066", "\x00", "\x1b"} & set(shown)


def test_a_text_of_a_megabyte_is_cut(own_site):
    answer = own_site.get(_plant(own_site, "SELECT " + "x + " * 262_144 + "1"))
    assert answer.status_code == 200
    assert len(answer.text) < 200_000
    assert "more are left out" in answer.text
