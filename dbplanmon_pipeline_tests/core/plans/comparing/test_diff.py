import itertools
import sys
from collections import Counter
from pathlib import Path

import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.diff import NO_DIFFERENCE, DifferenceKind, diff_plans
from dbplanmon_pipeline.core.plans.comparing.differences import times_text
from dbplanmon_pipeline.core.plans.comparing.matching import match_plans
from dbplanmon_pipeline.core.plans.comparing.work import work_shares
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.tree import MissingIndex, NodeKind, Operator, Plan, PlanStatement, PlanWarning
from dbplanmon_pipeline_tests.core.plans.corpus import FOLDER, entries, text_of


def node(name, *children, **fields):
    return {"Node Type": name, **{key.replace("_", " "): value for key, value in fields.items()}, "Plans": [*children]}


def seq(relation, **fields):
    return node("Seq Scan", Relation_Name=relation, Alias=relation[0], **fields)


def by_index(relation, index, **fields):
    fields = {"Index_Cond": f"({relation[0]}.id = $1)", "Alias": relation[0], **fields}
    return node("Index Scan", Relation_Name=relation, Index_Name=index, **fields)


def join(name, outer, inner, **fields):
    return node(name, outer, node("Hash", inner) if name == "Hash Join" else inner, Join_Type="Inner", **fields)


def diff(old, new):
    return diff_plans(parse_pg_plan(old), parse_pg_plan(new))


def told(old, new):
    """(kind, text) of every change."""
    return [(change.kind.value, change.text) for change in diff(old, new).changes]


@pytest.mark.parametrize("entry", entries())
def test_a_real_plan_does_not_differ_from_itself(entry):
    plan = parse_pg_plan(text_of(entry))
    found = diff_plans(plan, plan)
    assert (found.changes, found.summary) == ((), NO_DIFFERENCE)


@pytest.mark.skipif(not FOLDER.exists(), reason="../shared/data/pgplans is not here")
def test_real_plans_of_other_hashes_differ_and_every_change_has_words():
    plans = [parse_pg_plan(path.read_text()) for path in sorted(FOLDER.glob("*/*.json"))[::4]]
    for old, new in itertools.pairwise(plans):
        found = diff_plans(old, new)
        same = old.statements[0].plan_hash == new.statements[0].plan_hash
        assert bool(found.changes) or same
        assert all(change.text and "\n" not in change.text for change in found.changes)


def test_a_lost_index_reads_as_its_access_path():
    found = diff(by_index("orders", "orders_cust", Total_Cost=8.3), seq("orders", Total_Cost=12345.0))
    assert found.changes[0].text == "orders o: Index Scan using orders_cust became Seq Scan"
    assert (found.changes[0].kind, found.changes[0].node) == (DifferenceKind.ACCESS_PATH, "orders o")
    assert (found.changes[0].before, found.changes[0].after) == ("Index Scan using orders_cust", "Seq Scan")
    assert found.summary == (
        "orders o: Index Scan using orders_cust became Seq Scan, and 1 more difference; "
        "estimated cost 8.3 became 12,345 (x1,487)."
    )


def test_another_index_with_the_same_kind_of_scan_is_an_index_change():
    assert told(by_index("orders", "a"), by_index("orders", "b")) == [
        ("index", "orders o: Index Scan now uses b instead of a")
    ]


def test_a_bitmap_scan_names_the_indexes_below_it():
    bitmap = node(
        "Bitmap Heap Scan",
        node("BitmapOr", node("Bitmap Index Scan", Index_Name="x"), node("Bitmap Index Scan", Index_Name="y")),
        Relation_Name="orders",
        Alias="o",
    )
    assert told(bitmap, seq("orders")) == [("access_path", "orders o: Bitmap Heap Scan using x, y became Seq Scan")]


def test_a_read_in_the_other_direction_is_told():
    assert told(by_index("orders", "a"), by_index("orders", "a", Scan_Direction="Backward")) == [
        ("access_path", "orders o: Index Scan using a became Index Scan Backward using a")
    ]


def test_an_alias_that_only_got_another_name_is_no_change():
    renamed = by_index("orders", "a", Alias="o_1")
    assert told(by_index("orders", "a"), renamed | {"Index Cond": "(o.id = $1)"}) == []


