import itertools

import pytest

from dbplanmon_pipeline.core.plans.comparing.diff import NO_DIFFERENCE, diff_plans
from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline.core.plans.showplan.redact import redact_showplan
from dbplanmon_pipeline_tests.core.plans.showplans import (
    FOLDER,
    MISSING,
    element,
    entries,
    relop,
    showplan,
    statement,
    table,
    text_named,
    text_of,
)

FAST, SLOW = "399ce175_results_03-parameter-sniffing-fast", "13297ced_results_03-parameter-sniffing-slow"


def scan(name="Orders", index="PK_Orders", *inner, **fields):
    return relop("Clustered Index Scan", table(name, index), *inner, **fields)


def seek(name="Orders", index="IX_Cust", *inner, **fields):
    return relop("Index Seek", table(name, index), *inner, **fields)


def lookup(name="Orders", index="PK_Orders", **fields):
    return relop("Clustered Index Seek", table(name, index), Lookup=1, **fields)


def loops(outer, inner, **fields):
    return relop("Nested Loops", outer, inner, detail="NestedLoops", logical="Inner Join", **fields)


def hashed(build, probe, **fields):
    return relop("Hash Match", build, probe, detail="Hash", logical="Inner Join", **fields)


def predicate(text):
    return element("Predicate", element("ScalarOperator", ScalarString=text))


def told(old, new, *, before=None, after=None):
    """(kind, text) of every change between two plans of one statement each."""
    return differences(showplan(statement(old, **(before or {}))), showplan(statement(new, **(after or {}))))


def differences(old, new):
    return [(one.kind.value, one.text) for one in diff_plans(parse_showplan(old), parse_showplan(new)).changes]


@pytest.mark.parametrize("entry", entries())
def test_a_real_plan_does_not_differ_from_itself_nor_from_its_redacted_form(entry):
    text = text_of(entry)
    plan = parse_showplan(text)
    for other in (plan, parse_showplan(redact_showplan(text))):
        found = diff_plans(plan, other)
        assert (found.changes, found.summary) == ((), NO_DIFFERENCE)


@pytest.mark.skipif(not FOLDER.exists(), reason=MISSING)
def test_every_change_between_real_plans_has_one_line_of_words_and_no_literal():
    plans = [parse_showplan(redact_showplan(text_of(entry.values[0]))) for entry in entries()[::5]]
    texts = [one.text for old, new in itertools.pairwise(plans) for one in diff_plans(old, new).changes]
    assert len(texts) > 100
    assert all(text and "\n" not in text and "'" not in text for text in texts)


@pytest.mark.skipif(not FOLDER.exists(), reason=MISSING)
def test_the_sniffed_parameter_of_a_real_pair_reads_as_a_dba_would_tell_it():
    changes = differences(text_named(FAST), text_named(SLOW))
    assert changes[0] == (
        "access_path",
        (
            "dbo.Orders: Index Seek using IX_Orders_CustomerId and Key Lookup using PK__Orders__C3905BCF4B981A07 "
            "became Clustered Index Scan using PK_Orders"
        ),
    )
    assert ("parallelism", "parallelism: serial became parallel") in changes
    assert ("estimate", "dbo.Orders: estimated rows 40 became 666,693 (x16,667)") in changes
    assert {"work", "statistics"} <= {kind for kind, _ in changes}


@pytest.mark.skipif(not FOLDER.exists(), reason=MISSING)
def test_redaction_does_not_change_what_a_real_pair_says():
    texts = [text_named(name) for name in (FAST, SLOW)]
    assert differences(*map(redact_showplan, texts)) == differences(*texts)


def test_a_scan_that_became_a_seek_is_told():
    assert told(scan(), seek())[0] == (
        "access_path",
        "dbo.Orders: Clustered Index Scan using PK_Orders became Index Seek using IX_Cust",
    )


def test_another_index_is_told():
    assert told(seek(), seek(index="IX_Day")) == [
        ("index", "dbo.Orders: Index Seek now uses IX_Day instead of IX_Cust")
    ]


def test_a_lookup_that_came_is_told():
    assert ("access_path", "dbo.Orders: now also read by Key Lookup using PK_Orders") in told(
        seek(), loops(seek(), lookup())
    )


def test_a_join_that_became_a_hash_match_is_told():
    old, new = loops(scan("A"), scan("B")), hashed(scan("A"), scan("B"))
    assert ("join_type", "join of A and B: Nested Loops became Hash Match") in told(old, new)


