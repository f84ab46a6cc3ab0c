from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.model import CapturedPlan, Engine
from dbplanmon_pipeline.core.remedies.remediation import suggest
from dbplanmon_pipeline.core.remedies.what_if import WhatIf, as_context, what_ifs
from dbplanmon_pipeline_tests.core.incidents.known_incidents import NOW, PLAN_REGRESSION

BODY = '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Schema": "shop"}}]'
INDEX = 'CREATE INDEX "orders_status_idx" ON "shop"."orders" ("status")'
TRIED = WhatIf(INDEX, 4_333.0, 52.4)


def captured(*tried, **context):
    return CapturedPlan(1, 1, "pgjson", BODY, context=context | as_context(tried))


def suggested(old, new):
    incident = replace(PLAN_REGRESSION, plan_hash=2, previous_plan_hash=1)
    return suggest(incident, old=old, new=new, statement=None, dialect=Engine.POSTGRES, now=NOW)


def test_what_was_tried_is_kept_in_the_context_and_read_again():
    assert what_ifs(as_context([TRIED])) == (TRIED,)
    assert as_context([]) == {}


@pytest.mark.parametrize(
    "kept",
    [None, 7, {}, [7], [{}], [{"index": "DROP TABLE t", "cost": 1.0}], [{"index": INDEX, "cost": "x"}]],
    ids=str,
)
def test_what_is_no_trial_is_left_out(kept):
    assert what_ifs({"what_if": kept}) == ()


def test_an_index_the_planner_would_use_is_suggested_with_its_costs():
    (found,) = suggested(captured(), captured(TRIED))
    assert (found.kind, found.risk) == ("create_index", "medium")
    assert found.script == 'CREATE INDEX CONCURRENTLY "orders_status_idx" ON "shop"."orders" ("status");'
    assert found.undo_script == 'DROP INDEX CONCURRENTLY IF EXISTS "shop"."orders_status_idx";'
    assert "shop.orders (status)" in found.rationale
    assert f"a cost of {TRIED.gain}" in found.rationale
    assert TRIED.gain == "52.4 instead of 4,333"


def test_an_index_that_would_have_served_the_former_plan_too_explains_nothing():
    assert [one.kind for one in suggested(captured(TRIED), captured(TRIED))] == ["review_plans"]


@pytest.mark.parametrize("keys", ["status", "status, at DESC"])
def test_an_index_that_is_gone_is_suggested_once_and_with_what_the_planner_says(keys):
    lost = f"CREATE INDEX by_status ON shop.orders USING btree ({keys})"
    body = BODY.replace("Seq Scan", "Index Scan").replace('"Schema"', '"Index Name": "by_status", "Schema"')
    old = CapturedPlan(1, 1, "pgjson", body, context={"indexes": {"by_status": lost}})
    (found,) = suggested(old, captured(TRIED, indexes={}))
    assert found.kind == "recreate_index"
    assert found.rationale.endswith("puts the statement at a cost of 52.4 instead of 4,333.")


def test_an_index_that_is_gone_and_serves_other_columns_stands_beside_it():
    lost = "CREATE INDEX by_at ON shop.orders USING btree (at, status)"
    body = BODY.replace("Seq Scan", "Index Scan").replace('"Schema"', '"Index Name": "by_at", "Schema"')
    old = CapturedPlan(1, 1, "pgjson", body, context={"indexes": {"by_at": lost}})
    assert [one.kind for one in suggested(old, captured(TRIED, indexes={}))] == ["recreate_index", "create_index"]


def test_a_plan_of_which_nothing_was_tried_is_as_before():
    assert [one.kind for one in suggested(captured(), captured())] == ["review_plans"]
