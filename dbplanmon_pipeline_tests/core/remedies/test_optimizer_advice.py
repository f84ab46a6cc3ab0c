from dataclasses import replace

import pytest
import sqlfluff

from dbplanmon_pipeline.core.model import CapturedPlan, Engine
from dbplanmon_pipeline.core.remedies.optimizer_advice import advised_by_optimizer
from dbplanmon_pipeline.core.remedies.remediation import suggest
from dbplanmon_pipeline_tests.core.incidents.known_incidents import NOW, PLAN_REGRESSION
from dbplanmon_pipeline_tests.core.plans.showplans import element, relop, showplan, statement, table


def captured(*inner):
    scan = relop("Clustered Index Scan", table("Orders", "PK_Orders"), TableCardinality=100_000)
    return CapturedPlan(0xAB, 1, "showplan", showplan(statement(*inner, scan)))


def statistics(changed=0, updated="2026-03-01T02:00:00.12", sample=100, relation="[Orders]"):
    info = element(
        "StatisticsInfo",
        Schema="[dbo]",
        Table=relation,
        Statistics="[IX]",
        ModificationCount=changed,
        SamplingPercent=sample,
        LastUpdate=updated,
    )
    return captured(element("OptimizerStatsUsage", info))


def wish(impact=97.4, relation="[Orders]", column="[Cust]"):
    groups = [
        element("ColumnGroup", element("Column", Name=name), Usage=usage)
        for usage, name in (("EQUALITY", column), ("INEQUALITY", "[Day]"), ("INCLUDE", "[Total]]Sum]"))
    ]
    index = element("MissingIndex", *groups, Database="[Shop]", Schema="[dbo]", Table=relation)
    return element("MissingIndexGroup", index, Impact=impact)


def wishing(*wishes):
    return captured(element("MissingIndexes", *wishes))


def advised(old, new):
    return list(advised_by_optimizer("Shop", old, new))


def test_stale_statistics_of_the_present_plan_are_refreshed_at_low_risk():
    (found,) = advised(None, statistics(changed=40_000))
    assert (found.kind, found.risk, found.undo_script) == ("refresh_statistics", "low", "")
    assert found.script == "USE [Shop];\nUPDATE STATISTICS [dbo].[Orders] [IX];"
    assert "40,000 rows of dbo.Orders" in found.rationale


def test_statistics_sampled_between_the_two_plans_are_read_in_full():
    old, new = statistics(), statistics(updated="2026-03-02T02:00:00", sample=0.86)
    (found,) = advised(old, new)
    assert (found.risk, found.script) == (
        "medium",
        "USE [Shop];\nUPDATE STATISTICS [dbo].[Orders] [IX] WITH FULLSCAN;",
    )
    assert "a sample of 0.86 %" in found.rationale
    assert "before: all rows, at 2026-03-01 02:00:00" in found.rationale


def test_fresh_statistics_of_all_rows_and_old_samples_are_left_alone():
    sampled = statistics(sample=2)
    assert advised(statistics(), statistics(updated="2026-03-02T02:00:00")) == []
    assert advised(sampled, sampled) == []
    assert advised(None, sampled) == []


def test_temporary_tables_get_no_advice():
    assert advised(None, statistics(changed=40_000, relation="[#tmp]")) == []
    assert advised(None, wishing(wish(relation="[#tmp]"))) == []


def test_an_index_the_present_plan_misses_is_written_out():
    (found,) = advised(captured(), wishing(wish()))
    assert (found.kind, found.risk) == ("create_index", "medium")
    assert found.script == (
        "USE [Shop];\n"
        "CREATE NONCLUSTERED INDEX [IX_Orders_Cust_Day] ON [dbo].[Orders] ([Cust], [Day]) INCLUDE ([Total]]Sum]);"
    )
    assert found.undo_script == "USE [Shop];\nDROP INDEX [IX_Orders_Cust_Day] ON [dbo].[Orders];"
    assert "97 %" in found.rationale
    sqlfluff.parse(found.script.replace("]]", ""), dialect="tsql")


def test_a_wish_the_former_plan_had_too_explains_nothing():
    assert advised(wishing(wish()), wishing(wish())) == []


def test_scripts_name_the_database_of_the_incident_as_tenants_share_plans():
    (found,) = advised_by_optimizer("Tenant 7", None, wishing(wish()))
    assert found.script.startswith("USE [Tenant 7];")


def test_a_plan_over_several_databases_gets_no_script():
    foreign = relop("Index Seek", element("Object", Database="[Archive]", Schema="[dbo]", Table="[Orders]"))
    joined = relop("Nested Loops", foreign, relop("Index Seek", table("Orders")), logical="Inner Join")
    body = showplan(statement(element("MissingIndexes", wish()), joined))
    assert advised(None, CapturedPlan(1, 1, "showplan", body)) == []


def test_only_the_two_most_promising_wishes_are_passed_on():
    new = wishing(*(wish(impact, column=f"[C{impact}]") for impact in (40, 60, 99, 80)))
    assert [one.script.split("(")[1].split(",")[0] for one in advised(None, new)] == ["[C99]", "[C80]"]


def test_index_names_stay_within_the_limit_of_the_engine():
    (found,) = advised(None, wishing(wish(column=f"[{'c' * 200}]")))
    name = found.undo_script.split("[")[2].split("]")[0]
    assert len(name) == 128


def test_plans_of_another_engine_or_unreadable_ones_give_nothing():
    assert advised(None, CapturedPlan(1, 1, "pgjson", '[{"Plan": {"Node Type": "Seq Scan"}}]')) == []
    assert advised(None, CapturedPlan(1, 1, "showplan", "<x/>")) == []
    assert advised(captured(), None) == []


