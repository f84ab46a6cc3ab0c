from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.plans.findings.missing_indexes import existing_for, index_script, merged_wishes
from dbplanmon_pipeline.core.plans.findings.registry import findings_of
from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline.core.plans.tree import MissingIndex
from dbplanmon_pipeline_tests.core.plans.findings.made_up import loops, named, scan, select
from dbplanmon_pipeline_tests.core.plans.findings.test_sqlserver import WISH, wishing
from dbplanmon_pipeline_tests.core.plans.showplans import element, relop, table


def wish(equality=(), inequality=(), included=(), impact=50.0, relation="Orders"):
    return MissingIndex("Shop", "dbo", relation, impact, tuple(equality), tuple(inequality), tuple(included))


NONE = ("", ("CustomerId", "Total"))


def known(definition, name="IX on dbo.Orders"):
    return {"indexes": {name: definition}}


def test_wishes_with_the_same_leading_columns_become_one():
    (one,) = merged_wishes([wish("a", included="x", impact=30.0), wish("a", "b", included="y", impact=80.0)])
    assert (one.keys, one.included, one.impact_percent, one.merged) == (("a", "b"), ("y", "x"), 80.0, 2)


def test_equality_columns_change_places_to_serve_a_narrower_wish():
    (one,) = merged_wishes([wish("ab"), wish("b")])
    assert one.keys == ("b", "a")


def test_an_order_that_serves_two_wishes_is_not_changed_for_a_third():
    wishes = merged_wishes([wish("ab"), wish("b"), wish("a")])
    assert sorted(one.keys for one in wishes) == [("a",), ("b", "a")]


def test_a_range_column_stays_behind_its_equality_columns():
    wishes = merged_wishes([wish("a", "b"), wish("b")])
    assert sorted(one.keys for one in wishes) == [("a", "b"), ("b",)]


def test_wishes_for_two_tables_stay_apart():
    assert len(merged_wishes([wish("a"), wish("a", relation="Lines")])) == 2


def test_the_script_quotes_every_name():
    (one,) = merged_wishes([wish(["a]b"], ["c"], ["d"])])
    assert index_script(one) == (
        "CREATE NONCLUSTERED INDEX [IX_Orders_a]]b_c] ON [dbo].[Orders] ([a]]b], [c]) INCLUDE ([d]);"
    )


def test_no_name_is_longer_than_the_server_takes():
    (one,) = merged_wishes([wish([f"column_{number:03d}" for number in range(40)])])
    assert len(index_script(one).split("]")[0]) <= len("CREATE NONCLUSTERED INDEX [") + 128


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("CREATE INDEX [IX] ON [dbo].[Orders] ([CustomerId], [At] DESC) INCLUDE ([Total])", ("IX", ())),
        ("CREATE INDEX [IX] ON [dbo].[Orders] ([CustomerId] DESC)", ("IX", ("Total",))),
        ("CREATE INDEX [IX] ON [dbo].[Orders] ([At], [CustomerId]) INCLUDE ([Total])", NONE),
        ("-- disabled: CREATE INDEX [IX] ON [dbo].[Orders] ([CustomerId]) INCLUDE ([Total])", NONE),
        ("CREATE INDEX [IX] ON [dbo].[Orders] ([CustomerId]) INCLUDE ([Total]) WHERE ([Open]=(1))", NONE),
        ("CREATE CLUSTERED INDEX [IX] ON [dbo].[Orders] ([CustomerId])", NONE),
    ],
    ids=["covers", "begins-alike", "other-order", "disabled", "filtered", "clustered"],
)
def test_an_index_that_is_there_is_found(definition, expected):
    (one,) = merged_wishes([wish(["CustomerId"], included=["Total"])])
    found = existing_for(one, known(definition))
    assert (found.name, found.lacks(one)) == expected


def test_an_index_of_another_table_does_not_count():
    (one,) = merged_wishes([wish(["CustomerId"])])
    definition = "CREATE INDEX [IX] ON [dbo].[Lines] ([CustomerId])"
    assert existing_for(one, known(definition, "IX on dbo.Lines")).name == ""


def found_with(context):
    findings = findings_of(parse_showplan(wishing(WISH)), context)
    return [finding for finding in findings if finding.rule == "missing-index"]


