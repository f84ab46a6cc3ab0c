"""A plan as text: figures in columns on the left, the tree of operators to their right."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap
from types import MappingProxyType

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.view import Node, StatementView, view_of
from dbplanmon_pipeline.core.plans.headings import cost_text, heading_of, without_operators
from dbplanmon_pipeline.core.plans.postgres.partitions import PARTITIONS
from dbplanmon_pipeline.core.plans.showplan.expressions import short_expression
from dbplanmon_pipeline.core.plans.tree import Operator, Plan

NARROWEST_TREE = 44
"""Characters that the tree gets at least; columns give way to it."""

DEEPEST_INDENT = 0.4
"""Share of the width of the tree that its indents take at most."""

Place = tuple[int, int]
"""Statement and operator, both counted from 0."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What a comparison says of one operator: one character before its line, and words below it."""

    character: str
    notes: tuple[str, ...] = ()


_NO_MARKS: Mapping[Place, Sequence[int]] = MappingProxyType({})
_NO_SIGNS: Mapping[Place, Sign] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Column:
    """Figures of one kind; those of the least `rank` stay longest where room is scarce."""

    title: str
    text: Callable[[Node], str]
    rank: int


def _told(value: float | None) -> str:
    return "" if value is None else figure(value)


def _cost(node: Node) -> str:
    cost = node.operator.estimated_cost
    return "" if cost is None else cost_text(cost)


def _rows(node: Node) -> str:
    return _told(node.actual if _is_shared(node) else node.operator.actual_rows)


def _runs(node: Node) -> str:
    return "1" if _is_shared(node) else _told(node.operator.actual_loops)


def _is_shared(node: Node) -> bool:
    """True where the threads of SQL Server shared one run, which counts as one of each; its estimate is for all."""
    threads = len(node.operator.rows_by_worker)
    return node.actual != node.operator.actual_rows and (node.operator.actual_loops or 0.0) <= threads


_COLUMNS = (
    _Column("cost", _cost, 0),
    _Column("share", lambda node: f"{node.share:.0%}" if node.share >= 0.005 else "", 3),
    _Column("est. rows", lambda node: _told(node.operator.estimated_rows), 1),
    _Column("rows", _rows, 2),
    _Column("runs", _runs, 4),
    _Column("ms", lambda node: _told(node.operator.actual_ms), 5),
)


def render_tree(
    plan: Plan,
    marks: Mapping[Place, Sequence[int]] = _NO_MARKS,
    *,
    signs: Mapping[Place, Sign] = _NO_SIGNS,
    width: int | None = None,
    statements: Sequence[int] | None = None,
) -> str:
    """All statements, a line per operator with its figures, its conditions below; ends without a line break.

    Rows, runs and time are measured, per run, which threads may share; `share` is what the operator itself takes of the
    measured time of its statement, else of the estimated cost. Columns that nothing stands in are left out. Several
    statements have headings, and those without operators that follow each other are told in one line.

    Args:
        plan: of either engine.
        marks: numbers to put behind operators.
        signs: what a comparison says of them.
        width: of the longest line [characters]; longer ones are broken. None for as wide as need be.
        statements: places of those to show; None for all.
    """
    lines: list[str] = []
    shown = [place for place in range(len(plan.statements)) if statements is None or place in statements]
    if len(plan.statements) == 1:
        lines.extend(_statement(view_of(plan.engine, plan.statements[0]), 0, (marks, signs), width) if shown else ())
        return "\n".join(lines or ["(no operators)"])
    for has_operators, group in groupby(shown, key=lambda place: bool(plan.statements[place].trees)):
        if has_operators:
            for place in group:
                view = view_of(plan.engine, plan.statements[place])
                lines.extend(_broken(f"Statement {place + 1}: {heading_of(view)}", "", "  ", width))
                lines.extend(_statement(view, place, (marks, signs), width))
        else:
            places = list(group)
            text = without_operators(places[0] + 1, [plan.statements[place] for place in places])
            lines.extend(_broken(text, "", "  ", width))
    return "\n".join(lines)


_Told = tuple[Mapping[Place, Sequence[int]], Mapping[Place, Sign]]


