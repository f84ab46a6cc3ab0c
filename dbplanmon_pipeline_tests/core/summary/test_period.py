"""What a day is worth, and how it is shown to people whatever its names and statements look like."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentState
from dbplanmon_pipeline.core.model import DatabaseRef, Severity
from dbplanmon_pipeline.core.ports import Hotspot, PlanChange
from dbplanmon_pipeline.core.ports.summary import KpiSpan, Watch
from dbplanmon_pipeline.core.summary.pages import summary_html, summary_markdown, summary_text
from dbplanmon_pipeline.core.summary.period import Grade, summarise_days
from dbplanmon_pipeline.core.summary.rows import MOST_ROWS, tables_of
from dbplanmon_pipeline.core.workload.changes import BusierInstance, GrowthKind, WorkloadChange
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION

DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHOP = DatabaseRef("prod", "Shop")
EVIL = "<script>alert(1)</script>\"'&|\x1b[2J\u202e`*_]\nEND"
CALM = Watch(SHOP, readings=288, good=288, failed=0, gaps=0, gap_seconds=0.0, cost_ms=0.0, duration_ms=900.0)
ENDED = {"state": IncidentState.AUTO_RESOLVED}


def incident(**changes):
    return replace(PLAN_REGRESSION, **({"opened_at": DAY + HOUR} | changes))


def of(watches=(CALM,), incidents=(), days=1, **more):
    return summarise_days(DAY, days, incidents=incidents, watches=watches, **more)


def kpi(name="orders", breaches=0, errors=0, readings=24):
    return KpiSpan(name, readings, breaches, errors, "ok", 5.0, "")


GRADES = {
    "calm and watched": (of(), Grade.A, ""),
    "nothing collected": (of(watches=()), Grade.D, "nothing was collected"),
    "critical and open": (of(incidents=[incident(severity=Severity.CRITICAL)]), Grade.D, "critical"),
    "high and open": (of(incidents=[incident()]), Grade.C, "high severity"),
    "high but over": (
        of(incidents=[incident(closed_at=DAY + 2 * HOUR, **ENDED)]),
        Grade.B,
        "1 incident opened, 0 still",
    ),
    "mild and open": (of(incidents=[incident(severity=Severity.LOW)]), Grade.B, "1 still open"),
    "back again and over": (
        of(
            incidents=[
                incident(opened_at=DAY - HOUR, last_bad_at=DAY + HOUR, closed_at=DAY + 4 * HOUR, **ENDED),
            ]
        ),
        Grade.B,
        "1 incident from before, over by now",
    ),
    "calm since the day before": (
        of(incidents=[incident(opened_at=DAY - 4 * HOUR, last_bad_at=DAY - HOUR, closed_at=DAY + HOUR, **ENDED)]),
        Grade.A,
        "",
    ),
    "some failed": (of([replace(CALM, failed=2)]), Grade.B, "2 of 288 readings failed"),
    "most failed": (of([replace(CALM, failed=200)]), Grade.D, "200 of 288"),
    "one never read": (
        of([CALM, replace(CALM, good=0, ref=DatabaseRef("prod", "Hr"))]),
        Grade.C,
        "never read: prod/Hr",
    ),
    "not listed for a while": (of([CALM, replace(CALM, good=0, ref=DatabaseRef("prod", "*"))]), Grade.A, ""),
    "never listed": (
        of([CALM, replace(CALM, good=0, ref=DatabaseRef("test", "*"))]),
        Grade.C,
        "never read: any database of test",
    ),
    "a gap of minutes": (of([replace(CALM, gaps=1, gap_seconds=600)]), Grade.A, ""),
    "a gap of an hour": (of([replace(CALM, gaps=1, gap_seconds=3600)]), Grade.B, "4% of the time"),
    "blind for half a day": (of([replace(CALM, gaps=1, gap_seconds=43_200)]), Grade.C, "50% of the time"),
    "KPI out of limits": (of(kpis=[kpi(breaches=1)]), Grade.B, "out of limits: KPI orders"),
    "KPI failed once": (of(kpis=[kpi(errors=1)]), Grade.A, ""),
    "KPI never readable": (of(kpis=[kpi(errors=24)]), Grade.B, "never readable: KPI orders"),
    "message lost": (of(alerts={"given_up": 1, "delivered": 5}), Grade.C, "1 message could not be delivered"),
    "messages muted": (of(alerts={"muted": 3, "suppressed": 2}), Grade.A, ""),
}


@pytest.mark.parametrize("name", GRADES)
def test_a_grade_has_its_reason(name):
    summary, grade, reason = GRADES[name]
    assert summary.grade is grade
    assert reason in " ".join(summary.reasons)
    assert bool(summary.reasons) == (grade is not Grade.A)


def test_the_worst_reason_comes_first():
    found = of([replace(CALM, failed=200)], [incident(severity=Severity.LOW)], kpis=[kpi(breaches=1)])
    assert [reason.split()[0] for reason in found.reasons] == ["200", "1", "out"]


def test_incidents_are_sorted_by_what_happened_to_them_that_day():
    before = incident(incident_id="before", opened_at=DAY - HOUR)
    over = replace(before, incident_id="over", closed_at=DAY - timedelta(minutes=1), **ENDED)
    closed = replace(before, incident_id="closed", closed_at=DAY + HOUR, **ENDED)
    later = replace(before, incident_id="later", closed_at=DAY + 30 * HOUR, **ENDED)
    fresh = incident(incident_id="fresh")
    tomorrow = incident(incident_id="tomorrow", opened_at=DAY + 24 * HOUR)
    found = of(incidents=[before, over, closed, later, fresh, tomorrow])
    ids = [{i.incident_id for i in some} for some in (found.opened, found.closed, found.ongoing)]
    assert ids == [{"fresh"}, {"closed"}, {"before", "later", "fresh"}]


def test_a_week_knows_its_days_and_has_a_key_of_its_own():
    week = of(days=7)
    assert (week.days, week.key, of().key) == (7, "summary:2026-03-01..2026-03-07", "summary:2026-03-01")
    assert len(week.key) <= 64
    assert summary_markdown(week).startswith("# 01 March to 07 March 2026: grade A")


@pytest.fixture
def evil():
    """A day on which every text that others wrote is hostile."""
    ref = DatabaseRef(EVIL, EVIL)
    hotspot = Hotspot(ref, 7, "elapsed_time_us", 1, 10.0, 5e6, 4e6, 3.0, 0.5)
    return of(
        [replace(CALM, ref=ref, failed=1)],
        [incident(instance=EVIL, database=EVIL, note=EVIL, evidence=(EVIL,))],
        hotspots=[hotspot],
        plan_changes=[PlanChange(ref, 7, DAY + HOUR, 1, 2, EVIL)],
        kpis=[replace(kpi(EVIL, breaches=1), message=EVIL)],
        texts={(ref, 7): EVIL},
    )


class Tags(HTMLParser):
    """Collects tags and their attributes."""

    def __init__(self):
        super().__init__()
        self.found, self.names = set(), set()

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)
        self.names |= {name for name, _ in attrs}


def test_no_name_and_no_statement_becomes_markup_of_the_page(evil):
    page = summary_html(evil, {"load": 'x" onerror="alert(1)'})
    tags = Tags()
    tags.feed(page)
    assert tags.found <= {
        "html",
        "head",
        "meta",
        "title",
        "body",
        "h1",
        "h2",
        "ul",
        "li",
        "p",
        "img",
        "table",
        "tr",
        "th",
        "td",
    }
    assert tags.names <= {"lang", "charset", "style", "src", "alt"}
    assert page.count("&lt;script&gt;") >= 8
    assert not {"\x1b", "\u202e"} & set(page)


def test_no_name_and_no_statement_becomes_markup_in_markdown(evil):
    page = summary_markdown(evil)
    assert "<script" not in page.replace("\\<script", "")
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} <= {5, 6, 8, 9}
    assert not {"\x1b", "\u202e"} & set(page)
    assert "\nEND" not in page


def test_plain_text_begins_with_the_whole_in_one_line(evil):
    first, second, *_ = summary_text(evil).splitlines()
    assert first.startswith("Grade C: an incident of high severity is open; ")
    assert second == ""
    assert not {"\x1b", "\u202e"} & set(summary_text(evil))


def test_tables_stay_short_and_say_what_they_left_out():
    found = of(incidents=[incident(incident_id=f"{n:012x}") for n in range(10_000)])
    table = next(tables_of(found))
    assert (len(table.rows), table.left_out) == (MOST_ROWS, 10_000 - MOST_ROWS)
    assert "... and 9,975 more" in summary_text(found)
    assert "... and 9,975 more" in summary_html(found, {})
    assert len(summary_html(found, {})) < 60_000


def test_muted_and_suppressed_messages_are_counted():
    page = summary_text(of(alerts={"delivered": 9, "muted": 2, "suppressed": 1}))
    assert "12 messages: 9 delivered, 2 muted, 1 suppressed." in page


def test_the_page_tells_how_well_we_watched_and_at_what_cost():
    page = summary_text(of([replace(CALM, gaps=2, gap_seconds=600, failed=3, cost_ms=42_000)]))
    assert "1 database, 288 readings, 3 failed." in page
    assert "2 gaps, together 10 min over all databases." in page
    assert "cost the servers 42 s" in page
    assert "Databases not read well" in page


def test_what_grew_is_told_as_busier_and_never_what_is_slower():
    grown = WorkloadChange(SHOP, 7, GrowthKind.MORE_EXECUTIONS, 90.0, 10.0, 900.0, 100.0, days=9)
    slower = replace(grown, kind=GrowthKind.SLOWER, incident_id="abc")
    busier = BusierInstance("prod", 280.0, 200.0, 9, (grown, slower))
    found = of(growth=[grown, slower], busier=[busier], texts={(SHOP, 7): "SELECT 1"})
    (table,) = [table for table in tables_of(found) if table.title == "Busier, not slower"]
    assert table.rows == (
        ("prod", "all of it", "40 % busier", "80", "280", "200"),
        ("prod/Shop", "SELECT 1", "9.0 times as often", "80", "90", "10"),
    )
    assert found.grade is Grade.A
    for page in (summary_text(found), summary_html(found, {}), summary_markdown(found)):
        assert "9.0 times as often" in page
