import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.pgplan import parse_pg_plan
from dbplanmon_pipeline.core.plans.render import render_tree
from dbplanmon_pipeline.core.plans.showplan import parse_showplan
from dbplanmon_pipeline.core.plans.tree import Plan, PlanStatement
from dbplanmon_pipeline_tests.core.plans.corpus import entries, text_of
from dbplanmon_pipeline_tests.core.plans.showplans import element, relop, showplan, table

PLAN = {
    "Node Type": "Hash Join",
    "Join Type": "Left",
    "Total Cost": 1234.5,
    "Plan Rows": 10,
    "Hash Cond": "(o.id = c.id)",
    "Plans": [
        {
            "Node Type": "Index Scan",
            "Relation Name": "orders",
            "Alias": "o",
            "Index Name": "orders_pk",
            "Scan Direction": "Backward",
            "Parallel Aware": True,
            "Actual Rows": 3,
            "Actual Total Time": 0.125,
            "Actual Loops": 4,
        },
        {
            "Node Type": "Hash",
            "Plans": [{"Node Type": "Seq Scan", "Relation Name": "c", "Parent Relationship": "SubPlan"}],
        },
    ],
}


def test_the_tree_shows_operators_figures_and_conditions():
    assert render_tree(parse_pg_plan(PLAN)).splitlines() == [
        "Hash Join (Left) (cost 1,234, rows 10)",
        "    Hash Cond: (o.id = c.id)",
        "-> Parallel Index Scan Backward using orders_pk on orders o (actual rows 3, actual 0.12 ms, loops 4)",
        "-> Hash",
        "  -> Seq Scan on c [SubPlan]",
    ]


def test_several_statements_are_headed_and_one_without_a_tree_says_so():
    tree = parse_pg_plan({"Node Type": "Result"}).statements[0]
    text = render_tree(Plan(Engine.SQLSERVER, (PlanStatement(None, kind="USE"), tree)))
    assert text.splitlines() == ["Statement 1: USE", "(no operators)", "Statement 2: SELECT", "Result"]


@pytest.mark.parametrize("entry", entries())
def test_every_real_plan_renders_one_line_per_operator_and_condition(entry):
    plan = parse_pg_plan(text_of(entry))
    conditions = sum(len(operator.conditions) for operator in plan.operators())
    assert len(render_tree(plan).split("\n")) == plan.counts["operators"] + conditions


def test_a_showplan_is_shown_with_short_expressions_and_all_its_trees():
    predicate = element("Predicate", element("ScalarOperator", ScalarString="[Shop].[dbo].[T].[A] as [t].[A]=[@p]"))
    scan = relop("Clustered Index Scan", table("T", "PK", "t"), predicate, parallel=1, cost=2)
    operations = [element("Operation", element("QueryPlan", tree)) for tree in (scan, relop("Top", detail="Top"))]
    text = showplan(element("StmtCursor", element("CursorPlan", *operations), StatementText="c"))
    assert render_tree(parse_showplan(text)) == (
        "Parallel Clustered Index Scan using PK on dbo.T t (cost 2, rows 1)\n"
        "    Predicate: t.A=@p\n"
        "Top (cost 1, rows 1)"
    )
