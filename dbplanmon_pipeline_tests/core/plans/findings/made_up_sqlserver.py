"""Plans of SQL Server in which one thing is wrong."""

from dbplanmon_pipeline_tests.core.plans.findings.made_up import loops, predicate, ran, scan, select
from dbplanmon_pipeline_tests.core.plans.showplans import element, relop, table

WISH = element(
    "MissingIndexGroup",
    element(
        "MissingIndex",
        element("ColumnGroup", element("Column", Name="[CustomerId]"), Usage="EQUALITY"),
        element("ColumnGroup", element("Column", Name="[Total]"), Usage="INCLUDE"),
        Database="[Shop]",
        Schema="[dbo]",
        Table="[Orders]",
    ),
    Impact=92.5,
)
FEW_WISH = WISH.replace("92.5", "12")


def wishing(wish, cost=100.0):
    return select(element("MissingIndexes", wish), scan(), cost=cost)


def warned(*warnings, **said):
    return element("Warnings", *warnings, **said)


def converting(issue, cost=100.0, condition="CONVERT_IMPLICIT(nvarchar(40),[o].[Name],0)=[@n]"):
    warning = element("PlanAffectingConvert", ConvertIssue=issue, Expression=condition)
    return select(warned(warning), scan(text=condition, cost=cost, TableCardinality=50_000), cost=cost)


def filtered(kept, read=1_000_000, physical="Clustered Index Scan", **said):
    return select(scan(text="[o].[State]=[@s]", physical=physical, cost=100.0, beside=ran(kept, read=read), **said))


def looked_up(times, physical="Clustered Index Seek", lookup=1):
    inner = relop(physical, table("Orders"), Lookup=lookup, cost=80.0, EstimateRebinds=times)
    return select(loops(scan(cost=1.0), inner, cost=100.0))


def sorted_plan(*warnings, cost=100.0, physical="Sort", detail="Sort"):
    beside = warned(*warnings) if warnings else ""
    return select(relop(physical, scan(cost=cost / 2), detail=detail, beside=beside, cost=cost), cost=cost)


SPILL = (element("SpillToTempDb", SpillLevel=2), element("SortSpillDetails", WritesToTempDb=6400))
HASH_SPILL = (element("SpillToTempDb", SpillLevel=1), element("HashSpillDetails", WritesToTempDb=6400))


def granted(**said):
    return select(element("MemoryGrantInfo", **said), scan(cost=100.0))


def misjudged(expected, came, cost=100.0):
    outer = scan("Orders", rows=expected, beside=ran(came), cost=1.0)
    return select(loops(outer, scan("Lines", beside=ran(5, executions=came), cost=90.0), cost=cost), cost=cost)


def merged(many):
    inputs = (scan("Orders", rows=50_000, cost=20.0), scan("Lines", rows=90_000, cost=20.0))
    return select(relop("Merge Join", *inputs, detail="Merge", logical="Inner Join", cost=100.0, ManyToMany=many))


def spool(physical, logical, filled=5000, **said):
    seek = element(
        "SeekPredicateNew",
        element(
            "SeekKeys",
            element(
                "Prefix",
                element("RangeColumns", element("ColumnReference", Table="[Lines]", Column="OrderId")),
                element("RangeExpressions", element("ScalarOperator", ScalarString="[o].[Id]")),
                ScanType="EQ",
            ),
        ),
    )
    inner = relop(
        physical, seek, scan("Lines", rows=filled, cost=20.0), detail="Spool", logical=logical, cost=90.0, **said
    )
    return select(loops(scan(cost=1.0), inner, cost=100.0))


def called(function, cost=100.0):
    compute = element("UserDefinedFunction", FunctionName=function) if function else ""
    detail = element("DefinedValues", compute)
    return select(relop("Compute Scalar", detail, scan(cost=1.0), detail="ComputeScalar", cost=cost), cost=cost)


def variables(*known, text="select 1"):
    parameters = [element("ColumnReference", Column=name, ParameterDataType="int") for name in known]
    return select(element("ParameterList", *parameters), scan(text="[o].[Id]=[@id]", cost=100.0), text=text)


def sniffed(compiled, actual, came=50_000):
    reference = element("ColumnReference", Column="@id", ParameterCompiledValue=compiled, ParameterRuntimeValue=actual)
    return select(element("ParameterList", reference), scan(beside=ran(came), rows=10, cost=100.0))


def statistics(changed):
    entry = element(
        "StatisticsInfo",
        Schema="[dbo]",
        Table="[Orders]",
        Statistics="[IX_State]",
        ModificationCount=changed,
        LastUpdate="2026-01-05T10:00:00.00",
    )
    return select(element("OptimizerStatsUsage", entry), scan(cost=100.0, TableCardinality=10_000))


def waited(kind, milliseconds, workers=1):
    waits = element("WaitStats", element("Wait", WaitType=kind, WaitTimeMs=milliseconds, WaitCount=3))
    times = element("QueryTimeStats", CpuTime=100, ElapsedTime=1_000)
    return select(waits, times, scan(), plan={"DegreeOfParallelism": workers})


def parallel(*rows):
    return select(scan(parallel=1, beside=ran(*rows), rows=sum(rows), cost=100.0))


def function_scan(rows, came=None):
    beside = ran(came) if came is not None else ""
    function = relop("Table-valued function", table("Parts"), detail="TableValuedFunction", rows=rows, beside=beside)
    return select(loops(function, scan("Lines", cost=60.0), cost=100.0))


def cursor(became, asked="FastForward", cost=100.0):
    operation = element("Operation", element("QueryPlan", scan(cost=cost)), OperationType="FetchQuery")
    plan = element("CursorPlan", operation, CursorActualType=became, CursorRequestedType=asked)
    return select(name="StmtCursor", cost=cost).replace("></StmtCursor>", f">{plan}</StmtCursor>")


def late(given, kept, name="Filter"):
    inner = relop("Stream Aggregate", scan(cost=70.0), detail="StreamAggregate", rows=given, cost=80.0)
    return select(relop(name, predicate("[Expr1004]>(10)"), inner, detail="Filter", rows=kept, cost=100.0))
