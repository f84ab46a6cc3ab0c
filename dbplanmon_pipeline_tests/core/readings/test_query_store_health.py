from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.health import Health
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import FactChange
from dbplanmon_pipeline.core.readings.query_store_health import (
    IDENTITY_FACT,
    SIZE_FACT,
    STATE_FACT,
    force_failures,
    forced_plan_value,
    query_store_health,
)

SHOP, BOOKS = DatabaseRef("sql1", "shop"), DatabaseRef("sql1", "books")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FORCED = "forced plan 00000000000000aa 8000000000000001"
GOOD = {STATE_FACT: "READ_WRITE", SIZE_FACT: "40 % of 1000 MB"}


def change(name: str, before: str, after: str, minutes: int = 0, ref: DatabaseRef = SHOP) -> FactChange:
    return FactChange(ref, name, NOON + timedelta(minutes=minutes), before, after)


def failures(before: int, after: int, minutes: int = 0) -> FactChange:
    return change(FORCED, forced_plan_value(before, "NO_INDEX"), forced_plan_value(after, "NO_INDEX"), minutes)


def test_databases_that_record_are_healthy():
    found = query_store_health({SHOP: GOOD, BOOKS: GOOD | {STATE_FACT: "READ_ONLY (secondary replica)"}})
    assert (found.health, found.rows) == (Health.HEALTHY, ())
    assert found.summary == "Query Store records in 2 databases"


def test_databases_without_query_store_are_not_judged():
    assert query_store_health({SHOP: {"setting work_mem": "4MB"}}).health is Health.HEALTHY


@pytest.mark.parametrize(
    ("state", "problem", "health"),
    [
        ("OFF", "off", Health.DEGRADED),
        ("READ_ONLY (size limit reached)", "read_only", Health.DEGRADED),
        ("READ_ONLY (set so)", "read_only", Health.DEGRADED),
        ("ERROR", "error", Health.UNHEALTHY),
    ],
)
def test_r_a_query_store_that_records_nothing_is_told_with_its_reason(state, problem, health):
    found = query_store_health({SHOP: {STATE_FACT: state}, BOOKS: GOOD})
    assert found.health is health
    assert found.rows == ({"database": "sql1/shop", "problem": problem, "what": f"Query Store is {state}"},)
    assert found.summary == "Query Store has trouble in 1 of 2 databases: sql1/shop"


@pytest.mark.parametrize(
    ("size", "told"), [("80 % of 1000 MB", False), ("90 % of 1000 MB", True), ("110 % of 9 MB", True)]
)
def test_a_query_store_is_told_before_it_is_full(size, told):
    rows = query_store_health({SHOP: GOOD | {SIZE_FACT: size}}).rows
    assert [row["problem"] for row in rows] == (["nearly_full"] if told else [])


def test_a_size_is_no_trouble_where_query_store_is_off():
    rows = query_store_health({SHOP: {STATE_FACT: "OFF", SIZE_FACT: "100 % of 1000 MB"}}).rows
    assert [row["problem"] for row in rows] == ["off"]


def test_forcing_that_fails_anew_is_told_with_its_reason():
    found = query_store_health({SHOP: GOOD}, [failures(0, 1), failures(1, 4, minutes=5)])
    assert found.health is Health.DEGRADED
    (row,) = found.rows
    assert row["problem"] == "force_failed"
    assert row["what"] == ("forcing plan 8000000000000001 of statement 00000000000000aa failed 4 times more: NO_INDEX")


def test_a_count_that_stays_or_falls_is_no_failure():
    assert query_store_health({SHOP: GOOD}, [failures(4, 0), change(FORCED, "forced", "forced")]).rows == ()


def test_j_a_restored_database_with_old_force_failures_raises_nothing():
    restored = [change(IDENTITY_FACT, "created 2025", "created 2026"), failures(0, 7)]
    assert query_store_health({SHOP: GOOD}, restored).rows == ()
    assert query_store_health({SHOP: GOOD | {FORCED: forced_plan_value(7, "NO_INDEX")}}).rows == ()


def test_j_failures_after_the_restore_are_told_again():
    later = [change(IDENTITY_FACT, "created 2025", "created 2026"), failures(0, 7), failures(7, 9, minutes=5)]
    (row,) = query_store_health({SHOP: GOOD}, later).rows
    assert "failed 2 times more" in row["what"]


def test_the_restore_of_one_database_hides_nothing_of_another():
    changes = [change(IDENTITY_FACT, "a", "b", ref=BOOKS), failures(0, 2)]
    assert len(query_store_health({SHOP: GOOD, BOOKS: GOOD}, changes).rows) == 1


def test_changes_of_databases_nobody_asked_about_are_passed_over():
    assert query_store_health({BOOKS: GOOD}, [failures(0, 2)]).rows == ()


def test_long_lists_are_cut_in_the_summary_but_not_in_the_rows():
    refs = [DatabaseRef("sql1", f"d{number}") for number in range(5)]
    found = query_store_health({ref: {STATE_FACT: "OFF"} for ref in refs})
    assert found.summary.endswith("sql1/d0, sql1/d1, sql1/d2 ...")
    assert len(found.rows) == 5


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_a_count_of_failures_reads_back(count):
    assert force_failures(forced_plan_value(count, "NO_INDEX")) == count
    assert force_failures(forced_plan_value(count, "")) == count


def test_other_words_count_no_failures():
    assert force_failures("something, 3 failures") == 0