def test_the_hash_table_is_built_from_the_first_input():
    old, new = hashed(scan("A"), scan("B")), hashed(scan("B"), scan("A"))
    assert ("build_side", "join of A and B: the hash table is built from B instead of A") in told(old, new)


def test_lost_parallelism_names_the_reason_of_the_engine():
    gathered = relop("Parallelism", scan(parallel=1), detail="Parallelism", logical="Gather Streams")
    after = {"plan": {"NonParallelPlanReason": "MaxDOPSetToOne"}}
    assert told(gathered, scan(), after=after) == [
        ("parallelism", "parallelism: parallel became serial, because MaxDOPSetToOne")
    ]


def test_another_degree_of_parallelism_is_told():
    gathered = relop("Parallelism", scan(parallel=1), detail="Parallelism", logical="Gather Streams")
    before, after = ({"plan": {"DegreeOfParallelism": degree}} for degree in (8, 2))
    assert told(gathered, gathered, before=before, after=after) == [("parallelism", "parallelism: degree 8 became 2")]
    assert told(scan(), scan(), before=before, after=after) == []


def test_sorts_and_spools_are_told_with_what_they_are():
    order = element("OrderBy", element("OrderByColumn", element("ColumnReference", Column="Day"), Ascending=0))
    spool = relop("Table Spool", scan(), detail="Spool", logical="Eager Spool")
    assert told(scan(), relop("Sort", spool, order, detail="Sort", logical="TopN Sort")) == [
        ("sort", "new: a Sort (TopN Sort) by Day DESC"),
        ("spool", "new: a Table Spool (Eager)"),
    ]


def test_another_way_to_aggregate_is_told():
    old = relop("Stream Aggregate", scan(), detail="StreamAggregate", logical="Aggregate")
    new = relop("Hash Match", scan(), detail="Hash", logical="Aggregate")
    assert told(old, new) == [
        ("aggregation", "aggregation: Stream Aggregate (Aggregate) became Hash Match (Aggregate)")
    ]


def test_conditions_with_other_values_and_other_numbers_of_expressions_are_equal():
    old = scan("Orders", "PK_Orders", predicate("[Shop].[dbo].[Orders].[A] as [o].[A]=(1) AND [Expr1003]=N'x'"))
    new = scan("Orders", "PK_Orders", predicate("[Shop].[dbo].[Orders].[A] as [o].[A]=(2) AND [Expr1007]=N'y'"))
    assert told(old, new) == []
    lost = scan("Orders", "PK_Orders", predicate("[Shop].[dbo].[Orders].[A] as [o].[A]=(2)"))
    assert told(old, lost) == [("condition", "dbo.Orders: Predicate o.A=(?) AND Expr=? became o.A=(?)")]


def wish(columns):
    group = element("ColumnGroup", *(element("Column", Name=f"[{name}]") for name in columns), Usage="EQUALITY")
    index = element("MissingIndex", group, Database="[Shop]", Schema="[dbo]", Table="[Orders]")
    return element("MissingIndexes", element("MissingIndexGroup", index, Impact=97))


def test_wishes_and_warnings_of_one_plan_only_are_told_without_values():
    convert = element("PlanAffectingConvert", ConvertIssue="Seek Plan", Expression="CONVERT_IMPLICIT(int,[A],0)=(77)")
    old = showplan(statement(scan()))
    new = showplan(statement(wish("AB"), element("Warnings", convert), scan()))
    assert differences(old, new) == [
        ("warning", "new: implicit conversion that prevents a seek: CONVERT_IMPLICIT(int,A,?)=(?)"),
        ("warning", "new: missing index on Orders (A, B)"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            {"CardinalityEstimationModelVersion": 70},
            {"CardinalityEstimationModelVersion": 160},
            ("setting", "cardinality estimator: version 70 became 160"),
        ),
        (
            {"StatementOptmEarlyAbortReason": "GoodEnoughPlanFound"},
            {"StatementOptmEarlyAbortReason": "TimeOut"},
            ("warning", "optimizer: it ran out of time and took the best plan so far"),
        ),
        (
            {"StatementOptmEarlyAbortReason": "MemoryLimitExceeded"},
            {},
            ("warning", "optimizer: it no longer stops early (MemoryLimitExceeded)"),
        ),
        (
            {"StatementOptmLevel": "FULL"},
            {"StatementOptmLevel": "TRIVIAL"},
            ("operator", "optimizer: level FULL became TRIVIAL"),
        ),
        (
            {"options": {"ARITHABORT": "true", "ANSI_NULLS": "1"}},
            {"options": {"ARITHABORT": "0", "ANSI_NULLS": "true"}},
            ("setting", "session option ARITHABORT: ON became OFF"),
        ),
    ],
)
def test_how_the_plan_was_compiled_is_told(before, after, expected):
    assert told(scan(), scan(), before=before, after=after) == [expected]


