"""What stands above the tree of a statement: what it is, what it was expected to cost and what it took."""

from collections import Counter
from collections.abc import Iterator, Sequence

from dbplanmon_pipeline.core.model import Engine, hash_text
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.view import StatementView, number_of
from dbplanmon_pipeline.core.plans.tree import PlanStatement

LONGEST_TEXT = 120
"""Characters of its text that a heading shows."""


def cost_text(cost: float) -> str:
    """Costs of SQL Server begin far below 1."""
    return f"{cost:.1g}" if 0 < cost < 0.005 else figure(cost)


def heading_of(view: StatementView) -> str:
    """`SELECT plan 02bc..., cost 15.6, ran 112 ms (CPU 98 ms), 4 threads, ...: SELECT o.Id FROM ...`; one line."""
    statement = view.statement
    name = " ".join(filter(None, (statement.kind or "statement", _plan(statement))))
    text = one_line(statement.text, LONGEST_TEXT)
    return f"{', '.join((name, *_figures(view)))}{f': {text}' if text else ''}"


def without_operators(first: int, statements: Sequence[PlanStatement]) -> str:
    """`Statements 1 to 3 have no operators: USE DATABASE, 2 ASSIGN`, for some that follow each other, from 1."""
    kinds = Counter(one.kind or "statement" for one in statements)
    told = ", ".join(f"{times} {kind}" if times > 1 else kind for kind, times in kinds.items())
    if len(statements) == 1:
        return f"Statement {first} has no operators: {told}"
    return f"Statements {first} to {first + len(statements) - 1} have no operators: {told}"


def _plan(statement: PlanStatement) -> str:
    return f"plan {hash_text(statement.plan_hash)}" if statement.plan_hash else ""


def _figures(view: StatementView) -> Iterator[str]:
    if view.statement.estimated_cost is not None:
        yield f"cost {cost_text(view.statement.estimated_cost)}"
    if view.elapsed_ms is not None:
        yield f"ran {figure(view.elapsed_ms)} ms{_beside(view)}"
    threads = view.figure("DegreeOfParallelism")
    if view.engine == Engine.SQLSERVER and threads is not None and threads > 1:
        yield f"{figure(threads)} threads"
    grant = view.statement.attributes.get("MemoryGrantInfo")
    granted, used = (number_of(grant.get(name)) if isinstance(grant, dict) else None for name in _GRANT)
    if granted:
        yield f"{figure(granted / 1024)} MB of memory granted" + (f", {figure(used / 1024)} MB used" if used else "")


_GRANT = ("GrantedMemory", "MaxUsedMemory")


def _beside(view: StatementView) -> str:
    """Time that is no part of the elapsed one, or of another kind."""
    times = view.statement.attributes.get("QueryTimeStats")
    cpu = number_of(times.get("CpuTime")) if isinstance(times, dict) else None
    planning = view.figure("Planning Time")
    if cpu is not None:
        return f" (CPU {figure(cpu)} ms)"
    return f" (planned in {figure(planning)} ms)" if planning is not None else ""
