"""Each rule on PostgreSQL: one plan in which it speaks, and one, as like as possible, in which it must not."""

import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.work import work_shares
from dbplanmon_pipeline.core.plans.findings.registry import RULES, findings_of
from dbplanmon_pipeline.core.plans.findings.view import view_of
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.postgres.partitions import gathered
from dbplanmon_pipeline_tests.core.plans.findings.made_up import explained, named, pg

FILTER = "(state = $1)"


def seq(removed=None, *, name="Seq Scan", condition=FILTER, **said):
    extra = {} if removed is None else {"Rows_Removed_by_Filter": removed}
    return pg(name, Relation_Name="orders", Alias="orders", Filter=condition, **extra, **said)


def over(outer, inner, **said):
    return explained(pg("Nested Loop", outer, {**inner, "Parent Relationship": "Inner"}, Join_Type="Inner", **said))


def index(**said):
    return pg("Index Scan", Relation_Name="lines", Alias="l", Index_Cond="(l.order_id = orders.id)", **said)


def sort(**said):
    return explained(pg("Sort", seq(5, actual=9, ms=200.0), actual=9_000, ms=400.0, **said))


def joined(name, role, came, expected):
    """A join of which one side was misjudged."""
    misjudged = pg("Sort", rows=expected, actual=came, ms=90.0, role=role)
    other = pg("Sort", rows=9, actual=9, ms=90.0, role="Inner" if role == "Outer" else "Outer")
    sides = (misjudged, other) if role == "Outer" else (other, misjudged)
    return explained(pg(name, *sides, actual=9, rows=9, ms=300.0))


def cte(ms):
    """A filter on a CTE that throws most away, and takes `ms` of a fifth of a second."""
    scan = pg("CTE Scan", Filter=FILTER, Rows_Removed_by_Filter=90_000, rows=9, actual=9, ms=ms)
    return explained(pg("Append", scan, seq(0, actual=9, ms=200.0 - ms), actual=9, ms=202.0))


def hashed(batches):
    inner = pg("Hash", seq(0, actual=9, ms=50.0), actual=90_000, ms=100.0, Hash_Batches=batches, role="Inner")
    return explained(pg("Hash Join", seq(0, actual=9, ms=50.0), inner, actual=9, ms=400.0))


def bitmap(**said):
    return explained(pg("Bitmap Heap Scan", Relation_Name="orders", actual=500, ms=300.0, **said))


def generic(condition, came, expected=20):
    return explained(seq(0, condition=condition, rows=expected, actual=came, ms=500.0))


def subplan(times):
    inner = pg("Aggregate", seq(0, actual=1, times=times, ms=0.1), actual=1, times=times, ms=0.1, role="SubPlan")
    return explained(pg("Seq Scan", inner, Relation_Name="customers", actual=times, rows=times, ms=times * 0.11))


def function(came):
    unnest = pg("Function Scan", Function_Name="unnest", Alias="u", rows=100, actual=came, ms=1.0)
    return over(unnest, index(actual=1, times=came, ms=0.01), actual=came, ms=200.0)


def crossed(condition):
    inner = pg("Materialize", pg("Seq Scan", Relation_Name="b", Alias="b", rows=500, Filter=condition), rows=500)
    return over(pg("Seq Scan", Relation_Name="a", Alias="a", rows=500), inner, rows=250_000)


def memoized(hits, misses):
    return over(
        seq(0, actual=hits + misses, ms=20.0),
        pg("Memoize", actual=1, times=hits + misses, ms=0.01, Cache_Hits=hits, Cache_Misses=misses),
        actual=9,
        ms=900.0,
    )


def sorted_in_groups(groups):
    return explained(
        pg("Incremental Sort", seq(5, actual=9, ms=200.0), actual=9_000, ms=400.0, **{"Full-sort Groups": groups})
    )


