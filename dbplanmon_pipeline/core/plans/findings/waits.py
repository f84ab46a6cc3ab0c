"""Time that a statement did not work: it waited, or its plan was still being made."""

from collections.abc import Iterator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.model import SQLSERVER, Found, Measure, Rule, Weight, rule, weight_of
from dbplanmon_pipeline.core.plans.findings.view import WORTH_MS, StatementView
from dbplanmon_pipeline.core.plans.showplan.attributes import figure_of

LARGE_PART = 0.5
LONG_COMPILATION_MS = {Engine.SQLSERVER: 1_000.0, Engine.POSTGRES: 100.0}
"""PostgreSQL plans most statements anew in each execution, so that it pays sooner."""

_OF_PARALLELISM = ("CX", "EXCHANGE", "EXECSYNC", "HT", "BP", "BMP", "SOS_SCHEDULER_YIELD")
"""Threads of one statement that wait for each other, or for their turn; other rules tell of those."""

_OF_ONE_THREAD = frozenset({"ASYNC_NETWORK_IO", "RESOURCE_SEMAPHORE", "RESOURCE_SEMAPHORE_QUERY_COMPILE"})
"""Only the thread that coordinates the others hands out rows and asks for memory."""

_WORDS = {
    "ASYNC_NETWORK_IO": "the client to take its rows",
    "OLEDB": "another server",
    "WRITELOG": "the log to be written",
    "IO_COMPLETION": "reads and writes of work files",
    "RESOURCE_SEMAPHORE": "memory",
    "THREADPOOL": "a free worker",
}
_BEGINNINGS = (
    ("LCK_", "locks of others"),
    ("PAGEIOLATCH_", "pages to be read from disk"),
    ("PAGELATCH_", "pages that others change"),
    ("LATCH_", "memory structures that others use"),
    ("LOG", "the log"),
    ("HADR_", "a replica"),
    ("RESOURCE_SEMAPHORE", "memory to compile"),
)


@rule(
    "waited-most",
    "More waiting than working",
    "The plan is not the first suspect: remove what it waits for, and compare executions by their CPU, not their "
    "duration.",
    SQLSERVER,
)
def waited_most(view: StatementView) -> Iterator[Found]:
    """One kind of wait takes at least half of the measured time."""
    elapsed, entries = view.elapsed_ms or 0.0, view.statement.attributes.get("WaitStats", ())
    workers = max(1.0, view.figure("DegreeOfParallelism") or 1.0)
    for entry in entries:
        kind, spent = entry.get("WaitType", ""), figure_of(entry.get("WaitTimeMs")) or 0.0
        whole = elapsed * (1.0 if kind in _OF_ONE_THREAD else workers)
        if spent < WORTH_MS or spent < LARGE_PART * whole or kind.startswith(_OF_PARALLELISM):
            continue
        text = f"it waited {figure(spent)} ms for {_waited_for(kind)} ({kind}), of {figure(elapsed)} ms in all"
        measures = (Measure("waited", spent, "ms"), Measure("elapsed", elapsed, "ms"))
        share = min(1.0, spent / whole) if whole > 0.0 else 1.0
        yield Found(text, share=share, measures=measures, subject=kind)


def _waited_for(kind: str) -> str:
    known = _WORDS.get(kind) or next((words for begin, words in _BEGINNINGS if kind.startswith(begin)), "")
    return known or "something else"


@rule(
    "slow-compilation",
    "Plan that takes long to make",
    "Make the statement smaller, and let its plan be used again: parameters instead of literals, no RECOMPILE, "
    "prepared statements.",
)
def slow_compilation(view: StatementView) -> Iterator[Found]:
    """Compilation, or planning, of a second or more; on PostgreSQL of a tenth, where running it takes no longer."""
    name = "CompileTime" if view.engine == Engine.SQLSERVER else "Planning Time"
    spent, elapsed = view.figure(name) or 0.0, view.elapsed_ms
    if spent < LONG_COMPILATION_MS[view.engine]:
        return
    if view.engine == Engine.POSTGRES and (elapsed is None or spent < elapsed):
        return
    beside = f", running it {figure(elapsed)} ms" if elapsed is not None else ""
    measures = [Measure("compile_time", spent, "ms")]
    measures += [Measure("elapsed", elapsed, "ms")] if elapsed is not None else []
    share = min(1.0, spent / (spent + max(0.0, elapsed))) if elapsed is not None else 0.0
    weight = weight_of(share) if elapsed is not None else Weight.LOW
    yield Found(
        f"making the plan took {figure(spent)} ms{beside}",
        share=share,
        measures=tuple(measures),
        advice=_PLANNING if view.engine == Engine.POSTGRES else "",
        weight=weight,
    )


_PLANNING = (
    "Join fewer tables and partitions at once, and let prepared statements keep the plan; see whether statistics "
    "targets or join_collapse_limit were raised."
)

RULES: tuple[Rule, ...] = (waited_most, slow_compilation)
