"""What PostgreSQL was told to plan with is the cause where it differs, and nothing else is taken for it."""

import pytest

from dbplanmon_pipeline.core.plans.comparing.diff import NO_DIFFERENCE, DifferenceKind, diff_plans
from dbplanmon_pipeline.core.plans.comparing.matching import match_plans
from dbplanmon_pipeline.core.plans.findings.registry import compared_findings
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.postgres.partitions import gathered

READ = {"Relation Name": "orders", "Alias": "o", "Plan Rows": 10}
BY_INDEX = {
    **READ,
    "Node Type": "Index Scan",
    "Index Name": "orders_pk",
    "Index Cond": "(o.id = 1)",
    "Total Cost": 90.0,
}
WHOLE = {**READ, "Node Type": "Seq Scan", "Filter": "(o.id = 1)", "Total Cost": 95.0}
JIT = {"Functions": 7, "Options": {"Inlining": False}}


def summary(old, new):
    before, after = ([{"Plan": tree, **said}] for tree, said in (old, new))
    plans = parse_pg_plan(before), parse_pg_plan(after)
    fresh, stayed = compared_findings(*plans)
    return diff_plans(*plans, fresh=fresh, stayed=stayed).summary


@pytest.mark.parametrize(
    ("was", "now", "begin"),
    [
        (
            {"work_mem": "64MB"},
            {"work_mem": "64kB", "enable_indexscan": "off"},
            "Setting enable_indexscan: the default became off",
        ),
        ({"random_page_cost": "1.1"}, {}, "Setting random_page_cost: 1.1 became the default"),
        (None, {"enable_indexscan": "off", "work_mem": "8MB"}, "Setting enable_indexscan: not told became off"),
        (None, {"work_mem": "8MB"}, "o"),
        ({}, {"app.user": "secret", "effective_io_concurrency": "7", "jit": "off"}, "o"),
    ],
)
def test_a_setting_that_differs_is_said_first(was, now, begin):
    told = summary(
        *((tree, {} if said is None else {"Settings": said}) for tree, said in ((BY_INDEX, was), (WHOLE, now)))
    )
    path = "orders o: Index Scan using orders_pk became Seq Scan"
    assert told.startswith(f"{begin}; {path}" if begin != "o" else path)
    assert "secret" not in told


def test_plans_of_one_form_differ_by_their_settings():
    assert summary((WHOLE, {"Settings": {"work_mem": "1MB"}}), (WHOLE, {"Settings": {"work_mem": "4MB"}})) == (
        "setting work_mem: 1MB became 4MB."
    )
    assert summary((WHOLE, {}), (WHOLE, {"Settings": {"work_mem": "4MB"}})) == NO_DIFFERENCE


def test_compilation_is_told_behind_what_it_follows_from():
    assert summary((WHOLE, {}), (WHOLE, {"JIT": JIT})) == "JIT: 7 functions compiled to machine code."
    assert summary((WHOLE, {"JIT": JIT}), (WHOLE, {})) == "JIT: nothing is compiled to machine code any more."
    assert summary((BY_INDEX, {}), (WHOLE, {"JIT": JIT})).startswith("orders o: Index Scan using orders_pk became Seq")


def test_a_cte_that_became_a_fence_is_the_cause():
    inner = {**WHOLE, "Parent Relationship": "InitPlan", "Subplan Name": "CTE x"}
    fenced = {"Node Type": "CTE Scan", "CTE Name": "x", "Alias": "x", "Total Cost": 99.0, "Plans": [inner]}
    told = summary((BY_INDEX, {}), (fenced, {}))
    assert told.startswith("CTE x: computed on its own and whole, before it was part of the statement; orders o: Index")
    back = summary((fenced, {}), (BY_INDEX, {}))
    assert back.startswith("CTE x: part of the statement, before it was computed on its own; orders o: Seq Scan became")


def partition(number, alias):
    return {**WHOLE, "Relation Name": f"orders_{number}", "Alias": alias, "Filter": f"({alias}.id = 1)"}


def several(count):
    reads = [partition(number, f"o_{number}") for number in range(1, count + 1)]
    return {"Node Type": "Append", "Total Cost": 95.0 * count, "Plans": reads}


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (partition(2, "o"), several(12), "orders_* o: 12 partitions are read, before 1"),
        (several(12), partition(2, "o"), "orders_* o: 1 partition is read, before 12"),
        (several(3), several(6), "orders_* o: 6 partitions are read, before 3"),
        (several(12), several(13), None),
    ],
)
def test_partitions_that_are_no_longer_left_out_are_told_as_their_number(old, new, text):
    plans = [gathered(parse_pg_plan([{"Plan": tree}])) for tree in (old, new)]
    changes = diff_plans(*plans).changes
    paths = [change.text for change in changes if change.kind is DifferenceKind.ACCESS_PATH]
    assert paths == ([text] if text else [])


def test_the_only_partition_and_all_of_them_are_the_same_operator():
    plans = [gathered(parse_pg_plan([{"Plan": tree}])) for tree in (partition(2, "o"), several(12))]
    (statement,) = match_plans(*plans)
    assert {(node.old, node.new) for node in statement.nodes} == {(None, 0), (0, 1)}


@pytest.mark.parametrize(
    ("cond", "wanted", "ending"),
    [
        ("(o.id = 1)", "((o.id)::text = '1'::text)", ", whose filter casts o.id to text"),
        ("((o.name)::text = 'a'::text)", "((o.name)::text = 'b'::text)", ""),
        ("(o.id = 1)", "((o.kind)::text = '(o.id)::text'::text)", ""),
    ],
)
def test_a_cast_that_keeps_an_index_from_being_searched_is_named(cond, wanted, ending):
    told = summary(({**BY_INDEX, "Index Cond": cond}, {}), ({**WHOLE, "Filter": wanted}, {}))
    assert told.startswith(f"orders o: Index Scan using orders_pk became Seq Scan{ending}, and 1 more difference;")
