"""From the text of an EXPLAIN in any of its forms, as servers, logs and terminals show it, to its JSON document."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dbplanmon_pipeline.core.plans.postgres.explain import explained
from dbplanmon_pipeline.core.plans.postgres.explain_xml import xml_statements
from dbplanmon_pipeline.core.plans.postgres.explain_yaml import yaml_statements
from dbplanmon_pipeline.core.plans.postgres.wrapping import unwrapped
from dbplanmon_pipeline.errors import PlanParseError

_BEGIN = re.compile(r'[\[{](?=\s*["\[{])')
_NODE = '"Node Type"'
_PLAN_KEY = re.compile(r'"(?:Plan|Plans|Node Type)"\s*:')
_BORDERS = "│║|"
_NODE_SAID = re.compile(r'"Node Type"\s*:\s*"')
_OF_MYSQL = re.compile(r"^[ \t|]*-> .*\(cost=\d+(?:\.\d+)?(?:e[+-]?\d+)? rows=", re.MULTILINE)
_ATTEMPTS = 16
_DEPTH = 6
"""Levels of lists and objects around a plan, as drivers and tools put them there."""


def plan_document(text: str) -> object:
    """The JSON document inside a text that may be framed by psql, quoted by a spreadsheet or headed by a log line.

    EXPLAIN in text, XML or YAML form is told as its JSON form would be; of several documents, statements are told
    one after the other.

    Raises:
        PlanParseError: there is no plan in the text, or the last one is cut off.
    """
    if document := _bare(text):
        return document
    plain = unwrapped(text)
    for form in _forms(plain):
        if document := _document(form):
            return document
    if _OF_MYSQL.search(plain):
        raise PlanParseError("no execution plan of PostgreSQL or SQL Server: this is EXPLAIN of MySQL")
    for read in (xml_statements, yaml_statements, explained):
        if statements := read(plain):
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


def _bare(text: str) -> object:
    """The document of a text that is nothing else, as plans lie in the store; None for any other."""
    if text[:1] not in ("[", "{"):
        return None
    try:
        document = json.loads(text)
    except RecursionError:
        raise PlanParseError("no readable execution plan: it is nested too deeply") from None
    except ValueError:
        return None
    return document if _holds_plan(document) else None


def _document(text: str) -> object:
    """The document with a plan in a text; of several, all their statements. None where there is none."""
    found: list[object] = []
    end = 0
    for document, after in _decoded(text):
        if plans := _plans(document):
            found.append(plans)
            end = after
    if len(found) > 1:
        found = [[entry for plans in found for entry in (plans if isinstance(plans, list) else [plans])]]
    if found and _NODE_SAID.search(text, end):
        raise PlanParseError("no readable execution plan: the last one in the text is cut off")
    return found[0] if found else None


def _decoded(text: str) -> Iterator[tuple[object, int]]:
    """Documents and where they end; never a branch of a plan whose own text is cut off."""
    decoder = json.JSONDecoder()
    position = attempts = 0
    while attempts < _ATTEMPTS and (begin := _BEGIN.search(text, position)):
        if _PLAN_KEY.search(text, position, begin.start()):
            return
        try:
            document, position = decoder.raw_decode(text, begin.start())
        except RecursionError:
            raise PlanParseError("no readable execution plan: it is nested too deeply") from None
        except ValueError:
            position = begin.end()
            attempts += 1
            continue
        yield document, position


def _plans(document: object, depth: int = _DEPTH) -> object:
    """The document where its entries are plans; else those further in. None where there are none."""
    if _holds_plan(document):
        return document
    if isinstance(document, str):
        return _document(document) if _NODE in document else None
    if depth == 0 or not isinstance(document, dict | list):
        return None
    parts = document.values() if isinstance(document, dict) else document
    found = [plans for part in parts if (plans := _plans(part, depth - 1))]
    return [entry for plans in found for entry in (plans if isinstance(plans, list) else [plans])] or None


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
        return "no PostgreSQL plan: the text is XML or HTML without an EXPLAIN in it; use EXPLAIN (FORMAT JSON)"
    if "|--" in text:
        return "no readable showplan: this is SHOWPLAN_TEXT; use SET SHOWPLAN_XML ON, or save the plan as .sqlplan"
    if "(cost=" in text:
        return "no readable execution plan: no line of this EXPLAIN is an operator as servers write it; use FORMAT JSON"
    if _NODE in text:
        return "no readable execution plan: its JSON is damaged or cut off; save it again, whole"
    return "no execution plan: the text holds no output of EXPLAIN and no showplan"
