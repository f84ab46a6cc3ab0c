"""Contract: what the lists and the pages of statements and databases read, on each engine of the store."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.model import CapturedPlan, CollectionStatus, StatementText
from dbplanmon_pipeline.core.ports import Alert, Delivery, Hotspot, PlanChange
from dbplanmon_pipeline.core.ports.page_lists import ListFilter
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.store.samples import (
    CRM,
    FIVE_MINUTES,
    HR,
    NOON,
    SALES,
    collected,
    incident,
    late_rows,
    rows,
    ticks,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PLAN = CapturedPlan(7, 70, "pgjson", "[]", "generic")
REFUSED = CapturedPlan(7, 71, reason="no plan: too large")


def change(minutes=0, ref=SALES, query_hash=7, plan_hash=71):
    return PlanChange(ref, query_hash, NOON + timedelta(minutes=minutes), plan_hash, 70, "a scan")


def alert(number, channel="dba", minutes=0):
    at = NOON + timedelta(minutes=minutes)
    return Alert(f"alert-{number}", f"{number:012x}", "opened", channel, "high", at, f"subject {number}", "body")


# ---------------------------------------------------------------- one statement


def test_a_statement_is_found_with_its_plans_and_why_one_was_not_kept(store: SqlStore) -> None:
    store.record([collected(SALES, NOON, [7], plans=[PLAN])])
    later = NOON + HOUR
    store.record([collected(SALES, later, [7], previous=NOON, plans=[REFUSED])])

    seen = store.statement_seen(SALES, 7)
    assert seen is not None
    assert (seen.current_plan_hash, seen.first_seen, seen.last_seen) == (70, NOON, later)
    uses = {use.plan_hash: use for use in store.plan_uses(SALES, 7)}
    assert uses[70].is_kept
    assert (uses[71].is_kept, uses[71].reason) == (False, "no plan: too large")


def test_a_statement_of_another_database_is_none(store: SqlStore) -> None:
    store.record([collected(SALES, NOON, [7])])
    assert store.statement_seen(HR, 7) is None
    assert store.plan_uses(HR, 7) == []
    assert len(store.hourly_work(HR, NOON, NOON + DAY)) == 0


def test_finished_days_come_by_hour_and_the_rest_by_interval(store: SqlStore, clock) -> None:
    yesterday = NOON + DAY
    for item in ticks(SALES, yesterday, 24, [7, 8]):
        store.record([item])
    for number in range(3):
        begin = yesterday + DAY + number * FIVE_MINUTES
        store.record([late_rows(SALES, begin, rows(begin, begin + FIVE_MINUTES, [7]))])
    clock.moment = yesterday + DAY + HOUR
    start, end = yesterday - DAY, clock.moment
    by_interval = store.hourly_work(SALES, start, end, 7)

    store.roll_up_day(yesterday.date())
    by_hour = store.hourly_work(SALES, start, end, 7)

    whole = store.interval_frame(start, end, databases=[SALES], query_hash=7).rows
    lengths = by_hour["interval_end_us"] - by_hour["interval_start_us"]
    assert (lengths == 3_600_000_000).sum() == 2
    assert len(by_interval) == len(whole) == 27
    for name in ("execution_count", "elapsed_time_us", "worker_time_us", "logical_reads_pages"):
        assert by_hour[name].sum() == pytest.approx(whole[name].sum())
        assert by_interval[name].sum() == pytest.approx(whole[name].sum())
    assert set(store.hourly_work(SALES, start, end)["query_hash"]) == {7, 8}

    by_day = store.hourly_work(SALES, start, end, 7, by_day=True)
    lengths = (by_day["interval_end_us"] - by_day["interval_start_us"]) / 3_600_000_000
    assert (lengths == 2).sum() == 1
    assert by_day["worker_time_us"].sum() == pytest.approx(whole["worker_time_us"].sum())


def test_a_day_that_goes_on_is_never_read_from_its_totals_alone(store: SqlStore, clock) -> None:
    clock.moment = NOON + HOUR
    for item in ticks(SALES, NOON, 2, [7]):
        store.record([item])
    store.roll_up_day(NOON.date())
    store.record([collected(SALES, NOON + 3 * FIVE_MINUTES, [7], previous=NOON + 2 * FIVE_MINUTES)])

    found = store.hourly_work(SALES, NOON - DAY, NOON + HOUR, 7)
    assert found["execution_count"].sum() == 30


def test_the_load_of_one_database_is_that_of_the_fleet(store: SqlStore) -> None:
    for ref in (SALES, HR):
        for item in ticks(ref, NOON, 14, [1]):
            store.record([item])
    of_fleet = store.database_hours(NOON - HOUR, NOON + 2 * HOUR)[SALES]
    assert np.array_equal(store.hours_of(SALES, NOON - HOUR, NOON + 2 * HOUR), of_fleet, equal_nan=True)


# ---------------------------------------------------------------- changes of plans


def test_changes_of_plans_are_turned_over_page_by_page(store: SqlStore) -> None:
    changes = [change(minutes, ref, q) for minutes in (0, 5) for ref in (SALES, HR, CRM) for q in (7, -8)]
    store.save_plan_changes(changes)

    found, mark = [], ""
    while True:
        page = store.plan_change_page(ListFilter(), after=mark, limit=5)
        found += [row.change for row in page.rows]
        mark = page.following
        if not mark:
            break

    assert page.total == len(found) == len(changes)
    assert set(found) == set(changes)
    assert [one.changed_at for one in found] == sorted((one.changed_at for one in changes), reverse=True)


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        (ListFilter(instance="alpha"), 2),
        (ListFilter(instance="alpha", database="Hr"), 1),
        (ListFilter(query_hash=9), 1),
        (ListFilter(text="0000000000000009"), 1),
        (ListFilter(text="from CUSTOMERS"), 1),
        (ListFilter(text="100%"), 0),
        (ListFilter(since=NOON + HOUR), 0),
    ],
)
def test_changes_of_plans_are_chosen(store: SqlStore, chosen: ListFilter, count: int) -> None:
    store.record([collected(SALES, NOON, [7], texts=[StatementText(7, "SELECT * FROM customers")])])
    store.save_plan_changes([change(), change(ref=HR, query_hash=8), change(ref=CRM, query_hash=9)])
    page = store.plan_change_page(chosen)
    assert (len(page.rows), page.total) == (count, count)


def test_a_change_names_the_incident_it_led_to(store: SqlStore) -> None:
    began = incident(query_hash=7, plan_hash=5, began_at=NOON + FIVE_MINUTES)
    store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, began, NOON)])
    store.save_plan_changes([change(), change(-600), change(query_hash=8)])

    led = {
        (row.change.query_hash, row.change.changed_at): row.incident_id
        for row in store.plan_change_page(ListFilter()).rows
    }
    assert led[7, NOON] == began.incident_id
    assert led[7, NOON - 10 * HOUR] == led[8, NOON] == ""


@pytest.mark.parametrize(
    ("read", "mark"),
    [
        ("plan_change_page", "nonsense"),
        ("plan_change_page", "a~b~c"),
        ("plan_change_page", "2026-03-10T12:00:00+00:00~1~99999999999999999999"),
        ("alert_page", "2026-03-10~x"),
        ("audit_page", "2026-03-10T12:00:00+00:00~99999999999999999999"),
    ],
)
def test_a_mark_that_is_none_is_refused(store: SqlStore, read: str, mark: str) -> None:
    needs = {} if read == "plan_change_page" else {"since": NOON}
    arguments = [ListFilter()] if read == "plan_change_page" else []
    with pytest.raises(ValueError, match=r"mark|Invalid|zone|large"):
        getattr(store, read)(*arguments, after=mark, **needs)


# ---------------------------------------------------------------- hotspots, messages, audit


def test_the_ranking_of_an_earlier_moment_is_found(store: SqlStore) -> None:
    for hours in (0, 1):
        top = [Hotspot(ref, 7, "worker_time_us", 1 + place, 5, 1, 1, 1, 0.5) for place, ref in enumerate((SALES, HR))]
        store.save_hotspots(NOON + (hours - 1) * HOUR, NOON + hours * HOUR, top)

    assert store.hotspot_ranking(NOON - HOUR, "worker_time_us", ListFilter()) is None
    earlier = store.hotspot_ranking(NOON + 0.5 * HOUR, "worker_time_us", ListFilter(database="Hr"))
    assert earlier is not None
    assert (earlier.window_end, [one.ref for one in earlier.rows]) == (NOON, [HR])
    newest = store.hotspot_ranking(NOON + DAY, "elapsed_time_us", ListFilter())
    assert newest is not None
    assert (newest.window_end, newest.rows) == (NOON + HOUR, ())


def test_messages_come_with_the_attempts_to_send_them(store: SqlStore) -> None:
    store.add_alerts([alert(number, "dba" if number % 2 else "log", number) for number in range(6)])
    store.record_deliveries([Delivery("alert-5", NOON, False, "busy", NOON + HOUR)])

    first = store.alert_page(since=NOON, limit=4)
    second = store.alert_page(since=NOON, limit=4, after=first.following)

    assert [row.alert.alert_id for row in (*first.rows, *second.rows)] == [f"alert-{n}" for n in (5, 4, 3, 2, 1, 0)]
    assert [one.error for one in first.attempts["alert-5"]] == ["busy"]
    assert second.following == ""
    assert {row.alert.channel for row in store.alert_page(since=NOON, channel="log").rows} == {"log"}
    assert store.alert_page(since=NOON, states=["delivered"]).rows == ()


def test_the_audit_is_turned_over_and_chosen(store: SqlStore) -> None:
    for number in range(5):
        store.append_audit("anna" if number % 2 else "retention", "mute added", f"rule {number}", {"n": number})

    first = store.audit_page(since=NOON, limit=3)
    second = store.audit_page(since=NOON, limit=3, after=first.following)

    assert [row.subject for row in (*first.rows, *second.rows)] == [f"rule {n}" for n in (4, 3, 2, 1, 0)]
    assert [row.subject for row in store.audit_page(since=NOON, actor="anna", subject="RULE 3").rows] == ["rule 3"]
    assert store.audit_page(since=NOON, action="incident").rows == ()


# ---------------------------------------------------------------- the monitor itself


def test_the_newest_reading_of_each_database_is_told(store: SqlStore) -> None:
    store.record([collected(HR, NOON, [1])])
    for item in ticks(SALES, NOON, 2, [1]):
        store.record([item])
    failed = collected(SALES, NOON + HOUR, [1])
    outcome = replace(failed.outcome, status=CollectionStatus.FAILED, error_class="login", message="refused")
    store.record([replace(failed, outcome=outcome, reading=None, rows=None)])

    found = {one.ref: one for one in store.newest_readings()}
    assert found[HR].status is CollectionStatus.FIRST_READING
    assert (found[SALES].status, found[SALES].error_class, found[SALES].message) == ("failed", "login", "refused")
    assert store.newest_readings(HR) == [found[HR]]


def test_tables_are_told_once_their_figures_are_known(store: SqlStore) -> None:
    for item in ticks(SALES, NOON, 3, [1, 2]):
        store.record([item])
    store.maintain(may_rewrite=False)

    sizes = {one.name: one for one in store.table_sizes()}
    assert sizes["interval_metric"].rows == 6
    assert sizes["query"].rows == 2
