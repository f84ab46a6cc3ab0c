"""One operator tree for the plans of both engines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from itertools import zip_longest
from operator import attrgetter
from typing import Any

from dbplanmon_pipeline.core.model import Engine


class NodeKind(StrEnum):
    """What an operator does, in house words; `Operator.name` keeps the engine's own."""

    TABLE_SCAN = "table scan"
    INDEX_SCAN = "index scan"
    INDEX_SEEK = "index seek"
    BITMAP_SCAN = "bitmap scan"
    BITMAP_INDEX = "bitmap index"
    LOOKUP = "lookup"
    NESTED_LOOPS = "nested loops"
    HASH_JOIN = "hash join"
    MERGE_JOIN = "merge join"
    ADAPTIVE_JOIN = "adaptive join"
    HASH = "hash"
    SORT = "sort"
    TOP = "top"
    AGGREGATE = "aggregate"
    WINDOW = "window"
    SPOOL = "spool"
    EXCHANGE = "exchange"
    APPEND = "append"
    FILTER = "filter"
    COMPUTE = "compute"
    SUBQUERY = "subquery"
    CTE_SCAN = "cte scan"
    FUNCTION_SCAN = "function scan"
    CONSTANT = "constant"
    REMOTE = "remote"
    MODIFY = "modify"
    LOCK = "lock"
    OTHER = "other"

    @property
    def reads_relation(self) -> bool:
        """True for operators that read a table or one of its indexes."""
        return self in _ACCESS

    @property
    def is_join(self) -> bool:
        """True for operators that join two inputs."""
        return self in _JOINS