def test_tables_read_more_or_less_often_are_told():
    one, two = node("Append", seq("a")), node("Append", seq("a"), seq("b"))
    assert ("access_path", "b: now read by Seq Scan") in told(one, two)
    assert ("access_path", "b: no longer read by Seq Scan") in told(two, one)
    twice = node("Append", seq("a"), seq("a"))
    assert ("access_path", "a: now also read by Seq Scan") in told(one, twice)


def test_only_the_changed_one_of_several_reads_of_a_table_is_told():
    old = node("Append", seq("orders"), by_index("orders", "a"), by_index("orders", "b"))
    new = node("Append", seq("orders"), by_index("orders", "a"), seq("orders"))
    assert ("access_path", "orders o: Index Scan using b became Seq Scan") in told(old, new)


def test_a_condition_that_no_longer_seeks_is_told_and_other_values_are_not():
    narrow = by_index("orders", "a", Index_Cond="((a = 5) AND (b = 6))")
    other_value = by_index("orders", "a", Index_Cond="((a = 7) AND (b = 8))")
    wide = by_index("orders", "a", Index_Cond="(a = 5)", Filter="(b = 6)")
    assert told(narrow, other_value) == []
    assert told(narrow, wide) == [
        ("condition", "orders o: Index Cond ((a = ?) AND (b = ?)) became (a = ?)"),
        ("condition", "orders o: Filter none became (b = ?)"),
    ]


def test_another_join_method_between_the_same_tables_is_told():
    old = join("Nested Loop", seq("orders"), seq("customers"))
    assert told(old, join("Hash Join", seq("orders"), seq("customers"))) == [
        ("join_type", "join of c and o: Nested Loop became Hash Join")
    ]


def test_another_kind_of_join_is_told():
    old = join("Hash Join", seq("orders"), seq("customers"))
    assert told(old, {**old, "Join Type": "Left"}) == [
        ("join_type", "join of c and o: Hash Join became Hash Join (Left)")
    ]


def test_a_swapped_build_side_is_told():
    old = join("Hash Join", seq("orders"), seq("customers"))
    assert told(old, join("Hash Join", seq("customers"), seq("orders"))) == [
        ("build_side", "join of c and o: the hash table is built from o instead of c")
    ]


def test_a_swapped_driving_table_is_told():
    old = join("Nested Loop", seq("orders"), seq("customers"))
    assert told(old, join("Nested Loop", seq("customers"), seq("orders"))) == [
        ("join_order", "join of c and o: driven by c instead of o")
    ]


def test_another_join_order_is_told_with_the_methods_that_went_with_it():
    old = join("Hash Join", join("Nested Loop", seq("a"), seq("b")), seq("c"))
    new = join("Hash Join", join("Hash Join", seq("c"), seq("b")), seq("a"))
    changes = told(old, new)
    assert ("join_order", "join order: (a b) c became (c b) a") in changes
    assert ("join_type", "join methods: 1 Nested Loop became 1 Hash Join") in changes


def test_parallelism_lost_and_won_is_told():
    serial, gathered = seq("a"), node("Gather", seq("a", Parallel_Aware=True), Workers_Planned=2)
    assert told(serial, gathered) == [("parallelism", "parallelism: one process became parallel with 2 workers")]
    assert told(gathered, serial) == [("parallelism", "parallelism: parallel with 2 workers became one process")]


def test_a_change_of_the_workers_is_told():
    old, new = (node("Gather", seq("a", Parallel_Aware=True), Workers_Planned=workers) for workers in (4, 1))
    assert told(old, new) == [("parallelism", "parallelism: parallel with 4 workers became parallel with 1 worker")]


def test_another_way_to_aggregate_is_told():
    old, new = (node("Aggregate", seq("a"), Strategy=strategy) for strategy in ("Hashed", "Sorted"))
    assert told(old, new) == [("aggregation", "aggregation: Aggregate (Hashed) became Aggregate (Sorted)")]
    assert told(old, seq("a"))[0] == ("aggregation", "aggregation: Aggregate (Hashed) is gone")


def test_sorts_and_spools_that_come_and_go_are_told():
    plain = node("Limit", seq("a"))
    heavy = node("Limit", node("Sort", node("Materialize", seq("a")), Sort_Key=["a.x", "a.y DESC"]))
    assert told(plain, heavy) == [("sort", "new: a Sort by a.x, a.y DESC"), ("spool", "new: a Materialize")]
    assert told(heavy, plain) == [("sort", "gone: a Sort by a.x, a.y DESC"), ("spool", "gone: a Materialize")]


