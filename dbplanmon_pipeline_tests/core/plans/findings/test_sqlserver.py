"""Each rule on SQL Server: one plan in which it speaks, and one, as like as possible, in which it must not."""

import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.findings.registry import RULES
from dbplanmon_pipeline_tests.core.plans.findings.made_up import loops, named, predicate, ran, scan, select
from dbplanmon_pipeline_tests.core.plans.findings.made_up_sqlserver import (
    FEW_WISH,
    HASH_SPILL,
    SPILL,
    WISH,
    called,
    converting,
    cursor,
    filtered,
    function_scan,
    granted,
    late,
    looked_up,
    merged,
    misjudged,
    parallel,
    sniffed,
    sorted_plan,
    spool,
    statistics,
    variables,
    waited,
    warned,
    wishing,
)
from dbplanmon_pipeline_tests.core.plans.showplans import element, relop


def overestimated(granted_kb):
    """The server itself calls the grant too large."""
    told = {"GrantedMemory": granted_kb, "MaxUsedMemory": 16}
    warning = element("MemoryGrantWarning", GrantWarningKind="Excessive Grant", **told)
    return select(warned(warning), element("MemoryGrantInfo", **told), scan(cost=100.0))


CASES = [
    ("missing-index", wishing(WISH), wishing(FEW_WISH)),
    ("missing-index", wishing(WISH), wishing(WISH.replace("[Shop]", "[msdb]"))),
    ("implicit-conversion-seek", converting("Seek Plan"), converting("Cardinality Estimate")),
    ("implicit-conversion-estimate", converting("Cardinality Estimate"), converting("Cardinality Estimate", cost=0.1)),
    (
        "non-sargable-predicate",
        select(
            scan(text="datepart(year,[Shop].[dbo].[Orders].[At] as [o].[At])=(2026)", cost=9.0, TableCardinality=9e5)
        ),
        select(
            scan(text="[Shop].[dbo].[Orders].[At] as [o].[At]>=dateadd(day,(1),[@at])", cost=9.0, TableCardinality=9e5)
        ),
    ),
    ("unmatched-indexes", select(warned(UnmatchedIndexes=1), scan()), select(warned(SpatialGuess=1), scan())),
    ("scan-filters-most-rows", filtered(40), filtered(400_000)),
    ("scan-filters-most-rows", filtered(40), filtered(40, Storage="ColumnStore")),
    ("index-filters-most-rows", filtered(40, physical="Index Seek"), filtered(40, read=900, physical="Index Seek")),
    ("key-lookup", looked_up(50_000), looked_up(50)),
    ("rid-lookup", looked_up(50_000, "RID Lookup", 0), looked_up(50_000)),
    (
        "backward-scan",
        select(scan(rows=90_000, cost=100.0, ScanDirection="BACKWARD")),
        select(scan(rows=90_000, cost=100.0, ScanDirection="FORWARD")),
    ),
    ("late-filter", late(500_000, 10), late(500_000, 400_000)),
    (
        "no-join-predicate",
        select(loops(scan(rows=300), scan(rows=40), beside=warned(NoJoinPredicate=1))),
        select(loops(scan(rows=1), scan(rows=40), beside=warned(NoJoinPredicate=1))),
    ),
    (
        "nested-loops-many-rows",
        select(loops(scan(cost=1.0), scan("Lines", EstimateRebinds=400_000, cost=90.0), cost=100.0)),
        select(loops(scan(cost=1.0), scan("Lines", EstimateRebinds=400, cost=90.0), cost=100.0)),
    ),
    ("nested-loops-underestimated", misjudged(10, 50_000), misjudged(40_000, 50_000)),
    ("many-to-many-merge", merged(1), merged(0)),
    ("sort-on-disk", sorted_plan(*SPILL), sorted_plan()),
    (
        "hash-on-disk",
        sorted_plan(*HASH_SPILL, physical="Hash Match", detail="Hash"),
        sorted_plan(physical="Hash Match", detail="Hash"),
    ),
    (
        "exchange-spill",
        sorted_plan(SPILL[0], physical="Parallelism", detail="Parallelism"),
        sorted_plan(physical="Parallelism", detail="Parallelism"),
    ),
    (
        "memory-grant-too-large",
        granted(GrantedMemory=900_000, MaxUsedMemory=2_000),
        granted(GrantedMemory=900_000, MaxUsedMemory=700_000),
    ),
    ("memory-grant-too-large", overestimated(20_480), overestimated(1_024)),
    (
        "memory-grant-too-small",
        select(
            warned(element("MemoryGrantWarning", GrantWarningKind="Used More Than Granted", GrantedMemory=1024)), scan()
        ),
        select(warned(element("MemoryGrantWarning", GrantWarningKind="Excessive Grant", GrantedMemory=1024)), scan()),
    ),
    ("memory-grant-wait", granted(GrantedMemory=1024, GrantWaitTime=7), granted(GrantedMemory=1024, GrantWaitTime=0)),
    (
        "eager-table-spool",
        spool("Table Spool", "Eager Spool", filled=90_000),
        spool("Table Spool", "Lazy Spool", filled=90_000),
    ),
    ("eager-index-spool", spool("Index Spool", "Eager Spool"), spool("Index Spool", "Lazy Spool")),
    (
        "spool-replayed",
        spool("Table Spool", "Lazy Spool", EstimateRewinds=5_000, rows=500),
        spool("Table Spool", "Lazy Spool", EstimateRewinds=5, rows=500),
    ),
    (
        "subplan-per-row",
        select(
            relop(
                "Compute Scalar",
                scan(cost=1.0),
                element("Subquery", scan("Lines", EstimateRebinds=9_000, cost=90.0)),
                detail="ComputeScalar",
                cost=100.0,
            )
        ),
        select(relop("Compute Scalar", scan(cost=1.0), detail="ComputeScalar", cost=100.0)),
    ),
    ("scalar-function", called("[Shop].[dbo].[Price]"), called("")),
    ("scalar-function", called("[Shop].[dbo].[Price]"), called("[Shop].[dbo].[Price]", cost=0.2)),
    (
        "remote-query",
        select(relop("Remote Query", detail="RemoteQuery", RemoteSource="far", rows=50_000, cost=100.0)),
        select(relop("Remote Query", detail="RemoteQuery", RemoteSource="far", rows=5, cost=0.1), cost=0.1),
    ),
    ("cursor-kind", cursor("Dynamic", "Dynamic"), cursor("FastForward")),
    ("row-estimate-off", misjudged(10, 50_000), misjudged(40_000, 50_000)),
    ("row-estimate-off", misjudged(10, 50_000), select(scan(rows=10, beside=ran(50_000), cost=100.0))),
    ("function-scan-estimate", function_scan(100, came=80_000), function_scan(100, came=120)),
    (
        "function-scan-estimate",
        function_scan(1),
        function_scan(1).replace('Schema="[dbo]" Table="[Parts]"', 'Table="[P]"'),
    ),
    (
        "table-variable",
        select(loops(scan("@ids"), scan("Lines"), cost=100.0)),
        select(loops(scan("#ids"), scan("Lines"), cost=100.0)),
    ),
    (
        "row-goal",
        select(scan(rows=1, cost=80.0, EstimateRowsWithoutRowGoal=500_000)),
        select(scan(rows=400_000, cost=80.0, EstimateRowsWithoutRowGoal=500_000)),
    ),
    ("stale-statistics", statistics(5_000), statistics(50)),
    (
        "missing-statistics",
        select(warned(element("ColumnsWithNoStatistics", element("ColumnReference", Table="[T]", Column="c"))), scan()),
        select(scan()),
    ),
    ("parameter-sniffing", sniffed("(1)", "(9)"), sniffed("(9)", "(9)")),
    ("parameter-sniffing", sniffed("(1)", "(9)"), sniffed("?", "(9)")),
    ("parameter-sniffing", sniffed("(1)", "(9)"), sniffed("(1)", "(9)", came=12)),
    ("local-variables", variables("@other"), variables("@id", "@other")),
    ("local-variables", variables("@other"), variables("@other", text="select 1 option (recompile)")),
    (
        "optimize-for-unknown",
        select(scan(cost=9.0), text="select 1 option (optimize for (@a unknown))"),
        select(scan(cost=9.0), text="select 1 option (optimize for (@a = 1))"),
    ),
    (
        "old-cardinality-estimator",
        select(scan(cost=9.0), plan={"CardinalityEstimationModelVersion": 70}),
        select(scan(cost=9.0), plan={"CardinalityEstimationModelVersion": 160}),
    ),
    (
        "optimizer-gave-up",
        select(scan(), StatementOptmEarlyAbortReason="TimeOut"),
        select(scan(), StatementOptmEarlyAbortReason="GoodEnoughPlanFound"),
    ),
    (
        "hinted-plan",
        select(scan(), text="select a from t join u on t.a = u.a option (loop join, maxdop 2)"),
        select(scan(), text="select a from t join u on t.a = u.a -- no hash join please"),
    ),
    ("forced-access", select(scan(ForcedIndex=1)), select(scan(ForcedIndex=0))),
    (
        "serial-plan",
        select(scan(), plan={"NonParallelPlanReason": "TSQLUserDefinedFunctionsNotParallelizable"}),
        select(scan(), plan={"NonParallelPlanReason": "CouldNotGenerateValidParallelPlan"}),
    ),
    (
        "serial-plan",
        select(scan(), element("QueryTimeStats", ElapsedTime=5_000), plan={"NonParallelPlanReason": "NoParallelX"}),
        select(scan(), element("QueryTimeStats", ElapsedTime=500), plan={"NonParallelPlanReason": "NoParallelX"}),
    ),
    ("waited-most", waited("LCK_M_S", 700), waited("LCK_M_S", 300)),
    ("waited-most", waited("ASYNC_NETWORK_IO", 700), waited("CXPACKET", 700)),
    ("waited-most", waited("WRITELOG", 700), waited("EXECSYNC", 700)),
    ("waited-most", waited("OLEDB", 700), waited("OLEDB", 700, workers=4)),
    (
        "slow-compilation",
        select(scan(), plan={"CompileTime": 2_300}),
        select(scan(), plan={"CompileTime": 230}),
    ),
    ("parallel-skew", parallel(90_000, 100, 100, 100), parallel(25_000, 21_000, 22_000, 23_000)),
]


