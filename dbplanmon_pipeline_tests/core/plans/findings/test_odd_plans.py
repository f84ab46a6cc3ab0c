"""Plans with odd values: whatever stands in them, what is found can be told."""

import json
import random

import pytest

from dbplanmon_pipeline.core.plans.comparing.diff import diff_plans
from dbplanmon_pipeline.core.plans.findings.registry import findings_of
from dbplanmon_pipeline.core.plans.findings.words import finding_record, marks_of, numbered_lines
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.render import render_tree
from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline_tests.core.plans.findings import test_postgres, test_sqlserver

ODD = [
    None,
    True,
    -1,
    1e308,
    -1e308,
    0,
    "",
    "x",
    "\0",
    "NaN",
    [],
    {},
    [1],
    {"a": 1},
    10**40,
    10**400,
    float("nan"),
    float("inf"),
]
ODD_TEXTS = ["", "x", "-1", "1e308", "NaN", "0", "true", "[", "((((", "CONVERT_IMPLICIT(", "[@x]", "OPTION(("]
SEEDS = range(12)


def can_be_told(plan):
    told = findings_of(plan)
    assert all(0.0 <= one.share <= 1.0 + 1e-9 for one in told)
    assert render_tree(plan, marks_of(told))
    assert json.dumps([finding_record(one) for one in told])
    return numbered_lines(told)


def places(document):
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        if isinstance(key, str) and key not in ("Plan", "Plans", "Node Type"):
            yield document, key
        if isinstance(value, dict | list):
            yield from places(value)


@pytest.mark.parametrize("seed", SEEDS)
def test_odd_values_in_a_postgres_plan_do_no_harm(seed):
    chance = random.Random(seed)
    for _, document, _ in test_postgres.CASES:
        mixed = json.loads(json.dumps(document))
        for holder, key in chance.sample(found := list(places(mixed)), min(4, len(found))):
            holder[key] = chance.choice(ODD)
        can_be_told(parse_pg_plan(mixed))


@pytest.mark.parametrize("seed", SEEDS)
def test_odd_values_in_a_showplan_do_no_harm(seed):
    chance = random.Random(seed)
    for _, text, _ in test_sqlserver.CASES:
        head, *pieces = text.split('="')
        kept = [head, pieces[0]]
        for piece in pieces[1:]:
            _, _, rest = piece.partition('"')
            kept.append(f'{chance.choice(ODD_TEXTS)}"{rest}' if chance.random() < 0.15 else piece)
        can_be_told(parse_showplan('="'.join(kept)))


@pytest.mark.parametrize("name", ["Execution Time", "Planning Time"])
@pytest.mark.parametrize("value", [10**400, float("nan"), True, "x", None])
def test_a_time_that_is_no_number_is_unknown_to_findings_and_differences(name, value):
    plan = parse_pg_plan([{"Plan": {"Node Type": "Result", "Actual Total Time": 1.0, "Actual Loops": 1}, name: value}])
    can_be_told(plan)
    assert not diff_plans(plan, plan).changes


@pytest.mark.parametrize("workers", [-1, -1e308, 1e308, 0, None, "x"])
def test_a_number_of_workers_that_cannot_be_is_none(workers):
    scan = {"Node Type": "Seq Scan", "Relation Name": "t", "Actual Total Time": 9.0, "Actual Loops": 2}
    gather = {"Node Type": "Gather", "Actual Total Time": 10.0, "Actual Loops": 1, "Workers Launched": workers}
    can_be_told(parse_pg_plan([{"Plan": {**gather, "Plans": [scan]}}]))
