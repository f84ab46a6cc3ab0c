"""Changes around an incident, and what they are suspected of."""

from dataclasses import replace
from datetime import timedelta

from dbplanmon_pipeline.core.causes.candidates import (
    CauseKind,
    candidate_of_plan,
    candidates_around,
    candidates_of_deployments,
    candidates_of_facts,
)
from dbplanmon_pipeline.core.causes.distribution import ColumnStatistics, distribution_value
from dbplanmon_pipeline.core.causes.effects import PlanView
from dbplanmon_pipeline.core.causes.ranking import rank_causes
from dbplanmon_pipeline.core.incidents.incident import IncidentScope
from dbplanmon_pipeline.core.model import DatabaseRef, Label, hash_text
from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference
from dbplanmon_pipeline.core.ports import FactChange
from dbplanmon_pipeline_tests.core.incidents.known_incidents import NOW, PLAN_REGRESSION

SHOP = DatabaseRef("prod", "Shop")
ORDERS = "dbo.Orders"
OLD, NEW = hash_text(PLAN_REGRESSION.previous_plan_hash), hash_text(PLAN_REGRESSION.plan_hash)
QUERY = hash_text(PLAN_REGRESSION.query_hash)
SAME_PLAN = replace(PLAN_REGRESSION, plan_hash=0xCD, label=Label.DATA_GROWTH)
INSTANCE = replace(
    PLAN_REGRESSION,
    scope=IncidentScope.INSTANCE,
    database="",
    query_hash=0,
    plan_hash=0,
    previous_plan_hash=0,
    label=Label.INSTANCE_SLOWDOWN,
)


def fact(name, before, after, minutes=10, ref=SHOP):
    return FactChange(ref, name, NOW - timedelta(minutes=minutes), before, after)


def differs(kind, text="Orders: Index Seek became Table Scan", node="Orders"):
    return PlanDifference(kind, node, "", "", text)


def view(*changes, before=("ix_a",), now=("pk",), rules=(), compared=()):
    return PlanView(
        frozenset({ORDERS}),
        frozenset(before),
        frozenset(now),
        changes,
        is_changed=True,
        is_known=True,
        new_rules=frozenset(rules),
        conditions=frozenset(compared),
    )


STAYED = PlanView(frozenset({ORDERS}), frozenset({"ix_a"}), frozenset({"ix_a"}), is_same=True, is_known=True)
COMPARING = replace(STAYED, conditions=frozenset({"(orders.customer_id = $1)"}))
ACCESS = differs(DifferenceKind.ACCESS_PATH)


def ranked(*facts, seen=None, incident=PLAN_REGRESSION, deployed=(), around=()):
    dated = candidates_of_facts(facts)
    plan = candidate_of_plan(incident)
    found = [*dated, *candidates_around(around, dated, ()), *candidates_of_deployments(deployed, incident)]
    return rank_causes(incident, [*found, *([plan] if plan else [])], view(ACCESS) if seen is None else seen)


def kinds(found):
    return [one.candidate.kind for one in found]


def plausibility(*facts, **given):
    kind = candidates_of_facts(facts)[0].kind
    return next(one.plausibility for one in ranked(*facts, **given) if one.candidate.kind is kind)


GONE = fact(f"indexes of {ORDERS}", '{"ix_a":"CREATE INDEX ix_a","pk":"x"}', '{"pk":"x"}')
FRESH = fact(f"statistics time of {ORDERS}", "2026-02-28T12:00:00Z by ANALYZE", "2026-03-01T11:51:00Z by ANALYZE")
MEMORY = fact("setting work_mem", "64MB", "1MB")
PARALLEL = fact("setting max degree of parallelism", "8", "1")
LEVEL = fact("compatibility level", "150", "160")
GROWN = fact(f"rows of {ORDERS}", "1000000", "9000000")
RESTARTED = fact("server started", "2026-01-01T00:00:00Z", "2026-03-01T11:50:00Z")
COLUMN = fact(f"columns of {ORDERS}", '{"a":"int"}', '{"a":"int","b":"text"}')
UPDATED = fact("SQL Server version", "16.0.4095.4", "16.0.4125.3")
TYPE = fact(f"columns of {ORDERS}", '{"a":"int"}', '{"a":"nvarchar"}')
UNIFORM, ALIKE = ColumnStatistics(12_000.0, 0.012, 0.0, 0.0001), ColumnStatistics(3.0, 3e-06, 0.0, 0.98)
SKEWED = fact(
    f"distribution of {ORDERS}",
    distribution_value("2026-02-28T12:00:00Z by ANALYZE", {"customer_id": UNIFORM, "region": UNIFORM}),
    distribution_value("2026-03-01T11:51:00Z by ANALYZE", {"customer_id": ALIKE, "region": UNIFORM}),
)
SKEW = CauseKind.DISTRIBUTION
UNFORCED = fact(f"forced plan {QUERY} {OLD}", "forced", "")
