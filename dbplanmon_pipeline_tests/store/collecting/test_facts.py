"""Contract: what is true of a database now, since when, and what has ended."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.ports import FactChange
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.store.samples import FIVE_MINUTES, HR, NOON, SALES, collected

DAY = timedelta(days=1)
FORCED = "forced plan 00aa 00bb"


def tell(store: SqlStore, ticks: int, facts: Mapping[str, str], *, whole: bool = True, ref=SALES) -> None:
    previous = store.capture_states([ref])[ref].previous
    item = collected(ref, NOON + FIVE_MINUTES * ticks, [1], previous=previous.read_at if previous else None)
    assert store.record([replace(item, facts=facts, facts_are_whole=whole)]) == frozenset()


def changes(store: SqlStore) -> list[tuple[str, str, str]]:
    return [(c.name, c.before, c.after) for c in store.fact_changes(SALES, NOON, NOON + DAY)]


def test_present_values_by_name(store: SqlStore) -> None:
    tell(store, 0, {"setting maxdop": "8", "version": "16"})
    tell(store, 1, {"setting maxdop": "4"})
    assert store.facts(SALES) == {"setting maxdop": "4", "version": "16"}
    assert store.facts(HR) == {}


def test_values_as_they_were_known_at_a_moment(store: SqlStore) -> None:
    tell(store, 0, {FORCED: "forced", "version": "16"})
    tell(store, 2, {"version": "17"})
    assert store.facts(SALES, at=NOON - FIVE_MINUTES) == {}
    assert store.facts(SALES, at=NOON + FIVE_MINUTES) == {FORCED: "forced", "version": "16"}
    assert store.facts(SALES, at=NOON + FIVE_MINUTES * 2) == store.facts(SALES) == {"version": "17"}
    assert store.facts(HR, at=NOON) == {}


def test_fact_of_a_statement_that_is_no_longer_told_has_ended(store: SqlStore) -> None:
    tell(store, 0, {FORCED: "forced", "version": "16"})
    tell(store, 1, {"version": "16"})
    assert store.facts(SALES) == {"version": "16"}
    assert changes(store) == [(FORCED, "forced", "")]
    tell(store, 2, {FORCED: "forced", "version": "16"})
    assert changes(store)[1:] == [(FORCED, "", "forced")]


@pytest.mark.parametrize(
    ("facts", "whole"), [({}, True), ({"setting work_mem": "4MB"}, False)], ids=["none told", "only those of plans"]
)
def test_collection_that_did_not_tell_everything_ends_nothing(store: SqlStore, facts, whole) -> None:
    tell(store, 0, {FORCED: "forced"})
    tell(store, 1, facts, whole=whole)
    assert store.facts(SALES)[FORCED] == "forced"


def test_facts_and_changes_of_all_databases(store: SqlStore) -> None:
    for number in range(2):
        tell(store, number, {"version": str(number)})
        tell(store, number, {"version": "16"}, ref=HR)
    assert store.facts_of_all() == {SALES: {"version": "1"}, HR: {"version": "16"}}
    changed = FactChange(SALES, "version", NOON + FIVE_MINUTES, "0", "1")
    assert store.fact_changes_of_all(NOON, NOON + DAY) == [changed]
    assert store.fact_changes_of_all(NOON + DAY, NOON + 2 * DAY) == []
    assert store.fact_changes_on(SALES.instance, NOON, NOON + DAY) == [changed]
    assert store.fact_changes_on("nowhere", NOON, NOON + DAY) == []


def test_facts_of_tables_are_told_of_single_databases_only(store: SqlStore) -> None:
    for number in range(2):
        tell(store, number, {"version": "16", "columns of dbo.Orders": str(number)})
    assert store.facts_of_all() == {SALES: {"version": "16"}}
    assert store.fact_changes_of_all(NOON, NOON + DAY) == []
    assert changes(store) == [("columns of dbo.Orders", "0", "1")]


def test_rows_of_a_table_are_kept_once_they_moved_much_and_not_every_time(store: SqlStore) -> None:
    for number, rows in ((0, "10000"), (1, "90000"), (12, "10500"), (13, "90000"), (14, "20000")):
        tell(store, number, {"rows of dbo.Orders": rows})
    assert changes(store) == [("rows of dbo.Orders", "10000", "90000")]


def test_tables_are_remembered_for_engines_whose_plans_are_read_once(store: SqlStore) -> None:
    told = {"rows of dbo.Orders": "1000", "rows of dbo.Lines": "1000", "version": "16"}
    first = replace(collected(SALES, NOON, [1]), engine=Engine.SQLSERVER, facts=told)
    other = replace(collected(HR, NOON, [1]), engine=Engine.SQLSERVER, facts={"rows of dbo.Other": "1"})
    store.record([first, other])
    tell(store, 12, {"rows of dbo.Orders": "9000"})
    assert store.capture_states([SALES])[SALES].tables == ("dbo.Orders", "dbo.Lines")


def test_tables_of_an_engine_that_tells_its_plans_again_and_again_are_not(store: SqlStore) -> None:
    item = replace(collected(SALES, NOON, [1]), engine=Engine.POSTGRES, facts={"rows of public.orders": "1000"})
    store.record([item])
    assert store.capture_states([SALES])[SALES].tables == ()


def test_facts_told_before_are_neither_read_nor_written_again(store: SqlStore) -> None:
    tell(store, 0, {FORCED: "forced", "version": "16"})
    said: list[str] = []
    event.listen(store._database.engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    tell(store, 1, {FORCED: "forced", "version": "16"})
    assert [sql for sql in said if "database_fact" in sql] == []


def test_values_that_go_and_come_back_are_both_kept(store: SqlStore) -> None:
    for number, value in enumerate(("a", "b", "a")):
        tell(store, number, {"version": value})
    assert changes(store) == [("version", "a", "b"), ("version", "b", "a")]
