"""Each form of EXPLAIN is read as its JSON form is, text as far as it tells as much; on servers of two versions."""

import json
from dataclasses import fields

import pytest

from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.tree import Operator
from dbplanmon_pipeline_tests.support.postgres import connect

pytestmark = pytest.mark.postgres

READS = [
    "SELECT 1",
    "SELECT * FROM orders WHERE customer_id = 5 AND status = 'it''s: ->  Seq Scan  (cost=1.00..2.00 rows=1 width=1)'",
    "SELECT * FROM orders WHERE status = E'two\n  ->  Seq Scan on secrets  (cost=0.00..1.00 rows=1 width=4)\nlines'",
    "SELECT a.id FROM orders a LEFT JOIN orders b ON b.customer_id = a.id WHERE a.id > 5 ORDER BY b.id DESC LIMIT 5",
    "WITH r AS MATERIALIZED (SELECT * FROM orders) SELECT count(*) FROM r a JOIN r b USING (id)",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 50) SELECT * FROM t",
    "SELECT *, (SELECT max(total) FROM orders b WHERE b.customer_id = a.id) FROM orders a WHERE a.id < 9",
    "SELECT * FROM orders WHERE id NOT IN (SELECT customer_id FROM orders) AND total > (SELECT avg(total) FROM orders)",
    "SELECT * FROM orders a WHERE EXISTS (SELECT 1 FROM orders b WHERE b.customer_id = a.id AND b.total > 900)",
    "SELECT status, count(*) FROM orders GROUP BY status HAVING count(*) > 5",
    "SELECT DISTINCT customer_id FROM orders ORDER BY customer_id",
    "SELECT sum(total) OVER (PARTITION BY customer_id ORDER BY placed) FROM orders",
    "SELECT id FROM orders EXCEPT SELECT customer_id FROM orders",
    "SELECT id FROM orders UNION ALL SELECT customer_id FROM orders",
    "SELECT * FROM generate_series(1, 10) g JOIN (VALUES (1), (2)) v(x) ON v.x = g",
    "SELECT * FROM orders WHERE id IN (1, 2) OR customer_id = 7",
    "SELECT * FROM orders TABLESAMPLE system (10) REPEATABLE (3)",
    "SELECT * FROM orders WHERE ctid = '(0,1)'",
    "SELECT max(id) FROM orders",
    "SELECT * FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM orders) s WHERE n < 5",
    "SELECT * FROM orders ORDER BY customer_id, placed LIMIT 20",
    "SELECT id FROM orders WHERE false",
]
CHANGES = [
    "SELECT * FROM orders a JOIN orders b USING (id) WHERE a.placed > '2001-01-01' FOR UPDATE",
    "INSERT INTO orders VALUES (1) ON CONFLICT (id) DO UPDATE SET total = 2 WHERE orders.total > 5",
    "UPDATE orders SET total = total + 1 WHERE id < 50",
    "DELETE FROM orders WHERE customer_id = 7 RETURNING id",
    "MERGE INTO orders a USING orders b ON a.id = b.id WHEN MATCHED THEN UPDATE SET total = 1",
]
PLANNERS = {
    "as it is": (),
    "by merge": ("SET enable_hashjoin = off", "SET enable_seqscan = off", "SET work_mem = '64kB'"),
    "by workers": (
        *("SET parallel_setup_cost = 0", "SET parallel_tuple_cost = 0", "SET min_parallel_table_scan_size = 0"),
        *("SET min_parallel_index_scan_size = 0", "SET enable_indexonlyscan = off"),
    ),
}
TOLD = [each.name for each in fields(Operator) if each.name not in ("children", "attributes")]


def explained(session, options, form, statement):
    with session.transaction(force_rollback=True):
        rows = session.execute(f"EXPLAIN ({options}, FORMAT {form}) {statement}").fetchall()
    return json.dumps(rows[0][0]) if form == "JSON" else "\n".join(row[0] for row in rows)


def as_told(operator):
    return {name: getattr(operator, name) for name in TOLD}


RUN = "ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF"


@pytest.mark.parametrize("options", ["COSTS", "VERBOSE", RUN])
@pytest.mark.parametrize("planner", PLANNERS)
def test_both_forms_are_one_tree(monitored_server, steady_database, planner, options):
    with connect(monitored_server, steady_database) as session:
        for setting in (*PLANNERS[planner], "SET max_parallel_workers = 0"):
            session.execute(setting)
        for statement in READS if options == RUN else READS + CHANGES:
            text, document = (parse_pg_plan(explained(session, options, form, statement)) for form in ("TEXT", "JSON"))
            assert [one.plan_hash for one in text.statements] == [one.plan_hash for one in document.statements]
            for left, right in zip(text.operators(), document.operators(), strict=True):
                assert as_told(left) == as_told(right), statement
                assert left.attributes.items() <= right.attributes.items(), statement


@pytest.mark.parametrize("form", ["XML", "YAML"])
def test_the_other_forms_say_all_that_json_says(monitored_server, steady_database, form):
    with connect(monitored_server, steady_database) as session:
        for statement in READS + CHANGES:
            other, document = (parse_pg_plan(explained(session, "VERBOSE", name, statement)) for name in (form, "JSON"))
            for left, right in zip(other.operators(), document.operators(), strict=True):
                assert as_told(left) == as_told(right), statement
                assert left.attributes == right.attributes, statement


def test_what_running_cost_is_read_too(monitored_server, steady_database):
    with connect(monitored_server, steady_database) as session:
        options = "ANALYZE, VERBOSE, BUFFERS, SETTINGS, WAL"
        session.execute("SET work_mem = '64kB'")
        plan = parse_pg_plan(explained(session, options, "TEXT", "SELECT * FROM orders ORDER BY total"))
    (statement,) = plan.statements
    sort, scan = statement.operators()
    assert sort.attributes["Sort Space Type"] == "Disk"
    assert sort.actual_ms is not None
    assert scan.actual_ms is not None
    assert sort.actual_ms >= scan.actual_ms > 0
    assert scan.attributes["Shared Hit Blocks"] > 0
    assert statement.attributes["Settings"]["work_mem"] == "64kB"
    assert statement.attributes["Execution Time"] > 0
