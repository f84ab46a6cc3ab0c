import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbplanmon_pipeline.core.plans.pgplan import parse_pg_plan
from dbplanmon_pipeline.core.plans.pgtext import plan_document
from dbplanmon_pipeline.core.plans.redact import mask_literals, redact_pg_plan
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline_tests.core.plans.corpus import entries, text_of


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(status = 'open'::text)", "(status = ?::text)"),
        ("(id = 42)", "(id = ?)"),
        ("(a.c1 > '-5'::integer)", "(a.c1 > ?::integer)"),
        ("(name = 'O''Brien')", "(name = ?)"),
        (r"(path = E'c:\\x\'y' AND b)", "(path = ? AND b)"),
        (r"(path = 'c:\' AND b = 'z')", "(path = ? AND b = ?)"),
        ("(b = $$se'cret$$)", "(b = ?)"),
        ("(b = $t$a $$ b$t$ AND c)", "(b = ? AND c)"),
        ("(b = $1 AND c = $12)", "(b = $1 AND c = $12)"),
        ('("Total 1" = 1)', '("Total 1" = ?)'),
        ('("a""1" = 1)', '("a""1" = ?)'),
        ("(x = ANY ('{1,2,3}'::integer[]))", "(x = ANY (?::integer[]))"),
        ("(x = 1.5e-10) OR (y = .5) OR (z = 1e6)", "(x = ?) OR (y = ?) OR (z = ?)"),
        ("(x = 0x1F) OR (y = 1_000)", "(x = ?) OR (y = ?)"),
        ("(b = B'101') OR (c = x'ff') OR (d = N'x') OR (e = U&'d\\0061t')", "(b = ?) OR (c = ?) OR (d = ?) OR (e = ?)"),
        ("date'2026-01-01' <= d", "date? <= d"),
        ("(hashed SubPlan 1) AND (InitPlan 2).col1", "(hashed SubPlan 1) AND (InitPlan 2).col1"),
        ("l1.l_orderkey = l2.l_orderkey", "l1.l_orderkey = l2.l_orderkey"),
        ("größe1 = 1", "größe1 = ?"),
        ("select 1 -- key 99\n from t", "select ?  \n from t"),
        ("select /* a /* 7 */ 'b' */ x", "select   x"),
        ("select /* 'open", "select  "),
        ("x = 'never closed", "x = ?"),
        ("x = E'never \\", "x = ?"),
        ("x = $q$never closed", "x = ?"),
        ('x = "never closed 5', "x = ?"),
        ("x = $$", "x = ?"),
        ("a <> '' AND b", "a <> ? AND b"),
        ("", ""),
    ],
)
def test_literals_become_marks_and_names_stay(expression, expected):
    assert mask_literals(expression) == expected


@given(st.text(alphabet="'\"$ \\eE-/*1a.\n?", max_size=40))
def test_masking_ends_and_leaves_no_digit_outside_names_and_parameters(expression):
    masked = mask_literals(expression)
    without_names = re.sub(r'"(?:[^"]|"")*"|\$\d+|[^\W\d][\w$]*', "", masked)
    assert not re.search(r"[\d']", without_names)


@given(st.text(max_size=30))
def test_no_quoted_value_survives(value):
    literal = "'" + value.replace("'", "''") + "'"
    assert mask_literals(f"(a = {literal}) AND b") == "(a = ?) AND b"


NODE = {
    "Node Type": "Index Scan",
    "Relation Name": "orders",
    "Alias": "o",
    "Index Name": "orders_1",
    "Index Cond": "(id = 5)",
    "Output": ["id", "'secret'::text"],
    "Grouping Sets": [{"Group Keys": [["a", "(b + 7)"]]}],
    "Foreign File": "/srv/secret.csv",
    "Some New Attribute": "secret",
    "Some New List": ["secret"],
    "Some New Object": {"Detail": "secret", "Count": 3},
    "Plan Rows": 12,
    "Parallel Aware": False,
}
DOCUMENT = [{"Plan": NODE, "Query Text": "select 'secret'", "Settings": {"work_mem": "64kB", "app.user": "secret"}}]


def test_unknown_text_attributes_are_masked_whole():
    node = redact_pg_plan(DOCUMENT)[0]["Plan"]
    assert node["Some New Attribute"] == node["Foreign File"] == "?"
    assert node["Some New List"] == ["?"]
    assert node["Some New Object"] == {"Detail": "?", "Count": 3}


def test_names_figures_and_planner_settings_stay():
    redacted = redact_pg_plan(DOCUMENT)[0]
    node = redacted["Plan"]
    assert [node[name] for name in ("Relation Name", "Alias", "Index Name", "Plan Rows", "Parallel Aware")] == [
        "orders",
        "o",
        "orders_1",
        12,
        False,
    ]
    assert redacted["Settings"] == {"work_mem": "64kB", "app.user": "?"}


def test_expressions_inside_lists_are_masked_token_by_token():
    node = redact_pg_plan(DOCUMENT)[0]["Plan"]
    assert node["Output"] == ["id", "?::text"]
    assert node["Grouping Sets"] == [{"Group Keys": [["a", "(b + ?)"]]}]


def test_nothing_secret_is_left_and_the_source_is_untouched():
    before = json.dumps(DOCUMENT)
    assert "secret" not in json.dumps(redact_pg_plan(DOCUMENT))
    assert json.dumps(DOCUMENT) == before


def test_a_text_is_read_first_and_refused_when_it_is_no_plan():
    assert redact_pg_plan(json.dumps(DOCUMENT)) == redact_pg_plan(DOCUMENT)
    with pytest.raises(PlanParseError):
        redact_pg_plan("secret")


def test_values_json_does_not_know_are_masked():
    assert redact_pg_plan({"Node Type": "Limit", "Filter": b"secret"})["Filter"] == "?"


@pytest.mark.parametrize("entry", entries())
def test_real_plans_keep_their_operators_and_lose_every_quoted_literal(entry):
    document = plan_document(text_of(entry))
    redacted = redact_pg_plan(document)
    assert parse_pg_plan(redacted).counts == parse_pg_plan(document).counts
    for operator in parse_pg_plan(redacted).operators():
        for _name, expression in operator.conditions:
            assert "'" not in expression


def test_redaction_is_stable_when_repeated():
    once = redact_pg_plan(DOCUMENT)
    assert redact_pg_plan(once) == once
