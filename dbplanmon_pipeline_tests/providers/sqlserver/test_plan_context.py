"""Indexes and rows of the tables of a plan: what the catalogue says, and silence where it says nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.model import CapturedPlan, Engine
from dbplanmon_pipeline.core.remedies.index_ddl import index_scripts
from dbplanmon_pipeline.providers.sqlserver.index_definitions import LONGEST_FILTER
from dbplanmon_pipeline.providers.sqlserver.plan_context import (
    MOST_INDEXES,
    MOST_TABLES,
    PlanContexts,
    TableIndexes,
    context_of,
    table_names,
)
from dbplanmon_pipeline.providers.sqlserver.source import Source
from dbplanmon_pipeline_tests.core.plans.showplans import relop, showplan, statement, table
from dbplanmon_pipeline_tests.providers.sqlserver.index_catalogue import IndexCatalogue
from dbplanmon_pipeline_tests.providers.sqlserver.pretended import NOW
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import session_to
from dbplanmon_pipeline_tests.providers.sqlserver.recorded import Cached, Recorded, keys_of, pretending, reader_to, sent
from dbplanmon_pipeline_tests.support.hourglass import Hourglass
from dbplanmon_pipeline_tests.support.tds import Delay, TdsServer
from dbplanmon_pipeline_tests.support.tsql_parsers import unparsable


def reading(*tables, index="ix"):
    trees = "".join(statement(relop("Index Seek", table(name, index))) for name in tables)
    return CapturedPlan(1, 2, "showplan", showplan(trees), "estimated", context={"engine": "sqlserver"})


def contexts_of(*plans, catalogue, driver=None, redact=True, denied=None, database="Shop"):
    """Contexts of these plans, and how often the server was asked."""
    pretended = pretending(catalogue, denied=denied or {})
    with TdsServer(pretended.handler()) as server, session_to(server, driver) as session:
        found = PlanContexts(session, database, redact=redact).added_to(plans)
        return [plan.context for plan in found], sent(server, "table_indexes")


def definition(driver=None, *, redact=True, **index):
    """What is told of one index on `dbo.Orders`."""
    catalogue = IndexCatalogue().table("Orders").index("ix", **index)
    ((context,), _) = contexts_of(reading("Orders"), catalogue=catalogue, driver=driver, redact=redact)
    return context["indexes"]["ix on dbo.Orders"]


def test_a_context_has_all_indexes_of_the_tables_of_a_plan(driver):
    catalogue = (
        IndexCatalogue()
        .table("Orders", rows=(70, 30))
        .index("PK", clustered=True, unique=True, owner="PRIMARY KEY")
        .index("ix", keys=("b DESC", "a"), include=("c",))
        .table("Other")
        .index("ix")
    )
    ((context,), asked) = contexts_of(reading("Orders"), catalogue=catalogue, driver=driver)
    assert context == {
        "engine": "sqlserver",
        "database": "sql1/shop",
        "read_at": NOW.isoformat(),
        "indexes": {
            "PK on dbo.Orders": "ALTER TABLE [dbo].[Orders] ADD CONSTRAINT [PK] PRIMARY KEY CLUSTERED ([a])",
            "ix on dbo.Orders": "CREATE NONCLUSTERED INDEX [ix] ON [dbo].[Orders] ([b] DESC, [a]) INCLUDE ([c])",
        },
        "tables": {"dbo.Orders": {"rows": 100}},
    }
    assert asked == 1


def test_indexes_of_one_name_on_two_tables_are_told_apart(driver):
    catalogue = IndexCatalogue().table("Orders").index("ix", keys=("a",)).table("Lines").index("ix", keys=("b",))
    ((context,), asked) = contexts_of(reading("Orders", "Lines"), catalogue=catalogue, driver=driver)
    assert {name: text.partition(" ON ")[2] for name, text in context["indexes"].items()} == {
        "ix on dbo.Orders": "[dbo].[Orders] ([a])",
        "ix on dbo.Lines": "[dbo].[Lines] ([b])",
    }
    assert asked == 1


@pytest.mark.parametrize(
    ("index", "told"),
    [
        ({}, "CREATE NONCLUSTERED INDEX [ix] ON [dbo].[Orders] ([a])"),
        ({"unique": True, "clustered": True}, "CREATE UNIQUE CLUSTERED INDEX [ix] ON [dbo].[Orders] ([a])"),
        ({"owner": "UNIQUE"}, "ALTER TABLE [dbo].[Orders] ADD CONSTRAINT [ix] UNIQUE NONCLUSTERED ([a])"),
        (
            {"where": "([a] IS NOT NULL)"},
            "CREATE NONCLUSTERED INDEX [ix] ON [dbo].[Orders] ([a]) WHERE ([a] IS NOT NULL)",
        ),
        ({"where": "([a]='se''cret')"}, "CREATE NONCLUSTERED INDEX [ix] ON [dbo].[Orders] ([a]) WHERE ([a]=?)"),
        ({"keys": ("a]b",)}, "CREATE NONCLUSTERED INDEX [ix] ON [dbo].[Orders] ([a]]b])"),
        ({"disabled": True}, "-- disabled: CREATE NONCLUSTERED INDEX [ix] ON [dbo].[Orders] ([a])"),
        ({"kind": 5}, "-- CLUSTERED COLUMNSTORE INDEX [ix] ON [dbo].[Orders]"),
        ({"kind": 99}, "-- INDEX of another kind [ix] ON [dbo].[Orders]"),
        ({"hidden": True}, "-- INDEX [ix] ON [dbo].[Orders]"),
        ({"where": "x" * (LONGEST_FILTER + 9)}, "-- INDEX [ix] ON [dbo].[Orders]"),
    ],
)
def test_an_index_is_told_as_the_statement_that_makes_it_or_as_a_comment(index, told):
    assert definition(**index) == told


def test_what_is_told_of_a_filtered_index_is_t_sql_and_gives_scripts():
    told = definition(redact=False, where="([a]='x')", include=("b",), unique=True)
    assert unparsable(told) == []
    scripts = index_scripts(told, Engine.SQLSERVER)
    assert scripts.create == f"{told};"
    assert scripts.drop == "DROP INDEX [ix] ON [dbo].[Orders];"


@pytest.mark.parametrize("kind", [5, 99])
def test_a_comment_gives_no_scripts(kind):
    assert index_scripts(definition(kind=kind), Engine.SQLSERVER) is None


def test_a_table_the_login_may_not_see_is_unknown_and_one_without_indexes_is_not(driver):
    catalogue = IndexCatalogue().table("Heap", rows=(5,))
    found, _ = contexts_of(reading("Orders"), reading("Orders", "Heap"), catalogue=catalogue, driver=driver)
    assert found[0] == {"engine": "sqlserver"}
    assert (found[1]["indexes"], found[1]["tables"]) == ({}, {"dbo.Heap": {"rows": 5}})


def test_a_hypothetical_index_serves_no_plan():
    catalogue = IndexCatalogue().table("Orders").index("ix", hypothetical=True)
    ((context,), _) = contexts_of(reading("Orders"), catalogue=catalogue)
    assert context["indexes"] == {}


@pytest.mark.parametrize("number", [229, 297, 300])
def test_where_the_catalogue_may_not_be_read_plans_come_without_a_context(driver, number):
    catalogue = IndexCatalogue().table("Orders").index("ix")
    plan = reading("Orders")
    found, asked = contexts_of(plan, catalogue=catalogue, driver=driver, denied={"sys.indexes": number})
    assert (found, asked) == ([plan.context], 1)


def test_a_context_that_takes_too_long_costs_no_plan():
    store = Recorded().plan(1, xml=reading("Orders").body).ran(1, 5)
    handler = pretending(store, IndexCatalogue().table("Orders").index("ix")).handler()

    def sluggish(request):
        if "index_columns" not in request.sql:
            return handler(request)
        time_left.leave(0.0)
        return Delay(30.0, handler(request))

    time_left = Hourglass()
    with TdsServer(sluggish) as server, reader_to(server, time_left=time_left.budget) as reader:
        (plan,) = reader.read_plans(keys_of(reader.read_counters()))
    assert (plan.plan_hash, "indexes" in plan.context) == (1001, False)


def test_plans_of_query_store_and_of_the_cache_have_contexts(driver):
    body = reading("Orders").body
    catalogue = IndexCatalogue().table("Orders").index("ix")
    cached = Cached().statement(1, 5, age=timedelta(hours=1))
    cached.rows["sys.dm_exec_text_query_plan"][0]["query_plan"] = body
    for source, store in {
        Source.QUERY_STORE: Recorded().plan(1, xml=body).ran(1, 5),
        Source.PLAN_CACHE: cached,
    }.items():
        with (
            TdsServer(pretending(store, catalogue).handler()) as server,
            reader_to(server, driver, source=source) as reader,
        ):
            (plan,) = reader.read_plans(keys_of(reader.read_counters()))
        assert list(plan.context["indexes"]) == ["ix on dbo.Orders"]


def test_tables_of_other_databases_and_temporary_ones_are_left_out():
    assert table_names(reading("Orders", "#t", "@v"), "sHOP") == (("dbo", "Orders"),)
    assert table_names(reading("Orders"), "elsewhere") == ()
    assert table_names(CapturedPlan(1, 0, reason="no plan: gone"), "Shop") == ()


def test_a_plan_of_many_tables_names_some_of_them_and_a_huge_one_none():
    assert len(table_names(reading(*(f"t{number}" for number in range(30))), "Shop")) == MOST_TABLES
    plan = reading("Orders")
    assert table_names(replace(plan, body=plan.body + " " * 2_000_000), "Shop") == ()


def test_no_statement_is_sent_where_no_plan_names_a_table():
    assert contexts_of(CapturedPlan(1, 0, reason="no plan: gone"), catalogue=IndexCatalogue()) == ([{}], 0)


def test_a_table_beyond_the_bounds_is_left_out_whole():
    many = TableIndexes(NOW, 1, {f"ix{number}": "x" for number in range(MOST_INDEXES)})
    few = TableIndexes(NOW, 1, {"one": "x"})
    found = context_of([("dbo", "a"), ("dbo", "b")], {("dbo", "a"): few, ("dbo", "b"): many})
    assert (list(found["indexes"]), list(found["tables"])) == (["one on dbo.a"], ["dbo.a"])


def test_of_more_columns_than_are_read_at_once_the_last_table_is_unknown(monkeypatch):
    monkeypatch.setattr("dbplanmon_pipeline.providers.sqlserver.plan_context.MOST_ROWS", 3)
    catalogue = (
        IndexCatalogue().table("Orders").index("ix", keys=("a", "b")).table("Lines").index("ix", keys=("a", "b"))
    )
    ((context,), _) = contexts_of(reading("Orders", "Lines"), catalogue=catalogue)
    assert list(context["tables"]) == ["dbo.Orders"]
