"""EXPLAIN (FORMAT XML), read as the document its JSON form would be."""

import re
from typing import Any

from lxml import etree

from dbplanmon_pipeline.core.plans.postgres.explain import plain_lines
from dbplanmon_pipeline.core.plans.postgres.explain_details import TEXTS, number_or_flag
from dbplanmon_pipeline.core.plans.showplan.elements import harmless_parser
from dbplanmon_pipeline.errors import PlanParseError

_BEGIN = re.compile(r"<explain(?=[\s>])")
_END = "</explain>"
_LISTS = frozenset(
    {"Plans", "Workers", "Triggers", "Grouping Sets", "Group Keys", "Hash Keys", "Target Tables", "Sort Keys"}
)
_OF_LISTS = frozenset({"Group Keys", "Hash Keys"})
"""Lists of lists: one of them is empty where a grouping set has no column."""

_HYPHENS = {
    name.replace(" ", "-").replace("/", "-"): name
    for name in (
        *("One-Time Filter", "Full-sort Groups", "Pre-sorted Groups", "I/O Read Time", "I/O Write Time"),
        *(f"{place} I/O {act} Time" for place in ("Shared", "Local", "Temp") for act in ("Read", "Write")),
    )
}
"""Tags have a hyphen for each blank and stroke of the name; these names have hyphens or strokes of their own."""


def xml_statements(text: str) -> list[dict[str, Any]]:
    """Statements of EXPLAIN in XML form, each as FORMAT JSON gives it; none where the text holds no such plan.

    Raises:
        PlanParseError: the XML is damaged or cut off; one line.
    """
    if not _BEGIN.search(text):
        return []
    text = "\n".join(plain_lines(text))
    found: list[dict[str, Any]] = []
    position = 0
    while begin := _BEGIN.search(text, position):
        end = text.find(_END, begin.end())
        if end < 0:
            raise PlanParseError("no readable execution plan: its XML is cut off; it does not end in </explain>")
        position = end + len(_END)
        found += _statements(text[begin.start() : position])
    return found


def _statements(document: str) -> list[dict[str, Any]]:
    if '=""' in document[:200]:
        document = document.replace('""', '"')
    try:
        root = etree.fromstring(document.encode("utf-8", "replace"), harmless_parser())
    except etree.XMLSyntaxError as error:
        # The message of the parser may quote the document.
        raise PlanParseError(
            f"no readable execution plan: its XML is damaged or too deep at line {error.lineno or 1}"
        ) from None
    queries = [child for child in root if _name(child) == "Query"] or [root]
    return [{_name(part): _value(part) for part in query} for query in queries]


def _name(element: etree._Element) -> str:
    tag = etree.QName(element).localname
    return _HYPHENS.get(tag) or tag.replace("-", " ")


def _value(element: etree._Element) -> Any:
    name = _name(element)
    if name in _OF_LISTS:
        return [[child.text or "" for child in keys] for keys in element]
    if name in _LISTS:
        return [_value(child) for child in element]
    if len(element) == 0:
        text = element.text or ""
        return text if name in TEXTS or name.endswith(("Name", "Alias", "Schema")) else number_or_flag(text)
    if _name(element[0]) == "Item":
        return [child.text or "" for child in element]
    return {_name(child): _value(child) for child in element}
