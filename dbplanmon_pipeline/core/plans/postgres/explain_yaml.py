"""EXPLAIN (FORMAT YAML), read as the document its JSON form would be; only the block style PostgreSQL writes."""

import json
import re
from dataclasses import dataclass
from typing import Any

from dbplanmon_pipeline.core.plans.postgres.explain import plain_lines
from dbplanmon_pipeline.core.plans.postgres.explain_details import number_or_flag
from dbplanmon_pipeline.errors import PlanParseError

_IS_PLAN = re.compile(r'^[ \t|│║"-]*Node Type: "', re.MULTILINE)
_CSV = re.compile(r'^[ \t|│║"-]*Node Type: ""\w', re.MULTILINE)
_LINE = re.compile(
    r"""(?P<indent>[ ]*)(?P<item>-[ ])?(?:(?P<key>[A-Za-z_][\w/. -]*):(?:[ ](?P<value>.*))?|(?P<scalar>["\[].*))"""
)
_LOGGED = "plan:"
"""Ends the line with which auto_explain begins."""

_STARTS = frozenset({"Plan", "Query Text", "Query Parameters", "Query Identifier"})


@dataclass(frozen=True, slots=True)
class _Line:
    """`key: value` at a column, or an entry of a list there; `said` is empty where lines further in say more."""

    column: int
    key: str
    said: str
    is_item: bool


def yaml_statements(text: str) -> list[dict[str, Any]]:
    """Statements of EXPLAIN in YAML form, each as FORMAT JSON gives it; none where the text holds no such plan.

    Raises:
        PlanParseError: a line within a plan is not as PostgreSQL writes it; one line.
    """
    if not _IS_PLAN.search(text):
        return []
    if _CSV.search(text):
        text = text.replace('""', '"')
    return _Reader([each for line in plain_lines(text) for each in _lines(line)]).statements()


def _lines(line: str) -> list[_Line]:
    """What a line says; `- key: value` says two things, an entry and the first pair in it."""
    text = line.replace('"- ', "- ", 1) if line.startswith('"- ') else line
    found = _LINE.fullmatch(text)
    if found is None:
        return [_Line(len(line) - len(line.lstrip()), "", line.strip(), False)]
    column = len(found["indent"])
    if not found["item"]:
        return [_Line(column, found["key"] or "", found["value"] or found["scalar"] or "", False)]
    if found["key"] is None:
        return [_Line(column, "", found["scalar"], True)]
    return [_Line(column, "", "", True), _Line(column + len("- "), found["key"], found["value"] or "", False)]


class _Reader:
    """A place in lines; what is read moves it on."""

    def __init__(self, lines: list[_Line]) -> None:
        self._lines = lines
        self._place = 0

    def statements(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while line := self._next():
            if not (line.is_item or line.key in _STARTS):
                self._place += 1
                continue
            block = self._block()
            found += [one for one in (block if isinstance(block, list) else [block]) if "Plan" in one]
        return found

    def _next(self, column: int = -1) -> _Line | None:
        """The line at the place, if there is one that stands at the column."""
        line = self._lines[self._place] if self._place < len(self._lines) else None
        return line if line and column in (-1, line.column) else None

    def _block(self) -> Any:
        """The list or the pairs that begin at the place."""
        column = self._lines[self._place].column
        block = self._list(column) if self._lines[self._place].is_item else self._pairs(column)
        left = self._next()
        if left and left.column > column:
            raise PlanParseError(
                "no readable execution plan: a line of this EXPLAIN in YAML form is broken or not indented as the "
                "server wrote it; use EXPLAIN (FORMAT JSON)"
            )
        return block

    def _list(self, column: int) -> list[Any]:
        found: list[Any] = []
        while (line := self._next(column)) and line.is_item:
            self._place += 1
            found.append(_scalar(line.said) if line.said else self._inner(column))
        return found

    def _pairs(self, column: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while (line := self._next(column)) and line.key and line.key not in found and not line.said.endswith(_LOGGED):
            self._place += 1
            found[line.key] = _scalar(line.said) if line.said else self._inner(column)
        return found

    def _inner(self, column: int) -> Any:
        line = self._next()
        return self._block() if line and line.column > column else {}


def _scalar(said: str) -> Any:
    if said[0] not in '"[':
        return number_or_flag(said)
    try:
        # Behind it may stand the mark of a frame.
        return json.JSONDecoder(strict=False).raw_decode(said)[0]
    except ValueError:
        raise PlanParseError(
            "no readable execution plan: a string of this EXPLAIN in YAML form is cut off; use EXPLAIN (FORMAT JSON)"
        ) from None
