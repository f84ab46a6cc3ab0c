"""EXPLAIN in text form, as people paste it."""

import random
from contextlib import suppress

import pytest

from dbplanmon_pipeline.core.plans.postgres.explain import explained
from dbplanmon_pipeline.core.plans.postgres.explain_details import detail, is_open, listed
from dbplanmon_pipeline.core.plans.postgres.explain_heads import head_of
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.postgres.redact import redact_pg_plan
from dbplanmon_pipeline.core.plans.render import render_tree
from dbplanmon_pipeline.core.plans.tree import NodeKind
from dbplanmon_pipeline.errors import PlanParseError

PLAN = """\
Limit  (cost=52.10..52.12 rows=5 width=8) (actual time=1.804..1.806 rows=5 loops=1)
  InitPlan 1 (returns $0)
    ->  Aggregate  (cost=20.00..20.01 rows=1 width=4) (actual time=0.300..0.301 rows=1 loops=1)
          ->  Seq Scan on limits  (cost=0.00..18.00 rows=800 width=4) (actual time=0.010..0.150 rows=800 loops=1)
  ->  Sort  (cost=52.10..53.00 rows=360 width=8) (actual time=1.803..1.804 rows=5 loops=1)
        Sort Key: (lower(o.note)) DESC, o.id
        Sort Method: external merge  Disk: 120kB
        Buffers: shared hit=30 read=2, temp read=15 written=16
        ->  Hash Left Join  (cost=9.00..46.00 rows=360 width=8) (actual time=0.200..1.400 rows=355 loops=1)
              Hash Cond: (o.customer_id = c.id)
              Join Filter: (o.total > $0)
              ->  Index Scan Backward using "Orders by day" on public.orders o  (cost=0.28..30.00 rows=360 width=12) \
(actual time=0.020..0.700 rows=360 loops=1)
                    Index Cond: (day > '2026-01-01'::date)
                    Filter: (note <> 'a -> b  (cost=1.00..2.00 rows=1 width=1)'::text)
                    Rows Removed by Filter: 40
              ->  Hash  (cost=6.00..6.00 rows=200 width=4) (actual time=0.150..0.151 rows=200 loops=1)
                    Buckets: 1024 (originally 512)  Batches: 2 (originally 1)  Memory Usage: 16kB
                    ->  Seq Scan on customers c  (cost=0.00..6.00 rows=200 width=4) (never executed)
              SubPlan 2
                ->  Result  (cost=0.00..0.01 rows=1 width=4)
Settings: work_mem = '64kB', search_path = 'a, b'
Planning:
  Buffers: shared hit=12
Planning Time: 0.250 ms
JIT:
  Functions: 8
  Options: Inlining false, Optimization true, Expressions true, Deforming true
  Timing: Generation 0.488 ms (Deform 0.100 ms), Inlining 0.000 ms, \
Optimization 1.200 ms, Emission 5.000 ms, Total 6.688 ms
Trigger t_upd on orders: time=2.500 calls=4
Trigger for constraint orders_fk on orders: calls=3
Execution Time: 1.900 ms
"""
NAMES = ["Limit", "Aggregate", "Seq Scan", "Sort", "Hash Join", "Index Scan", "Hash", "Seq Scan", "Result"]


def names(text):
    return [operator.name for operator in parse_pg_plan(text).operators()]


def test_every_operator_has_its_place():
    (statement,) = parse_pg_plan(PLAN).statements
    limit, aggregate, _, sort, join, scan, build, *_, result = statement.operators()
    assert [operator.name for operator in statement.operators()] == NAMES
    assert limit.children == (aggregate, sort)
    assert join.children == (scan, build, result)
    assert (aggregate.role, join.role, build.role, result.role) == ("InitPlan", "Outer", "Inner", "SubPlan")
    assert result.attributes["Subplan Name"] == "SubPlan 2"


def test_an_operator_is_read_in_full():
    scan = next(one for one in parse_pg_plan(PLAN).operators() if one.name == "Index Scan")
    assert (scan.kind, scan.direction, scan.index) == (NodeKind.INDEX_SEEK, "Backward", "Orders by day")
    assert (scan.schema, scan.relation, scan.alias) == ("public", "orders", "o")
    assert (scan.startup_cost, scan.estimated_cost, scan.estimated_rows, scan.estimated_width_bytes) == (
        0.28,
        30,
        360,
        12,
    )
    assert (scan.actual_rows, scan.actual_loops, scan.actual_ms) == (360, 1, 0.7)
    assert scan.conditions == (
        ("Index Cond", "(day > '2026-01-01'::date)"),
        ("Filter", "(note <> 'a -> b  (cost=1.00..2.00 rows=1 width=1)'::text)"),
    )
    assert scan.attributes["Rows Removed by Filter"] == 40


