import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbplanmon_pipeline.core.statements.postgres import mask_postgres_literals


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
        ("x = E'a'\n'it\\'s b' AND c", "x = ? AND c"),
        ("x = E'a' -- it's\n 'never closed \\' b", "x = ?"),
        ("x = 'a' 'b' AND y = 'a'\n\t'b'", "x = ? ? AND y = ?"),
        ("x = $€$it's$€$ AND y", "x = ? AND y"),
        ("é$a$ = 1 AND $a$ b $a$", "é$a$ = ? AND ?"),
        ("a =\u00a0E'b\\' AND c = 'd'", "a =\u00a0E? AND c = ?"),
        ("select 1E'it\\'s' AS b, 1e5 AS c", "select ?? AS b, ? AS c"),
        ("", ""),
    ],
)
def test_literals_become_marks_and_names_stay(expression, expected):
    assert mask_postgres_literals(expression) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SET app.token TO Secret1", "SET app.token TO ?"),
        ('set local "app".x.y = "Secret1", b', 'set local "app".x.y = ?, ?'),
        ("/* a /* b */ */ SET/**/session app.token = default", "  SET session app.token = default"),
        ("begin; set local app.tenant = acme; select a from t", "begin; set local app.tenant = ?; select a from t"),
        ("ALTER ROLE bob SET app.token = Secret1", "ALTER ROLE bob SET app.token = ?"),
        (
            "create trigger a before update on t execute function f(secret1)",
            "create trigger a before update on t execute function f(?)",
        ),
        ("set search_path to a, b", "set search_path to a, b"),
        ("set local role bob", "set local role bob"),
        ("update t set a.b = c", "update t set a.b = c"),
        ("alter table t set schema s", "alter table t set schema s"),
        ("create function execute(trigger int)", "create function execute(trigger int)"),
        ("set a.b", "set a.b"),
    ],
)
def test_words_that_are_values_of_settings_of_a_program_are_masked(text, expected):
    assert mask_postgres_literals(text) == expected
    assert mask_postgres_literals(expected) == expected


@given(st.text(alphabet="'\"$ \\eE-/*1a.\n?", max_size=40))
def test_masking_ends_and_leaves_no_digit_outside_names_and_parameters(expression):
    masked = mask_postgres_literals(expression)
    without_names = re.sub(r'"(?:[^"]|"")*"|\$\d+|[^\W\d][\w$]*', "", masked)
    assert not re.search(r"[\d']", without_names)


@given(st.text(max_size=30))
def test_no_quoted_value_survives(value):
    literal = "'" + value.replace("'", "''") + "'"
    assert mask_postgres_literals(f"(a = {literal}) AND b") == "(a = ?) AND b"
