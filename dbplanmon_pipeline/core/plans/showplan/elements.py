"""From the text of a SQL Server plan to its XML elements, with nothing of XML that can do harm."""

import re

from lxml import etree

from dbplanmon_pipeline.core.plans.showplan.text import is_whole, showplan_documents
from dbplanmon_pipeline.errors import PlanParseError

NAMESPACE = "http://schemas.microsoft.com/sqlserver/2004/07/showplan"
MARK = f"{{{NAMESPACE}}}"
"""Stands in front of the name of each element of a showplan."""

_ILLEGAL = re.compile(r"&#(?:x0*(?:[0-8bcefBCEF]|1[0-9a-fA-F]|[dD][89a-fA-F]\w\w)|0*(?:[0-8]|1[124-9]|2\d|3[01]));")


def showplan_root(text: str) -> etree._Element:
    """The element `ShowPlanXML` of a text; where it holds several, the first with what all of them hold.

    Raises:
        PlanParseError: no such element, another namespace, damaged XML, a document type, more than MAX_CHARACTERS or
            more than two thousand levels; one line.
    """
    first, *others = map(_root, showplan_documents(text))
    for other in others:
        first.extend(other)
    return first


def _root(document: str) -> etree._Element:
    try:
        root = etree.fromstring(_bytes(document), harmless_parser())
    except etree.XMLSyntaxError as error:
        # The message of the parser may quote the document.
        raise PlanParseError(_complaint(document, error.lineno or 1)) from None
    if root.tag != f"{MARK}ShowPlanXML":
        raise PlanParseError(f"no showplan: the namespace is not the one SQL Server writes ({NAMESPACE})")
    return root


def _bytes(document: str) -> bytes:
    if "#" in document and "&#" in document:
        document = _ILLEGAL.sub("?", document)
    return document.encode("utf-8", "replace")


def harmless_parser() -> etree.XMLParser:
    """A parser that looks nothing up, neither entities nor files nor the network."""
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,
        collect_ids=False,
        huge_tree=True,
    )


def _complaint(document: str, line: int) -> str:
    if is_whole(document):
        return f"no readable showplan: the XML is damaged or too deep at line {line}; save the plan as .sqlplan"
    return (
        f"no readable showplan: the XML is cut off at line {line}; grids, results to text and sqlcmd cut long values, "
        "so save the plan as .sqlplan"
    )
