"""How joins are told in the difference of two plans."""

from functools import reduce

import pytest

from dbplanmon_pipeline.core.plans.comparing.joins import compare_joins
from dbplanmon_pipeline.core.plans.showplan.expressions import comparable_expression
from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline_tests.core.plans.findings.made_up import loops, scan
from dbplanmon_pipeline_tests.core.plans.showplans import relop, showplan, statement


def root_of(tree):
    return parse_showplan(showplan(statement(tree))).statements[0].root


@pytest.mark.parametrize(
    ("count", "tables"),
    [(2, "A and B"), (3, "A, B and C"), (6, "A, B, C, D, E and F"), (8, "A, B, C, D, E, F and 2 more")],
)
def test_the_tables_of_a_join_are_listed_as_people_do(count, tables):
    first, *others = map(scan, "ABCDEFGH"[:count])
    below = reduce(loops, others[:-1], first)
    hashed = relop("Hash Match", below, others[-1], detail="Hash", logical="Inner Join")
    old, new = root_of(loops(below, others[-1])), root_of(hashed)
    assert [one.text for one in compare_joins(old, new, comparable_expression)] == [
        f"join of {tables}: Nested Loops became Hash Match"
    ]
