"""The rules on the real plans beside the checkout."""

import re
from collections import Counter

import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.findings.registry import findings_of, new_findings
from dbplanmon_pipeline.core.plans.findings.words import finding_record, marks_of, numbered_lines
from dbplanmon_pipeline.core.plans.render import render_tree
from dbplanmon_pipeline_tests.core.plans.findings.corpus import EVERY_PLAN, plans, rules_in

pytestmark = pytest.mark.skipif(not EVERY_PLAN, reason="../shared/data is not here")

TRIVIAL_COST = 1.0
TRIVIAL_ROWS, TRIVIAL_MS = 10_000, 100
WRITTEN_BY_THE_SERVER = {
    *("implicit-conversion-seek", "unmatched-indexes", "no-join-predicate", "missing-statistics"),
    *("sort-on-disk", "hash-on-disk", "exchange-spill", "optimizer-gave-up"),
    *("memory-grant-too-large", "memory-grant-too-small", "memory-grant-wait"),
    *("waited-most", "slow-compilation"),
}
NAMED_AFTER = [
    ("implicit_convert_seek_plan", "implicit-conversion-seek"),
    ("non_sargable_function_plan", "non-sargable-predicate"),
    ("isnull_plan", "non-sargable-predicate"),
    ("45dd1333_test_plans_unmatched_index", "unmatched-indexes"),
    ("row_goal_plan", "row-goal"),
    ("udf_plan", "scalar-function"),
    ("join_or_clause_plan", "nested-loops-many-rows"),
    ("eager_table_spool_plan", "eager-table-spool"),
    ("9ffb2b8f_test_plans_index_spool", "eager-index-spool"),
    ("compile_memory_exceeded_plan", "optimizer-gave-up"),
    ("param-sniffing-posttypeid2", "parameter-sniffing"),
    ("row-count-spool-slow", "row-goal"),
    ("serially-parallel", "parallel-skew"),
    ("spill-warning", "sort-on-disk"),
    ("2d461657_test_plans_spilltotempdb", "sort-on-disk"),
    ("2d461657_test_plans_spilltotempdb", "missing-statistics"),
    ("d0f5d9be_test_plans_stack_overflow_inequality_index", "memory-grant-too-large"),
    ("05c878a3_test_plans_stack_overflow_inequality_index", "missing-index"),
    ("13297ced_results_03-parameter-sniffing-slow", "parameter-sniffing"),
    ("2cb1f641_results_05-key-lookup-tipping-slow", "key-lookup"),
    ("2cb1f641_results_05-key-lookup-tipping-slow", "forced-access"),
    ("HJMchor2", "remote-query"),
    ("slow-multi-seek", "late-filter"),
    ("Compare1_Plan1_Slow", "many-to-many-merge"),
    ("Compare1_Plan1_Slow", "old-cardinality-estimator"),
    ("Compare1_Plan1_Slow", "hinted-plan"),
    ("uw_plan0", "spool-replayed"),
    ("Compare1_Plan1_Slow", "implicit-conversion-estimate"),
    ("set01_plans_plan6.sqlplan", "local-variables"),
    ("isnull_plan", "serial-plan"),
    ("set01_plans_plan16.sqlplan", "table-variable"),
    ("Not_showing_Seek_Predicates", "nested-loops-underestimated"),
    ("correlated-subplan", "subplan-per-row"),
    ("cartesian-product", "no-join-predicate"),
    ("hash-spill-disk", "hash-on-disk"),
    ("memoize-evictions", "memoize-misses"),
    ("row-misestimate", "row-estimate-off"),
    ("seq-scan-large", "scan-filters-most-rows"),
    ("trigger-time", "trigger-time"),
    ("json_xml.in.json", "function-scan-estimate"),
    ("json_insert_into_select.in.json", "index-filters-most-rows"),
    ("groupingset_sorting.in.json", "sort-on-disk"),
    ("5643f04e_sql_convert", "jit-cost"),
    ("users-with-post-count-and-comment-count-math", "waited-most"),
    ("remote-update-scan", "waited-most"),
    ("408c0b5a_test_plans_batch_mode", "slow-compilation"),
]