def aggregated_by_workers(disk):
    workers = [{"HashAgg Batches": 5 if disk else 1, "Disk Usage": disk}, {"HashAgg Batches": 1, "Disk Usage": 0}]
    return explained(pg("Aggregate", seq(0, actual=9, ms=50.0), actual=90_000, ms=400.0, Workers=workers))


def compared(removed, kept):
    inner = pg("Seq Scan", Relation_Name="b", Alias="b", actual=900, times=1_000, ms=0.1)
    outer = pg("Seq Scan", Relation_Name="a", Alias="a", actual=1_000, ms=1.0)
    return over(outer, inner, actual=kept, ms=900.0, Rows_Removed_by_Join_Filter=removed)


def planned(spent, ran=30.0):
    return explained(pg("Result", actual=1, ms=ran), Planning_Time=spent, Execution_Time=ran)


FOREIGN_KEY = {"Trigger Name": "RI_ConstraintTrigger_c_1", "Constraint Name": "lines_fk", "Time": 50.0, "Calls": 900}
CASES = [
    ("scan-filters-most-rows", explained(seq(900_000, actual=3, ms=90.0)), explained(seq(9, actual=90_000, ms=90.0))),
    ("scan-filters-most-rows", explained(seq(rows=3)), explained(seq(rows=900_000))),
    ("scan-filters-most-rows", explained(seq(rows=3)), explained(seq(rows=3, cost=400.0))),
    (
        "index-filters-most-rows",
        explained(seq(90_000, name="Index Scan", Index_Cond="(a = $1)", actual=3, ms=90.0)),
        explained(seq(900, name="Index Scan", Index_Cond="(a = $1)", actual=3, ms=90.0)),
    ),
    (
        "heap-fetches",
        explained(pg("Index Only Scan", Relation_Name="orders", actual=9_000, ms=50.0, Heap_Fetches=8_000)),
        explained(pg("Index Only Scan", Relation_Name="orders", actual=9_000, ms=50.0, Heap_Fetches=20)),
    ),
    (
        "lossy-bitmap",
        bitmap(Lossy_Heap_Blocks=4_000, Exact_Heap_Blocks=900),
        bitmap(Lossy_Heap_Blocks=0, Exact_Heap_Blocks=900),
    ),
    (
        "rechecked-rows",
        bitmap(Rows_Removed_by_Index_Recheck=90_000, Lossy_Heap_Blocks=0),
        bitmap(Rows_Removed_by_Index_Recheck=90_000, Lossy_Heap_Blocks=900),
    ),
    (
        "late-filter",
        explained(pg("Subquery Scan", seq(), actual=3, ms=90.0, Filter="(n > 3)", Rows_Removed_by_Filter=90_000)),
        explained(pg("Subquery Scan", seq(), actual=3, ms=90.0, Filter="(n > 3)", Rows_Removed_by_Filter=900)),
    ),
    (
        "non-sargable-predicate",
        explained(seq(condition="(lower((orders.email)::text) = $1)")),
        explained(seq(condition="((orders.email)::text = lower($1))")),
    ),
    (
        "non-sargable-predicate",
        explained(seq(condition="((created_at)::date = $1)")),
        explained(seq(condition="(created_at >= $1)")),
    ),
    (
        "non-sargable-predicate",
        explained(seq(condition="((orders.id)::numeric = $1)")),
        explained(seq(condition="((orders.name)::text = $1)")),
    ),
    ("no-join-predicate", crossed("(b.kind = 1)"), crossed("(b.id = a.id)")),
    (
        "nested-loops-many-rows",
        over(
            seq(0, actual=400_000, rows=400_000, ms=90.0), index(actual=1, times=400_000, ms=0.01), actual=9, ms=5_000.0
        ),
        over(seq(0, actual=4_000, rows=4_000, ms=90.0), index(actual=1, times=4_000, ms=0.01), actual=9, ms=150.0),
    ),
    (
        "nested-loops-underestimated",
        over(seq(0, actual=40_000, rows=4, ms=90.0), index(actual=1, times=40_000, ms=0.01), actual=9, ms=500.0),
        over(seq(0, actual=40_000, rows=9_000, ms=90.0), index(actual=1, times=40_000, ms=0.01), actual=9, ms=500.0),
    ),
    (
        "sort-on-disk",
        sort(Sort_Method="external merge", Sort_Space_Type="Disk", Sort_Space_Used=20_480),
        sort(Sort_Method="quicksort", Sort_Space_Type="Memory", Sort_Space_Used=2_048),
    ),
    (
        "sort-on-disk",
        sort(Workers=[{"Sort Space Type": "Disk", "Sort Space Used": 4_096}]),
        sort(Workers=[{"Sort Space Type": "Memory", "Sort Space Used": 4_096}]),
    ),
    (
        "sort-on-disk",
        sorted_in_groups({"Sort Space Disk": {"Peak Sort Space Used": 4_096}}),
        sorted_in_groups({"Sort Space Memory": {"Peak Sort Space Used": 4_096}}),
    ),
    ("hash-on-disk", hashed(8), hashed(1)),
    ("hash-on-disk", aggregated_by_workers(8_192), aggregated_by_workers(0)),
    ("join-filter-discards", compared(900_000, 12), compared(900_000, 800_000)),
    ("slow-compilation", planned(400.0), planned(40.0)),
    ("slow-compilation", planned(400.0), planned(400.0, ran=900.0)),
    ("memoize-misses", memoized(10, 9_000), memoized(9_000, 2_000)),
    ("subplan-per-row", subplan(9_000), subplan(90)),
    (
        "remote-query",
        explained(pg("Foreign Scan", Relation_Name="far", rows=90_000)),
        explained(pg("Foreign Scan", Relation_Name="far", rows=9, cost=100.0)),
    ),
    (
        "row-estimate-off",
        over(seq(0, actual=40_000, rows=4, ms=90.0), index(actual=1, times=40_000, ms=0.01), actual=9, ms=500.0),
        explained(
            pg("Limit", pg("Sort", seq(0, actual=4, rows=40_000, ms=90.0), actual=4, ms=95.0), actual=4, ms=95.0)
        ),
    ),
    # What did not come costs little, and what a merge join goes back to is counted again.
    ("row-estimate-off", joined("Hash Join", "Outer", 9, 50_000), joined("Hash Join", "Outer", 9, 5_000)),
    ("row-estimate-off", joined("Merge Join", "Outer", 90_000, 50), joined("Merge Join", "Inner", 90_000, 50)),
    ("late-filter", cte(200.0), cte(2.0)),
    ("function-scan-estimate", function(20_000), function(110)),
    ("generic-plan-skew", generic("(customer_id = $1)", 80_000), generic("(customer_id = 42)", 80_000)),
    ("generic-plan-skew", generic("(customer_id = $1)", 80_000), generic("(customer_id = $1)", 90)),
    (
        "disabled-operator",
        explained(seq(), Settings={"enable_indexscan": "off"}),
        explained(seq(), Settings={"work_mem": "8MB"}),
    ),
    (
        "disabled-operator",
        explained(pg("Sort", seq(cost=40.0), Startup_Cost=1e10, cost=1e10)),
        explained(pg("Sort", seq(cost=2e10), Startup_Cost=2e10, cost=2e10)),
    ),
    (
        "workers-not-launched",
        explained(pg("Gather", seq(0, actual=9, ms=300.0), actual=9, ms=300.0, Workers_Planned=4, Workers_Launched=1)),
        explained(pg("Gather", seq(0, actual=9, ms=300.0), actual=9, ms=300.0, Workers_Planned=4, Workers_Launched=4)),
    ),
    (
        "trigger-time",
        explained(seq(0, actual=9, ms=30.0), Execution_Time=90.0, Triggers=[FOREIGN_KEY]),
        explained(seq(0, actual=9, ms=30.0), Execution_Time=9_000.0, Triggers=[FOREIGN_KEY]),
    ),
    (
        "jit-cost",
        explained(seq(0, actual=9, ms=30.0), Execution_Time=90.0, JIT={"Functions": 9, "Timing": {"Total": 60.0}}),
        explained(seq(0, actual=9, ms=30.0), Execution_Time=9_000.0, JIT={"Functions": 9, "Timing": {"Total": 60.0}}),
    ),
]
PARALLEL = [{"Actual Rows": 90_000, "Actual Loops": 1}, {"Actual Rows": 10, "Actual Loops": 1}]
EVEN = [{"Actual Rows": 45_000, "Actual Loops": 1}, {"Actual Rows": 46_000, "Actual Loops": 1}]
CASES.append(
    (
        "parallel-skew",
        explained(seq(0, actual=45_000, times=2, ms=300.0, Parallel_Aware=True, Workers=PARALLEL)),
        explained(seq(0, actual=45_000, times=2, ms=300.0, Parallel_Aware=True, Workers=EVEN)),
    )
)