def test_the_suggestions_of_an_incident_come_surest_first():
    stale = element("StatisticsInfo", Schema="[dbo]", Table="[Orders]", Statistics="[IX]", ModificationCount=90_000)
    new = captured(element("OptimizerStatsUsage", stale), element("MissingIndexes", wish()))
    found = suggest(PLAN_REGRESSION, old=captured(), new=new, statement=None, dialect=Engine.SQLSERVER, now=NOW)
    assert [one.kind for one in found] == ["force_plan", "refresh_statistics", "create_index"]
    assert len({one.suggestion_id for one in found}) == 3


INDEXES = "CREATE UNIQUE NONCLUSTERED INDEX [IX] ON [dbo].[Orders] ([Cust], [Day] DESC)"


def wishing_for(keys, included=()):
    groups = [
        element("ColumnGroup", *(element("Column", Name=f"[{name}]") for name in names), Usage=usage)
        for usage, names in (("EQUALITY", keys), ("INCLUDE", included))
    ]
    index = element("MissingIndex", *groups, Database="[Shop]", Schema="[dbo]", Table="[Orders]")
    return wishing(element("MissingIndexGroup", index, Impact=90))


MANY = [f"c{number}" for number in range(9)]


def test_of_a_wide_wish_the_keys_alone_are_suggested():
    (found,) = advised(None, wishing_for(["Cust"], MANY))
    assert found.script.endswith("CREATE NONCLUSTERED INDEX [IX_Orders_Cust] ON [dbo].[Orders] ([Cust]);")
    assert "It would include 9 more columns" in found.rationale


def test_of_a_wide_wish_nothing_is_suggested_where_its_keys_are_served_or_too_many():
    served = {"indexes": {"IX on dbo.Orders": "CREATE INDEX [IX] ON [dbo].[Orders] ([Cust])"}}
    assert list(advised_by_optimizer("Shop", None, wishing_for(["Cust"], MANY), served)) == []
    assert advised(None, wishing_for(MANY)) == []


def with_index(definition):
    return list(advised_by_optimizer("Shop", None, wishing(wish()), {"indexes": {"IX on dbo.Orders": definition}}))


def test_an_index_that_serves_the_wish_already_is_not_suggested_again():
    assert with_index(f"{INDEXES} INCLUDE ([Total]]Sum], [Note])") == []


def test_an_index_that_begins_alike_is_widened_in_place_and_can_be_put_back():
    (found,) = with_index(f"{INDEXES} INCLUDE ([Note])")
    assert (found.kind, found.risk) == ("create_index", "medium")
    assert found.script == f"USE [Shop];\n{INDEXES} INCLUDE ([Note], [Total]]Sum]) WITH (DROP_EXISTING = ON);"
    assert found.undo_script == f"USE [Shop];\n{INDEXES} INCLUDE ([Note]) WITH (DROP_EXISTING = ON);"
    assert "IX begins with these columns and lacks Total]Sum" in found.rationale
    sqlfluff.parse(found.script.replace("]]", ""), dialect="tsql")


@pytest.mark.parametrize(
    "definition",
    [
        f"{INDEXES} WHERE ([Open]=(1))",
        f"-- disabled: {INDEXES}",
        "CREATE CLUSTERED INDEX [IX] ON [dbo].[Orders] ([Cust], [Day])",
        "ALTER TABLE [dbo].[Orders] ADD CONSTRAINT [IX] UNIQUE NONCLUSTERED ([Cust], [Day])",
        "-- NONCLUSTERED COLUMNSTORE INDEX [IX] ON [dbo].[Orders]",
    ],
    ids=["filtered", "disabled", "clustered", "constraint", "columnstore"],
)
def test_an_index_that_cannot_be_widened_leaves_the_wish_as_it_is(definition):
    (found,) = with_index(definition)
    assert "[IX_Orders_Cust_Day]" in found.script


def test_indexes_of_another_tenant_do_not_count():
    served = {"indexes": {"IX on dbo.Orders": f"{INDEXES} INCLUDE ([Total]]Sum])"}, "tables": {"dbo.Orders": {}}}
    read = {"read_at": NOW.isoformat()}
    new, kinds = wishing(wish()), {}
    for database in ("prod/Shop", "prod/another"):
        context = served | read | {"database": database}
        incident = replace(PLAN_REGRESSION, instance="prod", database="Shop")
        told = suggest(
            incident,
            old=None,
            new=replace(new, context=context),
            statement=None,
            dialect=Engine.SQLSERVER,
            now=NOW,
        )
        kinds[database] = "create_index" in {one.kind for one in told}
    assert kinds == {"prod/Shop": False, "prod/another": True}


@pytest.mark.parametrize(
    ("included", "kinds"),
    [(", [Total]]Sum]", ["recreate_index"]), ("", ["recreate_index", "create_index"])],
    ids=["serves the wish", "serves a part of it"],
)
def test_an_index_that_is_brought_back_is_not_wished_for_beside_it(included, kinds):
    lost = f"CREATE NONCLUSTERED INDEX [IX] ON [dbo].[Orders] ([Cust], [Day]{included})"
    seek = relop("Index Seek", table("Orders", "IX"))
    old = CapturedPlan(0xAB, 1, "showplan", showplan(statement(seek)), context={"indexes": {"IX on dbo.Orders": lost}})
    read = {"database": "prod/Shop", "read_at": NOW.isoformat()}
    now_there = {"indexes": {}, "tables": {"dbo.Orders": {"rows": 9}}}
    new = replace(wishing(wish()), context=now_there | read)
    incident = replace(PLAN_REGRESSION, instance="prod", database="Shop")
    told = suggest(incident, old=old, new=new, statement=None, dialect=Engine.SQLSERVER, now=NOW)
    assert [one.kind for one in told if one.kind.endswith("_index")] == kinds