def test_what_an_operator_used_is_told_as_in_json():
    operators = {one.name: one.attributes for one in parse_pg_plan(PLAN).operators()}
    assert (
        operators["Sort"].items()
        >= {
            "Sort Method": "external merge",
            "Sort Space Used": 120,
            "Sort Space Type": "Disk",
            "Shared Hit Blocks": 30,
            "Temp Written Blocks": 16,
        }.items()
    )
    assert (
        operators["Hash"].items()
        >= {
            "Hash Buckets": 1024,
            "Original Hash Buckets": 512,
            "Hash Batches": 2,
            "Original Hash Batches": 1,
            "Peak Memory Usage": 16,
        }.items()
    )


def test_what_the_statement_says_is_told_as_in_json():
    (statement,) = parse_pg_plan(PLAN).statements
    assert statement.attributes == {
        "Settings": {"work_mem": "64kB", "search_path": "a, b"},
        "Planning": {"Shared Hit Blocks": 12},
        "Planning Time": 0.25,
        "JIT": {
            "Functions": 8,
            "Options": {"Inlining": False, "Optimization": True, "Expressions": True, "Deforming": True},
            "Timing": {
                "Generation": {"Deform": 0.1, "Total": 0.488},
                "Inlining": 0.0,
                "Optimization": 1.2,
                "Emission": 5.0,
                "Total": 6.688,
            },
        },
        "Triggers": [
            {"Trigger Name": "t_upd", "Relation": "orders", "Time": 2.5, "Calls": 4},
            {"Constraint Name": "orders_fk", "Relation": "orders", "Calls": 3},
        ],
        "Execution Time": 1.9,
    }


def lines_of(text, form):
    return "\n".join(form(line) for line in text.splitlines())


@pytest.mark.parametrize(
    "pasted",
    [
        f"{'QUERY PLAN':^80}\n{'-' * 80}\n{lines_of(PLAN, ' {}'.format)}\n(31 rows)\n\nTime: 2.103 ms\n",
        lines_of(PLAN, "| {:<140} |".format),
        lines_of(PLAN, "-- {}".format),
        lines_of(PLAN, "> {}".format),
        lines_of(PLAN, lambda line: '"' + line.replace('"', '""') + '"'),
        PLAN.replace("\n", "\r\n"),
        PLAN.replace(" (actual time", "\n      (actual time").replace(" (never", "\n    (never"),
        f"explain analyze select * from orders;\n{PLAN}shop=#",
    ],
    ids=["psql", "border", "remark", "quote", "quoted lines", "windows", "wrapped", "prompt"],
)
def test_what_a_tool_puts_around_the_plan_goes(pasted):
    assert render_tree(parse_pg_plan(pasted)) == render_tree(parse_pg_plan(PLAN))


def test_plans_of_a_log_come_with_their_statements():
    tabbed = lines_of(PLAN, "\t{}".format)
    entry = (
        f"2026-01-01 10:00:00 UTC [12] LOG:  duration: 3 ms  plan:\n\tQuery Text: SELECT 1\n\tFROM orders\n{tabbed}\n"
    )
    first, second = parse_pg_plan(entry + entry.replace("SELECT 1", "SELECT 2")).statements
    assert (first.text, second.text) == ("SELECT 1\nFROM orders", "SELECT 2\nFROM orders")
    assert first.root == second.root == parse_pg_plan(PLAN).statements[0].root


def test_a_string_with_line_breaks_is_no_plan():
    text = (
        "Seq Scan on a  (cost=0.00..1.00 rows=1 width=4)\n  Filter: ((b = 'one\n"
        "  ->  Seq Scan on secrets  (cost=0.00..1.00 rows=1 width=4)\n"
        "Seq Scan on more  (cost=0.00..1.00 rows=1 width=4)\nit''s'::text) AND (\"it's\" = 2))\nPlanning Time: 1.5 ms"
    )
    (statement,) = parse_pg_plan(text).statements
    (scan,) = statement.operators()
    assert scan.conditions[0][1].endswith("it''s'::text) AND (\"it's\" = 2))")
    assert statement.attributes == {"Planning Time": 1.5}