def test_batch_mode_lost_is_told():
    text = showplan(statement(scan()))
    batch = text.replace(
        'LogicalOp="Clustered Index Scan"', 'LogicalOp="Clustered Index Scan" EstimatedExecutionMode="Batch"'
    )
    assert differences(batch, text) == [("operator", "execution: batch mode is gone, all operators work row by row")]


@pytest.mark.parametrize(
    ("was", "now", "is_told"), [(1024, 1024 * 900, True), (512, 9000, False), (20000, 90000, False)]
)
def test_memory_wanted_is_told_where_it_moved_tenfold_and_matters(was, now, is_told):
    plans = [showplan(statement(element("MemoryGrantInfo", SerialDesiredMemory=kb), scan())) for kb in (was, now)]
    assert bool(differences(*plans)) == is_told


def test_memory_wanted_is_told_in_megabytes():
    plans = [
        showplan(statement(element("MemoryGrantInfo", SerialDesiredMemory=kb), scan())) for kb in (1024, 1024 * 900)
    ]
    assert differences(*plans) == [("estimate", "memory wanted: 1 MB became 900 MB (x900)")]


def with_statistics(changed, updated, sample=100):
    info = element(
        "StatisticsInfo",
        Schema="[dbo]",
        Table="[Orders]",
        Statistics="[IX_Cust]",
        ModificationCount=changed,
        SamplingPercent=sample,
        LastUpdate=updated,
    )
    return showplan(statement(element("OptimizerStatsUsage", info), scan(TableCardinality=50_000)))


def test_statistics_updated_before_the_new_plan_are_told_with_their_sample():
    assert differences(
        with_statistics(0, "2026-03-01T02:00:00.12"), with_statistics(0, "2026-03-02T02:00:00.1", 0.86)
    ) == [
        (
            "statistics",
            (
                "statistics IX_Cust of dbo.Orders were updated at 2026-03-02 02:00:00 from a sample of 0.86 %, "
                "before at 2026-03-01 02:00:00"
            ),
        )
    ]


@pytest.mark.parametrize(("changed", "is_told"), [(4_999, False), (5_000, True)])
def test_statistics_are_stale_by_the_share_of_rows_changed(changed, is_told):
    same = "2026-03-01T02:00:00"
    assert bool(differences(with_statistics(0, same), with_statistics(changed, same))) == is_told


def test_one_statement_of_a_whole_batch_is_found_by_its_hash():
    one = statement(seek(), QueryHash="0x2")
    batch = showplan(statement(scan("X"), QueryHash="0x1"), statement(seek(), QueryHash="0x2"))
    assert differences(batch, showplan(one)) == [("statement", "SELECT: no longer has a plan")]


def test_hints_that_bind_one_plan_only_are_told():
    text = "select 1 from A inner hash join B on A.x = B.x option (maxdop 1, force order)"
    assert told(scan(), scan(), after={"text": text}) == [
        ("hint", "now bound by the hint MAXDOP"),
        ("hint", "now bound by the hint FORCE ORDER"),
        ("hint", "now bound by the hint HASH JOIN"),
    ]
    assert told(scan(ForceSeek=1), scan(), after={"plan": {"UsePlan": "true"}}) == [
        ("hint", "dbo.Orders: no longer bound by the hint FORCESEEK"),
        ("hint", "now bound by a forced plan"),
    ]


def test_words_of_hints_in_strings_and_comments_bind_nothing():
    assert told(scan(), scan(), after={"text": "select 'option (force order)' -- option (recompile)"}) == []


def test_a_function_that_was_inlined_is_told():
    called = element("UserDefinedFunction", FunctionName="[Shop].[dbo].[Net]")
    assert told(scan("Orders", "PK_Orders", called), scan()) == [
        ("function", "function Shop.dbo.Net is no longer called row by row")
    ]