@pytest.mark.parametrize(
    ("slug", "speaks", "silent"), CASES, ids=[f"{number}-{case[0]}" for number, case in enumerate(CASES)]
)
def test_a_rule_speaks_where_it_should_and_only_there(slug, speaks, silent):
    assert named(slug, speaks)
    assert not named(slug, silent)


def test_every_rule_for_sql_server_is_tried():
    assert {rule.slug for rule in RULES if Engine.SQLSERVER in rule.engines} == {case[0] for case in CASES}


def test_a_finding_names_its_operator_its_numbers_and_what_to_do():
    (found,) = named("scan-filters-most-rows", filtered(40))
    assert (found.node, found.operator) == (0, "Clustered Index Scan on dbo.Orders")
    assert found.text == "Clustered Index Scan on dbo.Orders looks at 1,000,000 rows and keeps 40 (0.004 %)"
    assert [(one.name, one.value, one.unit) for one in found.measures] == [
        ("rows_read", 1_000_000.0, "rows"),
        ("rows_kept", 40.0, "rows"),
    ]
    assert (found.weight, found.share) == ("high", 1.0)
    assert found.advice


def test_a_spill_tells_how_much_was_written():
    (found,) = named("sort-on-disk", sorted_plan(*SPILL))
    assert found.text == "Sort sorted through tempdb: 6,400 pages written (50 MB), level 2"