@pytest.mark.parametrize(("part", "slug"), NAMED_AFTER, ids=[f"{slug}-in-{part}" for part, slug in NAMED_AFTER])
def test_a_real_plan_shows_what_is_wrong_with_it(part, slug):
    assert slug in rules_in(part)


def is_trivial(plan):
    """No statement is dear, measured or estimated."""
    return all(
        (statement.estimated_cost or 0.0) < TRIVIAL_COST
        and all(
            (one.estimated_cost or 0.0) < TRIVIAL_COST
            and (one.actual_rows or 0) * (one.actual_loops or 0) < TRIVIAL_ROWS
            and (one.actual_ms or 0) * (one.actual_loops or 0) < TRIVIAL_MS
            for one in statement.operators()
        )
        for statement in plan.statements
    )


def test_trivial_plans_have_no_findings_but_what_the_server_itself_wrote():
    trivial = [(name, plan) for name, plan in plans() if is_trivial(plan)]
    told = {(name, one.rule) for name, plan in trivial for one in findings_of(plan)}
    assert len(trivial) > 50
    assert {pair for pair in told if pair[1] not in WRITTEN_BY_THE_SERVER} == set()


def test_a_rule_speaks_once_per_operator():
    for name, plan in plans():
        places = Counter((one.rule, one.statement, one.node) for one in findings_of(plan) if one.node is not None)
        assert [place for place, times in places.items() if times > 1] == [], name


def test_the_weightiest_come_first_and_shares_are_shares():
    rank = {"high": 0, "medium": 1, "low": 2}
    for name, plan in plans():
        told = findings_of(plan)
        assert [rank[one.weight] for one in told] == sorted(rank[one.weight] for one in told), name
        assert all(0.0 <= one.share <= 1.0 + 1e-9 for one in told), name


def test_no_quoted_value_stands_in_a_finding():
    for name, plan in plans():
        for one in findings_of(plan):
            assert not re.search(r"'[^']", one.text), (name, one)
            assert not re.search(r"=\s*\(?-?\d", one.text), (name, one)


def test_a_finding_names_the_operator_that_the_record_numbers():
    for _, plan in plans():
        for one in findings_of(plan):
            if one.node is not None:
                operator = list(plan.statements[one.statement].operators())[one.node]
                assert one.operator.startswith(operator.name)


def test_marks_stand_behind_their_operators_and_each_finding_is_told():
    for _, plan in plans():
        told = findings_of(plan)
        text = render_tree(plan, marks_of(told)).splitlines()
        for number, one in enumerate(told, 1):
            if one.node is not None:
                assert sum(f"[{number}]" in line and one.operator.split(" on ")[0] in line for line in text) == 1
        assert sum(line.startswith("[") for line in numbered_lines(told)) == len(told)
        assert all(finding_record(one)["page"] == f"docs/findings/{one.rule}.md" for one in told)


def test_the_slow_plan_of_a_pair_has_what_the_fast_one_has_not():
    by_name = dict(plans())
    (fast,) = [plan for name, plan in by_name.items() if "399ce175_results_03-parameter-sniffing-fast" in name]
    (slow,) = [plan for name, plan in by_name.items() if "13297ced_results_03-parameter-sniffing-slow" in name]
    assert [one.rule for one in new_findings(fast, slow)] == ["parameter-sniffing", "scan-filters-most-rows"]
    assert new_findings(slow, slow) == ()


def test_no_index_is_made_up_for_postgres():
    scripts = [one.script for _, plan in plans() if plan.engine == Engine.POSTGRES for one in findings_of(plan)]
    assert not [script for script in scripts if "CREATE" in script]