@pytest.mark.parametrize(
    ("slug", "speaks", "silent"), CASES, ids=[f"{number}-{case[0]}" for number, case in enumerate(CASES)]
)
def test_a_rule_speaks_where_it_should_and_only_there(slug, speaks, silent):
    assert named(slug, speaks)
    assert not named(slug, silent)


STALE = {"tables": {"public.orders": {"rows": 20_000, "n_mod_since_analyze": 9_000}}}


def test_stale_statistics_are_known_from_what_was_read_beside_the_plan():
    (found,) = named("stale-statistics", explained(seq()), STALE)
    assert found.script == 'ANALYZE "public"."orders";'
    assert not named("stale-statistics", explained(seq()))


def test_every_rule_for_postgres_is_tried():
    tried = {case[0] for case in CASES} | {"stale-statistics"}
    assert {rule.slug for rule in RULES if Engine.POSTGRES in rule.engines} == tried


def test_the_result_of_a_subquery_is_no_parameter_of_a_generic_plan():
    limit = pg("Aggregate", seq(0, actual=1), actual=1, role="InitPlan", Subplan_Name="InitPlan 1 (returns $1)")
    plan = pg("Seq Scan", limit, Relation_Name="orders", Filter="(id > $1)", rows=20, actual=80_000, ms=500.0)
    assert not named("generic-plan-skew", explained(plan))


