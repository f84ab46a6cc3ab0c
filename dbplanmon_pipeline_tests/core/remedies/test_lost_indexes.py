"""An index is only said to be gone where the incident's own database was seen without it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.model import CapturedPlan, DatabaseRef, Engine
from dbplanmon_pipeline.core.remedies.lost_indexes import FRESH_FOR, LostIndex, lost_indexes
from dbplanmon_pipeline.core.remedies.plan_forcing import plan_forcing
from dbplanmon_pipeline.core.remedies.remediation import suggest
from dbplanmon_pipeline_tests.core.incidents.known_incidents import NOW, PLAN_REGRESSION
from dbplanmon_pipeline_tests.core.plans.showplans import relop, showplan, statement, table

HOME = str(DatabaseRef(PLAN_REGRESSION.instance, PLAN_REGRESSION.database))
IX = "CREATE NONCLUSTERED INDEX [IX] ON [dbo].[Orders] ([a])"
NAME = "IX on dbo.Orders"
READ = {"database": HOME, "read_at": PLAN_REGRESSION.began_at.isoformat(), "tables": {"dbo.Orders": {"rows": 9}}}


def plan(index, *names, tables=None, **context):
    body = showplan(statement(relop("Index Seek", table("Orders", index))))
    read = {**READ, "indexes": dict(names), **context}
    return CapturedPlan(0xAB, 0xCD, "showplan", body, context=read if tables is None else {**read, "tables": tables})


OLD, NEW = plan("IX", (NAME, IX)), plan("PK")


def names_lost(old=OLD, new=NEW, incident=PLAN_REGRESSION):
    return [(lost.name, lost.definition) for lost in lost_indexes(incident, old, new)]


def suggested(old=OLD, new=NEW):
    drafts = suggest(
        PLAN_REGRESSION, old=old, new=new, statement=None, dialect=Engine.SQLSERVER, now=NOW, facts=(), present={}
    )
    return {draft.kind.value: draft for draft in drafts}


def test_an_index_the_former_plan_used_and_the_new_context_lacks_is_lost():
    assert names_lost() == [(NAME, IX)]


@pytest.mark.parametrize(
    "new",
    [
        plan("PK", (NAME, IX)),
        plan("PK", tables={}),
        plan("PK", tables={"dbo.Other": {"rows": 1}}),
        plan("PK", database="prod/another_tenant"),
        plan("PK", read_at=(PLAN_REGRESSION.began_at - FRESH_FOR - timedelta(seconds=1)).isoformat()),
        plan("PK", read_at="long ago"),
        replace(NEW, context={"engine": "sqlserver"}),
        None,
    ],
    ids=["there", "unseen", "other table", "other tenant", "stale", "no moment", "unreadable", "not captured"],
)
def test_unknown_is_not_gone(new):
    assert names_lost(new=new) == []


def test_an_index_the_former_plan_did_not_use_is_not_lost():
    assert names_lost(old=plan("PK", (NAME, IX)), new=plan("PK", ("PK on dbo.Orders", "x"))) == []


def test_an_index_of_the_same_name_on_another_table_is_not_lost():
    new = plan("PK", (NAME, IX), tables={"dbo.Orders": {}, "dbo.Lines": {}})
    assert names_lost(old=plan("IX", (NAME, IX), ("IX on dbo.Lines", IX)), new=new) == []


def test_a_former_plan_over_several_databases_tells_nothing():
    two = showplan(
        statement(relop("Index Seek", table("Orders", "IX"))),
        statement(relop("Index Seek", table("Orders", "IX").replace("Shop", "Other"))),
    )
    assert names_lost(old=replace(OLD, body=two)) == []


def test_the_former_plan_may_be_known_from_another_tenant_and_the_suggestion_says_so():
    old = plan("IX", (NAME, IX), database="prod/another_tenant")
    assert lost_indexes(PLAN_REGRESSION, old, NEW) == [LostIndex(NAME, IX, known_from="prod/another_tenant")]
    assert "The definition is that of prod/another_tenant" in suggested(old)["recreate_index"].rationale
    assert "The definition" not in suggested()["recreate_index"].rationale


def test_a_lost_index_is_recreated_in_the_database_of_the_incident_and_the_plan_not_forced():
    found = suggested()
    assert list(found) == ["recreate_index", "review_plans"]
    assert found["recreate_index"].script == f"USE [{PLAN_REGRESSION.database}];\n{IX};"
    assert (
        found["recreate_index"].undo_script == f"USE [{PLAN_REGRESSION.database}];\nDROP INDEX [IX] ON [dbo].[Orders];"
    )
    assert f"reads the index {NAME}, which is gone" in found["review_plans"].rationale


def test_a_masked_filter_is_pointed_out():
    masked = suggested(plan("IX", (NAME, f"{IX} WHERE ([b]=?)")))["recreate_index"]
    assert "definition are masked with ?" in masked.rationale
    assert "masked" not in suggested(plan("IX", (NAME, f"{IX} WHERE ([b?] IS NULL)")))["recreate_index"].rationale


def test_a_disabled_index_is_built_anew_and_the_plan_not_forced():
    found = suggested(new=plan("PK", (NAME, f"-- disabled: {IX}")))
    assert found["recreate_index"].script.endswith("ALTER INDEX [IX] ON [dbo].[Orders] REBUILD;")
    assert found["recreate_index"].undo_script.endswith("ALTER INDEX [IX] ON [dbo].[Orders] DISABLE;")
    assert "which is disabled, so forcing it would fail" in found["review_plans"].rationale


@pytest.mark.parametrize("definition", ["", "ALTER TABLE [dbo].[Orders] ADD CONSTRAINT [IX] PRIMARY KEY ([a])"])
def test_a_lost_index_without_a_script_still_keeps_the_plan_from_being_forced(definition):
    old = plan("IX", *([(NAME, definition)] if definition else []))
    assert list(suggested(old)) == ["review_plans"]
    found = plan_forcing(PLAN_REGRESSION, old=old, new=NEW, present={})
    assert "which is gone" in found.rationale
