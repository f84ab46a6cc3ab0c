import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbplanmon_pipeline.core.plans.postgres.index_candidates import conjuncts, index_candidates
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline_tests.core.plans import corpus
from dbplanmon_pipeline_tests.core.plans.findings.made_up import explained, pg


def scan(condition, cost=50_000.0, relation="orders", alias="o", schema="shop", **said):
    return pg("Seq Scan", cost=cost, Relation_Name=relation, Alias=alias, Schema=schema, Filter=condition, **said)


def candidates(root):
    return index_candidates(parse_pg_plan(explained(root)))


def columns(condition, **said):
    return [one.columns for one in candidates(scan(condition, **said))]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("(o.status = $1)", ("status",)),
        ("((o.at >= $2) AND (o.status = $1))", ("status", "at")),
        ("((o.at >= $2) AND (o.at < $3))", ("at",)),
        ("(((o.status)::text = $1) AND (o.total > '5'::numeric))", ("status", "total")),
        ("(o.status = ANY ('{a,b}'::text[]))", ("status",)),
        ('(o."Two Words" = 5)', ("Two Words",)),
        ('(o."a"" AND b" = 5)', ('a" AND b',)),
        ("($1 = o.status)", ("status",)),
        ("((o.a = $1) AND (o.b = $2) AND (o.c = $3) AND (o.d = $4))", ("a", "b", "c")),
        ("((o.status = 'x) AND (o.y = 5'::text) AND (o.n = 5))", ("status", "n")),
        ("((o.status = $1) AND ((o.a = $2) OR (o.b = $3)) AND (lower(o.name) = $4))", ("status",)),
    ],
)
def test_columns_compared_with_a_value_make_a_candidate(condition, expected):
    assert columns(condition) == [expected]


@pytest.mark.parametrize(
    "condition",
    [
        "((o.status = $1) OR (o.at = $2))",
        "(o.a = o.b)",
        "(o.status <> $1)",
        "(o.status IS NULL)",
        "(lower(o.name) = $1)",
        "(o.name ~~ $1)",
        "(NOT (o.status = $1))",
        "(x.status = $1)",
        "((o.status = $1",
        "(" * 900 + "o.status = $1" + ")" * 900 + " OR x",
        "(" * 5000 + "o.status = $1" + ")" * 5000,
        "",
    ],
)
def test_other_conditions_make_none(condition):
    assert columns(condition) == []


def test_cheap_statements_small_shares_and_the_tables_of_the_server_make_none():
    assert columns("(o.status = $1)", cost=900.0) == []
    assert columns("(o.status = $1)", schema="pg_temp_3") == []
    assert columns("(o.status = $1)", schema="") == []
    dear = pg("Hash Join", scan("(o.status = $1)", cost=5_000.0), scan("", cost=90_000.0), cost=99_000.0)
    assert candidates(dear) == ()


def test_the_dearest_scans_come_first_and_at_most_two():
    scans = [scan("(o.a = $1)", cost=cost, relation=f"t{cost}", role="Member") for cost in (30_000, 40_000, 35_000)]
    assert [one.relation for one in candidates(pg("Append", *scans, cost=105_000.0))] == ["t40000", "t35000"]


def test_every_name_is_quoted_and_the_index_name_fits():
    (one,) = candidates(scan('(o."a""b" = $1)', relation="größe " + "x" * 80))
    assert one.definition.endswith(f'ON "shop"."größe {"x" * 80}" ("a""b")')
    name = one.definition.removeprefix('CREATE INDEX "').split('"')[0]
    assert len(name.encode()) <= 63


@given(st.text(alphabet='(()) ANDa.b"=$1', max_size=40))
def test_taking_conditions_apart_ends_and_loses_nothing(expression):
    letters = [sign for part in conjuncts(expression) for sign in part if sign not in " ()"]
    kept = iter(sign for sign in expression if sign not in " ()")
    assert all(sign in kept for sign in letters)


@pytest.mark.parametrize("entry", corpus.entries())
def test_candidates_of_real_plans_name_columns_of_their_filters(entry):
    plan = parse_pg_plan(corpus.text_of(entry))
    filters = " ".join(text for operator in plan.operators() for _, text in operator.conditions)
    assert all(column in filters for one in index_candidates(plan) for column in one.columns)
