from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.causes.distribution import ColumnStatistics
from dbplanmon_pipeline.core.causes.table_facts import (
    LONGEST_LIST,
    TableShape,
    is_news,
    part_changes,
    rounded,
    table_facts,
    table_of,
)

ORDERS = "dbo.Orders"


def changes(before, after):
    return [(part.name, part.verb) for part in part_changes(before, after)]


def indexes(**definitions):
    return table_facts(TableShape(ORDERS, indexes=definitions))[f"indexes of {ORDERS}"]


def test_a_table_tells_what_is_known_of_it_and_nothing_else():
    shape = TableShape(ORDERS, 1234.0, updated="2026-03-01T10:00:00Z by ANALYZE", columns={"b": "int", "a": "text"})
    assert table_facts(shape) == {
        "rows of dbo.Orders": "1200",
        "statistics time of dbo.Orders": "2026-03-01T10:00:00Z by ANALYZE",
        "columns of dbo.Orders": '{"a":"text","b":"int"}',
    }
    assert table_facts(TableShape(ORDERS)) == {}


def test_a_table_whose_name_the_store_cannot_keep_is_left_out():
    assert table_facts(TableShape("s." + "x" * 250, 5.0)) == {}


@pytest.mark.parametrize(
    ("rows", "told"), [(0, 0), (7.4, 7), (99, 99), (101, 100), (149_999, 150_000), (1_949_999, 1_900_000)]
)
def test_rows_are_told_with_two_digits(rows, told):
    assert rounded(rows) == told


@pytest.mark.parametrize(
    ("fact", "held", "told", "minutes", "expected"),
    [
        ("rows of t", "100000", "109000", 60, False),
        ("rows of t", "100000", "110000", 60, True),
        ("rows of t", "100000", "900000", 59, False),
        ("rows of t", "150000", "100000", 60, True),
        ("rows of t", "2", "900", 60, False),
        ("rows of t", "2", "1000", 60, True),
        ("setting work_mem", "4MB", "5MB", 5, True),
        ("setting work_mem", "4MB", "4MB", 5, False),
    ],
)
def test_rows_are_news_once_they_moved_and_not_too_often(fact, held, told, minutes, expected):
    assert is_news(fact, held, told, timedelta(minutes=minutes)) is expected


UNIFORM, SKEWED = ColumnStatistics(12_000.0, 0.012, 0.0, 0.0001), ColumnStatistics(3.0, 3e-06, 0.0, 0.98)


@pytest.mark.parametrize(
    ("column", "minutes", "expected"), [(SKEWED, 60, True), (SKEWED, 59, False), (UNIFORM, 600, False)]
)
def test_data_is_news_once_it_moved_far_and_not_too_often(column, minutes, expected):
    name = f"distribution of {ORDERS}"
    held, told = (
        table_facts(TableShape(ORDERS, updated=f"2026-03-01T1{hour}:00:00Z by ANALYZE", distribution={"a": one}))
        for hour, one in ((0, UNIFORM), (1, column))
    )
    assert is_news(name, held[name], told[name], timedelta(minutes=minutes)) is expected
    assert table_of(name) == ORDERS
    assert name not in table_facts(TableShape(ORDERS, distribution={}))


def test_lists_tell_what_came_went_and_changed():
    before = indexes(gone="CREATE INDEX a", same="CREATE INDEX b", other="CREATE INDEX c", off="CREATE INDEX d")
    after = indexes(same="CREATE INDEX b", other="CREATE INDEX C", off="-- disabled: CREATE INDEX d", new="CREATE")
    assert changes(before, after) == [
        ("gone", "is gone"),
        ("off", "was disabled"),
        ("other", "was changed"),
        ("new", "is new"),
    ]
    assert changes(after, before)[1] == ("off", "is no longer disabled")


def test_a_list_that_became_too_long_still_tells_what_changed():
    short = {f"ix{number}": f"CREATE INDEX ix{number}" for number in range(20)}
    long = short | {"wide": "x" * LONGEST_LIST}
    assert changes(indexes(**short), indexes(**long)) == [("wide", "is new")]
    assert len(indexes(**long)) < LONGEST_LIST
    assert changes(indexes(**long), indexes(**(long | {"ix3": "CREATE INDEX other"}))) == [("ix3", "was changed")]


@pytest.mark.parametrize("value", ["", "[]", "{", "7"])
def test_a_value_that_is_no_list_tells_nothing(value):
    assert changes(value, indexes(a="b")) == []


def test_only_facts_of_tables_name_one():
    assert table_of("rows of dbo.Orders") == table_of("statistics time of dbo.Orders") == "dbo.Orders"
    assert table_of("setting work_mem") == ""