def test_without_costs_a_heading_or_an_arrow_tells_a_plan():
    assert names(" QUERY PLAN \n------\n Seq Scan on a\n   Filter: (b = 1)\n(2 rows)") == ["Seq Scan"]
    assert names("Limit\n  ->  Seq Scan on a") == ["Limit", "Seq Scan"]
    assert not explained("Result\nof the day")


def test_a_tree_without_indents_is_refused():
    with pytest.raises(PlanParseError, match="indents") as refused:
        parse_pg_plan("\n".join(line.strip() for line in PLAN.splitlines()))
    assert "\n" not in str(refused.value)


def test_plans_of_the_workers_of_citus_stand_where_its_json_has_them():
    text = """\
 Custom Scan (Citus Adaptive)  (cost=0.00..0.00 rows=0 width=0)
   ->  Distributed Subplan 3_1
         ->  Limit  (cost=0.00..1.00 rows=5 width=4)
   Task Count: 4
   Tasks Shown: One of 4
   ->  Task
         Node: host=w1 port=5432 dbname=shop
         ->  Sort  (cost=0.00..9.00 rows=5 width=4)
               ->  Seq Scan on orders_102008 o  (cost=0.00..8.00 rows=5 width=4)
"""
    operators = list(parse_pg_plan(text).operators())
    assert [(one.name, one.role, one.relation) for one in operators] == [
        ("Custom Scan", "", ""),
        ("Limit", "PlannedStmt", ""),
        ("Sort", "Remote Plan", ""),
        ("Seq Scan", "Outer", "orders"),
    ]
    assert (operators[0].strategy, operators[0].attributes["Task Count"]) == ("Citus Adaptive", 4)
    assert "w1" not in str(redact_pg_plan(text))


def test_workers_are_told_apart():
    text = """\
Gather  (cost=0.00..9.00 rows=90 width=4) (actual time=1.0..2.0 rows=90 loops=1)
  Workers Planned: 2
  Workers Launched: 2
  ->  Parallel Sort  (cost=0.00..8.00 rows=45 width=4) (actual time=0.9..1.9 rows=30 loops=3)
        Sort Method: quicksort  Memory: 25kB
        Worker 0:  actual time=0.8..1.7 rows=20 loops=1
          Sort Method: quicksort  Memory: 26kB
          Buffers: shared hit=3
        Worker 1:  actual time=0.8..1.7 rows=60 loops=1
        ->  Parallel Seq Scan on a  (cost=0.00..8.00 rows=45 width=4) (actual time=0.9..1.9 rows=30 loops=3)
"""
    gather, sort, scan = parse_pg_plan(text).operators()
    assert gather.attributes["Workers Launched"] == 2
    assert (sort.rows_by_worker, sort.parallel, scan.parallel) == ((20, 60), True, True)
    assert sort.attributes["Sort Space Used"] == 25
    assert sort.attributes["Workers"][0] == {
        "Worker Number": 0,
        "Actual Rows": 20,
        "Actual Loops": 1,
        "Actual Startup Time": 0.8,
        "Actual Total Time": 1.7,
        "Sort Method": "quicksort",
        "Sort Space Used": 26,
        "Sort Space Type": "Memory",
        "Shared Hit Blocks": 3,
    }


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Merge Semi Join", {"Node Type": "Merge Join", "Join Type": "Semi"}),
        ("Nested Loop", {"Node Type": "Nested Loop", "Join Type": "Inner"}),
        ("Partial HashAggregate", {"Node Type": "Aggregate", "Strategy": "Hashed", "Partial Mode": "Partial"}),
        ("HashSetOp Except All", {"Node Type": "SetOp", "Strategy": "Hashed", "Command": "Except All"}),
        ("Delete on shop.a b", {"Node Type": "ModifyTable", "Operation": "Delete", "Schema": "shop", "Alias": "b"}),
        ("Bitmap Index Scan on i", {"Node Type": "Bitmap Index Scan", "Index Name": "i"}),
        ("Function Scan on f g", {"Node Type": "Function Scan", "Function Name": "f", "Alias": "g"}),
        ("CTE Scan on r", {"Node Type": "CTE Scan", "CTE Name": "r", "Alias": "r"}),
        ('Values Scan on "*VALUES*"', {"Node Type": "Values Scan", "Alias": "*VALUES*"}),
        ('Subquery Scan on "a ""b"""', {"Node Type": "Subquery Scan", "Alias": 'a "b"'}),
        ("Custom Scan (Far Away) on t", {"Node Type": "Custom Scan", "Custom Plan Provider": "Far Away", "Alias": "t"}),
        ("Foreign Update on t", {"Node Type": "Foreign Scan", "Operation": "Update", "Relation Name": "t"}),
        ("Never Seen Before  (cost=0.00..1.00 rows=1 width=4)", {"Node Type": "Never Seen Before", "Total Cost": 1.0}),
    ],
)
def test_lines_of_operators(line, told):
    assert told.items() <= (head_of(line) or {}).items()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("Heap Blocks", "exact=5 lossy=3", {"Exact Heap Blocks": 5, "Lossy Heap Blocks": 3}),
        ("I/O Timings", "shared/local read=0.5, temp write=1.5", {"I/O Read Time": 0.5, "Temp I/O Write Time": 1.5}),
        ("I/O Timings", "shared read=0.5 write=2.0", {"Shared I/O Read Time": 0.5, "Shared I/O Write Time": 2.0}),
        ("WAL", "records=3 fpi=1 bytes=200", {"WAL Records": 3, "WAL FPI": 1, "WAL Bytes": 200}),
        ("Hits", "10  Misses: 5  Evictions: 0  Overflows: 0  Memory Usage: 2kB", {"Cache Hits": 10, "Cache Misses": 5}),
        ("Batches", "5  Memory Usage: 409kB  Disk Usage: 96kB", {"HashAgg Batches": 5, "Disk Usage": 96}),
        ("Tuples", "inserted=3 updated=2", {"Tuples Inserted": 3, "Tuples Updated": 2}),
        ("Sampling", "system ('10'::real) REPEATABLE ('3'::double precision)", {"Sampling Method": "system"}),
        ("Maximum Storage", "17kB", {"Maximum Storage": 17}),
        ("Cache Key", "1", {"Cache Key": "1"}),
        ("Disabled", "true", {"Disabled": True}),
        ("Filter", "true", {"Filter": "true"}),
        ("Output", "a, f(b, c), 'x, y'", {"Output": ["a", "f(b, c)", "'x, y'"]}),
    ],
)
def test_lines_below_an_operator(name, value, told):
    assert told.items() <= detail(name, value).items()


