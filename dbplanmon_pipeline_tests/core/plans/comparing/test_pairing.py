"""Which statements of two files belong together, and when they are one and the same."""

from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.diff import NO_DIFFERENCE, diff_plans
from dbplanmon_pipeline.core.plans.comparing.pairing import statement_pairs
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator, Plan, PlanStatement, same_statement


def reads(*tables, text="SELECT 1", kind="SELECT"):
    scans = tuple(Operator(NodeKind.TABLE_SCAN, "Table Scan", relation=table) for table in tables)
    return PlanStatement(Operator(NodeKind.APPEND, "Concatenation", children=scans), text=text, kind=kind)


def plan(*statements):
    return Plan(Engine.SQLSERVER, statements)


@pytest.mark.parametrize(
    ("old", "new", "pairs"),
    [
        pytest.param([reads("a"), reads("b")], [reads("b"), reads("a")], [(1, 0), (0, 1)], id="by their tables"),
        pytest.param([reads("a", "b")] * 2, [reads("b", "c")] * 2, [(0, 0), (1, 1)], id="one table in common"),
        pytest.param([reads("a"), reads()], [reads("b"), reads()], [(1, 0), (0, 1)], id="none named"),
        pytest.param([reads("a"), reads("b")], [reads(), reads("b")], [(0, 0), (1, 1)], id="none named any more"),
        pytest.param(
            [reads("a", kind="INSERT"), reads("b")],
            [reads("a"), reads("b")],
            [(None, 0), (1, 1), (0, None)],
            id="another kind of statement",
        ),
        pytest.param(
            [reads("a", text=""), reads("b", text="")],
            [reads("a", text="x"), reads("b", text="")],
            [(0, 0), (1, 1)],
            id="no text, so the likest",
        ),
    ],
)
def test_statements_of_one_text_belong_together_by_their_tables(old, new, pairs):
    assert statement_pairs(plan(*old), plan(*new)) == pairs


def test_five_hundred_statements_of_one_text_find_their_mates():
    tables = [f"t{number}" for number in range(500)]
    old, new = plan(*map(reads, tables)), plan(*map(reads, reversed(tables)))

    assert statement_pairs(old, new) == [(499 - place, place) for place in range(500)]


def test_statements_are_the_same_only_in_all_they_say():
    statement = reads("a", "b")
    root = statement.root
    assert root is not None
    other_rows = replace(root, children=(replace(root.children[0], estimated_rows=7.0), root.children[1]))
    flat = replace(root, children=(replace(root.children[0], children=(root.children[1],)),))

    assert same_statement(statement, reads("a", "b"))
    assert not same_statement(statement, replace(statement, plan_hash=1))
    assert not same_statement(statement, replace(statement, root=other_rows))
    assert not same_statement(statement, replace(statement, root=flat))
    assert not same_statement(statement, replace(statement, further=(root,)))
    assert not same_statement(statement, replace(statement, root=None))


def test_a_tree_too_deep_for_recursion_is_compared():
    def deep():
        tree = Operator(NodeKind.TABLE_SCAN, "Table Scan", relation="a")
        for _ in range(5_000):
            tree = Operator(NodeKind.COMPUTE, "Compute Scalar", children=(tree,))
        return plan(PlanStatement(tree, kind="SELECT"))

    assert diff_plans(deep(), deep()).summary == NO_DIFFERENCE
