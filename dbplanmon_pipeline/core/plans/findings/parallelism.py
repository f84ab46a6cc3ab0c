"""Work that one worker does alone, or that costs more to prepare than to do."""

from collections.abc import Iterator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.access import MANY_ROWS
from dbplanmon_pipeline.core.plans.findings.model import (
    POSTGRES,
    SQLSERVER,
    Found,
    Measure,
    Rule,
    Weight,
    rule,
    weight_of,
)
from dbplanmon_pipeline.core.plans.findings.view import Node, StatementView, number_of
from dbplanmon_pipeline.core.plans.tree import NodeKind

WORTH_PARALLEL_COST = 5.0
"""The usual `cost threshold for parallelism`."""

_NO_NEWS = frozenset({"", "EstimatedDOPIsOne", "CouldNotGenerateValidParallelPlan", "NoParallelPlansDuringUpgrade"})
_EDITION = "NoParallelPlansInDesktopOrExpressEdition"
_BY_CHOICE = frozenset({"MaxDOPSetToOne", "ParallelismDisabledByTraceFlag", _EDITION})
_QUICK_MS = 1000.0
"""What ran in less needs no second core."""

_REASONS = {
    "MaxDOPSetToOne": "MAXDOP is 1",
    "TSQLUserDefinedFunctionsNotParallelizable": "it calls a scalar function written in T-SQL",
    "CLRUserDefinedFunctionRequiresDataAccess": "it calls a CLR function that reads data",
    "TableVariableTransactionsDoNotSupportParallelNestedTransaction": "it writes to a table variable",
    "NonParallelizableIntrinsicFunction": "it calls a built-in function that cannot run in parallel",
    "DMLQueryReturnsOutputToClient": "it returns OUTPUT rows to the client",
    "NoParallelCursorFetchByBookmark": "it is the fetch of a cursor",
    "NoParallelDynamicCursor": "it belongs to a dynamic cursor",
    "NoParallelFastForwardCursor": "it belongs to a fast-forward cursor",
    "NoParallelForMemoryOptimizedTables": "it reads memory-optimised tables",
    "NoParallelForDmlOnMemoryOptimizedTable": "it changes a memory-optimised table",
    "NoParallelWithRemoteQuery": "it reads another server",
    "ParallelismDisabledByTraceFlag": "a trace flag forbids it",
    "NoParallelForNativelyCompiledModule": "it belongs to a natively compiled module",
    "UpdatingWritebackVariable": "it assigns to a variable",
    "NoParallelCreateIndexInNonEnterpriseEdition": "only Enterprise builds indexes in parallel",
    _EDITION: "this edition (Express) runs every statement on one",
    "NoRangesResumableCreate": "a resumable index build is not parallel here",
}


@rule(
    "serial-plan",
    "Dear plan that may not run in parallel",
    "Remove what forbids it, if the statement deserves more than one core.",
    SQLSERVER,
)
def serial_plan(view: StatementView) -> Iterator[Found]:
    """Serial plans of dear statements, with the engine's reason."""
    reason = str(view.statement.attributes.get("NonParallelPlanReason", ""))
    quick = view.elapsed_ms is not None and view.elapsed_ms < _QUICK_MS
    if view.cost >= WORTH_PARALLEL_COST and reason not in _NO_NEWS and not quick:
        text = f"it runs on one core, because {_REASONS.get(reason, f'of {reason}')}"
        measures = (Measure("estimated_cost", view.cost, "cost units"),)
        weight = Weight.LOW if reason in _BY_CHOICE else Weight.MEDIUM
        advice = "Only another edition of the server has more for it." if reason == _EDITION else ""
        yield Found(text, share=0.3, measures=measures, subject=reason, advice=advice, weight=weight)


@rule(
    "parallel-skew",
    "One worker does most of the work",
    "Find the skew: few distinct values in the exchange's columns, a small range of the scan, a nested loop with few "
    "outer rows. Then parallelism brings little; another join or order may.",
)
def parallel_skew(view: StatementView) -> Iterator[Found]:
    """Rows of a parallel operator in few hands; only where the skew begins."""
    if not view.matters:
        return
    for node in view.nodes:
        top = _skew(node)
        if top and not any(_skew(child) for child in view.inputs(node)):
            workers, total = len(node.operator.rows_by_worker), sum(node.operator.rows_by_worker)
            text = f"one of {workers} workers delivers {top:.0%} of the {figure(total)} rows of {node.words}"
            measures = (Measure("largest_share", 100.0 * top, "%"), Measure("workers", float(workers), "workers"))
            yield Found(text, node, node.tree_share, measures)


def _skew(node: Node) -> float:
    """Share of the busiest worker where it is far above its part; else 0."""
    delivered = node.operator.rows_by_worker
    total = sum(delivered)
    if not node.operator.parallel or total < MANY_ROWS or node.operator.kind == NodeKind.EXCHANGE:
        return 0.0
    top = max(delivered) / total
    return top if top >= 0.5 + 0.5 / len(delivered) else 0.0


@rule(
    "workers-not-launched",
    "Fewer parallel workers than planned",
    "Raise max_parallel_workers, or see what else runs in parallel at that time; the plan was chosen for more.",
    POSTGRES,
)
def workers_not_launched(view: StatementView) -> Iterator[Found]:
    """Gather nodes that did not get what was planned."""
    for node in view.nodes:
        planned, launched = node.figure("Workers Planned"), node.figure("Workers Launched")
        if planned is not None and launched is not None and launched < planned:
            text = f"{node.words} planned {figure(planned)} workers and got {figure(launched)}"
            measures = (Measure("planned", planned, "workers"), Measure("launched", launched, "workers"))
            weight = weight_of(node.tree_share) if view.matters else Weight.LOW
            yield Found(text, node, node.tree_share, measures, weight=weight)


@rule(
    "jit-cost",
    "Compiled to machine code for nothing",
    "Raise jit_above_cost, or switch jit off for this role or database, if such statements are frequent.",
    POSTGRES,
)
def jit_cost(view: StatementView) -> Iterator[Found]:
    """JIT compilation that takes a good part of the time."""
    jit = view.statement.attributes.get("JIT")
    timing = jit.get("Timing") if isinstance(jit, dict) else None
    total = number_of(timing.get("Total")) if isinstance(timing, dict) else None
    elapsed = view.elapsed_ms
    if view.engine == Engine.POSTGRES and total is not None and elapsed:
        share = min(1.0, total / elapsed)
        if total >= 20.0 and share >= 0.1:
            text = f"compiling it took {figure(total)} of {figure(elapsed)} ms"
            measures = (Measure("jit", total, "ms"), Measure("elapsed", elapsed, "ms"))
            yield Found(text, share=share, measures=measures, script="SET LOCAL jit = off;")


RULES: tuple[Rule, ...] = (serial_plan, parallel_skew, workers_not_launched, jit_cost)