def test_groups_of_an_incremental_sort():
    value = "3  Sort Method: quicksort  Average Memory: 27kB  Peak Memory: 28kB"
    assert detail("Full-sort Groups", value) == {
        "Full-sort Groups": {
            "Group Count": 3,
            "Sort Methods Used": ["quicksort"],
            "Sort Space Memory": {"Average Sort Space Used": 27, "Peak Sort Space Used": 28},
        }
    }


def test_several_keys_of_an_aggregation_are_grouping_sets():
    text = "MixedAggregate  (cost=0.00..1.00 rows=1 width=4)\n  Hash Key: a\n  Group Key: b, c\n  Group Key: ()\n"
    (aggregate,) = parse_pg_plan(text).operators()
    assert aggregate.attributes["Grouping Sets"] == [
        {"Hash Keys": [["a"]]},
        {"Group Keys": [["b", "c"]]},
        {"Group Keys": [[]]},
    ]


def test_commas_and_apostrophes_inside_other_signs_end_nothing():
    assert listed("a, (b, c), 'd, ''e', \"f, g\"") == ["a", "(b, c)", "'d, ''e'", '"f, g"']
    assert not is_open("'a''b' || \"it's\"")
    assert is_open("\"it's\" || 'a")


def test_no_value_survives_redaction():
    text = PLAN.replace("'2026-01-01'", "'planted one'").replace("'a -> b", "'planted two")
    told = str(redact_pg_plan(text))
    assert "planted" not in told
    assert "64kB" in told


def test_whatever_is_cut_or_mixed_up_is_read_or_refused():
    chance = random.Random(7)
    pieces = [*PLAN.splitlines(), "'", '"', "->", "  ->  ", "(cost=1.00..2.00 rows=1 width=4)", "Worker 0: ", "CTE x"]
    for _ in range(300):
        lines = [chance.choice(pieces)[: chance.randrange(1, 120)] for _ in range(chance.randrange(1, 14))]
        with suppress(PlanParseError):
            plan = parse_pg_plan("\n".join(lines))
            assert plan.counts["operators"] >= len(plan.statements) > 0
