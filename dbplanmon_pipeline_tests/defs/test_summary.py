"""The daily summary as Dagster runs it: page, pictures, files, and messages to real mailboxes' form."""

import base64
import re
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from email.headerregistry import Address
from pathlib import Path

import pytest

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import Hotspot
from dbplanmon_pipeline.core.summary.pages import PICTURES
from dbplanmon_pipeline.core.summary.period import Load, summarise_days
from dbplanmon_pipeline.defs.summary_files import page_path, remove_pages, write_page
from dbplanmon_pipeline.defs.summary_pictures import MOST_BYTES, summary_pictures
from dbplanmon_pipeline.notify.mail_text import mail_of
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION
from dbplanmon_pipeline_tests.defs.locations import metadata_of, why_it_failed
from dbplanmon_pipeline_tests.services.fleets import START, STEP

SUNDAY = START.date() - timedelta(days=1)
MOMENT = START - timedelta(days=1)
JOB = "daily_summary_job"
CHANNELS = [
    {"type": "log", "name": "all"},
    {"type": "log", "name": "pager", "events": ["incidents"]},
]


@pytest.fixture
def on_monday(make_location):
    """A Sunday with some readings, seen from the Monday after it."""
    location = make_location(moment=MOMENT, summary={"weekly": True}, alerts={"channels": CHANNELS})
    with location.monitor.session() as session:
        for _ in range(4):
            session.collect()
            location.clock.advance(STEP)
    location.clock.moment = START
    return location


def made(location, day=SUNDAY, **more):
    result = location.run(JOB, **({"partition_key": day.isoformat()} | more))
    assert result.success
    return metadata_of(result)["daily_summary"]


def queued(location):
    with location.monitor.session() as session:
        return [alert for alert in session.store.alerts(MOMENT) if alert.event == "summary"]


def test_yesterday_goes_once_to_the_channels_that_want_it_with_its_page_as_a_file(on_monday):
    facts = made(on_monday)
    assert facts["page"].startswith("# Sunday 01 November 2026: grade")
    assert (facts["messages_queued"], made(on_monday)["messages_queued"]) == (1, 0)
    day, week = sorted(queued(on_monday), key=lambda alert: len(alert.incident_id))
    assert (day.channel, day.incident_id) == ("all", "summary:2026-11-01")
    assert (week.channel, week.incident_id) == ("all", "summary:2026-10-26..2026-11-01")
    assert facts["week"].startswith("# 26 October to 01 November 2026")
    for name in ("page_file", "week_file"):
        page = Path(facts[name]).read_text("utf-8")
        assert page.endswith("</body></html>\n")
        assert "data:image/png;base64," in page
    assert {path.name for path in Path(facts["page_file"]).parent.iterdir()} == {
        "day-2026-11-01.html",
        "week-2026-11-01.html",
    }
    assert "data:image/png;base64," in facts["page_pictures"]
    with on_monday.monitor.session() as session:
        report = session.process_alerts()
    assert report.sent == 2


def test_a_day_of_silence_is_told_but_not_that_before_the_first_reading(make_location):
    location = make_location(moment=START, alerts={"channels": CHANNELS})
    with location.monitor.session() as session:
        session.collect()
    assert made(location)["messages_queued"] == 0
    location.clock.advance(timedelta(days=2))
    assert made(location, SUNDAY + timedelta(days=2))["messages_queued"] == 1


def test_the_mail_shows_the_pictures_it_names(on_monday):
    made(on_monday)
    alert = queued(on_monday)[0]
    mail = mail_of(alert, Address("dbplanmon", "dbplanmon", "example.net"), [Address("dba", "dba", "example.net")])
    page = mail.get_body(("html",)).get_content()
    pictures = {part["Content-ID"].strip("<>"): part.get_content() for part in mail.walk() if part["Content-ID"]}
    assert set(re.findall(r'src="cid:([^"]+)"', page)) == set(pictures) == {"dbplanmon-load", "dbplanmon-statements"}
    assert all(png.startswith(b"\x89PNG") and len(png) < 40_000 < MOST_BYTES for png in pictures.values())
    assert base64.b64encode(pictures["dbplanmon-load"]).decode() == alert.facts["pictures"]["dbplanmon-load"]
    assert mail.get_body(("plain",)).get_content().startswith("Grade ")


def test_a_backfill_renews_pages_and_sends_only_yesterday(on_monday):
    tags = {
        "dagster/asset_partition_range_start": (SUNDAY - timedelta(days=3)).isoformat(),
        "dagster/asset_partition_range_end": SUNDAY.isoformat(),
    }
    facts = made(on_monday, partition_key=None, tags=tags)
    assert len(facts["days"].splitlines()) == 2 + 4
    assert len(list((on_monday.settings.state_dir / "summaries").glob("day-*.html"))) == 4
    assert {alert.incident_id for alert in queued(on_monday)} == {
        "summary:2026-11-01",
        "summary:2026-10-26..2026-11-01",
    }


def test_a_page_without_a_place_is_told_and_its_message_goes_out_all_the_same(on_monday):
    folder = on_monday.settings.state_dir / "summaries"
    folder.write_text("in the way")
    result = on_monday.run(JOB, partition_key=SUNDAY.isoformat())
    assert why_it_failed(result).endswith("day-2026-11-01.html cannot be written: File exists; check the state folder")
    assert len(queued(on_monday)) == 1


def test_names_that_no_font_has_and_formulas_can_be_drawn():
    ref = DatabaseRef("fleet", "数据库 $\\frac{$ \x1b[2J \u202e")
    spot = Hotspot(ref, 7, "elapsed_time_us", 1, 10.0, 5e6, 4e6, 3.0, 0.5)
    start = datetime.combine(SUNDAY, time(), UTC)
    opened = replace(PLAN_REGRESSION, opened_at=start, closed_at=start + timedelta(hours=3))
    loads = [Load(start + timedelta(hours=hour), 1.0) for hour in range(24)]
    drawn = summary_pictures(summarise_days(start, 1, incidents=[opened], hotspots=[spot] * 20, loads=loads))
    assert set(drawn) == set(PICTURES)
    assert all(base64.b64decode(png).startswith(b"\x89PNG") for png in drawn.values())


def test_a_day_on_which_nothing_happened_has_no_pictures():
    assert summary_pictures(summarise_days(datetime.combine(SUNDAY, time(), UTC), 1, incidents=[])) == {}


def test_old_pages_go_and_other_files_stay(tmp_path):
    old, new = (page_path(tmp_path, date(2026, 1, day), 1) for day in (1, 20))
    for path in (old, new):
        write_page(path, "<p>ü</p>")
    (tmp_path / "day-notes.html").write_text("mine")
    assert remove_pages(tmp_path, date(2026, 1, 10)) == 1
    assert {path.name for path in tmp_path.iterdir()} == {new.name, "day-notes.html"}
    assert new.read_text("utf-8") == "<p>ü</p>"


def test_a_page_that_cannot_be_written_leaves_the_former_one(tmp_path):
    path = page_path(tmp_path, date(2026, 1, 1), 1)
    write_page(path, "whole")
    with pytest.raises(UnicodeEncodeError):
        write_page(path, "\ud800")
    assert [(found.name, found.read_text("utf-8")) for found in tmp_path.iterdir()] == [(path.name, "whole")]
