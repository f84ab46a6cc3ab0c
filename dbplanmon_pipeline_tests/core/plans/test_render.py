from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.render import Sign, render_tree
from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
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
        " cost  share  est. rows  rows  runs    ms  operator",
        "1,234   100%         10                    Hash Join (Left)",
        "                                               Hash Cond: (o.id = c.id)",
        "                            3     4  0.12  -> Parallel Index Scan Backward using orders_pk on orders o",
        "                                           -> Hash",
        "                                             -> Seq Scan on c [SubPlan]",
    ]


def test_columns_give_way_where_the_tree_has_no_room():
    heads = [render_tree(parse_pg_plan(PLAN), width=width).splitlines()[0] for width in (200, 80, 70, 60, 44)]
    assert heads == [
        " cost  share  est. rows  rows  runs    ms  operator",
        " cost  share  est. rows  rows  operator",
        " cost  est. rows  rows  operator",
        " cost  operator",
        "operator",
    ]


@pytest.mark.parametrize("width", [20, 50, 79, 120])
@pytest.mark.parametrize("entry", entries()[::6])
def test_no_line_of_a_real_plan_is_longer_than_the_terminal(entry, width):
    lines = render_tree(parse_pg_plan(text_of(entry)), width=width).split("\n")
    assert max(map(len, lines)) <= width


def test_long_conditions_are_broken_below_their_operator():
    scan = {"Node Type": "Seq Scan", "Relation Name": "orders", "Filter": " AND ".join(["(total > $1)"] * 6)}
    assert render_tree(parse_pg_plan(scan), width=50).splitlines() == [
        "operator",
        "Seq Scan on orders",
        "    Filter: (total > $1) AND (total > $1) AND",
        "      (total > $1) AND (total > $1) AND (total >",
        "      $1) AND (total > $1)",
    ]


def test_signs_and_what_they_stand_for_are_shown_with_their_operators():
    signs = {(0, 1): Sign("~", ("rows 1 became 50",)), (0, 2): Sign("+")}
    plan = {"Node Type": "Limit", "Plans": [{"Node Type": "Sort", "Plans": [{"Node Type": "Result"}]}]}
    assert render_tree(parse_pg_plan(plan), signs=signs).splitlines() == [
        "  operator",
        "  Limit",
        "~ -> Sort",
        "         * rows 1 became 50",
        "+   -> Result",
    ]


def test_several_statements_are_headed_and_one_without_a_tree_says_so():
    tree = parse_pg_plan({"Node Type": "Result"}).statements[0]
    others = [PlanStatement(None, kind=kind) for kind in ("USE", "ASSIGN", "ASSIGN", "PRINT")]
    plan = Plan(Engine.SQLSERVER, (*others[:3], replace(tree, plan_hash=0xAB, text="SELECT\n1"), others[3]))
    assert render_tree(plan).splitlines() == [
        "Statements 1 to 3 have no operators: USE, 2 ASSIGN",
        "Statement 4: SELECT plan 00000000000000ab: SELECT 1",
        *("operator", "Result"),
        "Statement 5 has no operators: PRINT",
    ]
    assert render_tree(plan, statements=[4]) == "Statement 5 has no operators: PRINT"
    assert render_tree(Plan(Engine.SQLSERVER, (others[0],))) == "(no operators)"


@pytest.mark.parametrize("entry", entries())
def test_every_real_plan_renders_one_line_per_operator_and_condition(entry):
    plan = parse_pg_plan(text_of(entry))
    conditions = sum(len(operator.conditions) for operator in plan.operators())
    heads = len(plan.statements) * (2 if len(plan.statements) > 1 else 1)
    assert len(render_tree(plan).split("\n")) == heads + plan.counts["operators"] + conditions


def test_a_showplan_is_shown_with_short_expressions_and_all_its_trees():
    predicate = element("Predicate", element("ScalarOperator", ScalarString="[Shop].[dbo].[T].[A] as [t].[A]=[@p]"))
    scan = relop("Clustered Index Scan", table("T", "PK", "t"), predicate, parallel=1, cost=2)
    operations = [element("Operation", element("QueryPlan", tree)) for tree in (scan, relop("Top", detail="Top"))]
    text = showplan(element("StmtCursor", element("CursorPlan", *operations), StatementText="c"))
    assert render_tree(parse_showplan(text)).splitlines() == [
        "cost  share  est. rows  operator",
        "   2    67%          1  Parallel Clustered Index Scan using PK on dbo.T t",
        "                            Predicate: t.A=@p",
        "   1    33%          1  Top",
    ]


def test_a_tiny_cost_is_not_nothing():
    assert render_tree(parse_pg_plan({"Node Type": "Result", "Total Cost": 0.0032})).splitlines()[1].startswith("0.003")


def test_threads_that_share_a_run_are_shown_as_one_run():
    threads = [
        element("RunTimeCountersPerThread", Thread=thread, ActualRows=rows, ActualExecutions=1)
        for thread, rows in ((1, 300), (2, 500))
    ]
    runtime = element("RunTimeInformation", *threads)
    scan = relop("Table Scan", table("T"), parallel=1, cost=2, rows=900, beside=runtime)
    lines = render_tree(parse_showplan(showplan(element("StmtSimple", element("QueryPlan", scan))))).splitlines()
    assert lines[0].split() == ["cost", "share", "est.", "rows", "rows", "runs", "operator"]
    assert lines[1].split()[:5] == ["2", "100%", "900", "800", "1"]


def test_a_condition_with_line_breaks_stays_in_its_place():
    scan = {"Node Type": "Seq Scan", "Relation Name": "t", "Filter": "(a =\n'b\n\nc')"}
    assert render_tree(parse_pg_plan(scan)).splitlines()[2] == "    Filter: (a = 'b c')"
