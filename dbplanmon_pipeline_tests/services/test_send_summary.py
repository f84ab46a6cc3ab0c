"""A summary reaches each channel once."""

from datetime import UTC, datetime, timedelta

from dbplanmon_pipeline.core.summary.period import summarise_days
from dbplanmon_pipeline.services.send_summary import send_summary
from dbplanmon_pipeline.testing import MemoryAlertStore
from dbplanmon_pipeline_tests.store.samples import incident

MIDNIGHT = datetime(2026, 3, 8, tzinfo=UTC)
DAY = timedelta(days=1)
EIGHT = MIDNIGHT + DAY + timedelta(hours=8)
BOTH = ("dba", "log")


def day(number=0):
    return summarise_days(MIDNIGHT + number * DAY, 1, incidents=[])


def test_it_is_queued_once_per_day_and_channel_however_often_it_is_made():
    store = MemoryAlertStore()
    assert send_summary(store, day(), {}, BOTH, now=EIGHT) == 2
    for _ in range(3):
        send_summary(store, day(), {}, BOTH, now=EIGHT + timedelta(hours=1))
    assert sorted((a.channel, a.incident_id) for a in store.alerts.values()) == [
        ("dba", "summary:2026-03-08"),
        ("log", "summary:2026-03-08"),
    ]


def test_a_channel_that_was_added_later_gets_it_too():
    store = MemoryAlertStore()
    send_summary(store, day(), {}, ["dba"], now=EIGHT)
    send_summary(store, day(), {}, BOTH, now=EIGHT)
    assert [alert.channel for alert in store.alerts.values()] == ["dba", "log"]


def test_neither_old_days_nor_the_day_that_is_not_over_are_sent():
    store = MemoryAlertStore()
    for number in (-30, -1, 1):
        assert send_summary(store, day(number), {}, BOTH, now=EIGHT) == 0
    assert not store.alerts


def test_a_week_is_a_message_beside_its_last_day():
    store = MemoryAlertStore()
    week = summarise_days(MIDNIGHT - 6 * DAY, 7, incidents=[])
    send_summary(store, day(), {}, ["dba"], now=EIGHT)
    assert send_summary(store, week, {}, ["dba"], now=EIGHT) == 1
    assert len({alert.alert_id for alert in store.alerts.values()}) == 2


def test_pictures_are_named_in_the_page_as_a_mail_carries_them():
    store = MemoryAlertStore()
    send_summary(store, day(), {"load": "iVBORw0KGgo="}, ["dba"], now=EIGHT)
    (alert,) = store.alerts.values()
    assert alert.facts["pictures"] == {"dbplanmon-load": "iVBORw0KGgo="}
    assert 'src="cid:dbplanmon-load"' in alert.facts["html"]
    assert alert.subject == "[summary] Sunday 08 March 2026: grade D"


def test_it_links_to_the_status_page_where_people_can_reach_one():
    store = MemoryAlertStore()
    slow = incident(opened_at=MIDNIGHT + DAY / 2, began_at=MIDNIGHT + DAY / 2)
    summary = summarise_days(MIDNIGHT, 1, incidents=[slow])
    send_summary(store, summary, {}, ["dba"], now=EIGHT, page="https://dba.example.net/monitor")
    (alert,) = store.alerts.values()
    assert alert.facts["link"] == "https://dba.example.net/monitor"
    assert "More: https://dba.example.net/monitor/" in alert.body
    assert f'<a href="https://dba.example.net/monitor/incidents/{slow.incident_id}">' in alert.facts["html"]


def test_it_links_nowhere_without_an_address():
    store = MemoryAlertStore()
    send_summary(store, day(), {}, ["dba"], now=EIGHT)
    (alert,) = store.alerts.values()
    assert alert.facts["link"] is None
    assert "href" not in alert.facts["html"]
