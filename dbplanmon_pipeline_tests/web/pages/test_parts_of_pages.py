"""What pages are made from, without a server: marks between plans, the layout of statements, words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.model import CapturedPlan
from dbplanmon_pipeline.core.plain_words import counted
from dbplanmon_pipeline.web.pages.plan_sides import MOST_LINES, plan_side, plan_sides
from dbplanmon_pipeline.web.pages.statement_layout import MOST_CHARACTERS, lay_out
from dbplanmon_pipeline.web.pages.words import ago_words

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)

NODE = '{{"Node Type": "{kind}", "Total Cost": {cost}, "Plan Rows": {rows}{rest}}}'


def node(kind, rest="", cost=1.0, rows=10):
    return NODE.format(kind=kind, cost=cost, rows=rows, rest=f", {rest}" if rest else "")


def plan(body, number=1):
    return CapturedPlan(5, number, "pgjson", f'[{{"Plan": {body}}}]', "generic")


SCAN = node("Seq Scan", '"Relation Name": "orders", "Alias": "o"', rows=1000)
SEEK = node("Index Scan", '"Relation Name": "orders", "Alias": "o", "Index Name": "ix_orders"', rows=10)


def under(kind, *inputs):
    return node(kind, f'"Plans": [{", ".join(inputs)}]')


def marks(side):
    return [(line.name, line.mark) for line in side.lines]


def test_every_line_says_what_became_of_its_operator_on_its_own_side():
    before, now = plan_sides(plan(under("Sort", SEEK), 1), plan(under("Unique", under("Sort", SCAN)), 2), (1, 2))
    assert marks(before) == [("Sort", "same"), ("Index Scan", "changed")]
    assert marks(now) == [("Unique", "new"), ("Sort", "same"), ("Seq Scan", "changed")]
    assert [line.depth for line in now.lines] == [0, 1, 2]
    assert now.lines[2].what == before.lines[1].what == ("Index Scan became Seq Scan", "rows 10 became 1,000")


def test_lines_of_both_plans_know_their_mates():
    before, now = plan_sides(plan(under("Sort", SEEK), 1), plan(under("Unique", under("Sort", SCAN)), 2), (1, 2))
    assert [(line.number, line.other) for line in before.lines] == [(1, 2), (2, 3)]
    assert [(line.number, line.other) for line in now.lines] == [(1, 0), (2, 1), (3, 2)]
    backwards, _ = plan_sides(plan(under("Unique", SCAN), 1), plan(SCAN, 2), (1, 2))
    assert marks(backwards) == [("Unique", "gone"), ("Seq Scan", "same")]


def test_an_estimate_that_moved_tenfold_is_told_on_both_sides():
    dearer = SCAN.replace('"Plan Rows": 1000', '"Plan Rows": 10000')
    before, now = plan_sides(plan(SCAN, 1), plan(dearer, 2), (1, 2))
    assert marks(before) == marks(now) == [("Seq Scan", "changed")]
    assert now.lines[0].what == ("rows 1,000 became 10,000",)


def test_equal_plans_are_the_same_and_a_plan_alone_has_no_marks():
    before, now = plan_sides(plan(under("Sort", SCAN)), plan(under("Sort", SCAN)), (1, 1))
    assert {mark for _, mark in [*marks(before), *marks(now)]} == {"same"}
    assert {mark for _, mark in marks(plan_side(plan(under("Sort", SCAN)), 1))} == {""}


def test_a_plan_that_is_not_there_says_why():
    refused = replace(plan(SCAN), format="", body="", reason="no plan: larger than 4 MB")
    before, now = plan_sides(refused, plan(SCAN), (1, 2))
    assert before.reason == "larger than 4 MB"
    assert now.lines[0].mark == ""
    assert plan_sides(None, None, (0, 0)) is None
    assert plan_sides(None, plan(SCAN), (7, 2))[0].reason == "was not captured"


def test_a_plan_of_a_thousand_operators_is_cut_and_counted():
    many = under("Append", *[SCAN] * 1_000)
    _, now = plan_sides(None, plan(many), (1, 2))
    assert (len(now.lines), now.left_out) == (MOST_LINES, 1_001 - MOST_LINES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select a from t where b = ? order by c", "select a\nfrom t\nwhere b = ?\norder by c"),
        (
            "SELECT (SELECT max(x) FROM u WHERE u.id = t.id) FROM t LEFT OUTER JOIN s ON s.a = t.a",
            "SELECT (SELECT max(x) FROM u WHERE u.id = t.id)\nFROM t\nLEFT OUTER JOIN s ON s.a = t.a",
        ),
        (
            "SELECT 'a FROM b' AS \"x WHERE y\", [z FROM q] FROM t",
            "SELECT 'a FROM b' AS \"x WHERE y\", [z FROM q]\nFROM t",
        ),
        ("SELECT 1 -- FROM nowhere WHERE true", "SELECT 1 -- FROM nowhere WHERE true"),
        ("SELECT a\nFROM t", "SELECT a\nFROM t"),
        ("UPDATE t SET a = 1 WHERE b = 2", "UPDATE t\nSET a = 1\nWHERE b = 2"),
        ("SELECT fromage FROM offset_table", "SELECT fromage\nFROM offset_table"),
    ],
)
def test_a_statement_gets_a_line_for_each_clause(text, expected):
    assert lay_out(text).text == expected
    assert expected.split() == text.split()


def test_a_long_statement_is_cut_and_counted():
    found = lay_out("x" * (MOST_CHARACTERS + 5))
    assert (len(found.text), found.left_out) == (MOST_CHARACTERS, 5)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (7_300, "2 h ago"),
        (200_000, "2 d ago"),
        (-400, "in 6 min"),
    ],
)
def test_times_past_and_to_come_in_words(seconds, words):
    assert ago_words(NOW - timedelta(seconds=seconds), NOW) == words


def test_one_is_not_many():
    assert [counted(number, "incident") for number in (0, 1, 2_000)] == ["0 incidents", "1 incident", "2,000 incidents"]