def test_other_operators_that_come_are_counted():
    assert told(seq("a"), node("Unique", node("LockRows", node("LockRows", seq("a"))))) == [
        ("aggregation", "aggregation: Unique is new"),
        ("operator", "new: 2 times LockRows"),
    ]


@pytest.mark.parametrize(("rows", "is_told"), [(99, False), (100, True), (1, True), (2, False)])
def test_row_estimates_are_told_from_ten_times(rows, is_told):
    changes = told(seq("a", Plan_Rows=10), seq("a", Plan_Rows=rows))
    assert any(kind == "estimate" for kind, _ in changes) == is_told


def test_an_estimate_names_both_figures():
    assert told(seq("a", Plan_Rows=10), seq("a", Plan_Rows=12000)) == [
        ("estimate", "a: estimated rows 10 became 12,000 (x1,200)")
    ]


def test_work_that_moved_is_told_with_its_share():
    old = join("Nested Loop", seq("a", Total_Cost=90, Plan_Rows=1), seq("b", Total_Cost=5), Total_Cost=100)
    new = join("Nested Loop", seq("a", Total_Cost=90, Plan_Rows=100), seq("b", Total_Cost=5), Total_Cost=600)
    assert ("work", "work moved to Seq Scan on b: 83% of the estimated cost, before 5%") in told(old, new)


def test_the_inner_side_of_a_loop_costs_once_per_outer_row_only_where_the_engine_counts_so():
    loop = parse_pg_plan(
        join("Nested Loop", seq("a", Total_Cost=10, Plan_Rows=10), seq("b", Total_Cost=9), Total_Cost=100)
    )
    root = loop.statements[0].root
    assert work_shares(Engine.POSTGRES, root)["Seq Scan on b"] == pytest.approx(0.9)
    assert work_shares(Engine.SQLSERVER, root)["Seq Scan on b"] == pytest.approx(0.09)


def test_plans_without_costs_have_no_shares_of_work():
    assert work_shares(Engine.POSTGRES, parse_pg_plan(seq("a")).statements[0].root) == {}


def test_the_same_operators_in_another_place_never_read_as_equal():
    old = node("Limit", node("LockRows", node("Result", seq("a"))))
    new = node("LockRows", node("Limit", node("Result", seq("a"))))
    assert told(old, new) == [("operator", "the same operators over the same tables, arranged differently")]


def test_a_plan_that_only_costs_more_is_the_same_plan():
    found = diff(seq("a", Total_Cost=10), seq("a", Total_Cost=25))
    assert found.changes == ()
    assert found.summary == f"{NO_DIFFERENCE} Estimated cost 10 became 25 (x2.5)."


def sqlserver(root, **statement):
    return Plan(Engine.SQLSERVER, (PlanStatement(root, kind="SELECT", **statement),))


def test_a_key_lookup_belongs_to_the_access_path_of_its_table():
    table = {"relation": "Orders", "alias": "o"}
    seek = Operator(NodeKind.INDEX_SEEK, "Index Seek", index="IX_Cust", **table)
    lookup = Operator(NodeKind.LOOKUP, "Key Lookup", index="PK_Orders", **table)
    loops = Operator(NodeKind.NESTED_LOOPS, "Nested Loops", children=(seek, lookup))
    scan = Operator(NodeKind.INDEX_SCAN, "Clustered Index Scan", index="PK_Orders", **table)
    found = diff_plans(sqlserver(loops), sqlserver(scan))
    assert [change.text for change in found.changes] == [
        "Orders o: Index Seek using IX_Cust and Key Lookup using PK_Orders became Clustered Index Scan using PK_Orders"
    ]


def test_warnings_and_missing_indexes_of_one_plan_only_are_told():
    scan = Operator(NodeKind.TABLE_SCAN, "Table Scan", relation="T")
    wish = MissingIndex("db", "dbo", "T", 97.0, ("a",), ("b",))
    found = diff_plans(
        sqlserver(scan), sqlserver(scan, warnings=(PlanWarning("NoJoinPredicate"),), missing_indexes=(wish,))
    )
    assert [change.text for change in found.changes] == [
        "new: join without a condition",
        "new: missing index on T (a, b)",
    ]


