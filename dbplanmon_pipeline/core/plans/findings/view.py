"""One statement of a plan as the rules see it: numbered operators with parents, executions, rows and shares."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.showplan.attributes import figure_of
from dbplanmon_pipeline.core.plans.sources import joined_inputs
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator, PlanStatement

WORTH_COST = {Engine.SQLSERVER: 1.0, Engine.POSTGRES: 100.0}
"""Estimated cost from which a statement is worth a word, in the units of its engine."""

WORTH_MS = 100.0
WORTH_ROWS = 10_000.0
"""Measured time, and rows that went through its busiest operator, from which it is, whatever was estimated."""

_NO_CONTEXT: Mapping[str, Any] = MappingProxyType({})


def number_of(value: object) -> float | None:
    """A finite number that a plan tells, as text or as a number of any size; None for anything else."""
    return figure_of(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operator of a statement.

    Attributes:
        number: in plan order from 0.
        parent: the operator that takes its rows; None at the top.
        place: among the inputs of the parent, from 0.
        planned_executions: how often the optimizer expects it to run [count].
        share / tree_share: of the cost of the statement, or of its measured time where that is known: its own part,
            and with all its inputs [0-1].
        actual / estimated: rows per execution, counted alike so that they can be compared; None where unknown.
        executions: measured where known, else planned [count].
    """

    number: int
    operator: Operator
    parent: "Node | None"
    place: int
    planned_executions: float
    share: float
    tree_share: float
    actual: float | None
    estimated: float | None
    executions: float

    @property
    def words(self) -> str:
        """`Index Scan on dbo.orders o`."""
        target = self.operator.target
        return f"{self.operator.name} on {target}" if target else self.operator.name

    @property
    def rows(self) -> float:
        """Rows it delivers in all its executions, measured where known [count]."""
        if self.operator.actual_rows is not None and self.operator.actual_loops is not None:
            return self.operator.actual_rows * self.operator.actual_loops
        return (self.operator.estimated_rows or 0.0) * self.executions

    @property
    def ran(self) -> bool:
        """True where it was measured and ran at least once."""
        return bool(self.operator.actual_loops) and self.operator.actual_rows is not None

    def condition(self, *names: str) -> str:
        """Its conditions of these names, joined; empty without."""
        return " AND ".join(text for name, text in self.operator.conditions if name in names)

    def figure(self, name: str) -> float | None:
        """A finite number among its attributes, None where the plan does not tell."""
        return number_of(self.operator.attributes.get(name))

    def flag(self, name: str) -> bool:
        """True where an attribute says yes, in any spelling."""
        return self.operator.attributes.get(name) in (True, "1", "true")

    def above(self) -> Iterator["Node"]:
        """The operators above it, the nearest first."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent


@dataclass(frozen=True, slots=True)
class StatementView:
    """A statement with its numbered operators.

    Attributes:
        children: numbers of the inputs of each operator, outer first.
        context: what is known of the database, as in `CapturedPlan.context`; empty for a plan in a file.
        build: version of the engine that wrote the plan; empty where unknown.
    """

    engine: Engine
    statement: PlanStatement
    nodes: tuple[Node, ...]
    children: tuple[tuple[int, ...], ...]
    build: str = ""
    context: Mapping[str, Any] = field(default_factory=lambda: _NO_CONTEXT)

    @property
    def cost(self) -> float:
        """Estimated cost of the statement, in the units of the engine."""
        told = self.statement.estimated_cost
        return (
            told if told is not None else max((node.operator.estimated_cost or 0.0 for node in self.nodes), default=0.0)
        )

    @property
    def elapsed_ms(self) -> float | None:
        """Measured time of the whole statement [ms], None where it was not run."""
        told = self.statement.attributes.get("QueryTimeStats") or {}
        if self.engine == Engine.SQLSERVER:
            return figure_of(told.get("ElapsedTime"))
        known = self.figure("Execution Time")
        root = self.statement.root
        return known if known is not None else root.actual_ms if root else None

    @property
    def matters(self) -> bool:
        """True where the statement is dear enough to be worth a word, by estimate or by measured work."""
        return (
            self.cost >= WORTH_COST[self.engine]
            or (self.elapsed_ms or 0.0) >= WORTH_MS
            or any(node.ran and node.rows >= WORTH_ROWS for node in self.nodes)
        )

    def inputs(self, node: Node) -> list[Node]:
        """The inputs of an operator, outer first."""
        return [self.nodes[number] for number in self.children[node.number]]

    def below(self, node: Node) -> Iterator[Node]:
        """The operator and all below it."""
        waiting = [node]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(self.inputs(part)))

    def figure(self, name: str) -> float | None:
        """A finite number among the attributes of the statement, None where the plan does not tell."""
        return number_of(self.statement.attributes.get(name))


def view_of(
    engine: Engine, statement: PlanStatement, *, build: str = "", context: Mapping[str, Any] = _NO_CONTEXT
) -> StatementView:
    """Number the operators of a statement and work out what each of them weighs."""
    drafts = list(_drafts(engine, statement))
    spent = _spent(engine, drafts)
    total = sum(own for own, _ in spent)
    nodes: list[Node] = []
    for draft, (own, whole) in zip(drafts, spent, strict=True):
        parent = nodes[draft.parent] if draft.parent is not None else None
        shares = (own / total, min(1.0, whole / total)) if total > 0 else (0.0, 0.0)
        nodes.append(_node(engine, draft, parent, len(nodes), shares))
    children = tuple(tuple(draft.children) for draft in drafts)
    return StatementView(engine, statement, tuple(nodes), children, build, context)


@dataclass(slots=True)
class _Draft:
    operator: Operator
    parent: int | None
    place: int
    executions: float
    children: list[int] = field(default_factory=list)


def _drafts(engine: Engine, statement: PlanStatement) -> Iterator[_Draft]:
    made: list[_Draft] = []
    waiting: list[tuple[Operator, int | None, int]] = [(tree, None, 0) for tree in reversed(statement.trees)]
    while waiting:
        operator, parent, place = waiting.pop()
        above = made[parent] if parent is not None else None
        draft = _Draft(operator, parent, place, _planned(engine, operator, above))
        if above is not None:
            above.children.append(len(made))
        number = len(made)
        made.append(draft)
        waiting.extend((child, number, position) for position, child in reversed(list(enumerate(operator.children))))
    return iter(made)


def _planned(engine: Engine, operator: Operator, above: _Draft | None) -> float:
    """Executions that the optimizer expects."""
    if engine == Engine.SQLSERVER:
        again = (figure_of(operator.attributes.get(name)) for name in ("EstimateRebinds", "EstimateRewinds"))
        return 1.0 + sum(value or 0.0 for value in again)
    if above is None or operator.role == "InitPlan":
        return 1.0
    parent = above.operator
    if operator.role == "SubPlan":
        return above.executions * (1.0 if _runs_once(operator, parent) else max(1.0, parent.estimated_rows or 1.0))
    if parent.kind == NodeKind.NESTED_LOOPS:
        inputs = joined_inputs(parent)
        if operator is inputs[-1] and len(inputs) > 1:
            return above.executions * max(1.0, inputs[0].estimated_rows or 1.0)
    return above.executions


def _runs_once(operator: Operator, parent: Operator) -> bool:
    """True for a subplan whose rows are hashed once and then only looked up, and for a CTE."""
    name = str(operator.attributes.get("Subplan Name", ""))
    texts = [*(text for _, text in parent.conditions), str(parent.attributes.get("Output", ""))]
    return name.startswith("CTE ") or any(f"hashed {name}" in text for text in texts)


def _spent(engine: Engine, drafts: list[_Draft]) -> list[tuple[float, float]]:
    """Work of each operator: its own part, and with its inputs; measured where the plan tells it."""
    measure = _on_postgres if engine == Engine.POSTGRES else _on_sqlserver
    return measure(drafts) or _own_parts(drafts, [_estimated(engine, draft) for draft in drafts])


def _own_parts(drafts: list[_Draft], whole: list[float]) -> list[tuple[float, float]]:
    """Own part and whole of each operator, from what it and its inputs took together."""
    inputs = (sum(whole[child] for child in draft.children) for draft in drafts)
    return [(max(0.0, work - below), work) for work, below in zip(whole, inputs, strict=True)]


def _on_sqlserver(drafts: list[_Draft]) -> list[tuple[float, float]]:
    """Milliseconds of all threads together; empty where too little was measured.

    Operators in batch mode tell their own time only. Exchanges mostly wait for threads that count by themselves, so
    that their CPU counts. Who only defines values tells nothing: they are worked out where they are used.
    """
    elapsed = [0.0] * len(drafts)
    spent = [(0.0, 0.0)] * len(drafts)
    for number in reversed(range(len(drafts))):
        operator, children = drafts[number].operator, drafts[number].children
        below = sum(elapsed[child] for child in children)
        told = operator.elapsed_ms
        if told is None:
            own, elapsed[number] = 0.0, below
        elif _in_batch_mode(operator):
            own, elapsed[number] = told, told + below
        else:
            own, elapsed[number] = max(0.0, told - below), told
        if operator.kind == NodeKind.EXCHANGE:
            own = operator.cpu_ms or 0.0
        spent[number] = own, own + sum(spent[child][1] for child in children)
    return spent if sum(own for own, _ in spent) >= 1.0 else []


def _in_batch_mode(operator: Operator) -> bool:
    return "Batch" in str(operator.attributes.get("EstimatedExecutionMode", ""))


def _on_postgres(drafts: list[_Draft]) -> list[tuple[float, float]]:
    """Milliseconds of all executions; empty where not measured.

    Below a Gather the executions of workers run side by side, and count as one.
    """
    if any(draft.operator.actual_ms is None for draft in drafts):
        return []
    whole: list[float] = []
    at_once: list[float] = []
    for draft in drafts:
        above = drafts[draft.parent].operator.attributes if draft.parent is not None else {}
        workers = max(0.0, number_of(above.get("Workers Launched")) or 0.0)
        at_once.append((1.0 + workers) * (at_once[draft.parent] if draft.parent is not None else 1.0))
        executions = max(1.0, (draft.operator.actual_loops or 0.0) / at_once[-1])
        whole.append(max(0.0, (draft.operator.actual_ms or 0.0) * executions))
    return _own_parts(drafts, whole) if whole and whole[0] >= 1.0 else []


def _estimated(engine: Engine, draft: _Draft) -> float:
    """SQL Server's costs already hold the repetitions."""
    cost = max(0.0, draft.operator.estimated_cost or 0.0)
    if engine == Engine.SQLSERVER or draft.operator.kind == NodeKind.SPOOL:
        return cost
    return cost * draft.executions


def _node(engine: Engine, draft: _Draft, parent: Node | None, number: int, shares: tuple[float, float]) -> Node:
    operator = draft.operator
    loops = operator.actual_loops
    actual = operator.actual_rows if loops else None
    if engine == Engine.SQLSERVER and actual is not None and loops and draft.executions <= 1.0:
        # Threads count as executions, and the estimate is that of all of them.
        actual *= loops
    executions = loops if loops is not None else draft.executions
    return Node(
        number,
        operator,
        parent,
        draft.place,
        draft.executions,
        *shares,
        actual,
        operator.estimated_rows,
        executions,
    )
