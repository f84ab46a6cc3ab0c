"""From the text of an EXPLAIN, in JSON or text form, as servers, logs and terminals show it, to its JSON document."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dbplanmon_pipeline.core.plans.pg_explain import explained
from dbplanmon_pipeline.errors import PlanParseError

_BRACKET = re.compile(r"[\[{]")
_PLAN_KEY = re.compile(r'"(?:Plan|Plans|Node Type)"\s*:')
_BORDERS = "│║|"
_CANDIDATES = 16


def plan_document(text: str) -> object:
    """The JSON document inside a text that may be framed by psql, quoted by a spreadsheet or headed by a log line.

    EXPLAIN in text form is told as its JSON form would be.

    Raises:
        PlanParseError: there is no plan in the text.
    """
    for form in _forms(text):
        for document in _decoded(form):
            if _holds_plan(document):
                return document
    if statements := explained(text):
        return statements
    raise PlanParseError(_complaint(text))


def plan_statements(source: object) -> list[dict[str, Any]]:
    """Statement objects of a document or text: each has `Plan`, the root node, beside its own attributes.

    Raises:
        PlanParseError: it is no plan of EXPLAIN (FORMAT JSON).
    """
    document = plan_document(source) if isinstance(source, str) else source
    entries = document if isinstance(document, list) else [document]
    if not entries:
        raise PlanParseError("no execution plan: the document is empty; give the output of EXPLAIN (FORMAT JSON)")
    return [_statement(entry) for entry in entries]


def _statement(entry: object) -> dict[str, Any]:
    if isinstance(entry, dict) and is_plan_node(entry.get("Plan")):
        return entry
    if isinstance(entry, dict) and is_plan_node(entry):
        return {"Plan": entry}
    if entry == "Utility Statement":
        raise PlanParseError("no execution plan: a utility statement has none; explain a query or a data change")
    raise PlanParseError('no execution plan: "Plan" with a "Node Type" is missing; use EXPLAIN (FORMAT JSON)')


def plan_children(node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Inputs of a plan node.

    Raises:
        PlanParseError: `Plans` is no list of plan nodes.
    """
    children = node.get("Plans")
    if children is None:
        return []
    if isinstance(children, list) and all(is_plan_node(child) for child in children):
        return children
    raise PlanParseError('no readable execution plan: "Plans" must be a list of nodes with a "Node Type"')


def _forms(text: str) -> Iterator[str]:
    """Readings of the text, the likeliest first; later ones are made only when the earlier ones hold no plan."""
    yield text
    plain = "\n".join(_unframed(line) for line in text.splitlines())
    yield plain
    if '""' in plain:
        yield plain.strip().removeprefix('"').removesuffix('"').replace('""', '"')
        yield "\n".join(line.strip().removeprefix('"').removesuffix('"') for line in plain.splitlines()).replace(
            '""', '"'
        )


def _unframed(line: str) -> str:
    """The line without table borders and continuation marks; blanks go too, JSON needs none between lines."""
    inner = line.strip()
    if inner[:1] in _BORDERS:
        inner = inner[1:]
    return inner.rstrip(_BORDERS + " \t").removesuffix("+").removesuffix("↵").strip()


def _decoded(text: str) -> Iterator[object]:
    """Documents that begin at one of the first brackets; never a branch of a plan whose own text is cut off."""
    decoder = json.JSONDecoder()
    position = 0
    for _ in range(_CANDIDATES):
        begin = _BRACKET.search(text, position)
        if begin is None or _PLAN_KEY.search(text, 0, begin.start()):
            return
        try:
            document, position = decoder.raw_decode(text, begin.start())
        except RecursionError:
            raise PlanParseError("no readable execution plan: it is nested too deeply") from None
        except ValueError:
            position = begin.end()
            continue
        yield document


def _holds_plan(document: object) -> bool:
    entries = document if isinstance(document, list) else [document]
    return any(
        entry == "Utility Statement"
        or is_plan_node(entry)
        or (isinstance(entry, dict) and is_plan_node(entry.get("Plan")))
        for entry in entries
    )


def is_plan_node(value: object) -> bool:
    """True for an object with a `Node Type`."""
    name = value.get("Node Type") if isinstance(value, dict) else None
    return isinstance(name, str) and name != ""


def _complaint(text: str) -> str:
    if not text.strip():
        return "no execution plan: the text is empty"
    if text.lstrip().startswith("<"):
        return "no PostgreSQL plan: the text is XML; PostgreSQL plans are read from EXPLAIN (FORMAT JSON)"
    if "|--" in text:
        return "no readable showplan: this is SHOWPLAN_TEXT; use SET SHOWPLAN_XML ON, or save the plan as .sqlplan"
    if "(cost=" in text:
        return "no readable execution plan: no line of this EXPLAIN is an operator as servers write it; use FORMAT JSON"
    if "Node Type: " in text:
        return "no readable execution plan: this is EXPLAIN in YAML form; use EXPLAIN (FORMAT JSON)"
    return "no execution plan: the text holds no output of EXPLAIN, neither as text nor in FORMAT JSON"
