"""How long two plans take to compare: python -m dbplanmon_pipeline_tests.bench.bench_diff."""

import sys
from collections.abc import Callable, Iterator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.diff import diff_plans
from dbplanmon_pipeline.core.plans.comparing.matching import match_plans
from dbplanmon_pipeline.core.plans.findings.registry import compared_findings
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator, Plan, PlanStatement
from dbplanmon_pipeline_tests.bench.figures import Row, markdown, spend

NAME = "Comparing plans"
OPERATORS = 500
TIMES = 10


def run() -> list[Row]:
    return [row for what, old, new in _pairs() for row in _rows(what, old, new)]


def _rows(what: str, old: Plan, new: Plan) -> Iterator[Row]:
    yield Row(f"{what}: differences in words, CPU", _best_ms(lambda: diff_plans(old, new)), "ms", "< 50")
    yield Row(f"{what}: which operator is which, CPU", _best_ms(lambda: match_plans(old, new)), "ms", "< 50")
    yield Row(f"{what}: both, with findings of both plans, CPU", _best_ms(lambda: _everything(old, new)), "ms")


def _everything(old: Plan, new: Plan) -> None:
    fresh, stayed = compared_findings(old, new)
    diff_plans(old, new, fresh=fresh, stayed=stayed)
    match_plans(old, new)


def _best_ms(act: Callable[[], object]) -> float:
    """The least of several runs: whatever else runs on the machine only adds to the others."""
    return min(spend(act).cpu for _ in range(TIMES)) * 1000


def _pairs() -> Iterator[tuple[str, Plan, Plan]]:
    half = OPERATORS // 2
    yield f"{half} tables joined one after the other, by another method", _joined(half, 0), _joined(half, 1)
    yield f"{half} tables joined in the reverse order", _joined(half, 0), _joined(half, 0, backwards=True)
    yield f"{OPERATORS} operators all alike", _alike(OPERATORS, "a"), _alike(OPERATORS, "a")
    yield f"{OPERATORS} alike, each with another condition", _alike(OPERATORS, "a"), _alike(OPERATORS, "b")
    yield f"{OPERATORS} alike, of another table", _alike(OPERATORS, "a"), _alike(OPERATORS, "a", "U")
    yield f"{OPERATORS} below each other, another table", _chain(OPERATORS, "T"), _chain(OPERATORS, "U")


def _joined(tables: int, method: int, *, backwards: bool = False) -> Plan:
    kind, name = ((NodeKind.NESTED_LOOPS, "Nested Loops"), (NodeKind.MERGE_JOIN, "Merge Join"))[method]
    numbers = list(range(tables))[:: -1 if backwards else 1]
    tree = _read(f"T{numbers[0]}", "x")
    for number in numbers[1:]:
        parts = (tree, _read(f"T{number}", "x"))
        tree = Operator(kind, name, join_type="Inner", estimated_cost=number + 2.0, estimated_rows=9.0, children=parts)
    return _plan(tree)


def _alike(operators: int, column: str, table: str = "T") -> Plan:
    reads = tuple(_read(table, f"[{table}].[{column}]=({number})") for number in range(operators - 1))
    return _plan(Operator(NodeKind.APPEND, "Concatenation", estimated_cost=900.0, children=reads))


def _chain(operators: int, table: str) -> Plan:
    tree = _read(table, "x")
    for number in range(operators - 1):
        tree = Operator(NodeKind.SPOOL, "Table Spool", estimated_cost=number + 2.0, children=(tree,))
    return _plan(tree)


def _read(table: str, predicate: str) -> Operator:
    return Operator(
        NodeKind.INDEX_SCAN,
        "Clustered Index Scan",
        relation=table,
        schema="dbo",
        index=f"PK_{table}",
        conditions=(("Predicate", predicate),),
        estimated_rows=10.0,
        estimated_cost=1.0,
    )


def _plan(root: Operator) -> Plan:
    return Plan(Engine.SQLSERVER, (PlanStatement(root, kind="SELECT", estimated_cost=root.estimated_cost),))


if __name__ == "__main__":
    sys.stdout.write(f"{markdown(NAME, run())}\n")