def test_settings_that_help_are_stated_for_one_transaction_only():
    (found,) = named("sort-on-disk", sort(Sort_Space_Type="Disk", Sort_Space_Used=20_480))
    assert found.script == "SET LOCAL work_mem = '60MB';"
    (found,) = named("sort-on-disk", sort(Sort_Space_Type="Disk", Sort_Space_Used=20_480_000))
    assert found.script == ""
    (found,) = named("generic-plan-skew", generic("(customer_id = $1)", 80_000))
    assert found.script == "SET LOCAL plan_cache_mode = force_custom_plan;"


def test_a_hashed_subplan_runs_once():
    plain = pg("Seq Scan", Relation_Name="supplier", cost=300.0, role="SubPlan", Subplan_Name="SubPlan 1")
    for condition, expected in (("(NOT (hashed SubPlan 1))", 0), ("(NOT (SubPlan 1))", 1)):
        plan = pg("Seq Scan", plain, Relation_Name="partsupp", Filter=condition, rows=40_000)
        assert len(named("subplan-per-row", explained(plan))) == expected


def test_an_estimated_scan_does_not_invent_an_index():
    (found,) = named("scan-filters-most-rows", explained(seq(rows=3)))
    assert found.script == ""
    assert found.text == (
        "Seq Scan on orders reads the whole table (cost 10,000) for an estimated 3 rows, which no index serves"
    )