def _statement(view: StatementView, place: int, told: _Told, width: int | None) -> list[str]:
    nodes = view.nodes
    cells = _cells(nodes, width)
    marks, signs = told
    lines = [_line("", cells.heads, "operator")] if nodes else []
    depths: list[int] = []
    room = None if width is None else max(1, width - cells.width)
    for node, row in zip(nodes, cells.rows, strict=True):
        depths.append(depths[node.parent.number] + 1 if node.parent else 0)
        sign = signs.get((place, node.number))
        texts = _texts(view.engine, node, depths[-1], marks.get((place, node.number), ()), sign, room)
        lines.append(_line(sign.character if sign else "", row, next(texts)))
        lines.extend(_line("", cells.blanks, text) for text in texts)
    return [line if signs else line[2:] for line in lines]


def _line(sign: str, cells: Sequence[str], text: str) -> str:
    return f"{sign:1} {'  '.join((*cells, text))}".rstrip()


@dataclass(frozen=True, slots=True)
class _Cells:
    heads: list[str]
    rows: list[list[str]]

    @property
    def blanks(self) -> list[str]:
        """A row with nothing in it."""
        return [" " * len(head) for head in self.heads]

    @property
    def width(self) -> int:
        """Characters before the tree, the sign included."""
        return 2 + sum(len(head) + 2 for head in self.heads)


def _cells(nodes: Sequence[Node], width: int | None) -> _Cells:
    """Figures as cells of equal width; the dearest columns go where the tree would have no room."""
    columns = [(column, [column.text(node) for node in nodes]) for column in _COLUMNS]
    columns = [(column, texts) for column, texts in columns if any(texts)]
    while True:
        widths = [max(len(column.title), *map(len, texts)) for column, texts in columns]
        if width is None or not columns or width - sum(widths) - 2 * len(widths) - 2 >= NARROWEST_TREE:
            break
        columns.remove(max(columns, key=lambda one: one[0].rank))
    heads = [column.title.rjust(wide) for (column, _), wide in zip(columns, widths, strict=True)]
    aligned = [[text.rjust(wide) for text in texts] for (_, texts), wide in zip(columns, widths, strict=True)]
    return _Cells(heads, [list(row) for row in zip(*aligned, strict=True)] if aligned else [[] for _ in nodes])


def _texts(
    engine: Engine, node: Node, depth: int, marks: Sequence[int], sign: Sign | None, room: int | None
) -> Iterator[str]:
    """The operator, then what a comparison says of it, then its conditions, broken where there is no room."""
    arrow = f"{'  ' * (depth - 1)}-> " if depth else ""
    if room is not None and len(arrow) > DEEPEST_INDENT * room:
        arrow = f"{' ' * max(0, int(DEEPEST_INDENT * room) - 6)}...-> "
    head = f"{_headline(node.operator)}{''.join(f' [{mark}]' for mark in marks)}"
    yield from _broken(head, arrow, " " * (len(arrow) + 4), room)
    inset = " " * (len(arrow) + 4)
    for note in sign.notes if sign else ():
        yield from _broken(f"* {note}", inset, f"{inset}  ", room)
    readable = short_expression if engine == Engine.SQLSERVER else str
    for name, expression in node.operator.conditions:
        text = " ".join(readable(expression).split())
        yield from _broken(f"{name}: {text}", inset, f"{inset}  ", room)


def _broken(text: str, first: str, later: str, room: int | None) -> Iterator[str]:
    if room is None or len(first) + len(text) <= room:
        yield f"{first}{text}"
    else:
        yield from wrap(text, room, initial_indent=first, subsequent_indent=later[: max(0, room - 8)]) or [first]


def operator_words(operator: Operator) -> tuple[str, str]:
    """What an operator does (`Parallel Hash Join (Left)`), and what it reads or writes, empty where nothing."""
    kind = operator.join_type if operator.join_type.lower() != "inner" else ""
    strategy = "" if operator.strategy == "Plain" or operator.name.endswith(operator.strategy) else operator.strategy
    does = [
        "Parallel" if operator.parallel and not operator.name.startswith("Parallel") else "",
        operator.name,
        operator.direction if operator.direction == "Backward" else "",
        f"({', '.join(filter(None, (kind, strategy)))})" if kind or strategy else "",
    ]
    partitions = operator.attributes.get(PARTITIONS)
    reads = [
        f"using {operator.index}" if operator.index else "",
        f"on {operator.target}" if operator.target else "",
        f"({partitions} partitions)" if partitions and operator.target else "",
    ]
    return " ".join(filter(None, does)), " ".join(filter(None, reads))


def _headline(operator: Operator) -> str:
    role = f"[{operator.role}]" if operator.role in ("InitPlan", "SubPlan") else ""
    return " ".join(filter(None, (*operator_words(operator), role)))