def test_what_an_index_serves_already_is_not_told():
    covered = known("CREATE INDEX [IX] ON [dbo].[Orders] ([CustomerId]) INCLUDE ([Total])")
    assert not found_with(covered)


def test_an_index_that_the_plan_itself_searches_is_to_be_widened():
    prefix = element(
        "Prefix",
        element("RangeColumns", element("ColumnReference", Table="[Orders]", Column="CustomerId")),
        element("RangeExpressions", element("ScalarOperator", ScalarString="(7)")),
        ScanType="EQ",
    )
    seek = relop(
        "Index Seek",
        element("SeekPredicateNew", element("SeekKeys", prefix)),
        table("Orders", "IX_Customer").replace("<Object", '<Object IndexKind="NonClustered"'),
        cost=50.0,
    )
    (found,) = named("missing-index", select(element("MissingIndexes", WISH), seek))
    assert found.advice.startswith("The index IX_Customer begins with these columns: include Total there")


def test_an_index_that_lacks_a_column_is_to_be_widened_and_not_doubled():
    (found,) = found_with(known("CREATE INDEX [IX] ON [dbo].[Orders] ([CustomerId])"))
    assert found.script == (
        "CREATE INDEX [IX] ON [dbo].[Orders] ([CustomerId]) INCLUDE ([Total]) WITH (DROP_EXISTING = ON);"
    )
    assert found.advice.startswith("The index IX begins with these columns: include Total there")


def test_an_index_of_a_constraint_cannot_be_widened():
    unique = "ALTER TABLE [dbo].[Orders] ADD CONSTRAINT [UQ] UNIQUE NONCLUSTERED ([CustomerId])"
    (found,) = found_with(known(unique, "UQ on dbo.Orders"))
    assert found.script.startswith("CREATE NONCLUSTERED INDEX [IX_Orders_CustomerId] ON [dbo].[Orders]")


def test_an_index_is_not_widened_by_all_columns_of_a_wide_wish():
    names = [f"c{number}" for number in range(9)]
    groups = [
        element("ColumnGroup", *(element("Column", Name=f"[{name}]") for name in columns), Usage=usage)
        for usage, columns in (("EQUALITY", ["CustomerId"]), ("INCLUDE", names))
    ]
    asked = element("MissingIndex", *groups, Database="[Shop]", Schema="[dbo]", Table="[Orders]")
    plan = parse_showplan(wishing(element("MissingIndexGroup", asked, Impact=90)))
    findings = findings_of(plan, known("CREATE INDEX [IX] ON [dbo].[Orders] ([CustomerId])"))
    (found,) = [finding for finding in findings if finding.rule == "missing-index"]
    assert found.script == ""
    assert found.advice.startswith("The index IX begins with these columns: all it lacks would make it wide")


READS = scan("Orders")


def script_for(keys, included=(), reads=READS):
    groups = [
        element("ColumnGroup", *(element("Column", Name=f"[{name}]") for name in names), Usage=usage)
        for usage, names in (("EQUALITY", keys), ("INCLUDE", included))
    ]
    asked = element("MissingIndex", *groups, Database="[Shop]", Schema="[dbo]", Table="[Orders]")
    wishes = element("MissingIndexes", element("MissingIndexGroup", asked, Impact=90))
    (found,) = named("missing-index", select(wishes, reads))
    return found.script


def test_the_script_of_a_wide_wish_has_its_keys_alone():
    many = [f"c{number}" for number in range(9)]
    assert script_for(["k"], many) == "CREATE NONCLUSTERED INDEX [IX_Orders_k] ON [dbo].[Orders] ([k]);"
    assert script_for(many) == ""


@pytest.mark.parametrize(("database", "expected"), [("Shop", "[dbo]"), ("tempdb", "[dbo]"), ("Far", "[Shop].[dbo]")])
def test_the_script_names_the_database_where_a_statement_reads_several(database, expected):
    other = scan("Lines").replace("[Shop]", f"[{database}]")
    assert script_for("k", reads=loops(READS, other)) == (
        f"CREATE NONCLUSTERED INDEX [IX_Orders_k] ON {expected}.[Orders] ([k]);"
    )


def test_wishes_for_two_databases_stay_apart():
    assert len(merged_wishes([wish("a"), replace(wish("a"), database="Other")])) == 2
