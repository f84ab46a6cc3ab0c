"""What stands out in the plan of an incident, and whose plan it was before."""

from dataclasses import replace

from dbplanmon_pipeline.core.model import CapturedPlan
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION
from dbplanmon_pipeline_tests.core.plans.showplans import element, relop, showplan, statement, table
from dbplanmon_pipeline_tests.services.test_explain import Store, explained

STATE = element("Predicate", element("ScalarOperator", ScalarString="[o].[State]=[@s]"))
SEEK = relop("Index Seek", table("Orders", "IX"), cost=2.0)
SCAN = relop("Clustered Index Scan", table("Orders", "PK"), STATE, cost=90.0, TableCardinality=900_000)
WISH = element(
    "MissingIndexGroup",
    element(
        "MissingIndex",
        element("ColumnGroup", element("Column", Name="[State]"), Usage="EQUALITY"),
        Schema="[dbo]",
        Table="[Orders]",
    ),
    Impact=95,
)
INDEX = "CREATE INDEX [IX_State] ON [dbo].[Orders] ([State])"
AT = PLAN_REGRESSION.began_at.isoformat()


def body(*parts, cost):
    return showplan(statement(*parts, StatementSubTreeCost=cost, StatementOptmEarlyAbortReason="TimeOut"))


SCANNING = body(SCAN, cost=90)


def store_with(*, old=None, new=SCANNING, context=None):
    store = Store()
    store.plans = {-1: CapturedPlan(0xAB, -1, "showplan", new, context=context or {})}
    if old:
        store.plans[0xCD] = CapturedPlan(0xAB, 0xCD, "showplan", old)
    return store


def test_what_is_new_in_the_present_plan_is_told_first():
    found = explained(store_with(old=body(SEEK, cost=2)))
    assert [one.rule for one in found.new_findings] == ["scan-filters-most-rows"]
    assert [one.rule for one in found.findings] == ["optimizer-gave-up"]
    assert found.finding_lines == (
        (
            "Scan that throws most rows away: Clustered Index Scan on dbo.Orders looks at 900,000 rows and keeps 1 "
            "(0.00011 %)"
        ),
    )


def test_without_a_former_plan_nothing_is_called_new():
    found = explained(store_with())
    assert found.new_findings == ()
    assert [one.rule for one in found.findings] == ["scan-filters-most-rows", "optimizer-gave-up"]


def test_a_plan_that_stayed_has_nothing_new():
    same = replace(PLAN_REGRESSION, previous_plan_hash=PLAN_REGRESSION.plan_hash)
    found = explained(store_with(old=body(SEEK, cost=2)), incident=same)
    assert (found.new_findings, len(found.findings)) == ((), 2)


def test_a_message_tells_at_most_three():
    wishes = [WISH.replace("Orders", f"Orders{number}") for number in range(5)]
    found = explained(store_with(new=body(element("MissingIndexes", *wishes), SCAN, cost=90)))
    assert len(found.finding_lines) == 3
    assert len(found.findings) == 7


def rules_with(context):
    wished = body(element("MissingIndexes", WISH), SCAN, cost=90)
    return [one.rule for one in explained(store_with(new=wished, context=context)).findings]


def test_an_index_that_is_there_is_not_asked_for_again():
    known = {"database": "prod/Shop", "read_at": AT, "indexes": {"IX_State on dbo.Orders": INDEX}}
    assert "missing-index" not in rules_with(known)


def test_an_index_of_another_database_does_not_count():
    known = {"database": "prod/Other", "read_at": AT, "indexes": {"IX_State on dbo.Orders": INDEX}}
    assert "missing-index" in rules_with(known)
