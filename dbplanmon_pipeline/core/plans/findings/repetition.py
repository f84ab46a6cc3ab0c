"""Work that a plan does again and again: spools, subplans, functions called row by row."""

from collections.abc import Iterable, Iterator

from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.access import MANY_ROWS, WORTH_SHARE
from dbplanmon_pipeline.core.plans.findings.model import (
    POSTGRES,
    SQLSERVER,
    Found,
    Measure,
    Rule,
    Weight,
    counted,
    rows,
    rule,
    weight_of,
)
from dbplanmon_pipeline.core.plans.findings.view import WORTH_COST, Node, StatementView, number_of
from dbplanmon_pipeline.core.plans.showplan.attributes import figure_of, plain_name
from dbplanmon_pipeline.core.plans.showplan.expressions import short_expression
from dbplanmon_pipeline.core.plans.tree import NodeKind

WORTH_EXECUTIONS = 1_000.0
_UDF_REASON = "TSQLUserDefinedFunctionsNotParallelizable"


@rule(
    "eager-index-spool",
    "Index built anew in each execution",
    "Create that index for good: SQL Server shows with the spool that it would use one on these columns.",
    SQLSERVER,
)
def eager_index_spool(view: StatementView) -> Iterator[Found]:
    """SQL Server copies a table into tempdb and indexes it, because it finds no index to search."""
    if not view.matters:
        return
    for node in view.nodes:
        operator = node.operator
        if operator.name != "Index Spool" or operator.strategy != "Eager" or node.tree_share < WORTH_SHARE:
            continue
        read = next(
            (part for part in view.below(node) if part.operator.kind.reads_relation and part.operator.relation), None
        )
        of = f" of {read.operator.target}" if read else ""
        searched = short_expression(node.condition("Seek Predicate")).replace("[", "").replace("]", "")
        keys = ", ".join(dict.fromkeys(part.split()[0] for part in searched.split(" AND ") if part.strip()))
        by = f", searched by {keys}" if keys else ""
        built = sum(child.rows for child in view.inputs(node)[:1])
        text = f"{figure(built)} rows{of} are copied into an index that lives for one execution only{by}"
        yield Found(text, node, node.tree_share, (rows("rows", built),), subject=read.operator.relation if read else "")


@rule(
    "spool-replayed",
    "Work table read again and again",
    "Look at the join above: an index for its inner side, or a hash join, makes the spool unnecessary.",
    SQLSERVER,
)
def spool_replayed(view: StatementView) -> Iterator[Found]:
    """Table spools whose rows are delivered many times over."""
    if not view.matters:
        return
    for node in view.nodes:
        operator = node.operator
        if operator.name != "Table Spool" or node.tree_share < WORTH_SHARE:
            continue
        if node.executions >= WORTH_EXECUTIONS and node.rows >= 10 * MANY_ROWS:
            text = f"{node.words} is read {figure(node.executions)} times and delivers {figure(node.rows)} rows in all"
            measures = (Measure("executions", node.executions, "executions"), rows("rows", node.rows))
            yield Found(text, node, node.tree_share, measures)


@rule(
    "eager-table-spool",
    "All rows kept aside before the first is used",
    "Where it protects a change from reading what it wrote, change fewer rows at a time, or columns that are not "
    "searched by; elsewhere see which subquery is read several times.",
    SQLSERVER,
)
def eager_table_spool(view: StatementView) -> Iterator[Found]:
    """Table spools that are filled completely before anything goes on."""
    if not view.matters:
        return
    for node in view.nodes:
        operator = node.operator
        kept = sum(child.rows for child in view.inputs(node)[:1])
        if operator.name != "Table Spool" or operator.strategy != "Eager":
            continue
        if kept >= MANY_ROWS and node.share >= WORTH_SHARE:
            text = f"{node.words} writes {figure(kept)} rows to tempdb before the next step begins"
            yield Found(text, node, node.share, (rows("rows", kept),))


@rule(
    "trigger-time",
    "Time spent in triggers",
    "For foreign keys index the referencing column; else look into the trigger's function: it runs once per row unless "
    "it is a statement trigger.",
    POSTGRES,
)
def trigger_time(view: StatementView) -> Iterator[Found]:
    """Triggers, those of foreign keys too, that take a good part of the time."""
    triggers, elapsed = view.statement.attributes.get("Triggers"), view.elapsed_ms
    for trigger in triggers if isinstance(triggers, list) and elapsed else ():
        if not isinstance(trigger, dict):
            continue
        spent, calls = number_of(trigger.get("Time")) or 0.0, number_of(trigger.get("Calls"))
        if calls is None or spent < 20.0:
            continue
        # Without a time of the whole there is that of the operators, in which triggers are not.
        whole = max(elapsed or 0.0, spent if view.figure("Execution Time") else spent + (elapsed or 0.0))
        share = spent / whole
        if share >= 0.1:
            name = trigger.get("Constraint Name") or trigger.get("Trigger Name") or "a trigger"
            text = f"{name} took {figure(spent)} of {figure(whole)} ms in {counted(calls, 'call')}"
            measures = (Measure("spent", spent, "ms"), Measure("calls", calls, "calls"))
            yield Found(text, share=share, measures=measures, subject=str(name))


