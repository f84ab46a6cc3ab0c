"""EXPLAIN in text form, as people paste it, read as the document its JSON form would be."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dbplanmon_pipeline.core.plans.postgres.explain_details import detail, is_open, listed
from dbplanmon_pipeline.core.plans.postgres.explain_heads import (
    NAMES,
    figures_of,
    has_figures,
    head_of,
    number,
    target_of,
    worker_figures,
)
from dbplanmon_pipeline.errors import PlanParseError

_ARROW = re.compile(r"(?P<indent> *)->\s+(?P<head>\S.*)", re.DOTALL)
_LOST = (
    "no readable execution plan: the indents of its lines are lost; paste it as the server gave it, or use "
    "EXPLAIN (FORMAT JSON)"
)
_LABEL = re.compile(r"(?:InitPlan|SubPlan) \S+(?: \(returns [^()]*\))?|CTE \S.*")
_DETAIL = re.compile(r"(?P<name>[A-Z][\w/ -]*?):(?: +(?P<value>.*)|\s*)", re.DOTALL)
_WORKER = re.compile(r"Worker (?P<number>\d+): +(?P<told>.*)", re.DOTALL)
_TARGET = re.compile(r"(?:Foreign )?(?:Insert|Update|Delete|Merge) on (?P<target>.+)", re.DOTALL)
_TRIGGER = re.compile(
    r"Trigger (?:(?P<name>.{1,130}?) )??(?:for constraint (?P<constraint>.{1,130}?) )?(?:on (?P<relation>.{1,130}))?:"
    r" (?:time=(?P<time>\d+(?:\.\d+)?) )?calls=(?P<calls>\d+)"
)
_MS = r"\d+(?:\.\d+)?"
_TIMING = re.compile(rf"(?P<name>[A-Z]\w{{1,30}}) (?P<ms>{_MS}) ms(?: \(Deform (?P<deform>{_MS}) ms\))?")
_DECORATION = re.compile(r"\s*(?:--|//|#|>|\*)+ ?")
_HEADING = "QUERY PLAN"
_BORDERS = "│║|"
_STATEMENT_DETAILS = frozenset(
    {
        *("Planning Time", "Execution Time", "Total runtime", "Query Identifier", "Query Parameters", "Settings"),
        *("Planning", "JIT", "Serialization"),
    }
)
_SECTIONS = ("Planning", "JIT")
_OF_MEMBERS = frozenset({"Append", "Merge Append", "BitmapAnd", "BitmapOr"})
_OLD_TIMES = {"Total runtime": "Execution Time"}


def explained(text: str) -> list[dict[str, Any]]:
    """Statements of EXPLAIN in text form, each as FORMAT JSON gives it; none where the text holds no such plan.

    What the text form leaves out (an alias equal to the name, rows that no filter removed) is told where it follows
    from the form, else not at all. Frames of psql, quotes of other tools, log lines and remarks around a plan go.

    Raises:
        PlanParseError: the indents are lost, so that nobody can say which operator belongs where; one line.
    """
    lines = list(plain_lines(text))
    if not any(has_figures(line) or _ARROW.fullmatch(line) or line.strip() == _HEADING for line in lines):
        return []
    reader = _Reader()
    for line in lines:
        reader.read(line)
    reader.close()
    return [_finished(statement.told) for statement in reader.statements]


def plain_lines(text: str) -> Iterator[str]:
    """Lines without what tools put around them; indents stay."""
    lines = text.replace("\t", " ").splitlines()
    marks = Counter(mark.group() if (mark := _DECORATION.match(line)) else "" for line in lines if line.strip())
    decoration = marks.most_common(1)[0][0] if marks else ""
    for line in lines:
        plain = line.removeprefix(decoration).rstrip()
        if plain[:1] and plain[0] in _BORDERS:
            plain = plain[1:].rstrip(_BORDERS + " ")
        plain = plain.removesuffix(" +").removesuffix("↵").rstrip()
        inner = plain.strip()
        if len(inner) > 1 and inner[0] == inner[-1] == '"':
            plain = inner[1:-1].replace('""', '"')
        if plain:
            yield plain


@dataclass(slots=True)
class _Operator:
    """An operator that is read; its inputs stand further to the right than `column`."""

    told: dict[str, Any]
    column: int
    workers: dict[int, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class _Statement:
    told: dict[str, Any]
    column: int


class _Reader:
    """What was read so far, line by line."""

    def __init__(self) -> None:
        self.statements: list[_Statement] = []
        self._path: list[_Operator] = []
        self._label: tuple[str, int] | None = None
        self._section: dict[str, Any] | None = None
        self._worker: tuple[dict[str, Any], int] | None = None
        self._open: tuple[dict[str, Any], str, list[str]] | None = None
        self._query: list[str] | None = None

    def read(self, line: str) -> None:
        """Take the next line."""
        if self._open:
            self._continue(line)
            return
        column = len(line) - len(line.lstrip())
        words = line.strip()
        arrow = _ARROW.fullmatch(line)
        if arrow and self._path:
            self._operator(arrow["head"], column)
        elif arrow or self._is_root(words, column):
            self._root(arrow["head"] if arrow else words, column)
        elif self._query is not None:
            self._query.append(words)
        elif words.startswith("Query Text: "):
            self._path, self._query = [], [words.removeprefix("Query Text: ")]
        elif self._path:
            self._below(words, column)

    def _is_root(self, words: str, column: int) -> bool:
        """True for the first operator of a plan; details of some extensions have figures, too, and stand further in."""
        if has_figures(words) and not words.startswith("("):
            return not self._path or column <= self.statements[-1].column
        if self._path or self._query is not None:
            return False
        told = head_of(words)
        return told is not None and told["Node Type"] in NAMES

    def _root(self, words: str, column: int) -> None:
        if all(map(has_figures, words.partition(" -> ")[::2])):
            raise PlanParseError(_LOST)
        told = head_of(words) or {"Node Type": words}
        statement: dict[str, Any] = {"Plan": told}
        if self._query is not None:
            statement["Query Text"] = "\n".join(self._query)
        self._query = self._label = self._section = self._worker = None
        self.statements.append(_Statement(statement, column))
        self._path = [_Operator(told, column)]

    def _operator(self, words: str, column: int) -> None:
        label, edge = self._label or ("", column)
        self._label = self._worker = None
        self._leave(edge)
        if self._path[-1].column >= edge:
            raise PlanParseError(_LOST)
        told = head_of(words) or {"Node Type": words}
        above = self._path[-1].told
        above.setdefault("Plans", []).append(told)
        if label:
            told |= {"Parent Relationship": label.partition(" ")[0].replace("CTE", "InitPlan"), "Subplan Name": label}
        self._path.append(_Operator(told, column))

    def _leave(self, column: int) -> None:
        """Go up to the operator that stands left of the column, to the first one at most."""
        while len(self._path) > 1 and self._path[-1].column >= column:
            self._path.pop()

    def _below(self, words: str, column: int) -> None:
        """A line that is no operator."""
        operator = self._path[-1].told
        if words.startswith(("(cost=", "(actual ", "(never ")):
            operator |= figures_of(words)
        elif _LABEL.fullmatch(words):
            self._label = (words, column)
        elif worker := _WORKER.fullmatch(words):
            self._of_worker(worker, column)
        elif trigger := _TRIGGER.fullmatch(words):
            self.statements[-1].told.setdefault("Triggers", []).append(_trigger(trigger))
        elif found := _DETAIL.fullmatch(words):
            self._detail(found["name"], found["value"] or "", column)
        elif (target := _TARGET.fullmatch(words)) and operator.get("Node Type") == "ModifyTable":
            operator.setdefault("Target Tables", []).append(target_of(target["target"]))

    def _detail(self, name: str, value: str, column: int) -> None:
        statement = self.statements[-1]
        if column <= statement.column:
            self._section = None
            if name in _STATEMENT_DETAILS:
                self._of_statement(_OLD_TIMES.get(name, name), value)
            return
        self._leave(column)
        if self._section is not None:
            self._section |= _of_section(name, value)
        elif self._worker and column > self._worker[1]:
            self._worker[0].update(detail(name, value))
        elif is_open(value):
            self._open = (self._path[-1].told, name, [value])
        else:
            _put(self._path[-1].told, name, value)

    def _of_statement(self, name: str, value: str) -> None:
        told = self.statements[-1].told
        if name in _SECTIONS:
            self._section = told.setdefault(name, {})
        elif name == "Settings":
            pairs = (part.partition(" = ") for part in listed(value))
            told[name] = {key: setting.strip("'").replace("''", "'") for key, _, setting in pairs}
        else:
            told |= detail(name, value)

    def _of_worker(self, worker: "re.Match[str]", column: int) -> None:
        operator = self._path[-1]
        place = int(worker["number"])
        told = operator.workers.get(place)
        if told is None:
            told = operator.workers[place] = {"Worker Number": place}
            operator.told.setdefault("Workers", []).append(told)
        self._worker = (told, column)
        figures = worker_figures(worker["told"])
        found = _DETAIL.fullmatch(worker["told"])
        told |= figures or (detail(found["name"], found["value"] or "") if found else {})

    def _continue(self, line: str) -> None:
        """The next line of a string that holds line breaks, whatever it looks like."""
        if self._open:
            self._open[2].append(line)
            if not is_open(f"'{line}"):
                self.close()

    def close(self) -> None:
        """End the string that is open, if one is; at the end of a text that is cut off, too."""
        if self._open:
            operator, name, parts = self._open
            self._open = None
            _put(operator, name, "\n".join(parts))


def _put(operator: dict[str, Any], name: str, value: str) -> None:
    """Add what a line tells; several keys of one aggregation are its grouping sets."""
    sets = operator.get("Grouping Sets")
    if operator.get("Node Type") == "Aggregate" and name in ("Group Key", "Hash Key", "Sort Key"):
        if sets is None and "Group Key" not in operator and name == "Group Key" and value != "()":
            operator |= detail(name, value)
            return
        if sets is None:
            first = operator.pop("Group Key", None)
            sets = operator["Grouping Sets"] = [{"Group Keys": [first]}] if first else []
        keys = [] if value == "()" else listed(value)
        sets.append({name: keys} if name == "Sort Key" else {f"{name}s": [keys]})
        return
    operator |= detail(name, value)


def _of_section(name: str, value: str) -> dict[str, Any]:
    if name == "Options":
        pairs = (part.rpartition(" ") for part in value.split(", "))
        return {name: {key: flag == "true" for key, _, flag in pairs}}
    if name == "Timing":
        return {name: dict(_spent(found) for found in _TIMING.finditer(value))}
    return detail(name, value)


def _spent(found: "re.Match[str]") -> tuple[str, Any]:
    ms = number(found["ms"])
    return found["name"], {"Deform": number(found["deform"]), "Total": ms} if found["deform"] else ms


def _trigger(found: "re.Match[str]") -> dict[str, Any]:
    names = {"Trigger Name": found["name"], "Constraint Name": found["constraint"], "Relation": found["relation"]}
    told: dict[str, Any] = {key: name for key, name in names.items() if name}
    if found["time"]:
        told["Time"] = number(found["time"])
    return {**told, "Calls": number(found["calls"])}


def _finished(statement: dict[str, Any]) -> dict[str, Any]:
    """The statement with the places of all inputs under their parents."""
    waiting = [statement["Plan"]]
    while waiting:
        operator = waiting.pop()
        waiting.extend(_elsewhere(operator))
        children = operator.get("Plans", [])
        waiting.extend(children)
        inputs = [child for child in children if "Parent Relationship" not in child]
        for place, child in enumerate(inputs):
            child["Parent Relationship"] = _relationship(operator, place, len(inputs))
    return statement


def _elsewhere(operator: dict[str, Any]) -> list[dict[str, Any]]:
    """Plans that Citus shows of its workers and of statements it runs first, put where its JSON has them."""
    inputs = operator.get("Plans", [])
    tasks = [one for one in inputs if one["Node Type"] == "Task"]
    before = [one for one in inputs if one["Node Type"].startswith("Distributed Subplan ")]
    if not tasks and not before:
        return []
    operator["Plans"] = [one for one in inputs if one not in tasks and one not in before]
    operator["Distributed Query"] = {
        "Subplans": [{"PlannedStmt": [{"Plan": plan} for plan in one.get("Plans", [])]} for one in before],
        "Job": {
            "Tasks": [
                {"Node": one.get("Node", ""), "Remote Plan": [[{"Plan": plan} for plan in one.get("Plans", [])]]}
                for one in tasks
            ]
        },
    }
    return [plan for one in (*before, *tasks) for plan in one.get("Plans", [])]


def _relationship(above: dict[str, Any], place: int, count: int) -> str:
    name = above["Node Type"]
    if name in _OF_MEMBERS or (name == "ModifyTable" and count > 1):
        return "Member"
    if name == "Subquery Scan":
        return "Subquery"
    if name == "Custom Scan":
        return "children" if count > 1 else "child"
    return "Inner" if place else "Outer"
