"""A login that may only read gets the plan by which a statement finds the rows it changes; on two real servers."""

import json

import pytest

from dbplanmon_pipeline_tests.providers.postgres.monitored import plan_of, run

pytestmark = pytest.mark.postgres

QUEUE = """
WITH next AS (SELECT id FROM orders WHERE customer_id = 5 ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED)
UPDATE orders o SET total = 1 FROM next WHERE o.id = next.id RETURNING o.id"""
# statement, how its text begins, what its plan must hold
SEARCHES = {
    "update by key": ("UPDATE orders SET total = total + 1 WHERE id = 3", "UPDATE orders SET%", "Index Scan"),
    "update by index": (
        "UPDATE orders AS o SET total = 1 WHERE o.customer_id = 3",
        "UPDATE orders AS%",
        "Bitmap Index",
    ),
    "update of all": ("UPDATE orders SET total = 1", "UPDATE orders SET total = $1", "Seq Scan"),
    "delete": ("DELETE FROM orders WHERE id = 3 RETURNING id", "DELETE FROM%", "orders_pkey"),
    "delete that joins": (
        "DELETE FROM orders a USING orders b WHERE a.id = b.customer_id AND b.id = 7",
        "DELETE FROM%",
        "orders_pkey",
    ),
    "insert of a query": (
        "INSERT INTO orders (id) SELECT id + 100000 FROM orders WHERE customer_id = 4 ON CONFLICT (id) DO NOTHING",
        "INSERT INTO orders (id) SELECT%",
        "Bitmap Index",
    ),
    "locks": ("SELECT total FROM orders WHERE id = 6 FOR NO KEY UPDATE", "SELECT total%", "Index Scan"),
    "queue": (QUEUE, "%WITH next%", "LIMIT"),
    "merge": (
        "MERGE INTO orders o USING (VALUES (1, 2.0)) v(id, t) ON o.id = v.id WHEN MATCHED THEN UPDATE SET total = v.t",
        "MERGE%",
        "orders_pkey",
    ),
}


@pytest.mark.parametrize("shape", SEARCHES)
def test_the_search_of_a_statement_that_writes_is_planned(monitored_server, database, shape):
    statement, like, expected = SEARCHES[shape]
    plan = plan_of(monitored_server, database, statement, like)

    assert (plan.reason, plan.origin) == ("", "generic search")
    assert expected.lower() in plan.body.lower()
    assert "ModifyTable" not in plan.body
    assert "LockRows" not in plan.body


def test_a_view_that_is_written_to_has_a_plan_of_its_rows(monitored_server, database):
    run(monitored_server, database, "CREATE VIEW dear AS SELECT id, total FROM orders WHERE total > 5")
    plan = plan_of(monitored_server, database, "UPDATE dear SET total = 9 WHERE id = 8", "UPDATE dear%")

    assert (plan.reason, plan.origin) == ("", "generic search")
    assert "orders_pkey" in plan.body


def test_an_index_that_goes_changes_the_plan_of_an_update(monitored_server, database):
    statement, like, _ = SEARCHES["update by index"]
    before = plan_of(monitored_server, database, statement, like)
    run(monitored_server, database, "DROP INDEX orders_customer")
    after = plan_of(monitored_server, database, statement, like)

    assert before.plan_hash != after.plan_hash
    assert json.loads(after.body)[0]["Plan"]["Node Type"] == "Seq Scan"


UNTYPED = {
    "date and number": "SELECT count(*) FROM orders WHERE placed > date '2026-01-01' + 3",
    "series": "SELECT count(*) FROM generate_series(1, 5)",
    "series of days": "SELECT count(*) FROM generate_series(now(), now() + interval '3 days', '1 day')",
    "recursion that counts": (
        "WITH RECURSIVE r AS (SELECT id, 1 AS depth FROM orders WHERE id = 2"
        " UNION ALL SELECT r.id, depth + 1 FROM r WHERE depth < 3) SELECT count(*) FROM r"
    ),
    "overlap of arrays": "SELECT count(*) FROM orders WHERE ARRAY[id] && ARRAY[1, 2]",
    "any type": "SELECT to_json(5), count(*) FROM orders",
}


@pytest.mark.parametrize("shape", UNTYPED)
def test_parameters_that_lost_their_type_are_given_one(monitored_server, database, shape):
    plan = plan_of(monitored_server, database, UNTYPED[shape], "%count(*)%")

    assert (plan.reason, plan.origin) == ("", "generic")