@rule(
    "subplan-per-row",
    "Subquery that runs for each row",
    "Rewrite the correlated subquery as a join or a lateral join on grouped rows, or give it an index for its "
    "condition.",
)
def subplan_per_row(view: StatementView) -> Iterator[Found]:
    """Subplans that cannot be kept between rows."""
    if not view.matters:
        return
    for node in view.nodes:
        if node.operator.role != "SubPlan" or node.executions < WORTH_EXECUTIONS or node.tree_share < WORTH_SHARE:
            continue
        tables = dict.fromkeys(one.operator.target for one in view.below(node) if one.operator.relation)
        over = " and ".join(list(tables)[:2]) if tables else node.words
        text = f"the subquery over {over} runs {figure(node.executions)} times"
        yield Found(text, node, node.tree_share, (Measure("executions", node.executions, "executions"),))


@rule(
    "scalar-function",
    "Function in T-SQL called row by row",
    "Put its expression into the statement, or make it an inline table-valued function; from 2019 on see why it is not "
    "inlined (sys.sql_modules.is_inlineable).",
    SQLSERVER,
)
def scalar_function(view: StatementView) -> Iterator[Found]:
    """Scalar functions run once per row, forbid parallel plans, and hide what they cost."""
    attributes = view.statement.attributes
    names = sorted({_function_name(name) for name in attributes.get("UserDefinedFunctions", ()) if name})
    times = attributes.get("QueryTimeStats")
    spent = figure_of(times.get("UdfElapsedTime")) if isinstance(times, dict) else None
    if not (view.matters or (spent or 0.0) >= 100.0):
        return
    if not (names or spent or attributes.get("NonParallelPlanReason") == _UDF_REASON):
        return
    measured = bool(spent and view.elapsed_ms)
    share = min(1.0, (spent or 0.0) / (view.elapsed_ms or 1.0)) if measured else 0.0
    cost = f" and takes {figure(spent or 0.0)} ms" if spent else ""
    which = ", ".join(names[:3]) if names else "a scalar function"
    text = f"{which} runs row by row{cost}, and its cost is not in the estimates"
    measures = (Measure("function_time", spent, "ms"),) if spent else ()
    weight = weight_of(share) if measured else Weight.MEDIUM
    yield Found(text, share=share, measures=measures, subject=" ".join(names), weight=weight)


def _function_name(path: str) -> str:
    """`dbo.TotalScore` for `[StackOverflow].[dbo].[TotalScore]`."""
    return ".".join(plain_name(part) for part in path.split(".")[-2:])


@rule(
    "remote-query",
    "Rows fetched from another server",
    "Filter and join on the other server (OPENQUERY, pushed-down conditions), or copy what is needed; the optimizer "
    "knows little of remote tables.",
)
def remote_query(view: StatementView) -> Iterator[Found]:
    """Remote operators and foreign tables."""
    if not view.matters:
        return
    # Each access to another server has a fixed price, which alone is no news.
    dear = 10 * WORTH_COST[view.engine]
    for nodes in _remote_reads(view):
        fetched, share = sum(node.rows for node in nodes), min(1.0, sum(node.tree_share for node in nodes))
        if fetched < WORTH_EXECUTIONS and share * view.cost < dear:
            continue
        node = max(nodes, key=lambda one: one.tree_share)
        again = f" in {figure(node.executions)} executions" if node.executions > 1 and len(nodes) == 1 else ""
        who = f"{node.words} fetches" if len(nodes) == 1 else f"{node.words} and {len(nodes) - 1} like it fetch"
        yield Found(f"{who} {figure(fetched)} rows{again}", node, share, (rows("rows", fetched),))


def _remote_reads(view: StatementView) -> Iterable[list[Node]]:
    """Remote operators, those of one server or of the partitions of one table together."""
    reads: dict[object, list[Node]] = {}
    for node in view.nodes:
        if node.operator.kind == NodeKind.REMOTE:
            above = node.parent
            of_one = above.number if above and above.operator.kind == NodeKind.APPEND else node.words
            reads.setdefault(of_one, []).append(node)
    return reads.values()


@rule(
    "cursor-kind",
    "Cursor that is not the cheap kind",
    "Declare it LOCAL FAST_FORWARD, or better, do the work in one statement.",
    SQLSERVER,
)
def cursor_kind(view: StatementView) -> Iterator[Found]:
    """Dynamic and keyset cursors, and those that became another kind than was asked for."""
    cursor = view.statement.attributes.get("CursorPlan")
    if not isinstance(cursor, dict) or not view.matters:
        return
    asked, became = cursor.get("CursorRequestedType", ""), cursor.get("CursorActualType", "")
    if became in ("Dynamic", "Keyset") or (asked and became and asked != became):
        text = f"the cursor is {became or asked}" + (
            f", though {asked} was asked for" if asked not in ("", became) else ""
        )
        yield Found(text, share=1.0, subject=became, weight=Weight.LOW)


RULES: tuple[Rule, ...] = (
    eager_index_spool,
    spool_replayed,
    eager_table_spool,
    trigger_time,
    subplan_per_row,
    scalar_function,
    remote_query,
    cursor_kind,
)