def test_an_index_that_the_planner_was_shown_stands_with_the_scan_it_replaces():
    tried = {"index": 'CREATE INDEX "i" ON "shop"."orders" ("state")', "cost": 10_000.0, "cost_with": 40.0}
    for relation, script in (("orders", 'CREATE INDEX CONCURRENTLY "i" ON "shop"."orders" ("state");'), ("lines", "")):
        scan = pg("Seq Scan", Relation_Name=relation, Schema="shop", Alias="o", Filter=FILTER, rows=3)
        (found,) = named("scan-filters-most-rows", explained(scan), {"what_if": [tried]})
        assert found.script == script
        assert ("a cost of 40 instead of 10,000" in found.advice) == bool(script)


def test_the_inner_side_of_a_loop_is_repeated_whatever_stands_beside_it():
    outer, inner = pg("Seq Scan", rows=500, cost=1_000.0), pg("Index Scan", role="Inner", cost=2.0)
    first, last = pg("Result", role="InitPlan", cost=0.0), pg("Result", role="SubPlan", cost=0.0)
    for inputs in ((outer, inner), (first, outer, inner, last)):
        (statement,) = parse_pg_plan(explained(pg("Nested Loop", *inputs, rows=4, cost=2_000.0))).statements
        planned = {node.operator.role: node.planned_executions for node in view_of(Engine.POSTGRES, statement).nodes}
        assert planned["Inner"] == 500
        assert work_shares(Engine.POSTGRES, statement.root)["Index Scan"] == 0.5


def test_memory_for_a_sort_is_that_of_one_process():
    workers = [{"Worker Number": n, "Sort Space Type": "Disk", "Sort Space Used": 10_240} for n in (0, 1)]
    (found,) = named("sort-on-disk", sort(Sort_Space_Type="Disk", Sort_Space_Used=20_480, Workers=workers))
    assert found.script == "SET LOCAL work_mem = '60MB';"
    assert "through 40 MB on disk" in found.text


def test_triggers_are_not_in_the_time_of_the_operators():
    (found,) = named("trigger-time", explained(seq(0, actual=9, ms=30.0), Triggers=[FOREIGN_KEY]))
    spent = FOREIGN_KEY["Time"]
    assert f"took {spent:.0f} of {spent + 30:.0f} ms" in found.text


def test_a_condition_that_keeps_more_than_a_hundredth_is_no_grave_matter():
    for kept, weight in ((500, "high"), (9_000, "medium")):
        (found,) = named("scan-filters-most-rows", explained(seq(100_000, rows=9, actual=kept, ms=900.0)))
        assert found.weight == weight


def test_foreign_partitions_of_one_table_are_one_finding():
    parts = [pg("Foreign Scan", Relation_Name=f"far_{n}", rows=90_000, cost=100.0 + n) for n in range(4)]
    (found,) = named("remote-query", explained(pg("Append", *parts)))
    assert found.text == "Foreign Scan on far_3 and 3 like it fetch 360,000 rows"


@pytest.mark.parametrize("name", ["Async Seq Scan", "Parallel Seq Scan"])
def test_a_name_of_the_text_form_is_understood(name):
    assert named("scan-filters-most-rows", explained(seq(900_000, name=name, actual=3, ms=90.0)))


def test_no_script_names_a_table_for_several_partitions():
    reads = [
        pg(
            "Index Only Scan",
            Relation_Name=f"t_{number}",
            Alias=f"o_{number}",
            actual=9_000,
            ms=50.0,
            Heap_Fetches=8_000,
        )
        for number in (1, 2)
    ]
    plan = gathered(parse_pg_plan(explained(pg("Append", *reads, actual=18_000, ms=110.0))))
    (found,) = [one for one in findings_of(plan) if one.rule == "heap-fetches"]
    assert found.script == ""


def test_a_pattern_that_begins_with_a_wildcard_is_not_sent_to_an_index():
    (found,) = named(
        "scan-filters-most-rows", explained(seq(90_000, condition="(name ~~ '%x'::text)", actual=3, ms=90.0))
    )
    assert "pg_trgm" in found.advice