def test_statements_that_only_one_file_has_are_told():
    scan = PlanStatement(Operator(NodeKind.TABLE_SCAN, "Table Scan", relation="T"), kind="SELECT")
    bare = PlanStatement(None, kind="USE")
    one, two = Plan(Engine.SQLSERVER, (bare,)), Plan(Engine.SQLSERVER, (bare, scan))
    assert [change.text for change in diff_plans(one, two).changes] == ["SELECT: has a plan only now"]
    assert [change.text for change in diff_plans(two, one).changes] == ["SELECT: no longer has a plan"]


def wide(tables, name):
    tree = seq("t0")
    for number in range(1, tables):
        tree = node(name, tree, seq(f"{number}t", Total_Cost=number), Join_Type="Inner", Total_Cost=number * 9)
    return tree


def alike(reads, column):
    return node("Append", *[seq("t", Filter=f"({column} = {number})") for number in range(reads)])


def calls_of(act):
    """Calls that are made meanwhile: work that no other load on the machine changes."""
    counted = Counter()
    sys.setprofile(lambda _, event, __: counted.update([event]))
    try:
        act()
    finally:
        sys.setprofile(None)
    return counted.total()


@pytest.mark.parametrize("act", [diff_plans, match_plans])
@pytest.mark.parametrize("make", [lambda size, side: wide(size // 2, side), alike], ids=["joined", "alike"])
def test_four_times_the_operators_take_hardly_more_than_four_times_the_work(act, make):
    small, large = ([parse_pg_plan(make(size, side)) for side in ("Nested Loop", "Merge Join")] for size in (60, 240))
    assert calls_of(lambda: act(*large)) < 7 * calls_of(lambda: act(*small))


def test_a_generic_plan_that_became_a_custom_one_is_told():
    generic, custom = by_index("orders", "a", Index_Cond="(id = $1)"), by_index("orders", "a", Index_Cond="(id = 5)")
    assert told(generic, custom) == [("parameter", "made for one value of the parameters, before for any value")]
    assert told(generic, by_index("orders", "a", Index_Cond="(id = c.id)")) == [
        ("condition", "orders o: Index Cond (id = ?) became (id = c.id)")
    ]


def test_what_an_init_plan_returns_is_no_parameter():
    first = node("Result", seq("customers"), Parent_Relationship="InitPlan")
    old = by_index("orders", "a", Index_Cond="(id = 5)")
    assert "parameter" not in {kind for kind, _ in told(old, {**old, "Index Cond": "(id = $0)", "Plans": [first]})}


def test_sorts_and_hashes_that_went_to_disk_are_told():
    small = node("Sort", join("Hash Join", seq("a"), seq("b")), Sort_Key=["a.x"])
    large = {**small, "Sort Space Type": "Disk", "Sort Method": "external merge"}
    assert told(small, large) == [("warning", "new: Sort on disk")]
    wide = node("Hash", seq("b"), Hash_Batches=4)
    assert told(node("Hash", seq("b"), Hash_Batches=1), wide) == [("warning", "new: Hash in batches on disk")]


def test_times_of_plans_that_ran_are_in_the_summary():
    was, now = ([{"Plan": seq("a"), "Execution Time": spent}] for spent in (2.0, 90.0))
    assert diff(was, now).summary == f"{NO_DIFFERENCE} Measured time 2 ms became 90 ms (x45)."


def test_the_page_on_differences_names_every_kind():
    page = (Path(__file__).parents[4] / "docs" / "plan-diff.md").read_text("utf-8")
    assert [kind for kind in DifferenceKind if f"`{kind}`" not in page] == []


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(12.4, "x12"), (0.031, "x0.031"), (0.004, "x1/250"), (0.0, "x0"), (1e-300, "x1/1e+300"), (1e400, "xinf")],
)
def test_any_ratio_has_words(ratio, words):
    assert times_text(ratio) == words


COSTS = [(1e-308,), (1.0,), (1e308,), (1e308, 1e308)]


@pytest.mark.parametrize("costs", list(itertools.permutations(COSTS, 2)), ids=str)
def test_costs_of_any_size_are_compared(costs):
    """Some are more times another than a number can say, and two of the largest have no sum."""
    old, new = (
        Plan(Engine.SQLSERVER, tuple(PlanStatement(None, estimated_cost=one) for one in side)) for side in costs
    )
    assert "nan" not in diff_plans(old, new).summary
    assert "nan" not in diff_plans(new, new).summary
