import pytest

from dbplanmon_pipeline.core.causes.distribution import (
    ColumnStatistics,
    column_changes,
    distribution_value,
    is_other_data,
    updated_of,
)

AT = "2026-03-01T10:00:00Z by ANALYZE"


def column(distinct=1000.0, per_row=0.001, nulls=0.0, top=0.001, correlation=0.5):
    return ColumnStatistics(distinct, per_row, nulls, top, correlation)


def value(**columns):
    return distribution_value(AT, columns)


def words(before, after):
    return [one.words for one in column_changes("s.t", value(c=before), value(c=after))]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (column(12_000.0, 0.012), column(3.0, 3e-6), "n_distinct of s.t.c went from 12,000 to 3"),
        (column(5.0, 5e-6), column(40_000.0, 0.04), "n_distinct of s.t.c went from 5 to 40,000"),
        (column(top=0.0002), column(top=0.04), "most common value of s.t.c went from <0.1 % to 4 % of the rows"),
        (column(top=0.3), column(top=0.55), "most common value of s.t.c went from 30 % to 55 % of the rows"),
        (column(nulls=0.0), column(nulls=0.4), "nulls of s.t.c went from 0 % to 40 % of the rows"),
        (column(nulls=0.005), column(nulls=0.08), "nulls of s.t.c went from 0.5 % to 8 % of the rows"),
        (
            column(correlation=0.99),
            column(correlation=-0.05),
            "correlation with the order on disk of s.t.c went from 0.99 to -0.05",
        ),
    ],
)
def test_what_moved_far_is_told_in_numbers(before, after, expected):
    assert words(before, after) == [expected]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (column(), column()),
        (column(1000.0, 1.0), column(1_000_000.0, 1.0)),
        (column(5.0, 5e-3), column(5.0, 5e-7)),
        (column(1000.0, 0.001), column(1900.0, 0.0019)),
        (column(top=0.001), column(top=0.019)),
        (column(top=0.5), column(top=0.59)),
        (column(correlation=0.9), column(correlation=-0.85)),
        (column(correlation=None), column(correlation=1.0)),
        (column(0.0, 0.0, 1.0, 0.0), column(0.0, 0.0, 1.0, 0.0)),
    ],
    ids=[
        "nothing",
        "a unique column of a table that grew",
        "five values in a table that grew",
        "less than twice as many values",
        "a rare value among rare ones",
        "a common value a little more common",
        "the order on disk turned round",
        "no order",
        "nothing but nulls",
    ],
)
def test_growth_and_the_luck_of_sampling_are_no_other_data(before, after):
    assert words(before, after) == []
    assert not is_other_data(value(c=before), value(c=after))


def test_the_column_that_moved_farthest_comes_first_with_its_farthest_measure():
    before = value(a=column(), b=column(), gone=column())
    after = value(a=column(nulls=0.2), b=column(500.0, 0.0005, 0.9), new=column())
    found = column_changes("s.t", before, after)
    assert [(one.column, one.words.split(" went")[0]) for one in found] == [
        ("b", "n_distinct of s.t.b"),
        ("a", "nulls of s.t.a"),
    ]
    assert found[0].words == "n_distinct of s.t.b went from 1,000 to 500, its nulls from 0 % to 90 % of the rows"


def test_other_columns_are_worth_keeping_and_no_other_data():
    before, after = value(a=column()), value(a=column(), b=column())
    assert is_other_data(before, after)
    assert column_changes("s.t", before, after) == []


def test_a_value_tells_when_it_was_taken():
    assert updated_of(value(a=column())) == AT


@pytest.mark.parametrize("broken", ["", "[]", "null", "{}", '{"updated": "x", "columns": {"a": 5}}', '{"columns": []}'])
def test_what_cannot_be_read_tells_nothing(broken):
    assert updated_of(broken) == ""
    assert column_changes("s.t", broken, value(a=column())) == []