_ACCESS = frozenset(
    {
        NodeKind.TABLE_SCAN,
        NodeKind.INDEX_SCAN,
        NodeKind.INDEX_SEEK,
        NodeKind.BITMAP_SCAN,
        NodeKind.BITMAP_INDEX,
        NodeKind.LOOKUP,
        NodeKind.REMOTE,
    }
)
_JOINS = frozenset({NodeKind.NESTED_LOOPS, NodeKind.HASH_JOIN, NodeKind.MERGE_JOIN, NodeKind.ADAPTIVE_JOIN})


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator with its inputs; names are empty and figures None where the engine does not tell.

    Attributes:
        kind / name: what it does in house words, and the engine's own name (`Index Scan`, `Clustered Index Seek`).
        role: place under its parent (`Outer`, `Inner`, `InitPlan`, `SubPlan`, ...).
        relation / schema / alias / index: what it reads or writes, unquoted.
        join_type: `Inner`, `Left`, `Semi`, ...
        strategy: how (`Hashed`, `Sorted`, `Eager`, ...).
        direction: `Forward` or `Backward` for ordered reads.
        parallel: several workers share the work of this operator.
        conditions: (attribute, expression) pairs in the engine's order, as found in the plan.
        estimated_rows: rows per execution of the operator [count].
        estimated_cost: with all inputs, in the engine's own cost units.
        startup_cost: cost before the first row.
        estimated_width_bytes: size of one row.
        actual_rows: rows per execution [count]; actual_loops: executions; actual_ms: time per execution, inputs
            included [ms]; only in plans of statements that ran.
        elapsed_ms / cpu_ms: of all executions and workers together, with inputs in the same worker but not in batch
            mode [ms]; only SQL Server tells.
        actual_rows_read: rows that it looked at in all its executions to deliver those [count].
        rows_by_worker: rows that each parallel worker delivered [count]; empty where one did all.
        warnings: those that the engine wrote at this operator.
        children: inputs, outer first.
        attributes: everything else the engine says, under its own names.
    """

    kind: NodeKind
    name: str
    role: str = ""
    relation: str = ""
    schema: str = ""
    alias: str = ""
    index: str = ""
    join_type: str = ""
    strategy: str = ""
    direction: str = ""
    parallel: bool = False
    conditions: tuple[tuple[str, str], ...] = ()
    estimated_rows: float | None = None
    estimated_cost: float | None = None
    startup_cost: float | None = None
    estimated_width_bytes: float | None = None
    actual_rows: float | None = None
    actual_loops: float | None = None
    actual_ms: float | None = None
    elapsed_ms: float | None = None
    cpu_ms: float | None = None
    actual_rows_read: float | None = None
    rows_by_worker: tuple[float, ...] = ()
    warnings: tuple["PlanWarning", ...] = ()
    children: tuple["Operator", ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def walk(self) -> Iterator["Operator"]:
        """This operator and all below it, parents before inputs, outer before inner."""
        waiting = [self]
        while waiting:
            operator = waiting.pop()
            yield operator
            waiting.extend(reversed(operator.children))

    @property
    def target(self) -> str:
        """`schema.relation alias` as far as known, the alias only where it differs; empty without a relation."""
        name = f"{self.schema}.{self.relation}" if self.schema and self.relation else self.relation
        return f"{name} {self.alias}".strip() if self.alias and self.alias != self.relation else name


@dataclass(frozen=True, slots=True)
class MissingIndex:
    """An index the engine itself would have liked; impact is its estimate of the gain [percent, 0-100]."""

    database: str
    schema: str
    relation: str
    impact_percent: float
    equality_columns: tuple[str, ...] = ()
    inequality_columns: tuple[str, ...] = ()
    included_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanColumn:
    """A column as a warning names it; parts are empty where it does not tell them, `server` for a table of this one."""

    schema: str
    relation: str
    name: str
    server: str = ""


@dataclass(frozen=True, slots=True)
class PlanWarning:
    """A warning the engine wrote into the plan: its own name for it, the fields it gives, and columns it is about."""

    kind: str
    detail: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[PlanColumn, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanParameter:
    """A parameter of the statement; values are empty where unknown or redacted."""

    name: str
    data_type: str = ""
    compiled_value: str = ""
    runtime_value: str = ""


@dataclass(frozen=True, slots=True)
class PlanStatement:
    """One statement of a plan file.

    Attributes:
        root: its operator tree; None for statements without one (USE, IF, assignments).
        text / kind: statement text and the engine's word for its kind, as found.
        query_hash / plan_hash: signed 64-bit, 0 where unknown.
        estimated_cost: of the whole statement, in the engine's cost units.
        attributes: everything else on statement level, under the engine's own names.
        further: trees beside `root`, for example of a cursor that is first filled and then fetched from.
    """

    root: Operator | None
    text: str = ""
    kind: str = ""
    query_hash: int = 0
    plan_hash: int = 0
    estimated_cost: float | None = None
    missing_indexes: tuple[MissingIndex, ...] = ()
    warnings: tuple[PlanWarning, ...] = ()
    parameters: tuple[PlanParameter, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    further: tuple[Operator, ...] = ()

    @property
    def trees(self) -> tuple[Operator, ...]:
        """`root` and the trees beside it."""
        return (self.root, *self.further) if self.root else self.further

    def operators(self) -> Iterator[Operator]:
        """All operators of the statement, parents first."""
        for tree in self.trees:
            yield from tree.walk()


def same_statement(one: PlanStatement, other: PlanStatement) -> bool:
    """True where two statements say the same in all; trees may be of any depth, which `==` would walk by recursion."""
    if len(one.trees) != len(other.trees) or _said_of(one) != _said_of(other):
        return False
    pairs = zip_longest(one.operators(), other.operators())
    return all(left and right and _said_by(left) == _said_by(right) for left, right in pairs)


def _said_by(operator: Operator) -> tuple[object, ...]:
    return (len(operator.children), *_FIELDS_OF_OPERATOR(operator))


_FIELDS_OF_OPERATOR = attrgetter(*(one.name for one in fields(Operator) if one.name != "children"))
_said_of = attrgetter(*(one.name for one in fields(PlanStatement) if one.name not in ("root", "further")))


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan file: every statement in document order, nested ones too, and totals by descent."""

    engine: Engine
    statements: tuple[PlanStatement, ...]
    version: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    def operators(self) -> Iterator[Operator]:
        """All operators of all statements."""
        for statement in self.statements:
            yield from statement.operators()
