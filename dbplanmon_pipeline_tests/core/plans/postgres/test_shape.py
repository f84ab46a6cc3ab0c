import copy
import json

import pytest

from dbplanmon_pipeline.core.plans.postgres.redact import redact_pg_plan
from dbplanmon_pipeline.core.plans.postgres.shape import plan_hash_of_pg
from dbplanmon_pipeline.core.plans.postgres.text import plan_document
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline_tests.core.plans.corpus import entries, text_of

PLAN = [
    {
        "Plan": {
            "Node Type": "Nested Loop",
            "Join Type": "Inner",
            "Total Cost": 10.5,
            "Plans": [
                {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Plan Rows": 5},
                {
                    "Node Type": "Index Scan",
                    "Parent Relationship": "Inner",
                    "Relation Name": "b",
                    "Index Name": "b_pk",
                    "Scan Direction": "Forward",
                    "Index Cond": "(id = 5)",
                },
            ],
        }
    }
]


def changed(path, name, value):
    document = copy.deepcopy(PLAN)
    node = document[0]["Plan"]
    for step in path:
        node = node["Plans"][step]
    node[name] = value
    return document


def test_the_hash_stays_the_same_between_versions_of_this_program():
    assert plan_hash_of_pg(PLAN) == 185829994977370803


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ((), "Total Cost", 9999),
        ((), "Plan Rows", 7),
        ((), "Plan Width", 7),
        ((), "Workers Planned", 2),
        ((0,), "Filter", "(x > 3)"),
        ((1,), "Index Cond", "(id = 6)"),
        ((1,), "Actual Rows", 6),
    ],
)
def test_costs_rows_and_conditions_leave_the_hash_alone(path, name, value):
    assert plan_hash_of_pg(changed(path, name, value)) == plan_hash_of_pg(PLAN)


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ((), "Node Type", "Hash Join"),
        ((), "Join Type", "Left"),
        ((), "Strategy", "Sorted"),
        ((), "Partial Mode", "Partial"),
        ((), "Operation", "Delete"),
        ((), "Command", "Except"),
        ((0,), "Relation Name", "c"),
        ((0,), "Schema", "other"),
        ((1,), "Index Name", "b_other"),
        ((1,), "Scan Direction", "Backward"),
        ((1,), "Parent Relationship", "SubPlan"),
    ],
)
def test_what_the_plan_does_changes_the_hash(path, name, value):
    assert plan_hash_of_pg(changed(path, name, value)) != plan_hash_of_pg(PLAN)


def test_the_order_of_the_inputs_changes_the_hash():
    swapped = copy.deepcopy(PLAN)
    swapped[0]["Plan"]["Plans"].reverse()
    assert plan_hash_of_pg(swapped) != plan_hash_of_pg(PLAN)


def test_the_order_of_keys_and_the_wrapping_do_not():
    reordered = json.loads(json.dumps(PLAN, sort_keys=True))
    assert {plan_hash_of_pg(form) for form in (PLAN, PLAN[0], PLAN[0]["Plan"], reordered, json.dumps(PLAN))} == {
        plan_hash_of_pg(PLAN)
    }


@pytest.mark.parametrize("entry", entries())
def test_redaction_keeps_the_hash_of_every_real_plan(entry):
    document = plan_document(text_of(entry))
    value = plan_hash_of_pg(document)
    assert value == plan_hash_of_pg(redact_pg_plan(document))
    assert value != 0
    assert -(1 << 63) <= value < (1 << 63)


def test_what_is_no_plan_has_no_hash():
    with pytest.raises(PlanParseError):
        plan_hash_of_pg({"nothing": 1})