def test_an_index_built_in_each_execution_names_its_columns():
    (found,) = named("eager-index-spool", spool("Index Spool", "Eager Spool"))
    assert found.text.endswith(
        "of dbo.Lines are copied into an index that lives for one execution only, searched by Lines.OrderId"
    )


def test_a_name_at_the_begin_of_a_sentence_keeps_its_case():
    (found,) = named("scalar-function", called("[Shop].[dbo].[Price]"))
    assert found.sentence == "dbo.Price runs row by row, and its cost is not in the estimates."
    (found,) = named("memory-grant-wait", granted(GrantedMemory=1024, GrantWaitTime=7))
    assert found.sentence == "It waited 7 s for its memory grant before it could begin."


def test_what_the_edition_forbids_is_not_blamed_on_the_statement():
    plan = {"NonParallelPlanReason": "NoParallelPlansInDesktopOrExpressEdition"}
    (found,) = named("serial-plan", select(scan(), plan=plan))
    assert (found.weight, found.advice) == ("low", "Only another edition of the server has more for it.")


def test_a_wait_for_memory_is_as_long_as_the_grant_says():
    wait = element("Warnings", element("Wait", WaitType="Memory Grant", WaitTime=58))
    grant = element("MemoryGrantInfo", GrantedMemory=1024, GrantWaitTime=0)
    assert named("memory-grant-wait", select(wait, grant, scan())) == []
    (found,) = named("memory-grant-wait", select(wait, scan()))
    assert "58 s" in found.text


def test_a_filter_on_a_columnstore_is_no_late_one():
    read = scan(physical="Clustered Index Scan", rows=500_000, cost=90.0, Storage="ColumnStore")
    (found,) = named("late-filter", select(relop("Filter", predicate("a like b"), read, detail="Filter", rows=10)))
    assert found.text.endswith("keeps 10, above the scan of dbo.Orders")
    assert (found.weight, "HAVING" in found.advice) == ("low", False)