def compiled(value):
    return element(
        "ParameterList", element("ColumnReference", Column="@p", ParameterDataType="int", ParameterCompiledValue=value)
    )


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        ("(1)", "(2)", [("parameter", "compiled for another value of @p")]),
        ("", "?", [("parameter", "compiled for one value of @p, before for any value")]),
        ("?", "?", []),
        ("(1)", "?", []),
    ],
)
def test_what_a_plan_was_compiled_for_is_told_without_the_value(was, now, expected):
    plans = [showplan(statement(scan(), compiled(value))) for value in (was, now)]
    assert differences(*plans) == expected


def large(rows, cardinality=2_000_000):
    read = relop(
        "Clustered Index Scan", table("Orders", "PK_Orders"), predicate("[Orders].[Id]=[@p]"), rows=rows, cost=9
    )
    return showplan(
        statement(read.replace("<RelOp", f'<RelOp TableCardinality="{cardinality}"', 1), compiled("?"), QueryHash="0x1")
    )


def test_a_sniffed_value_shows_by_an_estimate_that_moved_over_a_table_that_did_not():
    kinds = [kind for kind, _ in differences(large(40), large(600_000))]
    assert kinds == ["parameter", "estimate"]
    assert [kind for kind, _ in differences(large(40, 2_000), large(600_000))] == ["estimate"]


def test_a_join_of_a_table_with_itself_is_compared():
    assert ("join_type", "join of Orders and Orders: Nested Loops became Hash Match") in told(
        loops(scan(), scan()), hashed(scan(), scan())
    )


def test_a_join_with_another_residual_is_told():
    residual = element("Predicate", element("ScalarOperator", ScalarString="[A].[x]=[B].[x]"))
    new = relop("Nested Loops", scan("A"), scan("B"), residual, detail="NestedLoops", logical="Inner Join")
    assert told(loops(scan("A"), scan("B")), new) == [("condition", "join of A and B: Predicate none became A.x=B.x")]


def test_many_statistics_of_one_table_are_told_in_one_line():
    def info(number, day):
        return element(
            "StatisticsInfo",
            Schema="[dbo]",
            Table="[Orders]",
            Statistics=f"[S{number}]",
            ModificationCount=0,
            SamplingPercent=100,
            LastUpdate=f"2026-03-{day:02}T02:00:00",
        )

    plans = [
        showplan(
            statement(element("OptimizerStatsUsage", *(info(number, day + number) for number in range(3))), scan())
        )
        for day in (1, 10)
    ]
    text = "3 statistics of dbo.Orders were updated, the last at 2026-03-12 02:00:00, before at 2026-03-03 02:00:00"
    assert differences(*plans) == [("statistics", text)]


def test_the_dearest_of_several_changes_leads_and_a_cheap_one_comes_last():
    old = loops(
        relop("Index Seek", table("A", "i"), cost=0.01), relop("Index Seek", table("B", "i"), cost=0.01), cost=1
    )
    new = loops(
        relop("Index Seek", table("A", "j"), cost=0.01),
        relop("Clustered Index Scan", table("B", "p"), cost=90),
        cost=99,
    )
    texts = [text for kind, text in told(old, new) if kind in ("access_path", "index")]
    assert texts == [
        "dbo.B: Index Seek using i became Clustered Index Scan using p",
        "dbo.A: Index Seek now uses j instead of i",
    ]


def test_what_happened_several_times_is_told_once():
    old, new = (loops(seek("A", index), seek("A", index)) for index in ("i", "j"))
    spools = [relop("Table Spool", scan(), detail="Spool", logical="Eager Spool") for _ in range(2)]
    assert told(old, new) == [("index", "dbo.A: Index Seek now uses j instead of i")]
    assert ("spool", "new: 2 times Table Spool (Eager)") in told(loops(scan(), scan()), loops(*spools))


def test_a_string_that_is_cut_off_ends_with_its_expression():
    def sought(value):
        keys = [element("ColumnReference", Table="[Orders]", Column=name) for name in ("A", "B")]
        values = [element("ScalarOperator", ScalarString=text) for text in (value, "'x'")]
        ends = element("Prefix", element("RangeColumns", *keys), element("RangeExpressions", *values), ScanType="EQ")
        return showplan(statement(seek("Orders", "IX", element("SeekPredicates", element("SeekPredicateNew", ends)))))

    old, new = (parse_showplan(text) for text in (sought("[@p]"), sought("'secret")))
    (change,) = diff_plans(old, new).changes
    assert change.after == "Orders.A = ? AND Orders.B = ?"