def test_values_of_parameters_are_never_told():
    (found,) = named("parameter-sniffing", sniffed("N'secret-one'", "N'secret-two'"))
    assert "secret" not in repr(found)
    assert "@id" in found.text


def test_statistics_come_with_the_statement_that_updates_them():
    (found,) = named("stale-statistics", statistics(5_000))
    assert found.script == "UPDATE STATISTICS [dbo].[Orders] [IX_State];"


def without_statistics(kind, *columns):
    references = [
        element("ColumnReference", Schema=schema, Table=name, Column=column) for schema, name, column in columns
    ]
    return select(warned(element(kind, *references)), scan())


def test_columns_without_statistics_come_with_the_statements_that_make_them():
    columns = [("[dbo]", "[Orders]", "Total"), ("[dbo]", "[Orders]", "a]b"), ("[sales]", "[Lines]", "Price")]
    (found,) = named("missing-statistics", without_statistics("ColumnsWithNoStatistics", *columns))
    assert found.text == "there are no statistics on Orders.Total, Orders.a]b, Lines.Price, so rows are guessed"
    assert found.script == (
        "CREATE STATISTICS [ST_Orders_Total] ON [dbo].[Orders] ([Total]);\n"
        "CREATE STATISTICS [ST_Orders_a]]b] ON [dbo].[Orders] ([a]]b]);\n"
        "CREATE STATISTICS [ST_Lines_Price] ON [sales].[Lines] ([Price]);"
    )


@pytest.mark.parametrize(
    "said", [{"Table": "[#t]"}, {"Table": "[@t]"}, {"Table": "[T]", "Server": "[far]"}, {}], ids=str
)
def test_no_statistics_are_made_where_none_can_be(said):
    warning = warned(element("ColumnsWithNoStatistics", element("ColumnReference", Column="c", **said)))
    (found,) = named("missing-statistics", select(warning, scan()))
    assert found.script == ""


def test_columns_that_the_server_calls_stale_name_their_table_and_its_update():
    plan = without_statistics("ColumnsWithStaleStatistics", ("[dbo]", "[Orders]", "Total"), ("[dbo]", "[Orders]", "At"))
    (found,) = named("stale-statistics", plan)
    assert found.text == "the server itself calls the statistics on dbo.Orders.Total, dbo.Orders.At stale"
    assert found.script == "UPDATE STATISTICS [dbo].[Orders];"


def test_a_wait_is_told_with_what_it_is_for_and_how_much_of_the_time_it_took():
    (found,) = named("waited-most", waited("LCK_M_S", 700))
    assert found.text == "it waited 700 ms for locks of others (LCK_M_S), of 1,000 ms in all"
    assert (found.share, found.weight, found.subject) == (0.7, "high", "LCK_M_S")


@pytest.mark.parametrize("text", ["OPTION (FAST secret)", "option (optimize for (@secret unknown))"])
def test_a_string_that_looks_like_a_hint_is_none(text):
    plan = select(scan(), text=f"select a from t where b = '{text}'")
    assert not named("hinted-plan", plan)
    assert not named("optimize-for-unknown", plan)


def test_a_hint_is_told_without_its_number():
    (found,) = named("hinted-plan", select(scan(), text="select a from t option (fast 4711, maxdop 2)"))
    assert found.text == "the plan is bound by FAST, MAXDOP"


def test_a_string_that_looks_like_a_variable_is_none():
    parameters = element("ParameterList", element("ColumnReference", Column="@id", ParameterDataType="int"))
    plan = select(parameters, scan(text="[o].[Id]=[@id] AND [o].[Name]='[@secret]'", cost=100.0))
    assert not named("local-variables", plan)


def test_a_loop_over_loops_names_the_tables_below():
    inner = loops(scan("Lines", cost=20.0), scan("Parts", cost=20.0), EstimateRebinds=400_000, cost=80.0)
    (found,) = named("nested-loops-many-rows", select(loops(scan(cost=1.0), inner, cost=100.0)))
    assert found.text.endswith("runs Nested Loops over dbo.Lines and dbo.Parts 400,001 times")


def test_estimates_near_one_are_told_in_the_singular():
    (found,) = named("row-estimate-off", misjudged(1.0003, 50_000))
    assert "where 1 was expected" in found.text


def test_a_pattern_that_begins_with_a_wildcard_is_not_sent_to_an_index():
    condition = "[o].[State] like N'%x%'"
    (found,) = named("scan-filters-most-rows", filtered(40).replace("[o].[State]=[@s]", condition))
    assert "full-text search" in found.advice
    (other,) = named("scan-filters-most-rows", filtered(40).replace("[o].[State]=[@s]", "[o].[State] like N'x%'"))
    assert "Give the filter an index" in other.advice
